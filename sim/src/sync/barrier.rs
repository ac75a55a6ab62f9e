//! A barrier: a count of arrivals under a mutex, and a futex word that numbers the generations.
//!
//! ```text
//!   generation g, 0 arrived ──wait──► 1 ──wait──► .. ──wait──► n - 1      (each sleeps while
//!        ▲                                                       │         the word is g)
//!        │                                                  wait: the leader
//!        └── g + 1, 0 arrived ◄── wake all ◄─────────────────────┘
//! ```
//!
//! The mutex keeps arrival and generation together: a thread that arrives while a full generation
//! is being released belongs to the next. Threads sleep outside the mutex, so that a released
//! generation does not queue for it once more.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{Mutex, MutexGuard, PoisonError};
use crate::atomic::Ordering;
use crate::futex::Futex;

/// Lets a fixed number of threads wait for each other, again and again, as `std::sync::Barrier`.
///
/// ```
/// use volt_sim::sync::Barrier;
///
/// let barrier = Barrier::new(3);
/// let leaders: usize = std::thread::scope(|scope| {
///     let threads = [(); 3].map(|()| scope.spawn(|| barrier.wait().is_leader()));
///     threads.map(|thread| usize::from(thread.join().unwrap())).iter().sum()
/// });
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier {
    threads: usize,
    arrived: Mutex<usize>,
    generation: Futex,
}

// A barrier runs no foreign code that could panic half way through a change.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

/// What [`Barrier::wait`] tells each thread: whether it is the leader of its generation.
pub struct BarrierWaitResult(bool);

impl Barrier {
    /// A barrier that lets threads pass `n` at a time. With `n` of 0 or 1 nobody waits.
    pub const fn new(n: usize) -> Barrier {
        Barrier { threads: n, arrived: Mutex::new(0), generation: Futex::new(0) }
    }

    /// Blocks until all threads of this generation have arrived. The last to arrive is the leader.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the word changes under the mutex only.
        let generation = self.generation.word().load(Ordering::Relaxed);
        *arrived += 1;
        if *arrived < self.threads {
            MutexGuard::unlock(arrived);
            // Acquire pairs with the leader's release. The leader was the last to take the mutex,
            // so what any thread of the generation did before it arrived is visible here.
            while self.generation.word().load(Ordering::Acquire) == generation {
                self.generation.wait(generation, None);
            }
            BarrierWaitResult(false)
        } else {
            *arrived = 0;
            self.generation.word().store(generation.wrapping_add(1), Ordering::Release);
            MutexGuard::unlock(arrived);
            if self.threads > 1 {
                self.generation.wake(u32::MAX);
            }
            BarrierWaitResult(true)
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl BarrierWaitResult {
    /// True for exactly one thread of each generation.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    #[test]
    fn each_generation_meets_and_has_one_leader() {
        const THREADS: usize = 4;
        const ROUNDS: usize = 50;
        let barrier = Barrier::new(THREADS);
        let (entered, leaders) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for round in 1..=ROUNDS {
                        entered.fetch_add(1, Ordering::Relaxed);
                        if barrier.wait().is_leader() {
                            leaders.fetch_add(1, Ordering::Relaxed);
                        }
                        assert!(entered.load(Ordering::Relaxed) >= round * THREADS);
                    }
                });
            }
        });
        assert_eq!(leaders.into_inner(), ROUNDS);
    }

    #[test]
    fn more_threads_than_the_barrier_takes_pass_in_whole_generations() {
        let barrier = Barrier::new(2);
        let leaders = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(leaders.into_inner(), 3);
    }

    #[test]
    fn a_barrier_of_one_or_none_never_blocks() {
        for n in [0, 1] {
            let barrier = Barrier::new(n);
            assert!(barrier.wait().is_leader());
            assert!(barrier.wait().is_leader());
        }
    }
}
