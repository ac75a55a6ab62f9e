//! A timer, in the memory of the future that waits for it. The transitions and the rules are
//! those of the [module above](super).

use std::mem;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::Waker;

use super::wheel::Entry;
use crate::platform::sync::atomic::{AtomicU8, Ordering};
use crate::platform::sync::{UnsafeCell, const_fn};

const IDLE: u8 = 0;
const ARMED: u8 = 1;
const FIRED: u8 = 2;

/// Where a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// In no wheel.
    Idle = IDLE,
    /// In a wheel.
    Armed = ARMED,
    /// Its deadline has passed.
    Fired = FIRED,
}

/// See the module documentation.
#[repr(C)]
pub(crate) struct TimerCell {
    /// First, so that the wheel's pointer to the entry is one to the cell.
    entry: std::cell::UnsafeCell<Entry>,
    state: AtomicU8,
    /// Touched together with the entry, so that a model checker sees who does; it takes no room.
    access: UnsafeCell<()>,
}

// SAFETY: through a shared reference everybody may read the state. All else is behind unsafe
// functions, and T2 says who may touch the entry.
unsafe impl Sync for TimerCell {}

impl TimerCell {
    const_fn! {
        /// A cell that is not armed.
        pub(crate) fn new() -> TimerCell {
            TimerCell {
                entry: std::cell::UnsafeCell::new(Entry::new()),
                state: AtomicU8::new(IDLE),
                access: UnsafeCell::new(()),
            }
        }
    }

    /// Where the cell stands.
    pub(crate) fn state(&self) -> State {
        // Acquire: pairs with `let_go`: the owner may free a cell that it sees let go.
        match self.state.load(Ordering::Acquire) {
            IDLE => State::Idle,
            ARMED => State::Armed,
            _ => State::Fired,
        }
    }

    /// Its owner arms it, under the lock.
    pub(super) fn begin(&self) {
        // Relaxed: others act on it under the lock alone.
        self.state.store(ARMED, Ordering::Relaxed);
    }

    /// Its owner has it back.
    pub(super) fn reset(&self) {
        // Relaxed: nobody else acts on it until it is armed again.
        self.state.store(IDLE, Ordering::Relaxed);
    }

    /// Ends `ARMED` on behalf of somebody who is not the owner.
    ///
    /// # Safety
    /// The entry was just popped, under the lock, which is still held (T2). The caller does not
    /// touch the cell again (T3).
    pub(super) unsafe fn let_go(cell: NonNull<TimerCell>, state: State) {
        // SAFETY: until this store the cell is not freed (T3). The reference is to the state
        // alone: one to the whole cell would claim that it outlives the call.
        let word = unsafe { &(*cell.as_ptr()).state };
        // Release: pairs with `state`: the owner sees all that was done with the cell.
        word.store(state as u8, Ordering::Release);
    }

    /// The pointer that the wheel keeps; it may be used for the whole cell.
    pub(super) fn pointer(self: Pin<&Self>) -> NonNull<Entry> {
        NonNull::from(self.get_ref()).cast()
    }

    /// Lends the entry.
    ///
    /// # Safety
    /// The cell is not freed, and T2 allows the caller to touch the entry.
    pub(super) unsafe fn with_entry<R>(
        cell: NonNull<TimerCell>,
        f: impl FnOnce(*mut Entry) -> R,
    ) -> R {
        // SAFETY: the cell is not freed, as the caller promises.
        let (access, entry) = unsafe { (&(*cell.as_ptr()).access, &(*cell.as_ptr()).entry) };
        access.with_mut(|_| f(entry.get()))
    }

    /// Puts `waker` into the entry and gives the one that was there.
    ///
    /// # Safety
    /// As [`TimerCell::with_entry`].
    pub(super) unsafe fn replace_waker(
        cell: NonNull<TimerCell>,
        waker: Option<Waker>,
    ) -> Option<Waker> {
        // SAFETY: as the caller promises.
        unsafe { TimerCell::with_entry(cell, |entry| mem::replace(&mut (*entry).waker, waker)) }
    }
}
