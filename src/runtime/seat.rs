//! The seat of worker 0: its own thread has it, until a thread that calls `run` asks for it.
//!
//! ```text
//!             caretaker enters              guest asks
//!   FREE ───────────────────────► TAKEN ──────────────────► WANTED
//!    ▲                               │ leaves                  │ caretaker leaves
//!    │                               ▼                         ▼
//!    └────────────────────────────  FREE  ◄───────────────────-┘  the first guest enters
//! ```
//!
//! A guest that finds the seat taken does not wait for it: a task that is stuck on the caretaker
//! may wait for what the guest is about to do. It polls its future alone, and is listed only while
//! it has nothing else to do.
//!
//! Guests come first, but only [`PATIENCE`] times in a row. One that goes as soon as it has come
//! looks at no timer, no socket and hardly a task, and the next may be there before the caretaker
//! has woken: so the seat is then kept for the caretaker, as if it were taken.

use std::sync::Arc;

use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::waiter::parker::Parker;

/// Guests in a row before the caretaker has its turn: one at least, and few enough that what waits
/// for the caretaker waits for some polls of futures, no more. Models try the end of it at once.
const PATIENCE: u32 = if cfg!(volt_loom) { 1 } else { 32 };

pub(crate) struct Seat {
    inner: Mutex<Inner>,
    /// A guest waits: the hint that the caretaker looks at between two tasks.
    wanted: AtomicBool,
    /// Where the caretaker waits for the seat.
    caretaker: Parker,
}

/// What a guest that asks for the seat is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It has the seat.
    Seated,
    /// It will be told; `new` if it did not wait already.
    Listed { new: bool },
}

struct Inner {
    taken: bool,
    /// How many more guests may sit before the caretaker; `None` once that has gone, and nobody
    /// is kept waiting for it.
    patience: Option<u32>,
    /// Guests that wait, first come first.
    guests: Vec<Arc<Parker>>,
}

impl Inner {
    fn unlist(&mut self, parker: &Arc<Parker>) {
        self.guests.retain(|guest| !Arc::ptr_eq(guest, parker));
    }

    /// Whether the next to sit is the caretaker, whoever asks.
    fn is_kept(&self) -> bool {
        self.patience == Some(0)
    }

    /// A guest takes the seat if it may.
    fn seat_guest(&mut self) -> bool {
        if self.taken || self.is_kept() {
            return false;
        }
        self.taken = true;
        self.patience =
            self.patience.map(|left| mutation!("seat-endless-patience", left - 1, left));
        true
    }
}

impl Seat {
    pub(crate) fn new() -> Seat {
        Seat {
            inner: Mutex::new(Inner { taken: false, patience: Some(PATIENCE), guests: Vec::new() }),
            wanted: AtomicBool::new(false),
            caretaker: Parker::new(),
        }
    }

    /// A guest takes the seat if it is free and not kept. It is not listed meanwhile: the caretaker
    /// leaves only for a guest that waits, not for one that is about to poll its future.
    pub(crate) fn try_sit(&self, parker: &Arc<Parker>) -> bool {
        let mut inner = self.inner.lock();
        inner.unlist(parker);
        // Relaxed, here and below: a hint; the seat itself changes hands under the lock.
        self.wanted.store(!inner.guests.is_empty(), Ordering::Relaxed);
        inner.seat_guest()
    }

    /// A guest that has nothing else to do asks for the seat. If it is listed, its parker is
    /// unparked when the seat is free for it.
    pub(crate) fn ask(&self, parker: &Arc<Parker>) -> Asked {
        let mut inner = self.inner.lock();
        if inner.seat_guest() {
            inner.unlist(parker);
            self.wanted.store(!inner.guests.is_empty(), Ordering::Relaxed);
            return Asked::Seated;
        }
        let new = !inner.guests.iter().any(|guest| Arc::ptr_eq(guest, parker));
        if new {
            inner.guests.push(Arc::clone(parker));
        }
        self.wanted.store(true, Ordering::Relaxed);
        Asked::Listed { new }
    }

    /// A guest that has not got the seat goes.
    pub(crate) fn withdraw(&self, parker: &Arc<Parker>) {
        let mut inner = self.inner.lock();
        inner.unlist(parker);
        self.wanted.store(!inner.guests.is_empty(), Ordering::Relaxed);
        // It may have been told that the seat is free.
        self.pass_on(inner);
    }

