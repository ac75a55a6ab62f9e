//! Where one message is, while receivers clone it without a lock.
//!
//! ```text
//!            put                 begin                begin
//!   empty ─────────► held, 0 ────────► held, n ─────────────────► held, n+1
//!     ▲                │  ▲              │  ▲ └──────── end ──────────┘
//!     └───── take ─────┘  └───── end ────┘  │
//!     ▲                                     │ abandon: nobody begins any more
//!     │                                     ▼
//!     └── take, by an `end` that finds ABANDONED, when all have ended
//! ```
//!
//! All but `end` happens under the ring's lock, which `&mut Handle` stands for. How many have begun
//! is in the [`Handle`], how many have ended in the [`Store`]: so a clone costs one
//! read-modify-write beside the lock.
//!
//! Rules:
//! 1. The message is written to and taken only when as many have ended as have begun.
//! 2. Whoever ends and finds ABANDONED looks, under the lock, whether all have ended, and takes
//!    the message if so. `abandon` tells if there is nobody left to do that.

use std::ptr::NonNull;

use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};

/// In the count of those who have ended: nobody begins any more.
const ABANDONED: usize = 1;
/// One who has begun or ended.
const ONE: usize = 2;

/// See the module documentation.
pub(super) struct Store<T> {
    /// It runs over, as the count of those who have begun does. They differ by the number of
    /// receivers at most.
    ended: AtomicUsize,
    message: UnsafeCell<Option<T>>,
}

impl<T> Store<T> {
    pub(super) fn new() -> Store<T> {
        Store { ended: AtomicUsize::new(0), message: UnsafeCell::new(None) }
    }

    /// Ends a clone. True if the message is abandoned: then the caller goes to the ring for what
    /// is left of it.
    fn end(&self) -> bool {
        // Release: pairs with `is_cloned` and `abandon`: the message was read before.
        let order = mutation!("broadcast-ends-unordered", Ordering::Release, Ordering::Relaxed);
        self.ended.fetch_add(ONE, order) & ABANDONED != 0
    }
}

/// The ring's right to a store.
pub(super) struct Handle<T> {
    store: NonNull<Store<T>>,
    begun: usize,
}

impl<T> Handle<T> {
    /// # Safety
    /// The store is new, and stays for as long as the handle and whoever clones its message.
    pub(super) unsafe fn new(store: NonNull<Store<T>>) -> Handle<T> {
        Handle { store, begun: 0 }
    }

    fn store(&self) -> &Store<T> {
        // SAFETY: see `new`.
        unsafe { self.store.as_ref() }
    }

    /// Whether this is the handle of the store whose message `reading` clones, or has cloned.
    pub(super) fn is_of(&self, reading: &Reading<T>) -> bool {
        self.store == reading.0
    }

    /// Whether somebody clones the message.
    pub(super) fn is_cloned(&self) -> bool {
        // Acquire: pairs with `end`.
        self.store().ended.load(Ordering::Acquire) & !ABANDONED != self.begun
    }

    /// Puts a message there, and takes the one before it out.
    ///
    /// # Safety
    /// Nobody clones the message: rule 1.
    pub(super) unsafe fn put(&mut self, message: T) -> Option<T> {
        let store = self.store();
        // Relaxed: nobody else touches it.
        if store.ended.load(Ordering::Relaxed) & ABANDONED != 0 {
            store.ended.fetch_and(!ABANDONED, Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        store.message.with_mut(|place| unsafe { &mut *place }.replace(message))
    }

    /// Takes the message out, if it is there.
    ///
    /// # Safety
    /// Nobody clones the message: rule 1.
    pub(super) unsafe fn take(&mut self) -> Option<T> {
        // SAFETY: as the caller promises.
        self.store().message.with_mut(|place| unsafe { &mut *place }.take())
    }

    /// Begins to clone the message, which is there.
    pub(super) fn begin(&mut self) -> Reading<T> {
        if mutation!("broadcast-begins-uncounted", true, false) {
            self.begun = self.begun.wrapping_add(ONE);
        }
        Reading(self.store)
    }

    /// Nobody begins to clone the message any more. True if nobody clones it now; else the last
    /// one that does finds it abandoned.
    pub(super) fn abandon(&mut self) -> bool {
        // Acquire: pairs with `end`. An `end` that does not find the mark is counted here.
        let ended = self.store().ended.fetch_or(ABANDONED, Ordering::Acquire);
        ended & !ABANDONED == self.begun
    }
}

/// The right to clone a message, once, then to end.
pub(super) struct Reading<T>(NonNull<Store<T>>);

impl<T> Reading<T> {
    /// The message.
    ///
    /// # Safety
    /// The clone has not ended, and the ring is there.
    pub(super) unsafe fn clone_message(&self) -> T
    where
        T: Clone,
    {
        // SAFETY: see `Handle::new`; the ring is there.
        let store = unsafe { self.0.as_ref() };
        // SAFETY: rule 1: it is not written to before the clone has ended.
        let message = store.message.with(|message| unsafe { &*message }.clone());
        message.expect("a message is there until the last clone has ended")
    }

    /// Ends the clone. True if the message is abandoned.
    ///
    /// # Safety
    /// The clone has not ended, and the ring is there.
    pub(super) unsafe fn end(&self) -> bool {
        // SAFETY: as in `clone_message`.
        unsafe { self.0.as_ref() }.end()
    }
}
