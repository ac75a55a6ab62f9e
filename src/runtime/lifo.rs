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

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::runtime::config::Config;
    use crate::runtime::scheduler::Scheduler;

    /// The owner exchanges tasks while an idle worker takes what it finds: each task comes out
    /// once.
    #[test]
    fn the_owner_and_a_rescuer_take_each_task_once() {
        model(|| {
            let scheduler = Arc::new(Scheduler::new(Config::for_models(1)).unwrap());
            let place = std::panic::Location::caller();
            let handles = [(); 2].map(|()| scheduler.spawn(async {}, None, place));
            let first = scheduler.take_injected(0).unwrap();
            let second = scheduler.pop_local(0).unwrap();
            let lifo = Arc::new(Lifo::new());
            let other = Arc::clone(&lifo);
            drop(lifo.put(first));
            let rescuer = loom::thread::spawn(move || other.take());
            let older = lifo.put(second);
            let left = lifo.take();
            let rescued = rescuer.join().unwrap();
            let tasks: Vec<_> = [older, left, rescued].into_iter().flatten().collect();
            assert_eq!(tasks.len(), 2);
            tasks.into_iter().for_each(Notified::run);
            assert!(handles.iter().all(|handle| handle.is_finished()));
        });
    }
}