    /// The caretaker waits until it has the seat; false if the runtime is done before.
    pub(crate) fn take_care(&self, done: impl Fn() -> bool) -> bool {
        loop {
            // Looked at before the lock is taken: it is the caller's code.
            let is_done = done();
            let mut inner = self.inner.lock();
            if is_done {
                inner.patience = None;
                // A guest may outlive the runtime, and be listed because the seat was kept.
                self.pass_on(inner);
                return false;
            }
            if !inner.taken && (inner.is_kept() || inner.guests.is_empty()) {
                inner.taken = true;
                inner.patience = Some(PATIENCE);
                return true;
            }
            drop(inner);
            self.caretaker.park(None);
        }
    }

    /// The caretaker is to look again.
    pub(crate) fn wake_caretaker(&self) {
        self.caretaker.unpark();
    }

    /// Whether a guest waits for the seat.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whoever has the seat leaves it.
    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.taken = false;
        self.pass_on(inner);
    }

    /// Tells whoever comes next that the seat is free for it.
    fn pass_on(&self, inner: crate::platform::sync::MutexGuard<'_, Inner>) {
        if inner.taken {
            return;
        }
        let guest = if inner.is_kept() { None } else { inner.guests.first().cloned() };
        drop(inner);
        match guest {
            Some(guest) => guest.unpark(),
            None => self.caretaker.unpark(),
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicUsize;

    /// A guest and the caretaker: one at a time sits, and both get their turn.
    #[test]
    fn a_guest_and_the_caretaker_take_turns() {
        model(|| {
            let shared = Arc::new((Seat::new(), AtomicUsize::new(0)));
            let other = Arc::clone(&shared);
            let sit = |shared: &(Seat, AtomicUsize)| {
                assert_eq!(shared.1.fetch_add(1, Ordering::Relaxed), 0, "two on one seat");
                shared.1.fetch_sub(1, Ordering::Relaxed);
                shared.0.leave();
            };
            let guest = loom::thread::spawn(move || {
                let parker = Arc::new(Parker::new());
                while other.0.ask(&parker) != Asked::Seated {
                    parker.park(None);
                }
                sit(&other);
            });
            assert!(shared.0.take_care(|| false));
            sit(&shared);
            guest.join().unwrap();
        });
    }

    /// A guest that goes without the seat leaves it to whoever waits behind.
    #[test]
    fn a_guest_that_withdraws_passes_the_seat_on() {
        model(|| {
            let seat = Arc::new(Seat::new());
            let first = Arc::new(Parker::new());
            assert!(seat.try_sit(&first));
            let impatient = Arc::new(Parker::new());
            assert_eq!(seat.ask(&impatient), Asked::Listed { new: true });
            let other = Arc::clone(&seat);
            let thread = loom::thread::spawn(move || other.withdraw(&impatient));
            seat.leave();
            assert!(seat.take_care(|| false));
            thread.join().unwrap();
        });
    }

    /// A guest comes twice. In between the caretaker has its turn, or goes for good: then the guest
    /// gets the seat all the same, though it may be listed by then.
    fn a_guest_comes_twice() {
        /// The caretaker goes, or has gone.
        const GONE: usize = 2;
        // How often the caretaker has sat, and in the end `GONE`.
        let shared = Arc::new((Seat::new(), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let guest = loom::thread::spawn(move || {
            let parker = Arc::new(Parker::new());
            [(); 2].map(|()| {
                while other.0.ask(&parker) != Asked::Seated {
                    parker.park(None);
                }
                // Relaxed, here and below: the seat's lock orders it.
                let turns = other.1.load(Ordering::Relaxed);
                other.0.leave();
                turns
            })
        });
        assert!(shared.0.take_care(|| false));
        shared.1.store(1, Ordering::Relaxed);
        shared.0.leave();
        shared.1.store(GONE, Ordering::Relaxed);
        assert!(!shared.0.take_care(|| true));
        let [first, second] = guest.join().unwrap();
        assert!(first < second || second == GONE, "the caretaker is passed over");
    }

    #[test]
    fn a_guest_that_comes_again_lets_the_caretaker_go_first() {
        model(a_guest_comes_twice);
    }

    #[test]
    fn endless_patience_mutant_is_noticed() {
        assert!(is_noticed("seat-endless-patience", || model(a_guest_comes_twice)));
    }
}
