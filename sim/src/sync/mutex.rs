//! A mutex: one futex word and the value it protects.
//!
//! ```text
//!   UNLOCKED  ─── lock: compare_exchange ─────────────────────────► LOCKED
//!   LOCKED    ─── lock by another thread: swap, then it waits ────► CONTENDED
//!   CONTENDED ─── lock by another thread: swap, then it waits ────► CONTENDED
//!   UNLOCKED  ─── lock by a thread that found it locked: swap ────► CONTENDED
//!   LOCKED    ─── unlock: swap ───────────────────────────────────► UNLOCKED
//!   CONTENDED ─── unlock: swap, wake one ─────────────────────────► UNLOCKED
//! ```
//!
//! `CONTENDED` means locked, and that a thread may sleep. A thread that found it locked takes
//! the lock with `CONTENDED`, because it cannot know whether it was the last; at worst its unlock
//! wakes nobody. Nobody spins: on one simulated processor the holder cannot progress meanwhile.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{LockResult, Poison, TryLockError, TryLockResult};
use crate::atomic::Ordering;
use crate::futex::Futex;

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// The state machine alone, without a value or poisoning.
pub(super) struct RawMutex {
    futex: Futex,
}

impl RawMutex {
    const fn new() -> RawMutex {
        RawMutex { futex: Futex::new(UNLOCKED) }
    }

    #[inline]
    #[track_caller]
    pub(super) fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        // Acquire pairs with the release in `unlock`.
        self.futex
            .word()
            .compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    #[track_caller]
    fn lock_contended(&self) {
        // Acquire, for the swap that finds the word unlocked and so takes the lock.
        while self.futex.word().swap(CONTENDED, Ordering::Acquire) != UNLOCKED {
            self.futex.wait(CONTENDED, None);
        }
    }

    #[inline]
    #[track_caller]
    pub(super) fn unlock(&self) {
        // Release publishes what the holder wrote to whoever locks next.
        if self.futex.word().swap(UNLOCKED, Ordering::Release) == CONTENDED {
            self.futex.wake(1);
        }
    }

    /// Reads the word for no other reason than to let other simulated threads run.
    #[track_caller]
    fn reschedule(&self) {
        self.futex.word().load(Ordering::Relaxed);
    }
}

/// A lock that gives one thread at a time access to a value, as `std::sync::Mutex`.
///
/// A thread that panics while it holds the guard poisons the mutex: from then on locking returns
/// an error, which still carries the guard.
///
/// ```
/// use volt_sim::sync::Mutex;
///
/// static TOTAL: Mutex<u32> = Mutex::new(0);
/// std::thread::scope(|scope| {
///     for n in 1..=3 {
///         scope.spawn(move || *TOTAL.lock().unwrap() += n);
///     }
/// });
/// assert_eq!(*TOTAL.lock().unwrap(), 6);
/// ```
pub struct Mutex<T: ?Sized> {
    pub(super) raw: RawMutex,
    pub(super) poison: Poison,
    data: UnsafeCell<T>,
}

// SAFETY: the lock gives out the value to one thread at a time. Access may move from thread to
// thread, which takes `T: Send`; it is never shared, so `T: Sync` is not needed.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A panic that leaves the value half changed poisons the lock, so it cannot go unnoticed.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex that protects `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::new(), poison: Poison::new(), data: UnsafeCell::new(value) }
    }

    /// Consumes the mutex and returns its value. No lock is taken: ownership proves that no guard
    /// exists.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the error carries the value.
    ///
    /// ```
    /// use volt_sim::sync::Mutex;
    /// assert_eq!(Mutex::new(4).into_inner().unwrap(), 4);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.data.into_inner();
        self.poison.wrap(value)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, and blocks while another thread holds it. A thread that already holds it
    /// waits for itself: a deadlock, which a simulation reports.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the error carries the guard.
    ///
    /// ```
    /// use volt_sim::sync::Mutex;
    /// let mutex = Mutex::new(1);
    /// *mutex.lock().unwrap() += 1;
    /// assert_eq!(*mutex.lock().unwrap(), 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        self.poison.wrap(MutexGuard::new(self))
    }

    /// Takes the lock if it is free, without blocking.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if the lock is held, [`TryLockError::Poisoned`] with the guard
    /// if the mutex is poisoned.
    ///
    /// ```
    /// use volt_sim::sync::Mutex;
    /// let mutex = Mutex::new(());
    /// let guard = mutex.lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() {
            Ok(self.poison.wrap(MutexGuard::new(self))?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether a thread panicked while it held the lock. Another thread may change the answer at
    /// any time.
    #[track_caller]
    pub fn is_poisoned(&self) -> bool {
        // A simulated thread that polls this must let the thread it waits for run.
        self.raw.reschedule();
        self.poison.is_set()
    }

    /// Declares the value sound again: later calls of [`Mutex::lock`] succeed.
    ///
    /// ```
    /// use volt_sim::sync::Mutex;
    /// let mutex = Mutex::new(1);
    /// std::panic::catch_unwind(|| {
    ///     let _guard = mutex.lock().unwrap();
    ///     panic!("half way through");
    /// })
    /// .unwrap_err();
    /// assert!(mutex.is_poisoned());
    /// mutex.clear_poison();
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[track_caller]
    pub fn clear_poison(&self) {
        // Other threads see the change, so when it happens is theirs to interleave with.
        self.raw.reschedule();
        self.poison.clear();
    }

    /// The value, without locking: the exclusive borrow proves that no guard exists.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the error carries the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.data.get_mut())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mutex = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => mutex.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => mutex.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => mutex.field("data", &format_args!("<locked>")),
        };
        mutex.field("poisoned", &self.poison.is_set()).finish_non_exhaustive()
    }
}

