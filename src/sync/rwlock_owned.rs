//! A [`RwLock`] that is shared by `Arc`: its guards borrow nothing.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::raw_rwlock::RawRwLock;
use super::rwlock::RwLock;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

impl<T: ?Sized> RwLock<T> {
    /// As [`read`](RwLock::read), with a guard that keeps the lock alive and borrows nothing.
    ///
    /// Cancel safety: as [`read`](RwLock::read).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::RwLock;
    ///
    /// volt::run(|io| async move {
    ///     let lock = Arc::new(RwLock::new(1));
    ///     let guard = Arc::clone(&lock).read_owned().await;
    ///     let task = io.spawn(async move { *guard });
    ///     assert_eq!(task.await.unwrap(), *lock.read().await);
    /// });
    /// ```
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> ReadOwned<T> {
        ReadOwned { waiter: Waiter::of_future(), lock: Some(self), place: Location::caller() }
    }

    /// As [`write`](RwLock::write), with a guard that keeps the lock alive and borrows nothing.
    ///
    /// Cancel safety: as [`write`](RwLock::write).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::RwLock;
    ///
    /// volt::run(|io| async move {
    ///     let lock = Arc::new(RwLock::new(1));
    ///     let mut guard = Arc::clone(&lock).write_owned().await;
    ///     let task = io.spawn(async move { *guard += 1 });
    ///     assert_eq!((task.await.unwrap(), *lock.read().await), ((), 2));
    /// });
    /// ```
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> WriteOwned<T> {
        WriteOwned { waiter: Waiter::of_future(), lock: Some(self), place: Location::caller() }
    }

    /// As [`try_read`](RwLock::try_read), with a guard that keeps the lock alive and borrows
    /// nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::RwLock;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = Arc::clone(&lock).try_read_owned().unwrap();
    /// assert!(lock.try_write_owned().is_none());
    /// assert_eq!(*guard, 1);
    /// ```
    pub fn try_read_owned(self: Arc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        self.raw.try_read().then(|| OwnedRwLockReadGuard { lock: self })
    }

    /// As [`try_write`](RwLock::try_write), with a guard that keeps the lock alive and borrows
    /// nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::RwLock;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let mut guard = Arc::clone(&lock).try_write_owned().unwrap();
    /// assert!(lock.try_read_owned().is_none());
    /// *guard += 1;
    /// assert_eq!(*guard, 2);
    /// ```
    pub fn try_write_owned(self: Arc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        self.raw.try_write().then(|| OwnedRwLockWriteGuard { lock: self })
    }
}

pin_project! {
    /// The future of [`RwLock::read_owned`].
    ///
    /// It is queued at its first poll that finds a writer, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ReadOwned<T: ?Sized> {
        // Dropped first: it takes itself out of the queue of the lock.
        #[pin]
        waiter: Waiter<'static>,
        // Until it is ready.
        lock: Option<Arc<RwLock<T>>>,
        place: &'static Location<'static>,
    }
}

