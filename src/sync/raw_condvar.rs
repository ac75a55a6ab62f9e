//! Who waits for the notifications of a [`Condvar`](super::Condvar).
//!
//! ```text
//!                                             notify
//!   HELD ──── begin: queued, ───► QUEUED ───────────────► NOTIFIED, to one or to all
//!    ▲     then the lock is freed    │                      │   │
//!    │                               │ dropped              │   │ dropped: a notification to one
//!    │                               ▼                      │   ▼ goes to the next that waits
//!    │                              GONE                    │  GONE
//!    └───────────────── the lock is had again ──────────────┘
//! ```
//!
//! A waiter waits here until it is notified, then for the lock of its mutex, in that one's queue:
//! a [`Notification`] stands for what it has between the two.
//!
//! Rules:
//! 1. A waiter is queued before the lock is freed. So whoever takes the lock after that, changes
//!    the value and notifies, finds it, whether it still has the lock when it notifies or not.
//! 2. `has_waiters` says whether the list is not empty, and changes under the list's lock alone. A
//!    notifier that comes after a waiter by way of the mutex sees it without that lock.
//! 3. A notification to one is had by one who then has the lock of its mutex, or is handed on.
//! 4. `notify_all` is for those who wait when it begins. It frees the list's lock to call wakers,
//!    and goes on after that with those who came before it.

use std::mem;
use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::platform::sync::{Mutex, const_fn};
use crate::waiter::{Outcome, Place, WaitList, Waiter, WakeBatch, discard, wake};

#[cfg(all(test, volt_loom))]
mod models;

/// See the module documentation.
pub(super) struct RawCondvar {
    has_waiters: AtomicBool,
    waiters: Mutex<WaitList>,
}

impl RawCondvar {
    const_fn! {
        pub(super) fn new() -> RawCondvar {
            RawCondvar {
                has_waiters: AtomicBool::new(false),
                waiters: Mutex::new(WaitList::new()),
            }
        }
    }

    /// `waiter` begins to wait for a notification; then `lock` is freed.
    ///
    /// # Panics
    /// If it waits already.
    #[track_caller]
    pub(super) fn begin<'a, G>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: &Waker, lock: G) {
        assert!(!waiter.is_in(self), "the waiter waits for a notification already");
        let waker = waker.clone();
        mutation!(
            "condvar-frees-the-lock-first",
            {
                self.push(waiter, waker);
                drop(lock);
            },
            {
                drop(lock);
                self.push(waiter, waker);
            }
        );
    }

    fn push<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: Waker) {
        let mut waiters = self.waiters.lock();
        waiters.push(waiter, self, waker, 0);
        // Relaxed: rule 2.
        self.has_waiters.store(true, Ordering::Relaxed);
    }

    /// The notification of `waiter`, if it is there; else `waker` is called when it comes.
    ///
    /// # Panics
    /// If the waiter does not wait here.
    #[track_caller]
    pub(super) fn poll_notified<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<Notification<'a>> {
        assert!(waiter.is_in(self), "the waiter does not wait for a notification");
        if let Some(outcome) = waiter.as_mut().take_outcome() {
            return Poll::Ready(Notification { condvar: self, outcome });
        }
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // It may have been notified since; this look is under the lock.
        if let Some(outcome) = waiter.as_mut().take_outcome() {
            drop(waiters);
            discard(Some(waker));
            return Poll::Ready(Notification { condvar: self, outcome });
        }
        let unneeded = waiters.renew(&waiter, waker);
        drop(waiters);
        discard(unneeded);
        Poll::Pending
    }

    #[inline]
    pub(super) fn notify_one(&self) {
        // Relaxed: rule 2.
        if self.has_waiters.load(Ordering::Relaxed) {
            self.notify_first();
        }
    }

    fn notify_first(&self) {
        let mut waiters = self.waiters.lock();
        let served = waiters.serve_first(Outcome::GIVEN);
        self.note_whether_empty(&waiters);
        drop(waiters);
        let waker = served.and_then(|served| served.0);
        wake(mutation!("condvar-notifies-silently", waker, None));
    }

    #[inline]
    pub(super) fn notify_all(&self) {
        // Relaxed: rule 2.
        if self.has_waiters.load(Ordering::Relaxed) {
            self.notify_everybody();
        }
    }

    fn notify_everybody(&self) {
        let mut waiters = self.waiters.lock();
        // Rule 4.
        let mark = waiters.mark();
        loop {
            let mut batch = WakeBatch::new();
            let is_done = waiters.serve_while(&mut batch, Outcome::GIVEN_TO_ALL, |waiters| {
                waiters.first_came_before(mark)
            });
            self.note_whether_empty(&waiters);
            drop(waiters);
            drop(batch);
            if is_done {
                return;
            }
            waiters = self.waiters.lock();
        }
    }

    /// Under the list's lock.
    fn note_whether_empty(&self, waiters: &WaitList) {
        let has_waiters = mutation!("condvar-forgets-the-others", !waiters.is_empty(), false);
        // Relaxed: rule 2.
        self.has_waiters.store(has_waiters, Ordering::Relaxed);
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawCondvar {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut waiters = self.waiters.lock();
        let removed = waiters.remove(waiter);
        self.note_whether_empty(&waiters);
        drop(waiters);
        match removed {
            Ok(own) => discard(own),
            Err(outcome) => drop(Notification { condvar: self, outcome }),
        }
    }
}

