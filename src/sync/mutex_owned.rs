//! The lock of a [`Mutex`] that is shared by `Arc`: its guards borrow nothing.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::mutex::Mutex;
use super::raw_mutex::RawMutex;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

impl<T: ?Sized> Mutex<T> {
    /// As [`lock`](Mutex::lock), with a guard that keeps the mutex alive and borrows nothing.
    ///
    /// Cancel safety: as [`lock`](Mutex::lock).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::Mutex;
    ///
    /// volt::run(|io| async move {
    ///     let mutex = Arc::new(Mutex::new(1));
    ///     let mut guard = Arc::clone(&mutex).lock_owned().await;
    ///     io.spawn(async move { *guard += 1 }).await.unwrap();
    ///     assert_eq!(*mutex.lock().await, 2);
    /// });
    /// ```
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> LockOwned<T> {
        LockOwned { waiter: Waiter::of_future(), mutex: Some(self), place: Location::caller() }
    }

    /// As [`try_lock`](Mutex::try_lock), with a guard that keeps the mutex alive and borrows
    /// nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::Mutex;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    /// assert!(mutex.try_lock_owned().is_none());
    /// assert_eq!(*guard, 1);
    /// ```
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        self.raw.try_lock().then(|| OwnedMutexGuard::new(self))
    }
}

pin_project! {
    /// The future of [`Mutex::lock_owned`].
    ///
    /// It is queued at its first poll that finds the lock taken, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct LockOwned<T: ?Sized> {
        // Dropped first: it takes itself out of the list of the mutex.
        #[pin]
        waiter: Waiter<'static>,
        // Until it is ready.
        mutex: Option<Arc<Mutex<T>>>,
        place: &'static Location<'static>,
    }
}

impl<T: ?Sized> Future for LockOwned<T> {
    type Output = OwnedMutexGuard<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<OwnedMutexGuard<T>> {
        const READY: &str = "`LockOwned` is polled after it was ready";
        let this = self.project();
        let raw = ptr::from_ref(&this.mutex.as_ref().expect(READY).raw);
        // SAFETY: `mutex` keeps it alive until the waiter has the lock, and so has forgotten it,
        // or is dropped: that is the field before.
        let raw: &'static RawMutex = unsafe { &*raw };
        let turn = Turn::of_task();
        let polled = raw.poll_lock(this.waiter, context.waker(), turn).map(|()| {
            let mutex = this.mutex.take().expect(READY);
            OwnedMutexGuard::new(mutex)
        });
        if polled.is_pending() {
            probe::task_waits("the lock of a mutex", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for LockOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOwned").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

/// The value of a [`Mutex`], for whoever has the lock, as [`MutexGuard`](super::MutexGuard); but
/// it keeps the mutex alive instead of borrowing it. Dropping it frees the lock.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    held: PhantomData<T>,
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The caller has the lock.
    fn new(mutex: Arc<Mutex<T>>) -> OwnedMutexGuard<T> {
        OwnedMutexGuard { mutex, held: PhantomData }
    }

    /// The mutex whose lock this is.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{Mutex, OwnedMutexGuard};
    ///
    /// let guard = Arc::new(Mutex::new(1)).try_lock_owned().unwrap();
    /// let mutex = Arc::clone(OwnedMutexGuard::mutex(&guard));
    /// drop(guard);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn mutex(guard: &OwnedMutexGuard<T>) -> &Arc<Mutex<T>> {
        &guard.mutex
    }

    /// A guard of a part of the value. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{Mutex, OwnedMutexGuard};
    ///
    /// let guard = Arc::new(Mutex::new((1, "one"))).try_lock_owned().unwrap();
    /// let number = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
    /// assert_eq!(*number, 1);
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: OwnedMutexGuard<T>,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> OwnedMappedMutexGuard<T, U> {
        let whole: &mut T = &mut guard;
        let part = NonNull::from(f(whole));
        OwnedMappedMutexGuard { mutex: guard.keep(), part, held: PhantomData }
    }

    /// As [`MutexGuard::unlock_fair`](super::MutexGuard::unlock_fair).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{Mutex, OwnedMutexGuard};
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// OwnedMutexGuard::unlock_fair(Arc::clone(&mutex).try_lock_owned().unwrap());
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: OwnedMutexGuard<T>) {
        guard.keep().raw.unlock_fair();
    }

    /// The mutex, whose lock the caller has from now on.
    fn keep(self) -> Arc<Mutex<T>> {
        let guard = ManuallyDrop::new(self);
        // SAFETY: the guard is neither used nor dropped after this.
        unsafe { ptr::read(&raw const guard.mutex) }
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// A part of the value of a [`Mutex`], made by [`OwnedMutexGuard::map`]. Dropping it frees the
/// lock.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized> {
    mutex: Arc<Mutex<T>>,
    part: NonNull<U>,
    held: PhantomData<*mut U>,
}

// SAFETY: it is a `&mut U`, and an `Arc` of a mutex, which frees the value where it is dropped.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: through a shared reference there is a `&U` alone.
unsafe impl<T: ?Sized + Send, U: ?Sized + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    /// A guard of a part of the part. If `f` panics, the lock is freed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
    ///
    /// let guard = Arc::new(Mutex::new(([1, 2], "numbers"))).try_lock_owned().unwrap();
    /// let numbers = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
    /// let second = OwnedMappedMutexGuard::map(numbers, |numbers| &mut numbers[1]);
    /// assert_eq!(*second, 2);
    /// ```
    pub fn map<V: ?Sized>(
        mut guard: OwnedMappedMutexGuard<T, U>,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedMappedMutexGuard<T, V> {
        let whole: &mut U = &mut guard;
        let part = NonNull::from(f(whole));
        OwnedMappedMutexGuard { mutex: guard.keep(), part, held: PhantomData }
    }

    /// As [`MutexGuard::unlock_fair`](super::MutexGuard::unlock_fair).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
    ///
    /// let mutex = Arc::new(Mutex::new((1, 2)));
    /// let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    /// let first = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
    /// OwnedMappedMutexGuard::unlock_fair(first);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: OwnedMappedMutexGuard<T, U>) {
        guard.keep().raw.unlock_fair();
    }

    /// The mutex, whose lock the caller has from now on.
    fn keep(self) -> Arc<Mutex<T>> {
        let guard = ManuallyDrop::new(self);
        // SAFETY: the guard is neither used nor dropped after this.
        unsafe { ptr::read(&raw const guard.mutex) }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedMutexGuard<T, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the guard has the lock, and is borrowed for as long as the value.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedMappedMutexGuard<T, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: the guard has the lock, and is the caller's alone for as long as the value.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedMappedMutexGuard<T, U> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;
    use std::thread;

    use super::*;
    use crate::coop;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn assert_sendable<T: Send + Sync + 'static>(_: &T) {}

    #[test]
    fn what_is_owned_may_go_to_other_threads() {
        let mutex = Arc::new(Mutex::new((1, 2)));
        assert_sendable(&Arc::clone(&mutex).lock_owned());
        let guard = mutex.try_lock_owned().unwrap();
        assert_sendable(&guard);
        let mut first = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
        let mutex = Arc::clone(&first.mutex);
        thread::spawn(move || *first = 3).join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), (3, 2));
    }

