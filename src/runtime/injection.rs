//! The queue into which tasks come from outside the workers, and into which full local queues
//! overflow: a list through the tasks themselves, behind a lock, with its length beside it for
//! those who only look.
//!
//! ```text
//!   push: lock, link at the tail, length + 1          len: one load, no lock
//!   pop:  look at the length, lock, unlink the head, length - 1
//! ```

use std::ptr::NonNull;

use super::task::{Header, Notified};
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Injection {
    list: Mutex<List>,
    /// Written under the lock alone.
    length: AtomicUsize,
}

struct List {
    head: Option<NonNull<Header>>,
    tail: Option<NonNull<Header>>,
}

// SAFETY: the pointers are tasks' counted references, which may move between threads.
unsafe impl Send for List {}

impl Injection {
    pub(crate) fn new() -> Injection {
        let list = Mutex::new(List { head: None, tail: None });
        Injection { list, length: AtomicUsize::new(0) }
    }

    /// How many tasks wait, at a moment between the call and its return.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Acquire: pairs with the stores under the lock; a worker that must not miss a task
        // fences before it looks, see `idle`.
        self.length.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&self, task: Notified) {
        self.push_all(std::iter::once(task));
    }

    /// Adds tasks in their order, under one lock.
    pub(crate) fn push_all(&self, tasks: impl Iterator<Item = Notified>) {
        let mut list = self.list.lock();
        let mut added = 0;
        for task in tasks {
            let task = task.into_raw();
            list.append(task);
            added += 1;
        }
        // Release: see `len`. Not a read-modify-write: the lock is held.
        let length = self.length.load(Ordering::Relaxed);
        self.length.store(length + added, Ordering::Release);
    }

    pub(crate) fn pop(&self) -> Option<Notified> {
        self.pop_some(1, |_| {})
    }

    /// Takes up to `count` tasks under one lock: the first is returned, the others go to `rest`,
    /// which must not call back.
    pub(crate) fn pop_some(
        &self,
        count: usize,
        mut rest: impl FnMut(Notified),
    ) -> Option<Notified> {
        if self.is_empty() {
            return None;
        }
        let mut list = self.list.lock();
        let first = list.take()?;
        let mut taken = 1;
        while taken < count
            && let Some(task) = list.take()
        {
            taken += 1;
            rest(task);
        }
        let length = self.length.load(Ordering::Relaxed);
        self.length.store(length - taken, Ordering::Release);
        Some(first)
    }
}

impl List {
    fn append(&mut self, task: NonNull<Header>) {
        link(task, None);
        match self.tail.replace(task) {
            Some(tail) => link(tail, Some(task)),
            None => self.head = Some(task),
        }
    }

    fn take(&mut self) -> Option<Notified> {
        let task = self.head?;
        // SAFETY: the queue's reference keeps the task alive, and the lock gives us its link.
        self.head = unsafe { task.as_ref() }.queue_next().with(|next| unsafe { *next });
        if self.head.is_none() {
            self.tail = None;
        }
        // SAFETY: came from `into_raw`, and left the list just now.
        Some(unsafe { Notified::from_raw(task) })
    }
}

fn link(task: NonNull<Header>, next: Option<NonNull<Header>>) {
    // SAFETY: as in `take`.
    unsafe { task.as_ref() }.queue_next().with_mut(|slot| unsafe { *slot = next });
}

impl Drop for Injection {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