/// What a waiter has that was notified, until it has the lock of its mutex. If it is dropped
/// before that, one that was meant for one goes to the next: rule 3.
pub(super) struct Notification<'a> {
    condvar: &'a RawCondvar,
    outcome: Outcome,
}

impl Notification<'_> {
    /// It has reached its receiver.
    pub(super) fn finish(self) {
        mem::forget(self);
    }
}

impl Drop for Notification<'_> {
    fn drop(&mut self) {
        if mutation!("condvar-keeps-the-unwanted", self.outcome == Outcome::GIVEN, false) {
            self.condvar.notify_one();
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    /// Counts its calls, and finds out whether the list's lock is free.
    struct Task {
        condvar: Arc<RawCondvar>,
        woken: AtomicUsize,
        woken_under_the_lock: AtomicBool,
        notifies: bool,
        panics: bool,
    }

    impl Task {
        fn new(condvar: &Arc<RawCondvar>) -> Task {
            Task {
                condvar: Arc::clone(condvar),
                woken: AtomicUsize::new(0),
                woken_under_the_lock: AtomicBool::new(false),
                notifies: false,
                panics: false,
            }
        }

        fn is_woken_well(&self) -> bool {
            self.woken.load(Ordering::Relaxed) == 1
                && !self.woken_under_the_lock.load(Ordering::Relaxed)
        }
    }

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            if self.condvar.waiters.try_lock().is_none() {
                self.woken_under_the_lock.store(true, Ordering::Relaxed);
            }
            if self.notifies {
                self.condvar.notify_all();
            }
            assert!(!self.panics, "planned");
        }
    }

    type Queued<'a> = Pin<Box<Waiter<'a>>>;

    fn queue<'a>(condvar: &'a RawCondvar, waker: &Waker) -> Queued<'a> {
        let mut waiter = Box::pin(Waiter::of_future());
        condvar.begin(waiter.as_mut(), waker, ());
        waiter
    }

    fn queue_all<'a>(condvar: &'a RawCondvar, tasks: &[Arc<Task>]) -> Vec<Queued<'a>> {
        tasks.iter().map(|task| queue(condvar, &Waker::from(Arc::clone(task)))).collect()
    }

    /// In the original the waker that did not fit into the batch was called under the lock.
    #[test]
    fn wakers_beyond_the_batch_are_called_outside_the_lock() {
        for count in [1, 31, 32, 33, 100] {
            let condvar = Arc::new(RawCondvar::new());
            let tasks: Vec<_> = (0..count).map(|_| Arc::new(Task::new(&condvar))).collect();
            let waiters = queue_all(&condvar, &tasks);
            condvar.notify_all();
            assert!(tasks.iter().all(|task| task.is_woken_well()));
            assert!(waiters.iter().all(|waiter| waiter.is_ready()));
            assert!(!condvar.has_waiters.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_waker_that_notifies_or_panics_does_not_keep_the_others_asleep() {
        let condvar = Arc::new(RawCondvar::new());
        let tasks: Vec<_> = (0..70)
            .map(|index| {
                let mut task = Task::new(&condvar);
                task.notifies = index % 2 == 0;
                task.panics = index % 3 == 0;
                Arc::new(task)
            })
            .collect();
        let waiters = queue_all(&condvar, &tasks);
        condvar.notify_all();
        assert!(tasks.iter().all(|task| task.is_woken_well()));
        drop(waiters);
    }

    /// Begins to wait again when it is woken.
    struct ComesBack {
        condvar: &'static RawCondvar,
        waiters: std::sync::Mutex<Vec<Queued<'static>>>,
    }

    impl Wake for ComesBack {
        fn wake(self: Arc<ComesBack>) {
            let waiter = queue(self.condvar, Waker::noop());
            self.waiters.lock().unwrap().push(waiter);
        }
    }

    #[test]
    fn those_who_come_during_a_notification_to_all_are_not_notified() {
        static CONDVAR: RawCondvar = RawCondvar::new();
        let waiters = std::sync::Mutex::new(Vec::new());
        let task = Arc::new(ComesBack { condvar: &CONDVAR, waiters });
        let first: Vec<_> =
            (0..40).map(|_| queue(&CONDVAR, &Waker::from(Arc::clone(&task)))).collect();
        CONDVAR.notify_all();
        assert!(first.iter().all(|waiter| waiter.is_ready()));
        let again = task.waiters.lock().unwrap();
        assert_eq!(again.len(), 40);
        assert!(!again.iter().any(|waiter| waiter.is_ready()));
        assert!(CONDVAR.has_waiters.load(Ordering::Relaxed));
    }

    #[test]
    fn the_last_waker_counts() {
        let condvar = Arc::new(RawCondvar::new());
        let tasks = [(); 2].map(|()| Arc::new(Task::new(&condvar)));
        let mut waiter = queue(&condvar, &Waker::from(Arc::clone(&tasks[0])));
        let second = Waker::from(Arc::clone(&tasks[1]));
        assert!(condvar.poll_notified(waiter.as_mut(), &second).is_pending());
        assert_eq!(Arc::strong_count(&tasks[0]), 1, "the waker that was replaced is kept");
        condvar.notify_one();
        assert!(tasks[1].is_woken_well() && !tasks[0].is_woken_well());
        assert!(condvar.poll_notified(waiter.as_mut(), &second).is_ready());
    }

    #[test]
    #[should_panic(expected = "the waiter waits for a notification already")]
    fn a_waiter_waits_once() {
        let condvar = RawCondvar::new();
        let mut waiter = queue(&condvar, Waker::noop());
        condvar.begin(waiter.as_mut(), Waker::noop(), ());
    }
}
