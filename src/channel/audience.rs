//! Those who wait for the same news: a change, a message, an end. All are told at once.
//!
//! ```text
//!                wait: there is no news                tell
//!   FREE ─────────────────────────────────► QUEUED ──────────► SERVED(GIVEN_TO_ALL)
//!    ▲ ▲                                      │                     │
//!    │ └── wait: there is, withdraw ──────────┘                     │
//!    └──────── wait: the caller looks again, withdraw ──────────────┘
//! ```
//!
//! Being told is a hint: whoever was told looks again, and waits again if another change has
//! undone the news. Nothing is handed over, so nothing is handed on.
//!
//! Rules:
//! 1. Whoever makes news does so first and tells second. Whoever waits looks for news under the
//!    list's lock. So either it sees the news, or it is in the list when `tell` takes the lock.
//! 2. `tell` takes those who came before it, a batch at a time. Those who come meanwhile have seen
//!    the news.
//! 3. Wakers are called, cloned and dropped outside the lock. A panic of their destructors is
//!    contained: the caller may have taken a message already, which it would lose.

use std::pin::Pin;
use std::task::Waker;

use crate::platform::mutation::mutation;
use crate::platform::sync::{Mutex, const_fn};
use crate::waiter::{Outcome, Place, WaitList, Waiter, WakeBatch, discard};

/// See the module documentation.
pub(super) struct Audience {
    waiters: Mutex<WaitList>,
}

impl Audience {
    const_fn! {
        pub(super) fn new() -> Audience {
            Audience { waiters: Mutex::new(WaitList::new()) }
        }
    }

