//! Which tasks of a set have ended: a list of their indices that the tasks themselves write, each
//! once, and that one waiter reads. So a task that ends costs the same however many there are.
//!
//! ```text
//!   none has ended, nobody waits ──── push ────► some have ended, nobody waits
//!       │       ▲                                     │              ▲
//!       │       └──────────── take ───────────────────┘              │
//!       │ take_or_wait                                               │
//!       ▼                                                            │
//!   none has ended, one waits ── push: moves the waiter out, ────────┘
//!                                unlocks, wakes it
//! ```
//!
//! Rules:
//! 1. A waiter is there only while no index is: both change under the lock alone.
//! 2. No waker is called, cloned or dropped under the lock: it is anybody's code.
//! 3. A member's waker goes to the join handle of its task and nowhere else. So it is called at
//!    most once, and after the task has ended.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::task::{JoinError, JoinHandle};

/// See the module documentation.
pub(crate) struct Completions {
    list: Mutex<List>,
}

struct List {
    /// In the order in which the tasks told of their ends.
    ended: VecDeque<usize>,
    waiter: Option<Waker>,
}

impl Completions {
    pub(crate) fn new() -> Completions {
        Completions { list: Mutex::new(List { ended: VecDeque::new(), waiter: None }) }
    }

    /// The result of the task, if it has ended; else `index` is pushed when it does, and
    /// [`result_of`] gives the result then.
    pub(crate) fn register<T>(
        self: &Arc<Completions>,
        index: usize,
        handle: &mut JoinHandle<T>,
    ) -> Poll<Result<T, JoinError>> {
        let waker = self.waker(index);
        Pin::new(handle).poll(&mut Context::from_waker(&waker))
    }

    fn waker(self: &Arc<Completions>, index: usize) -> Waker {
        Waker::from(Arc::new(Member { completions: Arc::clone(self), index }))
    }

    fn push(&self, index: usize) {
        let waiter = {
            let mut list = self.list.lock();
            list.ended.push_back(index);
            list.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Moves the indices to `batch`, which is empty.
    pub(crate) fn take(&self, batch: &mut VecDeque<usize>) {
        debug_assert!(batch.is_empty(), "the batch before is not used up");
        std::mem::swap(&mut self.list.lock().ended, batch);
    }

    /// Moves the indices to `batch`, which is empty, and returns true; if there are none, leaves
    /// `waker` for the next one.
    ///
    /// The waker stays when the future that left it is dropped: a future after it, of the same
    /// task, finds it there and need not clone it again.
    pub(crate) fn take_or_wait(&self, batch: &mut VecDeque<usize>, waker: &Waker) -> bool {
        debug_assert!(batch.is_empty(), "the batch before is not used up");
        {
            let mut list = self.list.lock();
            if !list.ended.is_empty() {
                std::mem::swap(&mut list.ended, batch);
                return true;
            }
            if list.waiter.as_ref().is_some_and(|before| before.will_wake(waker)) {
                return false;
            }
        }
        // Rule 2 has the lock released meanwhile, so there may be an index now.
        let waker = waker.clone();
        let before = {
            let mut list = self.list.lock();
            if mutation!("group-waker-registered-late", !list.ended.is_empty(), false) {
                std::mem::swap(&mut list.ended, batch);
                return true;
            }
            list.waiter.replace(waker)
        };
        drop(before);
        false
    }
}

/// The result of a task whose index was taken from a list.
pub(crate) fn result_of<T>(handle: &mut JoinHandle<T>) -> Result<T, JoinError> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("rule 3: a member's waker is called after its task's end"),
    }
}

/// What a member's waker knows.
struct Member {
    completions: Arc<Completions>,
    index: usize,
}

