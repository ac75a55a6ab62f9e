//! Which workers sleep, and whom to wake.
//!
//! ```text
//!                       goes to sleep                woken by a push
//!   working ──► searching ───────────────► asleep ───────────────────► searching
//!      ▲            │
//!      └── found ───┘  the last searcher that finds something wakes another worker
//! ```
//!
//! Two counts in one word: workers that search, workers that sleep. A push wakes a worker only
//! if nobody searches and somebody sleeps: a searcher will find the task, and wakes the next one
//! itself when it does.
//!
//! The race this must survive: a worker finds every queue empty while a push finds nobody
//! asleep. Both sides therefore write first and look second, with a sequentially consistent
//! fence between: the pusher queues, fences, reads the word; the worker writes the word, fences,
//! looks at the queues again. At least one sees the other.

use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

const SEARCHING: usize = 1;
const ASLEEP: usize = 1 << 32;
const SEARCHING_MASK: usize = ASLEEP - 1;

pub(crate) struct Idle {
    word: AtomicUsize,
    /// The sleeping workers; the last to fall asleep, whose caches are warm, is woken first.
    sleepers: Mutex<Vec<usize>>,
    /// Whether a sleeping worker has a time-out, to look after those that are stuck in a poll.
    sentinel: AtomicBool,
    workers: usize,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Idle {
        Idle {
            word: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::with_capacity(workers)),
            sentinel: AtomicBool::new(false),
            workers,
        }
    }

    /// A task was queued: the worker to wake for it, if one must be. It is a searcher from now.
    #[inline]
    pub(crate) fn worker_to_wake(&self) -> Option<usize> {
        // Orders the push before the look, see the module documentation.
        fence(Ordering::SeqCst);
        if !self.must_wake(self.word.load(Ordering::Relaxed)) {
            return None;
        }
        let mut sleepers = self.sleepers.lock();
        // Others may have woken somebody meanwhile. Relaxed: the lock orders all changes of the
        // sleeping count, and a stale searching count wakes one worker too many.
        if !self.must_wake(self.word.load(Ordering::Relaxed)) {
            return None;
        }
        let worker = sleepers.pop()?;
        self.word.fetch_sub(ASLEEP - SEARCHING, Ordering::SeqCst);
        Some(worker)
    }

    fn must_wake(&self, word: usize) -> bool {
        word & SEARCHING_MASK == 0 && word >= ASLEEP
    }

    /// A worker without work wants to look at the others' queues; false if enough do already.
    pub(crate) fn start_searching(&self) -> bool {
        // Relaxed: a hint that bounds contention.
        let word = self.word.load(Ordering::Relaxed);
        if 2 * (word & SEARCHING_MASK) >= self.workers {
            return false;
        }
        self.word.fetch_add(SEARCHING, Ordering::SeqCst);
        true
    }

    /// A searcher has found a task; true if it was the last searcher and must wake another
    /// worker, since there may be more.
    pub(crate) fn stop_searching(&self) -> bool {
        let before = self.word.fetch_sub(SEARCHING, Ordering::SeqCst);
        before & SEARCHING_MASK == 1
    }

    /// The worker is going to sleep. It must look at every queue once more before it does, and
    /// take itself out with [`Idle::wake_self`] if it finds something.
    pub(crate) fn fall_asleep(&self, worker: usize, searching: bool) {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(worker);
        let change = if searching { ASLEEP - SEARCHING } else { ASLEEP };
        self.word.fetch_add(change, Ordering::SeqCst);
        drop(sleepers);
        // Orders the write before the look that follows, see the module documentation.
        fence(Ordering::SeqCst);
    }

    /// The worker is awake. True if a push had woken it: then it searches already.
    pub(crate) fn wake_self(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        match sleepers.iter().position(|sleeper| *sleeper == worker) {
            Some(place) => {
                sleepers.remove(place);
                self.word.fetch_sub(ASLEEP, Ordering::SeqCst);
                false
            }
            None => true,
        }
    }

    /// The worker sleeps with a time-out from now, as the one that looks after the others; false
    /// if another does, or if nobody is awake who could be stuck. The caller sleeps: the only
    /// worker need not look for others.
    pub(crate) fn become_sentinel(&self) -> bool {
        self.workers > 1
            && self.asleep() < self.workers
            && !self.sentinel.swap(true, Ordering::AcqRel)
    }

    /// Whether some worker sleeps with a time-out.
    pub(crate) fn has_sentinel(&self) -> bool {
        // Acquire: pairs with the release of the one that stops.
        self.sentinel.load(Ordering::Acquire)
    }

    /// The sentinel is awake.
    pub(crate) fn stop_being_sentinel(&self) {
        self.sentinel.store(false, Ordering::Release);
    }

    /// Whether this worker sleeps.
    pub(crate) fn is_asleep(&self, worker: usize) -> bool {
        self.sleepers.lock().contains(&worker)
    }

    /// How many workers sleep.
    pub(crate) fn asleep(&self) -> usize {
        // Relaxed: a statistic.
        self.word.load(Ordering::Relaxed) / ASLEEP
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::{is_noticed, mutation};
    use crate::platform::sync::atomic::AtomicBool;

    /// One worker falls asleep while one task is pushed: either the worker finds the task at its
    /// second look, or the pusher finds the worker.
    fn push_and_sleep() {
        let shared = Arc::new((Idle::new(1), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let pusher = loom::thread::spawn(move || {
            other.1.store(true, Ordering::Relaxed);
            other.0.worker_to_wake()
        });
        let searching = shared.0.start_searching();
        let first_look = shared.1.load(Ordering::Relaxed);
        shared.0.fall_asleep(0, searching);
        let looks_again = mutation!("idle-no-second-look", true, false);
        let found = first_look || (looks_again && shared.1.load(Ordering::Relaxed));
        let woken = pusher.join().unwrap();
        assert!(found || woken == Some(0), "the task lies there and the worker sleeps");
    }

    #[test]
    fn a_push_meets_a_worker_that_falls_asleep() {
        model(push_and_sleep);
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("idle-no-second-look", || model(push_and_sleep)));
    }

    #[test]
    fn one_sleeper_is_woken_once_by_two_pushes() {
        model(|| {
            let idle = Arc::new(Idle::new(2));
            idle.fall_asleep(0, false);
            let other = Arc::clone(&idle);
            let thread = loom::thread::spawn(move || other.worker_to_wake());
            let mine = idle.worker_to_wake();
            let theirs = thread.join().unwrap();
            assert_eq!([mine, theirs].iter().flatten().count(), 1);
            assert!(idle.wake_self(0));
        });
    }

    #[test]
    fn a_worker_wakes_itself_while_a_push_wakes_it() {
        model(|| {
            let idle = Arc::new(Idle::new(2));
            idle.fall_asleep(0, false);
            let other = Arc::clone(&idle);
            let thread = loom::thread::spawn(move || other.worker_to_wake());
            let woken = idle.wake_self(0);
            assert_eq!(thread.join().unwrap().is_some(), woken);
            assert_eq!(idle.asleep(), 0);
        });
    }
}
