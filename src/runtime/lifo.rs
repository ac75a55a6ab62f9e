//! The slot for the task that a worker woke last and runs next, while its data is warm.
//!
//! ```text
//!            put                    take (owner), rescue (an idle worker, when the owner is stuck)
//!   empty ─────────► holds a task ───────────────────────────────────────────► empty
//!                      │    ▲
//!                      └────┘ put: the older task goes to the ring
//! ```
//!
//! One word, exchanged whole: whoever swaps a task out has it.

use std::ptr::{self, NonNull};

use super::task::{Header, Notified};
use crate::platform::sync::atomic::{AtomicPtr, Ordering};
use crate::platform::sync::const_fn;

pub(crate) struct Lifo(AtomicPtr<Header>);

impl Lifo {
    const_fn! {
        pub(crate) fn new() -> Lifo {
            Lifo(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// Leaves a task; the one that was there comes out.
    #[inline]
    pub(crate) fn put(&self, task: Notified) -> Option<Notified> {
        // AcqRel: releases the new task to a rescuer, acquires what came with the old one.
        from_raw(self.0.swap(task.into_raw().as_ptr(), Ordering::AcqRel))
    }

    /// Takes the task.
    #[inline]
    pub(crate) fn take(&self) -> Option<Notified> {
        // A look first: the slot is mostly empty, and a load costs a tenth of a swap.
        if self.is_empty() {
            return None;
        }
        from_raw(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: the task is acquired by the swap.
        self.0.load(Ordering::Relaxed).is_null()
    }
}

fn from_raw(task: *mut Header) -> Option<Notified> {
    // SAFETY: only `put` stores pointers, from `into_raw`, and each is swapped out once.
    NonNull::new(task).map(|task| unsafe { Notified::from_raw(task) })
}

impl Drop for Lifo {
    fn drop(&mut self) {
        drop(self.take());
    }
}