    #[test]
    fn a_guard_keeps_the_mutex_until_the_lock_is_free() {
        let value = Arc::new(());
        let guard = Arc::new(Mutex::new(Arc::clone(&value))).try_lock_owned().unwrap();
        let mutex = Arc::downgrade(OwnedMutexGuard::mutex(&guard));
        assert_eq!((mutex.strong_count(), Arc::strong_count(&value)), (1, 2));
        let mapped = OwnedMutexGuard::map(guard, |value| value);
        let mapped = OwnedMappedMutexGuard::map(mapped, |value| value);
        assert_eq!((mutex.strong_count(), Arc::strong_count(&value)), (1, 2));
        OwnedMappedMutexGuard::unlock_fair(mapped);
        assert_eq!((mutex.strong_count(), Arc::strong_count(&value)), (0, 1));
    }

    #[test]
    fn a_future_keeps_the_mutex_until_its_waiter_is_gone() {
        let mutex = Arc::new(Mutex::new(1));
        let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
        let mut first = Box::pin(Arc::clone(&mutex).lock_owned());
        let mut second = Box::pin(mutex.lock_owned());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        OwnedMutexGuard::unlock_fair(guard);
        // It was handed the lock, which goes to the other one; and that is the last to have it.
        drop(first);
        drop(second);
    }

    #[test]
    fn a_dropped_future_hands_the_lock_on() {
        let mutex = Arc::new(Mutex::new(1));
        let guard = mutex.try_lock().unwrap();
        let mut first = Box::pin(Arc::clone(&mutex).lock_owned());
        let mut second = pin!(Arc::clone(&mutex).lock_owned());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        drop(guard);
        drop(first);
        let Poll::Ready(guard) = poll(second.as_mut()) else { panic!("the lock is lost") };
        assert!(mutex.is_locked());
        drop(guard);
        assert!(!mutex.is_locked());
    }

    #[test]
    fn a_task_without_a_budget_is_queued() {
        let mutex = Arc::new(Mutex::new(1));
        let mut lock = pin!(Arc::clone(&mutex).lock_owned());
        coop::with_budget(0, || assert!(poll(lock.as_mut()).is_pending()));
        OwnedMutexGuard::unlock_fair(Arc::clone(&mutex).try_lock_owned().unwrap());
        assert!(mutex.is_locked());
        assert!(poll(lock.as_mut()).is_ready());
    }

    #[test]
    fn a_map_that_panics_frees_the_lock() {
        let mutex = Arc::new(Mutex::new(1));
        let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            drop(OwnedMutexGuard::map::<i32>(guard, |_| panic!("planned")));
        }));
        assert!(mapped.is_err());
        assert!(!mutex.is_locked());
        assert_eq!(Arc::strong_count(&mutex), 1);
    }

    #[test]
    #[should_panic(expected = "`LockOwned` is polled after it was ready")]
    fn a_future_is_ready_once() {
        let mut lock = pin!(Arc::new(Mutex::new(1)).lock_owned());
        assert!(poll(lock.as_mut()).is_ready());
        let _ = poll(lock);
    }
}
