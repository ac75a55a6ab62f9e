//! One-time initialization: one futex word, two bits of state and one that says a thread sleeps.
//!
//! ```text
//!   INCOMPLETE ─── call ──────────────────────────────────► RUNNING
//!   POISONED   ─── call_once_force ───────────────────────► RUNNING
//!   RUNNING    ─── the closure returns, wake all ─────────► COMPLETE
//!   RUNNING    ─── the closure panics, wake all ──────────► POISONED
//!   INCOMPLETE, RUNNING, POISONED ─── a thread waits ─────► the same | WAITERS
//! ```
//!
//! `COMPLETE` is final. Starting to run keeps `WAITERS`, since `wait` may sleep before anybody
//! initializes; finishing clears it and wakes everyone, who look at the state afresh.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::Ordering;
use crate::futex::Futex;

const INCOMPLETE: u32 = 0;
const RUNNING: u32 = 1;
const COMPLETE: u32 = 2;
const POISONED: u32 = 3;
const STATE: u32 = 3;
const WAITERS: u32 = 4;

/// Runs one closure of many, once, as `std::sync::Once`.
///
/// ```
/// use volt_sim::sync::Once;
///
/// static START: Once = Once::new();
/// let mut runs = 0;
/// START.call_once(|| runs += 1);
/// START.call_once(|| runs += 1);
/// assert_eq!(runs, 1);
/// ```
pub struct Once {
    futex: Futex,
}

// A closure that panics poisons the `Once`, so it cannot go unnoticed.
impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// What the closure of [`Once::call_once_force`] is told about earlier attempts.
pub struct OnceState {
    poisoned: bool,
}

/// A closure in progress. Dropped without [`Run::complete`], it poisons the `Once`.
struct Run<'a> {
    once: &'a Once,
}

impl Once {
    /// A `Once` that has run nothing.
    // `std::sync::Once` has no `Default` either.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Once {
        Once { futex: Futex::new(INCOMPLETE) }
    }

    /// A `Once` that has already completed.
    pub(super) const fn completed() -> Once {
        Once { futex: Futex::new(COMPLETE) }
    }

    /// Runs `f` if no closure has completed yet, and waits for one that is running. On return a
    /// closure has completed, and what it did is visible. A closure that calls back into the same
    /// `Once` waits for itself: a deadlock, which a simulation reports.
    ///
    /// # Panics
    ///
    /// If an earlier closure panicked.
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        self.call(false, |_| f());
    }

    /// As [`Once::call_once`], but runs `f` even if earlier closures panicked, and tells it so.
    ///
    /// ```
    /// use volt_sim::sync::Once;
    ///
    /// let once = Once::new();
    /// std::panic::catch_unwind(|| once.call_once(|| panic!("first attempt"))).unwrap_err();
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        self.call(true, f);
    }

    /// Whether a closure has completed. Once true, it stays true.
    #[inline]
    #[track_caller]
    pub fn is_completed(&self) -> bool {
        // Acquire makes visible what the closure did.
        self.futex.word().load(Ordering::Acquire) == COMPLETE
    }

    /// Blocks until a closure has completed, without running one.
    ///
    /// # Panics
    ///
    /// If a closure panicked.
    #[track_caller]
    pub fn wait(&self) {
        self.wait_for_completion(false);
    }

    /// As [`Once::wait`], but if a closure panicked, waits for another that completes.
    #[track_caller]
    pub fn wait_force(&self) {
        self.wait_for_completion(true);
    }

    #[track_caller]
    fn call(&self, ignore_poison: bool, f: impl FnOnce(&OnceState)) {
        // Acquire, here and wherever the word is read: completion makes visible what the closure
        // did, poisoning what the failed one did before it panicked.
        let mut seen = self.futex.word().load(Ordering::Acquire);
        loop {
            match seen & STATE {
                COMPLETE => return,
                RUNNING => seen = self.sleep(seen),
                state => {
                    let poisoned = state == POISONED;
                    if poisoned && !ignore_poison {
                        panic_poisoned();
                    }
                    if let Err(now) = self.futex.word().compare_exchange(
                        seen,
                        RUNNING | (seen & WAITERS),
                        Ordering::Acquire,
                        Ordering::Acquire,
                    ) {
                        seen = now;
                        continue;
                    }
                    let run = Run { once: self };
                    f(&OnceState { poisoned });
                    run.complete();
                    return;
                }
            }
        }
    }

    #[track_caller]
    fn wait_for_completion(&self, ignore_poison: bool) {
        let mut seen = self.futex.word().load(Ordering::Acquire);
        loop {
            match seen & STATE {
                COMPLETE => return,
                POISONED if !ignore_poison => panic_poisoned(),
                _ => seen = self.sleep(seen),
            }
        }
    }

    /// Sleeps unless the word has changed from `seen`, and returns what it is afterwards.
    #[track_caller]
    fn sleep(&self, seen: u32) -> u32 {
        let marked = seen | WAITERS;
        // Relaxed on success: the mark itself publishes nothing.
        if seen != marked
            && let Err(now) = self.futex.word().compare_exchange(
                seen,
                marked,
                Ordering::Relaxed,
                Ordering::Acquire,
            )
        {
            return now;
        }
        self.futex.wait(marked, None);
        self.futex.word().load(Ordering::Acquire)
    }

    #[track_caller]
    fn finish(&self, state: u32) {
        // Release publishes what the closure did.
        if self.futex.word().swap(state, Ordering::Release) & WAITERS != 0 {
            self.futex.wake(u32::MAX);
        }
    }
}