impl<T: ?Sized> Future for ReadOwned<T> {
    type Output = OwnedRwLockReadGuard<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<OwnedRwLockReadGuard<T>> {
        const READY: &str = "`ReadOwned` is polled after it was ready";
        let this = self.project();
        let raw = ptr::from_ref(&this.lock.as_ref().expect(READY).raw);
        // SAFETY: `lock` keeps it alive until the waiter has what it waits for, and so has
        // forgotten it, or is dropped: that is the field before.
        let raw: &'static RawRwLock = unsafe { &*raw };
        let turn = Turn::of_task();
        let polled = raw
            .poll_read(this.waiter, context.waker(), turn)
            .map(|()| OwnedRwLockReadGuard { lock: this.lock.take().expect(READY) });
        if polled.is_pending() {
            probe::task_waits("the read lock of a rwlock", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for ReadOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOwned").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`RwLock::write_owned`].
    ///
    /// It is queued at its first poll that finds the lock taken, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WriteOwned<T: ?Sized> {
        // Dropped first: it takes itself out of the queue of the lock.
        #[pin]
        waiter: Waiter<'static>,
        // Until it is ready.
        lock: Option<Arc<RwLock<T>>>,
        place: &'static Location<'static>,
    }
}

impl<T: ?Sized> Future for WriteOwned<T> {
    type Output = OwnedRwLockWriteGuard<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<OwnedRwLockWriteGuard<T>> {
        const READY: &str = "`WriteOwned` is polled after it was ready";
        let this = self.project();
        let raw = ptr::from_ref(&this.lock.as_ref().expect(READY).raw);
        // SAFETY: `lock` keeps it alive until the waiter has what it waits for, and so has
        // forgotten it, or is dropped: that is the field before.
        let raw: &'static RawRwLock = unsafe { &*raw };
        let turn = Turn::of_task();
        let polled = raw
            .poll_write(this.waiter, context.waker(), turn)
            .map(|()| OwnedRwLockWriteGuard { lock: this.lock.take().expect(READY) });
        if polled.is_pending() {
            probe::task_waits("the write lock of a rwlock", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for WriteOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOwned").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

/// The value of a [`RwLock`], for one who reads, as [`RwLockReadGuard`](super::RwLockReadGuard);
/// but it keeps the lock alive instead of borrowing it.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct OwnedRwLockReadGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

impl<T: ?Sized> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard keeps writers out, and is borrowed for as long as the value.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> Drop for OwnedRwLockReadGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_read();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// The value of a [`RwLock`], for the one who writes, as
/// [`RwLockWriteGuard`](super::RwLockWriteGuard); but it keeps the lock alive instead of borrowing
/// it. Dropping it frees the lock.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// As [`RwLockWriteGuard::downgrade`](super::RwLockWriteGuard::downgrade).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{OwnedRwLockWriteGuard, RwLock};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let mut guard = Arc::clone(&lock).try_write_owned().unwrap();
    /// *guard += 1;
    /// let guard = OwnedRwLockWriteGuard::downgrade(guard);
    /// assert_eq!(*guard + *lock.try_read().unwrap(), 4);
    /// ```
    pub fn downgrade(guard: OwnedRwLockWriteGuard<T>) -> OwnedRwLockReadGuard<T> {
        let lock = guard.keep();
        lock.raw.downgrade();
        OwnedRwLockReadGuard { lock }
    }

    /// As [`RwLockWriteGuard::unlock_fair`](super::RwLockWriteGuard::unlock_fair).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{OwnedRwLockWriteGuard, RwLock};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// OwnedRwLockWriteGuard::unlock_fair(Arc::clone(&lock).try_write_owned().unwrap());
    /// assert!(lock.try_write().is_some());
    /// ```
    pub fn unlock_fair(guard: OwnedRwLockWriteGuard<T>) {
        guard.keep().raw.unlock_write_fair();
    }

    /// The lock, which the caller has from now on.
    fn keep(self) -> Arc<RwLock<T>> {
        let guard = ManuallyDrop::new(self);
        // SAFETY: the guard is neither used nor dropped after this.
        unsafe { ptr::read(&raw const guard.lock) }
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedRwLockWriteGuard<T> {
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

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn assert_send_and_sync<T: Send + Sync + 'static>(_: &T) {}

    #[test]
    fn what_may_go_to_other_threads_does() {
        let lock = Arc::new(RwLock::new(1));
        assert_send_and_sync(&Arc::clone(&lock).read_owned());
        assert_send_and_sync(&Arc::clone(&lock).write_owned());
        assert_send_and_sync(&Arc::clone(&lock).try_read_owned().unwrap());
        assert_send_and_sync(&lock.try_write_owned().unwrap());
    }

    #[test]
    fn guards_keep_the_lock_alive_and_drop_the_value_once() {
        let value = Arc::new(());
        let lock = Arc::new(RwLock::new(Arc::clone(&value)));
        let guard = Arc::clone(&lock).try_read_owned().unwrap();
        let other = Arc::clone(&lock).try_read_owned().unwrap();
        assert!(Arc::clone(&lock).try_write_owned().is_none());
        drop(other);
        drop(lock);
        assert!(Arc::ptr_eq(&guard, &value));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(guard);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_downgrade_and_a_fair_unlock_lose_no_reference() {
        let lock = Arc::new(RwLock::new(1));
        let mut guard = Arc::clone(&lock).try_write_owned().unwrap();
        *guard = 2;
        assert_eq!(format!("{guard} {guard:?}"), "2 2");
        let mut read = pin!(Arc::clone(&lock).read_owned());
        assert!(poll(read.as_mut()).is_pending());
        let guard = OwnedRwLockWriteGuard::downgrade(guard);
        assert_eq!(format!("{guard} {guard:?}"), "2 2");
        assert!(poll(read).is_ready());
        drop(guard);
        OwnedRwLockWriteGuard::unlock_fair(Arc::clone(&lock).try_write_owned().unwrap());
        assert_eq!(Arc::strong_count(&lock), 1);
        assert_eq!(Arc::into_inner(lock).unwrap().into_inner(), 2);
    }

    #[test]
    fn dropped_futures_give_up_their_places_and_the_lock() {
        let lock = Arc::new(RwLock::new(1));
        let guard = Arc::clone(&lock).try_write_owned().unwrap();
        let mut read = Box::pin(Arc::clone(&lock).read_owned());
        let mut first = Box::pin(Arc::clone(&lock).write_owned());
        let mut second = Box::pin(Arc::clone(&lock).write_owned());
        assert!(poll(read.as_mut()).is_pending());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        drop(first);
        drop(guard);
        assert!(poll(second.as_mut()).is_pending());
        drop(read);
        assert_eq!(poll(second.as_mut()).map(|guard| *guard), Poll::Ready(1));
        drop(second);
        assert_eq!(Arc::strong_count(&lock), 1);
    }

    #[test]
    fn a_future_may_be_the_last_owner() {
        let value = Arc::new(());
        let lock = Arc::new(RwLock::new(Arc::clone(&value)));
        std::mem::forget(lock.try_write());
        let mut read = Box::pin(Arc::clone(&lock).read_owned());
        assert!(poll(read.as_mut()).is_pending());
        drop(lock);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(read);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn futures_are_ready_once() {
        let lock = Arc::new(RwLock::new(1));
        let mut read = Box::pin(Arc::clone(&lock).read_owned());
        assert!(poll(read.as_mut()).is_ready());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(read.as_mut()).is_ready())).is_err());
        let mut write = Box::pin(Arc::clone(&lock).write_owned());
        assert!(poll(write.as_mut()).is_ready());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(write.as_mut()).is_ready())).is_err());
        assert_eq!(Arc::strong_count(&lock), 1);
    }
}