impl Wake for Member {
    fn wake(self: Arc<Member>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Member>) {
        self.completions.push(self.index);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A waiter that uses the list when it is woken.
    struct ComesBack {
        completions: Arc<Completions>,
        woken: AtomicU32,
    }

    impl Wake for ComesBack {
        fn wake(self: Arc<ComesBack>) {
            assert!(self.completions.list.try_lock().is_some(), "woken under the lock");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_waiter_is_woken_once_and_outside_the_lock() {
        let completions = Arc::new(Completions::new());
        let woken = AtomicU32::new(0);
        let waiter = Arc::new(ComesBack { completions: Arc::clone(&completions), woken });
        let waker = Waker::from(Arc::clone(&waiter));
        let mut batch = VecDeque::new();
        assert!(!completions.take_or_wait(&mut batch, &waker));
        assert!(!completions.take_or_wait(&mut batch, &waker));
        completions.waker(4).wake();
        completions.waker(2).wake();
        assert_eq!(waiter.woken.load(Ordering::Relaxed), 1);
        assert!(completions.take_or_wait(&mut batch, &waker));
        assert_eq!(batch, [4, 2]);
    }

    #[test]
    fn a_waiter_is_let_go_when_another_takes_its_place() {
        let completions = Completions::new();
        let waiters: [Arc<ComesBack>; 2] = std::array::from_fn(|_| {
            let completions = Arc::new(Completions::new());
            Arc::new(ComesBack { completions, woken: AtomicU32::new(0) })
        });
        let mut batch = VecDeque::new();
        for waiter in &waiters {
            assert!(!completions.take_or_wait(&mut batch, &Waker::from(Arc::clone(waiter))));
        }
        assert_eq!(Arc::strong_count(&waiters[0]), 1);
        completions.push(0);
        let woken = waiters.each_ref().map(|waiter| waiter.woken.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicU32, Ordering};

    /// Counts its wake-ups.
    struct Waiter(AtomicU32);

    impl Wake for Waiter {
        fn wake(self: Arc<Waiter>) {
            // Relaxed: read after the threads are joined.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiter() -> (Arc<Waiter>, Waker) {
        let waiter = Arc::new(Waiter(AtomicU32::new(0)));
        (Arc::clone(&waiter), Waker::from(waiter))
    }

    fn woken(waiter: &Waiter) -> u32 {
        waiter.0.load(Ordering::Relaxed)
    }

    /// A task ends while the waiter leaves its waker: either it takes the index, or it is woken.
    fn ends_while_the_waiter_registers() {
        let completions = Arc::new(Completions::new());
        let member = completions.waker(7);
        let (waiter, waker) = waiter();
        let ends = loom::thread::spawn(move || member.wake());
        let mut batch = VecDeque::new();
        let taken = completions.take_or_wait(&mut batch, &waker);
        ends.join().unwrap();
        assert_eq!(u32::from(!taken), woken(&waiter), "the waiter sleeps and nobody wakes it");
        if !taken {
            assert!(completions.take_or_wait(&mut batch, &waker));
        }
        assert_eq!(batch, [7]);
    }

    #[test]
    fn an_end_while_the_waiter_registers_is_not_lost() {
        model(ends_while_the_waiter_registers);
    }

    #[test]
    fn late_registration_mutant_is_noticed() {
        assert!(is_noticed("group-waker-registered-late", || {
            model(ends_while_the_waiter_registers);
        }));
    }

    #[test]
    fn a_waiter_that_takes_the_place_of_another_is_woken() {
        model(|| {
            let completions = Arc::new(Completions::new());
            let member = completions.waker(7);
            let ((first, first_waker), (second, second_waker)) = (waiter(), waiter());
            let mut batch = VecDeque::new();
            assert!(!completions.take_or_wait(&mut batch, &first_waker));
            let ends = loom::thread::spawn(move || member.wake());
            let taken = completions.take_or_wait(&mut batch, &second_waker);
            ends.join().unwrap();
            assert_eq!(woken(&first) + woken(&second), 1);
            assert_eq!(taken, woken(&first) == 1, "the waiter sleeps and nobody wakes it");
        });
    }

    #[test]
    fn two_ends_at_once_wake_the_waiter_once() {
        model(|| {
            let completions = Arc::new(Completions::new());
            let (waiter, waker) = waiter();
            let mut batch = VecDeque::new();
            assert!(!completions.take_or_wait(&mut batch, &waker));
            let threads = [0, 1].map(|index| {
                let member = completions.waker(index);
                loom::thread::spawn(move || member.wake())
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(woken(&waiter), 1);
            completions.take(&mut batch);
            batch.make_contiguous().sort_unstable();
            assert_eq!(batch, [0, 1]);
        });
    }

    #[test]
    fn two_ends_at_once_are_taken_once_each() {
        model(|| {
            let completions = Arc::new(Completions::new());
            let (waiter, waker) = waiter();
            let threads = [0, 1].map(|index| {
                let member = completions.waker(index);
                loom::thread::spawn(move || member.wake())
            });
            let (mut batch, mut rest) = (VecDeque::new(), VecDeque::new());
            let taken = completions.take_or_wait(&mut batch, &waker);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(u32::from(!taken), woken(&waiter));
            completions.take(&mut rest);
            batch.append(&mut rest);
            batch.make_contiguous().sort_unstable();
            assert_eq!(batch, [0, 1]);
        });
    }
}