    /// Queues `waiter`, unless there is news: then it does not wait any more, and the caller looks
    /// what it is. `is_news` is asked under the lock. True if the caller is to look.
    #[cold]
    pub(super) fn wait<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        is_news: impl FnOnce() -> bool,
    ) -> bool {
        let is_queued = waiter.is_in(self);
        // Rule 3.
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        if is_queued && waiter.as_mut().take_outcome().is_some() {
            drop(waiters);
            discard(Some(waker));
            return true;
        }
        if mutation!("audience-no-second-look", is_news(), {
            is_news();
            false
        }) {
            let mut own = None;
            if is_queued {
                own = waiters.remove(&waiter).expect("it was not told");
            }
            drop(waiters);
            waiter.finish();
            discard(own);
            discard(Some(waker));
            return true;
        }
        let unneeded = if is_queued {
            waiters.renew(&waiter, waker)
        } else {
            waiters.push(waiter, self, waker, 0);
            None
        };
        drop(waiters);
        discard(unneeded);
        false
    }

    /// Ends the wait.
    #[inline]
    #[track_caller]
    pub(super) fn cancel(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(self) {
            waiter.cancel();
        }
    }

    /// There is news: all who wait are woken.
    #[cold]
    pub(super) fn tell(&self) {
        let mut waiters = self.waiters.lock();
        // Rule 2.
        let mark = waiters.mark();
        loop {
            let mut batch = WakeBatch::new();
            let is_done = waiters.serve_while(&mut batch, Outcome::GIVEN_TO_ALL, |waiters| {
                waiters.first_came_before(mark)
            });
            drop(waiters);
            mutation!("audience-tells-silently", drop(batch), std::mem::forget(batch));
            if is_done {
                return;
            }
            waiters = self.waiters.lock();
        }
    }

    /// How many wait.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn len(&self) -> usize {
        self.waiters.lock().len()
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or told.
unsafe impl Place for Audience {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let removed = self.waiters.lock().remove(waiter);
        // Who was told has nothing that another one could use.
        if let Ok(own) = removed {
            discard(own);
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::waiter::test_wakers::nervous;

    /// Looks, when it is woken, whether the lock is free.
    struct Task {
        audience: Arc<Audience>,
        woken: AtomicUsize,
        panics: bool,
    }

    impl Task {
        fn new(audience: &Arc<Audience>, panics: bool) -> Arc<Task> {
            let audience = Arc::clone(audience);
            Arc::new(Task { audience, woken: AtomicUsize::new(0), panics })
        }

        fn woken(&self) -> usize {
            self.woken.load(Ordering::Relaxed)
        }

        fn waker(self: &Arc<Task>) -> Waker {
            Waker::from(Arc::clone(self))
        }
    }

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            if self.audience.waiters.try_lock().is_some() {
                self.woken.fetch_add(1, Ordering::Relaxed);
            }
            assert!(!self.panics, "planned");
        }
    }

    #[test]
    fn all_are_told_once_outside_the_lock_however_many() {
        let audience = Arc::new(Audience::new());
        let tasks: Vec<_> = (0..100).map(|nth| Task::new(&audience, nth % 7 == 0)).collect();
        let mut waiters: Vec<_> = tasks.iter().map(|_| Box::pin(Waiter::of_future())).collect();
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            assert!(!audience.wait(waiter.as_mut(), &task.waker(), || false));
            // Twice: it waits once.
            assert!(!audience.wait(waiter.as_mut(), &task.waker(), || false));
        }
        assert_eq!(audience.len(), 100);
        audience.tell();
        assert_eq!(audience.len(), 0);
        assert!(tasks.iter().all(|task| task.woken() == 1 && Arc::strong_count(task) == 1));
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            // Nobody asks: it was told.
            let is_told = audience.wait(waiter.as_mut(), &task.waker(), || unreachable!());
            assert!(is_told);
        }
    }

    #[test]
    fn whoever_sees_the_news_does_not_wait() {
        let audience = Arc::new(Audience::new());
        let task = Task::new(&audience, false);
        let mut waiter = pin!(Waiter::of_future());
        assert!(audience.wait(waiter.as_mut(), &task.waker(), || true));
        assert_eq!(audience.len(), 0);
        assert!(!audience.wait(waiter.as_mut(), &task.waker(), || false));
        assert!(audience.wait(waiter.as_mut(), &task.waker(), || true));
        assert_eq!((audience.len(), Arc::strong_count(&task)), (0, 1));
    }

    #[test]
    fn a_waker_that_panics_when_it_is_dropped_breaks_nothing() {
        let audience = Audience::new();
        let waker = nervous();
        let mut waiter = pin!(Waiter::of_future());
        assert!(!audience.wait(waiter.as_mut(), &waker, || false));
        // The one before is dropped, then each that is there.
        assert!(!audience.wait(waiter.as_mut(), &waker, || false));
        audience.cancel(waiter.as_mut());
        assert!(!audience.wait(waiter.as_mut(), &waker, || false));
        assert!(audience.wait(waiter.as_mut(), &waker, || true));
        assert!(!audience.wait(waiter.as_mut(), &waker, || false));
        audience.tell();
        assert!(audience.wait(waiter, &waker, || unreachable!()));
        assert_eq!(audience.len(), 0);
    }

    #[test]
    fn whoever_is_withdrawn_is_not_told() {
        for withdrawn in 0..3 {
            let audience = Arc::new(Audience::new());
            let tasks = [(); 3].map(|()| Task::new(&audience, false));
            let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(Waiter::of_future())).collect();
            for (task, waiter) in tasks.iter().zip(&mut waiters) {
                assert!(!audience.wait(waiter.as_mut(), &task.waker(), || false));
            }
            waiters.remove(withdrawn);
            assert_eq!(audience.len(), 2);
            audience.tell();
            for (nth, task) in tasks.iter().enumerate() {
                assert_eq!(task.woken(), usize::from(nth != withdrawn));
            }
            // Told and not taken: nothing is handed on.
            drop(waiters);
            assert!(tasks.iter().all(|task| task.woken() <= 1));
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicBool, Ordering};

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    /// An audience and its news.
    fn shared() -> Arc<(Audience, AtomicBool)> {
        Arc::new((Audience::new(), AtomicBool::new(false)))
    }

    fn announce(shared: &(Audience, AtomicBool)) {
        // Relaxed: rule 1: the list's lock orders it.
        shared.1.store(true, Ordering::Relaxed);
        shared.0.tell();
    }

    fn wait_and_tell() {
        let shared = shared();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || announce(&other));
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let (audience, news) = &*shared;
        let is_told = audience.wait(waiter.as_mut(), &waker, || news.load(Ordering::Relaxed));
        thread.join().unwrap();
        let is_woken = task.0.load(Ordering::Acquire);
        assert!(is_told || is_woken, "there is news and nobody tells it");
        assert!(is_told || audience.wait(waiter, &waker, || false), "it was told");
    }

    #[test]
    fn news_meet_one_who_begins_to_wait() {
        model(wait_and_tell);
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("audience-no-second-look", || model(wait_and_tell)));
    }

    #[test]
    fn silent_news_mutant_is_noticed() {
        assert!(is_noticed("audience-tells-silently", || model(wait_and_tell)));
    }

    #[test]
    fn news_meet_one_who_goes_and_one_who_stays() {
        model(|| {
            let shared = shared();
            let (audience, _) = &*shared;
            let ((_goes, goes_waker), (stays, stays_waker)) = (task(), task());
            let mut goes = Box::pin(Waiter::of_future());
            let mut stays_here = pin!(Waiter::of_future());
            assert!(!audience.wait(goes.as_mut(), &goes_waker, || false));
            assert!(!audience.wait(stays_here.as_mut(), &stays_waker, || false));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || announce(&other));
            drop(goes);
            thread.join().unwrap();
            assert!(stays.0.load(Ordering::Acquire), "a neighbour's withdrawal lost the news");
        });
    }
}
