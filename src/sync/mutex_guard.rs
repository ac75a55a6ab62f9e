//! What the holder of a [`Mutex`] has.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::mutex::Mutex;
use super::raw_mutex::RawMutex;

/// The value of a [`Mutex`], for whoever has the lock; dropping it frees that.
///
/// ```
/// let mutex = volt::sync::Mutex::new(vec![1]);
/// let mut guard = mutex.try_lock().unwrap();
/// guard.push(2);
/// drop(guard);
/// assert_eq!(*mutex.try_lock().unwrap(), [1, 2]);
/// ```
///
/// It may be shared between threads if the value may:
///
/// ```compile_fail,E0277
/// fn share(_: impl Sync) {}
/// let mutex = volt::sync::Mutex::new(std::cell::Cell::new(1));
/// share(mutex.try_lock().unwrap());
/// ```
#[must_use = "the lock is freed when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    held: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has the lock.
    #[inline]
    pub(super) fn new(mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        MutexGuard { mutex, held: PhantomData }
    }

    /// The mutex whose lock this is.
    ///
    /// ```
    /// use volt::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(MutexGuard::mutex(&guard).is_locked());
    /// ```
    pub fn mutex(guard: &MutexGuard<'a, T>) -> &'a Mutex<T> {
        guard.mutex
    }

    /// A guard of a part of the value. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use volt::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.0);
    /// *number = 2;
    /// drop(number);
    /// assert_eq!(mutex.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: MutexGuard<'a, T>,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        let whole: &mut T = &mut guard;
        let part = NonNull::from(f(whole));
        MappedMutexGuard { mutex: &guard.keep().raw, part, held: PhantomData }
    }

    /// Frees the lock, and hands it to the first one who waits: no task that runs may overtake
    /// that. The lock rests until that one runs, so this costs throughput.
    ///
    /// ```
    /// use volt::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// MutexGuard::unlock_fair(mutex.try_lock().unwrap());
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: MutexGuard<'a, T>) {
        guard.keep().raw.unlock_fair();
    }

    /// The mutex, whose lock the caller has from now on.
    fn keep(self) -> &'a Mutex<T> {
        let mutex = self.mutex;
        mem::forget(self);
        mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// A part of the value of a [`Mutex`], made by [`MutexGuard::map`]. Dropping it frees the lock.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct MappedMutexGuard<'a, U: ?Sized> {
    mutex: &'a RawMutex,
    part: NonNull<U>,
    held: PhantomData<&'a mut U>,
}

// SAFETY: it is a `&mut U`, and a lock that any thread may free.
unsafe impl<U: ?Sized + Send> Send for MappedMutexGuard<'_, U> {}
// SAFETY: through a shared reference there is a `&U` alone.
unsafe impl<U: ?Sized + Sync> Sync for MappedMutexGuard<'_, U> {}

impl<'a, U: ?Sized> MappedMutexGuard<'a, U> {
    /// A guard of a part of the part. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use volt::sync::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(([1, 2], "numbers"));
    /// let numbers = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.0);
    /// let second = MappedMutexGuard::map(numbers, |numbers| &mut numbers[1]);
    /// assert_eq!(*second, 2);
    /// ```
    pub fn map<V: ?Sized>(
        mut guard: MappedMutexGuard<'a, U>,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedMutexGuard<'a, V> {
        let whole: &mut U = &mut guard;
        let part = NonNull::from(f(whole));
        MappedMutexGuard { mutex: guard.keep(), part, held: PhantomData }
    }

    /// As [`MutexGuard::unlock_fair`].
    ///
    /// ```
    /// use volt::sync::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, 2));
    /// let first = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.0);
    /// MappedMutexGuard::unlock_fair(first);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: MappedMutexGuard<'a, U>) {
        guard.keep().unlock_fair();
    }

    /// The lock, which the caller has from now on.
    fn keep(self) -> &'a RawMutex {
        let mutex = self.mutex;
        mem::forget(self);
        mutex
    }
}

impl<U: ?Sized> Deref for MappedMutexGuard<'_, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        unsafe { self.part.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedMutexGuard<'_, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        unsafe { self.part.as_mut() }
    }
}

impl<U: ?Sized> Drop for MappedMutexGuard<'_, U> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::waiter::Waiter;

    fn assert_send_and_sync<T: Send + Sync>(_: &T) {}

    #[test]
    fn a_guard_may_go_to_other_threads() {
        let mutex = Mutex::new((1, 2));
        let guard = mutex.try_lock().unwrap();
        assert_send_and_sync(&guard);
        assert_send_and_sync(&MutexGuard::map(guard, |pair| &mut pair.1));
    }

    #[test]
    fn a_mapped_guard_keeps_the_lock_and_frees_it_once() {
        let mutex = Mutex::new((1, [2, 3]));
        let numbers = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.1[..]);
        assert!(mutex.is_locked());
        let mut last = MappedMutexGuard::map(numbers, |numbers| numbers.last_mut().unwrap());
        *last = 4;
        assert_eq!(format!("{last} {last:?}"), "4 4");
        assert!(mutex.is_locked());
        drop(last);
        assert_eq!(*mutex.try_lock().unwrap(), (1, [2, 4]));
    }

    #[test]
    fn a_map_that_panics_frees_the_lock() {
        let mutex = Mutex::new(1);
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            drop(MutexGuard::map::<i32>(mutex.try_lock().unwrap(), |_| panic!("planned")));
        }));
        assert!(mapped.is_err());
        assert!(!mutex.is_locked());
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let mapped = MutexGuard::map(mutex.try_lock().unwrap(), |value| value);
            drop(MappedMutexGuard::map::<i32>(mapped, |_| panic!("planned")));
        }));
        assert!(mapped.is_err());
        assert!(!mutex.is_locked());
    }

    #[test]
    fn a_fair_unlock_hands_the_lock_over() {
        let mutex = Mutex::new(1);
        for is_mapped in [false, true] {
            let guard = mutex.try_lock().unwrap();
            let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
            assert!(mutex.lock_wait(waiter.as_mut()).is_none());
            if is_mapped {
                MappedMutexGuard::unlock_fair(MutexGuard::map(guard, |value| value));
            } else {
                MutexGuard::unlock_fair(guard);
            }
            assert!(waiter.is_ready());
            assert!(mutex.try_lock().is_none());
            assert!(mutex.lock_wait(waiter).is_some());
        }
    }
}
