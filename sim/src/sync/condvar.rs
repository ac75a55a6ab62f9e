//! A condition variable: one futex word that counts notifications.
//!
//! ```text
//!   wait:    read n ──► unlock the mutex ──► sleep while the word is n ──► lock the mutex
//!   notify:  n ──► n + 1, wake one or all
//! ```
//!
//! A waiter reads the count before it unlocks the mutex. Whoever changes the condition afterwards
//! does so under the mutex, hence later, and the notification that follows finds the waiter asleep
//! or the count changed: it cannot be lost. It would be only if exactly 2^32 notifications fell
//! between the read and the sleep. Waiters may wake without a notification, as in `std`.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::{LockResult, MutexGuard};
use crate::atomic::Ordering;
use crate::futex::Futex;

/// Whether a wait with a time limit ended because the limit passed.
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the wait ended because its time limit passed.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// Lets threads sleep until another thread tells them that a condition may hold, as
/// `std::sync::Condvar`.
///
/// ```
/// use volt_sim::sync::{Condvar, Mutex};
///
/// let (queue, filled) = (Mutex::new(Vec::new()), Condvar::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         queue.lock().unwrap().push(5);
///         filled.notify_one();
///     });
///     let mut queue = filled.wait_while(queue.lock().unwrap(), |queue| queue.is_empty()).unwrap();
///     assert_eq!(queue.pop(), Some(5));
/// });
/// ```
pub struct Condvar {
    notifications: Futex,
}

// A condition variable holds no value that a panic could leave half changed.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl Condvar {
    /// A condition variable that nobody waits on.
    pub const fn new() -> Condvar {
        Condvar { notifications: Futex::new(0) }
    }

    /// Unlocks the mutex, sleeps until a notification, and locks the mutex again. It may also
    /// return without a notification, so the caller checks its condition in a loop.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it is locked again; the error carries the guard.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let (guard, _) = self.block(guard, None);
        guard.mutex.poison.wrap(guard)
    }

    /// Waits as long as `condition` returns true for the protected value.
    ///
    /// # Errors
    ///
    /// If the mutex is found poisoned after a wait; the error carries the guard.
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`Condvar::wait`], but for `dur` at most.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it is locked again; the error carries the guard.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt_sim::sync::{Condvar, Mutex};
    ///
    /// let (mutex, never) = (Mutex::new(()), Condvar::new());
    /// let mut guard = mutex.lock().unwrap();
    /// loop {
    ///     let (relocked, result) = never.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    ///     if result.timed_out() {
    ///         break;
    ///     }
    ///     guard = relocked;
    /// }
    /// ```
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until(guard, crate::clock::now().checked_add(dur))
    }

    /// As [`Condvar::wait_while`], but for `dur` at most. The result says that the time limit
    /// passed only if the condition still returned true then.
    ///
    /// # Errors
    ///
    /// If the mutex is found poisoned after a wait; the error carries the guard.
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = crate::clock::now().checked_add(dur);
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            (guard, result) = self.wait_until(guard, deadline)?;
        }
    }

    /// Wakes one thread that waits, if there is one.
    #[track_caller]
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes every thread that waits.
    #[track_caller]
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    #[track_caller]
    fn notify(&self, threads: u32) {
        // Relaxed: the mutex orders the notification after the waiter's read of the count.
        self.notifications.word().fetch_add(1, Ordering::Relaxed);
        self.notifications.wake(threads);
    }

    /// As [`Condvar::wait`], until `deadline` at most; none means no limit.
    #[track_caller]
    pub(super) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, result) = self.block(guard, deadline);
        guard.mutex.poison.wrap((guard, result))
    }

    #[track_caller]
    fn block<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        // Until the mutex is locked again the guard stands for nothing, so unwinding out of the
        // wait must not run its destructor.
        let guard = ManuallyDrop::new(guard);
        // Relaxed: the unlock below releases it to whoever notifies.
        let seen = self.notifications.word().load(Ordering::Relaxed);
        guard.mutex.raw.unlock();
        let in_time = self.notifications.wait(seen, deadline);
        guard.mutex.raw.lock();
        (ManuallyDrop::into_inner(guard), WaitTimeoutResult(!in_time))
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::thread;

    use super::super::Mutex;
    use super::*;

    #[test]
    fn notify_one_hands_the_turn_from_thread_to_thread() {
        let (turn, changed) = (Mutex::new(0), Condvar::new());
        thread::scope(|scope| {
            for player in 0..2 {
                let (turn, changed) = (&turn, &changed);
                scope.spawn(move || {
                    for round in 0..100 {
                        let mine = round * 2 + player;
                        let guard = turn.lock().unwrap();
                        *changed.wait_while(guard, |turn| *turn != mine).unwrap() += 1;
                        changed.notify_one();
                    }
                });
            }
        });
        assert_eq!(*turn.lock().unwrap(), 200);
    }

    #[test]
    fn notify_all_wakes_every_waiter() {
        struct Gate {
            waiting: u32,
            open: bool,
        }
        let gate = Mutex::new(Gate { waiting: 0, open: false });
        let opened = Condvar::new();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut guard = gate.lock().unwrap();
                    guard.waiting += 1;
                    drop(opened.wait_while(guard, |gate| !gate.open).unwrap());
                });
            }
            while gate.lock().unwrap().waiting < 3 {
                thread::yield_now();
            }
            gate.lock().unwrap().open = true;
            opened.notify_all();
        });
        assert!(gate.lock().unwrap().open);
    }

    #[test]
    fn a_condition_that_never_changes_times_out() {
        let (mutex, never) = (Mutex::new(0), Condvar::new());
        let guard = mutex.lock().unwrap();
        let limit = Duration::from_millis(1);
        let (guard, result) = never.wait_timeout_while(guard, limit, |_| true).unwrap();
        assert!(result.timed_out());
        drop(guard);
        assert!(mutex.try_lock().is_ok());
    }

    #[test]
    fn a_condition_that_already_holds_does_not_time_out() {
        let (mutex, never) = (Mutex::new(0), Condvar::new());
        let guard = mutex.lock().unwrap();
        let (_guard, result) = never.wait_timeout_while(guard, Duration::ZERO, |_| false).unwrap();
        assert!(!result.timed_out());
    }

    #[test]
    fn a_limit_beyond_the_end_of_time_is_no_limit() {
        let (ready, changed) = (Mutex::new(false), Condvar::new());
        let guard = ready.lock().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                *ready.lock().unwrap() = true;
                changed.notify_one();
            });
            let (guard, result) =
                changed.wait_timeout_while(guard, Duration::MAX, |ready| !*ready).unwrap();
            assert!(*guard && !result.timed_out());
        });
    }

    #[test]
    fn a_mutex_poisoned_during_the_wait_fails_it() {
        let (waiting, changed) = (Mutex::new(false), Condvar::new());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut guard = waiting.lock().unwrap();
                *guard = true;
                loop {
                    match changed.wait(guard) {
                        Ok(relocked) => guard = relocked,
                        Err(error) => return **error.get_ref(),
                    }
                }
            });
            let outcome = catch_unwind(|| {
                loop {
                    let guard = waiting.lock().unwrap();
                    assert!(!*guard, "poisons the mutex once the waiter has unlocked it");
                    drop(guard);
                    thread::yield_now();
                }
            });
            assert!(outcome.is_err());
            changed.notify_all();
            assert!(waiter.join().unwrap());
        });
    }
}
