//! The queue into which tasks come from outside the workers, and into which full local queues
//! overflow: a list through the tasks themselves, behind a lock, with its length beside it for
//! those who only look.
//!
//! ```text
//!   push: lock, link at the tail, length + 1          len: one load, no lock
//!   pop:  look at the length, lock, unlink the head, length - 1
//! ```
//!
//! Tasks have no room for the time at which they came. Those whose wait is measured are known by
//! their place in the list, counted from the first task that ever was in it.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::ptr::NonNull;

use super::histogram::SAMPLE_ONE_IN;
use super::task::{Header, Notified};
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};

/// A task on its way through the queues to a worker that polls it.
pub(crate) struct Queued {
    pub(crate) task: Notified,
    /// When it was queued, in nanoseconds since the runtime began, if its wait is measured.
    pub(crate) since: Option<NonZeroU64>,
}

// The slots of the rings hold it: with an `Instant` they would be half as large again.
const _: () = assert!(size_of::<Queued>() <= 16);

pub(crate) struct Injection {
    list: Mutex<List>,
    /// Written under the lock alone.
    length: AtomicUsize,
}

struct List {
    head: Option<NonNull<Header>>,
    tail: Option<NonNull<Header>>,
    /// How many tasks were ever added, and taken.
    appended: u64,
    taken: u64,
    /// Place and time of each task whose wait is measured, oldest first.
    measured: VecDeque<(u64, NonZeroU64)>,
}

// SAFETY: the pointers are tasks' counted references, which may move between threads.
unsafe impl Send for List {}

impl Injection {
    pub(crate) fn new() -> Injection {
        let list =
            List { head: None, tail: None, appended: 0, taken: 0, measured: VecDeque::new() };
        Injection { list: Mutex::new(list), length: AtomicUsize::new(0) }
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

    /// Adds a task that was in no queue; `now` is asked for the time if its wait is measured.
    pub(crate) fn push(&self, task: Notified, now: impl FnOnce() -> NonZeroU64) {
        let mut list = self.list.lock();
        let since = list.appended.is_multiple_of(SAMPLE_ONE_IN).then(now);
        list.append(Queued { task, since });
        self.publish_length(&list);
    }

    /// Adds tasks that were in another queue, in their order, under one lock.
    pub(crate) fn push_all(&self, tasks: impl Iterator<Item = Queued>) {
        let mut list = self.list.lock();
        tasks.for_each(|queued| list.append(queued));
        self.publish_length(&list);
    }

    pub(crate) fn pop(&self) -> Option<Queued> {
        self.pop_some(1, |_| {})
    }

    /// Takes up to `count` tasks under one lock: the first is returned, the others go to `rest`,
    /// which must not call back.
    pub(crate) fn pop_some(&self, count: usize, rest: impl FnMut(Queued)) -> Option<Queued> {
        if self.is_empty() {
            return None;
        }
        let mut list = self.list.lock();
        let first = list.take()?;
        (1..count).map_while(|_| list.take()).for_each(rest);
        self.publish_length(&list);
        Some(first)
    }

    /// Called under the lock, which `list` comes from.
    fn publish_length(&self, list: &List) {
        // Release: see `len`.
        self.length.store((list.appended - list.taken) as usize, Ordering::Release);
    }
}

impl List {
    fn append(&mut self, Queued { task, since }: Queued) {
        if let Some(since) = since {
            self.measured.push_back((self.appended, since));
        }
        self.appended += 1;
        let task = task.into_raw();
        link(task, None);
        match self.tail.replace(task) {
            Some(tail) => link(tail, Some(task)),
            None => self.head = Some(task),
        }
    }

    fn take(&mut self) -> Option<Queued> {
        let task = self.head?;
        // SAFETY: the queue's reference keeps the task alive, and the lock gives us its link.
        self.head = unsafe { task.as_ref() }.queue_next().with(|next| unsafe { *next });
        if self.head.is_none() {
            self.tail = None;
        }
        // SAFETY: came from `into_raw`, and left the list just now.
        let task = unsafe { Notified::from_raw(task) };
        let measured = self.measured.pop_front_if(|(place, _)| *place == self.taken);
        self.taken += 1;
        Some(Queued { task, since: measured.map(|(_, since)| since) })
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