#[cold]
#[track_caller]
fn panic_poisoned() -> ! {
    panic!("an earlier initialization panicked and poisoned this value")
}

impl Run<'_> {
    #[track_caller]
    fn complete(self) {
        ManuallyDrop::new(self).once.finish(COMPLETE);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.once.finish(POISONED);
    }
}

impl OnceState {
    /// Whether an earlier closure panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.poisoned).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    use super::*;

    fn poisoned() -> Once {
        let once = Once::new();
        assert!(catch_unwind(|| once.call_once(|| panic!("poisons the once"))).is_err());
        once
    }

    fn await_sleeper(once: &Once) {
        while once.futex.word().load(Ordering::Relaxed) & WAITERS == 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn one_of_many_threads_runs_and_all_see_what_it_did() {
        let once = Once::new();
        let runs = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    once.call_once(|| {
                        runs.fetch_add(1, Ordering::Relaxed);
                    });
                    assert_eq!(runs.load(Ordering::Relaxed), 1);
                });
            }
        });
        assert!(once.is_completed());
    }

    #[test]
    fn a_thread_that_calls_meanwhile_sleeps_until_completion() {
        let once = &Once::new();
        thread::scope(|scope| {
            let mut second = None;
            once.call_once(|| {
                second = Some(scope.spawn(move || {
                    once.call_once(|| unreachable!("the first closure completes"));
                    once.is_completed()
                }));
                await_sleeper(once);
            });
            assert!(second.unwrap().join().unwrap());
        });
    }

    #[test]
    fn a_panic_poisons_until_forced() {
        let once = poisoned();
        assert!(!once.is_completed());
        assert!(catch_unwind(|| once.call_once(|| ())).is_err());
        assert!(catch_unwind(|| once.wait()).is_err());
        let mut told = false;
        once.call_once_force(|state| told = state.is_poisoned());
        assert!(told && once.is_completed());
        once.call_once(|| unreachable!("already completed"));
        once.wait();
    }

    #[test]
    fn waiting_before_anybody_runs_lasts_until_completion() {
        let once = Once::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                once.wait();
                once.is_completed()
            });
            await_sleeper(&once);
            once.call_once_force(|state| assert!(!state.is_poisoned()));
            assert!(waiter.join().unwrap());
        });
    }

    #[test]
    fn wait_force_outlasts_poisoning() {
        let once = poisoned();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                once.wait_force();
                once.is_completed()
            });
            await_sleeper(&once);
            once.call_once_force(|state| assert!(state.is_poisoned()));
            assert!(waiter.join().unwrap());
        });
    }
}