/// Access to the value of a locked [`Mutex`]; dropping it unlocks the mutex.
#[must_use = "the mutex is unlocked as soon as the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    pub(super) mutex: &'a Mutex<T>,
    /// Whether the thread was already panicking when it took the lock. If so, the panic did not
    /// interrupt this guard's work and does not poison the mutex.
    panicking: bool,
    /// As in `std`, the thread that locked must unlock.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    fn new(mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        MutexGuard { mutex, panicking: crate::thread::panicking(), not_send: PhantomData }
    }

    /// Drops the guard on behalf of the caller, whose line a report then names.
    #[track_caller]
    pub(super) fn unlock(guard: MutexGuard<'a, T>) {
        ManuallyDrop::new(guard).release();
    }

    #[track_caller]
    fn release(&self) {
        if !self.panicking && crate::thread::panicking() {
            self.mutex.poison.set();
        }
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nothing else refers to the value.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is itself borrowed exclusively.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::thread;

    use super::*;

    fn poison(mutex: &Mutex<u32>) {
        let outcome = catch_unwind(|| {
            let _guard = mutex.lock().unwrap();
            panic!("poisons the mutex");
        });
        assert!(outcome.is_err());
    }

    #[test]
    fn threads_exclude_each_other() {
        let mutex = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        *mutex.lock().unwrap() += 1;
                    }
                });
            }
        });
        assert_eq!(mutex.into_inner().unwrap(), 4000);
    }

    #[test]
    fn unlocking_wakes_a_sleeping_thread() {
        let mutex = Mutex::new(1);
        let mut guard = mutex.lock().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| *mutex.lock().unwrap());
            while mutex.raw.futex.word().load(Ordering::Relaxed) != CONTENDED {
                thread::yield_now();
            }
            *guard = 2;
            drop(guard);
            assert_eq!(waiter.join().unwrap(), 2);
        });
        assert!(mutex.try_lock().is_ok());
    }

    #[test]
    fn try_lock_fails_only_while_locked() {
        let mutex = Mutex::new(());
        let guard = mutex.try_lock().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        assert!(mutex.try_lock().is_ok());
    }

    #[test]
    fn a_panic_under_the_guard_poisons_until_cleared() {
        let mut mutex = Mutex::new(7);
        poison(&mutex);
        assert!(mutex.is_poisoned());
        assert_eq!(**mutex.lock().unwrap_err().get_ref(), 7);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        assert_eq!(**mutex.get_mut().unwrap_err().get_ref(), 7);
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 7);
        poison(&mutex);
        assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 7);
    }

    #[test]
    fn a_guard_taken_during_a_panic_does_not_poison() {
        struct LocksOnDrop<'a>(&'a Mutex<u32>);
        impl Drop for LocksOnDrop<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let mutex = Mutex::new(0);
        let outcome = catch_unwind(|| {
            let _locks = LocksOnDrop(&mutex);
            panic!("unwinds through a destructor that locks");
        });
        assert!(outcome.is_err());
        assert_eq!(*mutex.lock().unwrap(), 1);
    }

    #[test]
    fn debug_shows_the_value_or_that_it_is_locked() {
        let mutex = Mutex::new(3);
        assert_eq!(format!("{mutex:?}"), "Mutex { data: 3, poisoned: false, .. }");
        let guard = mutex.lock().unwrap();
        assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked>, poisoned: false, .. }");
        assert_eq!(format!("{guard:?} {guard}"), "3 3");
    }
}
