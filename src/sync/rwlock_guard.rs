//! What those who have a [`RwLock`] have.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::raw_rwlock::RawRwLock;
use super::rwlock::RwLock;

/// The value of a [`RwLock`], for one who reads, among others; the last one that is dropped frees
/// the lock.
///
/// ```
/// let lock = volt::sync::RwLock::new(vec![1]);
/// let (one, other) = (lock.try_read().unwrap(), lock.try_read().unwrap());
/// assert_eq!(one[0], other[0]);
/// ```
#[must_use = "the lock is freed when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The caller was let in to read.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { lock }
    }

    /// A guard of a part of the value. If `f` panics, the reader leaves.
    ///
    /// ```
    /// use volt::sync::{RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// let number = RwLockReadGuard::map(lock.try_read().unwrap(), |pair| &pair.0);
    /// assert_eq!(*number, 1);
    /// assert!(lock.try_write().is_none());
    /// ```
    pub fn map<U: ?Sized>(
        guard: RwLockReadGuard<'a, T>,
        f: impl FnOnce(&T) -> &U,
    ) -> MappedRwLockReadGuard<'a, U> {
        let whole: &T = &guard;
        let part = NonNull::from(f(whole));
        MappedRwLockReadGuard { lock: &guard.keep().raw, part, held: PhantomData }
    }

    /// The lock, in which the caller is from now on.
    fn keep(self) -> &'a RwLock<T> {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard keeps writers out, and is borrowed for as long as the value.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_read();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// The value of a [`RwLock`], for the one who writes; dropping it frees the lock.
///
/// ```
/// let lock = volt::sync::RwLock::new(vec![1]);
/// let mut guard = lock.try_write().unwrap();
/// guard.push(2);
/// drop(guard);
/// assert_eq!(*lock.try_read().unwrap(), [1, 2]);
/// ```
#[must_use = "the lock is freed when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The caller was let in to write.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard { lock }
    }

    /// A guard of a part of the value. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use volt::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// let mut number = RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.0);
    /// *number = 2;
    /// drop(number);
    /// assert_eq!(lock.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: RwLockWriteGuard<'a, T>,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedRwLockWriteGuard<'a, U> {
        let whole: &mut T = &mut guard;
        let part = NonNull::from(f(whole));
        MappedRwLockWriteGuard { lock: &guard.keep().raw, part, held: PhantomData }
    }

    /// Reads on, without a moment in which another one could write. The readers who are first in
    /// the queue come in, too.
    ///
    /// ```
    /// use volt::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard = lock.try_write().unwrap();
    /// *guard += 1;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!(*guard + *lock.try_read().unwrap(), 4);
    /// ```
    pub fn downgrade(guard: RwLockWriteGuard<'a, T>) -> RwLockReadGuard<'a, T> {
        let lock = guard.keep();
        lock.raw.downgrade();
        RwLockReadGuard { lock }
    }

    /// Frees the lock, and hands it to the first one who waits: no task that runs may overtake
    /// that. A task that is to run first then has to be switched to, so this costs throughput.
    ///
    /// ```
    /// use volt::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// RwLockWriteGuard::unlock_fair(lock.try_write().unwrap());
    /// assert!(lock.try_write().is_some());
    /// ```
    pub fn unlock_fair(guard: RwLockWriteGuard<'a, T>) {
        guard.keep().raw.unlock_write_fair();
    }

    /// The lock, which the caller has from now on.
    fn keep(self) -> &'a RwLock<T> {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// A part of the value of a [`RwLock`], made by [`RwLockReadGuard::map`], for one who reads.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct MappedRwLockReadGuard<'a, U: ?Sized> {
    lock: &'a RawRwLock,
    part: NonNull<U>,
    held: PhantomData<&'a U>,
}

// SAFETY: it is a `&U`, and a lock that a reader may leave on any thread.
unsafe impl<U: ?Sized + Sync> Send for MappedRwLockReadGuard<'_, U> {}
// SAFETY: as above.
unsafe impl<U: ?Sized + Sync> Sync for MappedRwLockReadGuard<'_, U> {}

impl<'a, U: ?Sized> MappedRwLockReadGuard<'a, U> {
    /// A guard of a part of the part. If `f` panics, the reader leaves.
    ///
    /// ```
    /// use volt::sync::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new(([1, 2], "numbers"));
    /// let numbers = RwLockReadGuard::map(lock.try_read().unwrap(), |pair| &pair.0);
    /// let second = MappedRwLockReadGuard::map(numbers, |numbers| &numbers[1]);
    /// assert_eq!(*second, 2);
    /// ```
    pub fn map<V: ?Sized>(
        guard: MappedRwLockReadGuard<'a, U>,
        f: impl FnOnce(&U) -> &V,
    ) -> MappedRwLockReadGuard<'a, V> {
        let whole: &U = &guard;
        let part = NonNull::from(f(whole));
        MappedRwLockReadGuard { lock: guard.keep(), part, held: PhantomData }
    }

    /// The lock, in which the caller is from now on.
    fn keep(self) -> &'a RawRwLock {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}

impl<U: ?Sized> Deref for MappedRwLockReadGuard<'_, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the guard keeps writers out, and is borrowed for as long as the value.
        unsafe { self.part.as_ref() }
    }
}

impl<U: ?Sized> Drop for MappedRwLockReadGuard<'_, U> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock_read();
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockReadGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedRwLockReadGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// A part of the value of a [`RwLock`], made by [`RwLockWriteGuard::map`], for the one who writes.
/// Dropping it frees the lock.
///
/// It cannot be downgraded: the part may be what a `&mut` alone gives, as the content of a `Cell`,
/// and readers could change that.
#[doc(alias = "RwLockMappedWriteGuard")]
#[must_use = "the lock is freed when the guard is dropped"]
pub struct MappedRwLockWriteGuard<'a, U: ?Sized> {
    lock: &'a RawRwLock,
    part: NonNull<U>,
    held: PhantomData<&'a mut U>,
}

// SAFETY: it is a `&mut U`, and a lock that any thread may free.
unsafe impl<U: ?Sized + Send> Send for MappedRwLockWriteGuard<'_, U> {}
// SAFETY: through a shared reference there is a `&U` alone.
unsafe impl<U: ?Sized + Sync> Sync for MappedRwLockWriteGuard<'_, U> {}

impl<'a, U: ?Sized> MappedRwLockWriteGuard<'a, U> {
    /// A guard of a part of the part. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use volt::sync::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(([1, 2], "numbers"));
    /// let numbers = RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.0);
    /// let mut second = MappedRwLockWriteGuard::map(numbers, |numbers| &mut numbers[1]);
    /// *second = 3;
    /// drop(second);
    /// assert_eq!(lock.into_inner().0, [1, 3]);
    /// ```
    pub fn map<V: ?Sized>(
        mut guard: MappedRwLockWriteGuard<'a, U>,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedRwLockWriteGuard<'a, V> {
        let whole: &mut U = &mut guard;
        let part = NonNull::from(f(whole));
        MappedRwLockWriteGuard { lock: guard.keep(), part, held: PhantomData }
    }

    /// As [`RwLockWriteGuard::unlock_fair`].
    ///
    /// ```
    /// use volt::sync::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, 2));
    /// let first = RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.0);
    /// MappedRwLockWriteGuard::unlock_fair(first);
    /// assert!(lock.try_write().is_some());
    /// ```
    pub fn unlock_fair(guard: MappedRwLockWriteGuard<'a, U>) {
        guard.keep().unlock_write_fair();
    }

    /// The lock, which the caller has from now on.
    fn keep(self) -> &'a RawRwLock {
        let lock = self.lock;
        mem::forget(self);
        lock
    }
}

impl<U: ?Sized> Deref for MappedRwLockWriteGuard<'_, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        unsafe { self.part.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        unsafe { self.part.as_mut() }
    }
}

impl<U: ?Sized> Drop for MappedRwLockWriteGuard<'_, U> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock_write();
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockWriteGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedRwLockWriteGuard<'_, U> {
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
    fn guards_may_go_to_other_threads() {
        let lock = RwLock::new((1, 2));
        let guard = lock.try_read().unwrap();
        assert_send_and_sync(&guard);
        assert_send_and_sync(&RwLockReadGuard::map(guard, |pair| &pair.1));
        let guard = lock.try_write().unwrap();
        assert_send_and_sync(&guard);
        assert_send_and_sync(&RwLockWriteGuard::map(guard, |pair| &mut pair.1));
    }

    #[test]
    fn a_mapped_reader_stays_in_and_leaves_once() {
        let lock = RwLock::new((1, [2, 3]));
        let numbers = RwLockReadGuard::map(lock.try_read().unwrap(), |pair| &pair.1[..]);
        let last = MappedRwLockReadGuard::map(numbers, |numbers| &numbers[1]);
        assert_eq!(format!("{last} {last:?}"), "3 3");
        assert!(lock.try_write().is_none());
        drop(last);
        assert_eq!(format!("{:?}", lock.try_write().unwrap()), "(1, [2, 3])");
    }

    #[test]
    fn a_mapped_writer_keeps_the_lock_and_frees_it_once() {
        let lock = RwLock::new((1, [2, 3]));
        let numbers = RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.1[..]);
        let mut last = MappedRwLockWriteGuard::map(numbers, |numbers| numbers.last_mut().unwrap());
        *last = 4;
        assert_eq!(format!("{last} {last:?}"), "4 4");
        assert!(lock.try_read().is_none());
        drop(last);
        assert_eq!(*lock.try_read().unwrap(), (1, [2, 4]));
        assert!(lock.try_write().is_some());
    }

    #[test]
    fn a_map_that_panics_frees_the_lock() {
        let lock = RwLock::new(1);
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            drop(RwLockReadGuard::map(lock.try_read().unwrap(), |_| -> &i32 { panic!("planned") }));
        }));
        assert!(mapped.is_err() && lock.try_write().is_some());
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let mapped = RwLockReadGuard::map(lock.try_read().unwrap(), |value| value);
            drop(MappedRwLockReadGuard::map(mapped, |_| -> &i32 { panic!("planned") }));
        }));
        assert!(mapped.is_err() && lock.try_write().is_some());
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let guard = lock.try_write().unwrap();
            drop(RwLockWriteGuard::map(guard, |_| -> &mut i32 { panic!("planned") }));
        }));
        assert!(mapped.is_err() && lock.try_write().is_some());
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let mapped = RwLockWriteGuard::map(lock.try_write().unwrap(), |value| value);
            drop(MappedRwLockWriteGuard::map(mapped, |_| -> &mut i32 { panic!("planned") }));
        }));
        assert!(mapped.is_err() && lock.try_write().is_some());
    }

    #[test]
    fn a_fair_unlock_hands_the_lock_over() {
        let lock = RwLock::new(1);
        for is_mapped in [false, true] {
            let guard = lock.try_write().unwrap();
            let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
            assert!(lock.write_wait(waiter.as_mut()).is_none());
            if is_mapped {
                MappedRwLockWriteGuard::unlock_fair(RwLockWriteGuard::map(guard, |value| value));
            } else {
                RwLockWriteGuard::unlock_fair(guard);
            }
            assert!(waiter.is_ready());
            assert!(lock.try_write().is_none());
            assert!(lock.write_wait(waiter).is_some());
        }
    }

    #[test]
    fn a_downgrade_shares_what_was_written_with_readers_and_no_writer() {
        let lock = RwLock::new(1);
        let mut guard = lock.try_write().unwrap();
        let mut reader = pin!(Waiter::new(Waker::noop().clone()));
        let mut writer = pin!(Waiter::new(Waker::noop().clone()));
        assert!(lock.read_wait(reader.as_mut()).is_none());
        assert!(lock.write_wait(writer.as_mut()).is_none());
        *guard = 2;
        let guard = RwLockWriteGuard::downgrade(guard);
        assert_eq!((*guard, *lock.read_wait(reader).unwrap()), (2, 2));
        assert!(lock.write_wait(writer.as_mut()).is_none());
        drop(guard);
        assert!(lock.write_wait(writer).is_some());
    }
}
