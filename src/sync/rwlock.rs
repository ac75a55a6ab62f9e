//! The lock that many readers share.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::raw_rwlock::RawRwLock;
use super::rwlock_guard::{RwLockReadGuard, RwLockWriteGuard};
use crate::platform::probe;
use crate::platform::sync::{UnsafeCell, const_fn};
use crate::waiter::{Turn, Waiter, block_on};

/// A lock around a value, for tasks: any number of readers share the value, or one writer has it
/// to itself, also across an `.await`.
///
/// It needs no runtime and no heap, may stand in a `static`, and works under any executor.
///
/// Those who wait are served first come, first served, readers up to the next writer together. A
/// writer that waits stops new readers, so that they cannot keep it waiting for ever. A task that
/// runs and asks to write just when the lock becomes free may overtake the first who waits, at
/// most four times. [`RwLockWriteGuard::unlock_fair`] hands the lock over at once.
///
/// So a task that reads, and waits to read once more, waits for ever if a writer came meanwhile:
/// that waits for the task's first guard.
///
/// The lock is freed when its guards are dropped, also by a panic. It is not poisoned: the next
/// one finds the value as the panic left it.
///
/// | level | call |
/// |---|---|
/// | try | [`try_read`], [`try_write`] |
/// | await | [`read`], [`write`], [`read_owned`], [`write_owned`] |
/// | future | [`Read`], [`Write`], [`ReadOwned`], [`WriteOwned`] |
/// | waiter | [`read_wait`], [`cancel_read`], [`write_wait`], [`cancel_write`] |
/// | plain thread | [`blocking_read`], [`blocking_write`] |
///
/// # Panics
/// When more than `usize::MAX / 16` readers share it, on every call that would let another one in:
/// their guards were forgotten, by [`mem::forget`](std::mem::forget).
///
/// ```
/// use std::sync::Arc;
/// use volt::sync::RwLock;
///
/// volt::run(|io| async move {
///     let names = Arc::new(RwLock::new(vec!["Ada"]));
///     let guard = names.read().await;
///     let task = io.spawn({
///         let names = Arc::clone(&names);
///         async move { names.write().await.push("Grace") }
///     });
///     assert_eq!(guard.len(), 1);
///     drop(guard);
///     task.await.unwrap();
///     assert_eq!(*names.read().await, ["Ada", "Grace"]);
/// });
/// ```
///
/// [`try_read`]: RwLock::try_read
/// [`try_write`]: RwLock::try_write
/// [`read`]: RwLock::read
/// [`write`]: RwLock::write
/// [`read_owned`]: RwLock::read_owned
/// [`write_owned`]: RwLock::write_owned
/// [`read_wait`]: RwLock::read_wait
/// [`cancel_read`]: RwLock::cancel_read
/// [`write_wait`]: RwLock::write_wait
/// [`cancel_write`]: RwLock::cancel_write
/// [`blocking_read`]: RwLock::blocking_read
/// [`blocking_write`]: RwLock::blocking_write
/// [`ReadOwned`]: super::ReadOwned
/// [`WriteOwned`]: super::WriteOwned
pub struct RwLock<T: ?Sized> {
    pub(super) raw: RawRwLock,
    pub(super) value: UnsafeCell<T>,
}

// SAFETY: the value goes where the lock goes.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers on several threads share the value, which is `Sync`; or one thread has it to
// itself, and it is `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use volt::sync::RwLock;
        ///
        /// static NAMES: RwLock<Vec<String>> = RwLock::new(Vec::new());
        ///
        /// NAMES.try_write().unwrap().push("Ada".to_owned());
        /// assert_eq!(NAMES.try_read().unwrap().len(), 1);
        /// ```
        pub fn new(value: T) -> RwLock<T> {
            RwLock { raw: RawRwLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value, without the lock.
    ///
    /// ```
    /// let lock = volt::sync::RwLock::new(1);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until it may read. Other readers may read at the same time.
    ///
    /// Whoever has the lock and waits for it again may wait for ever: see [the type](RwLock).
    ///
    /// Cancel safety: a future that is dropped before it is ready gives up its place in the queue.
    /// If it was let in already, it leaves.
    ///
    /// ```
    /// volt::run(|_| async {
    ///     let lock = volt::sync::RwLock::new(1);
    ///     let (one, other) = (lock.read().await, lock.read().await);
    ///     assert_eq!(*one + *other, 2);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> Read<'_, T> {
        Read { waiter: Waiter::of_future(), lock: Some(self), place: Location::caller() }
    }

    /// Waits until it may write: until nobody else has the lock.
    ///
    /// Whoever has the lock and waits for it again waits for ever.
    ///
    /// Cancel safety: a future that is dropped before it is ready gives up its place in the queue,
    /// and lets in the readers that waited for it alone. If the lock was handed to it already,
    /// that goes to the next one.
    ///
    /// ```
    /// volt::run(|_| async {
    ///     let lock = volt::sync::RwLock::new(1);
    ///     *lock.write().await += 1;
    ///     assert_eq!(*lock.read().await, 2);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> Write<'_, T> {
        Write { waiter: Waiter::of_future(), lock: Some(self), place: Location::caller() }
    }

    /// Reads, if no writer has the lock or waits for it.
    ///
    /// ```
    /// let lock = volt::sync::RwLock::new(1);
    /// let guard = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_some());
    /// assert!(lock.try_write().is_none());
    /// assert_eq!(*guard, 1);
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_read().then(|| RwLockReadGuard::new(self))
    }

    /// Writes, if nobody has the lock. It may overtake those who wait, as often as
    /// [the type](RwLock) says.
    ///
    /// ```
    /// let lock = volt::sync::RwLock::new(1);
    /// let guard = lock.try_write().unwrap();
    /// assert!(lock.try_write().is_none());
    /// assert!(lock.try_read().is_none());
    /// drop(guard);
    /// assert!(lock.try_write().is_some());
    /// ```
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_write().then(|| RwLockWriteGuard::new(self))
    }

    /// Reads, or queues `waiter`, whose waker is called when this is to be called again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else, or to write.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{RwLock, Waiter};
    ///
    /// let lock = RwLock::new(1);
    /// let guard = lock.try_write().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(lock.read_wait(waiter.as_mut()).is_none());
    /// drop(guard);
    /// assert_eq!(*lock.read_wait(waiter.as_mut()).unwrap(), 1);
    /// ```
    #[track_caller]
    pub fn read_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<RwLockReadGuard<'a, T>> {
        let waker = waiter.own_waker();
        let polled = self.raw.poll_read(waiter, &waker, Turn::Take);
        polled.is_ready().then(|| RwLockReadGuard::new(self))
    }

    /// Writes, or queues `waiter`, whose waker is called when this is to be called again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else, or to read.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{RwLock, Waiter};
    ///
    /// let lock = RwLock::new(1);
    /// let guard = lock.try_read().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(lock.write_wait(waiter.as_mut()).is_none());
    /// drop(guard);
    /// *lock.write_wait(waiter.as_mut()).unwrap() += 1;
    /// assert_eq!(*lock.try_read().unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn write_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
    ) -> Option<RwLockWriteGuard<'a, T>> {
        let waker = waiter.own_waker();
        let polled = self.raw.poll_write(waiter, &waker, Turn::Take);
        polled.is_ready().then(|| RwLockWriteGuard::new(self))
    }

    /// Ends the wait of `waiter`, if it waits to read. If it was let in already, it leaves.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{RwLock, Waiter};
    ///
    /// let lock = RwLock::new(1);
    /// let guard = lock.try_write().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(lock.read_wait(waiter.as_mut()).is_none());
    /// drop(guard);
    /// assert!(waiter.is_ready() && lock.try_write().is_none());
    /// lock.cancel_read(waiter.as_mut());
    /// assert!(lock.try_write().is_some());
    /// ```
    #[track_caller]
    pub fn cancel_read(&self, waiter: Pin<&mut Waiter<'_>>) {
        self.cancel(waiter);
    }

    /// Ends the wait of `waiter`, if it waits to write; the readers that waited for it alone come
    /// in. If the lock was handed to it already, that goes to the next one.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{RwLock, Waiter};
    ///
    /// let lock = RwLock::new(1);
    /// let _guard = lock.try_read().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(lock.write_wait(waiter.as_mut()).is_none());
    /// assert!(lock.try_read().is_none());
    /// lock.cancel_write(waiter.as_mut());
    /// assert!(lock.try_read().is_some());
    /// ```
    #[track_caller]
    pub fn cancel_write(&self, waiter: Pin<&mut Waiter<'_>>) {
        self.cancel(waiter);
    }

    #[track_caller]
    fn cancel(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// Waits on the calling thread until it may read, as [`read`](RwLock::read) does in a task.
    ///
    /// # Panics
    /// If a task calls it: its worker would be kept from all others.
    ///
    /// ```
    /// let lock = volt::sync::RwLock::new(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert_eq!(*lock.blocking_read(), 1));
    ///     scope.spawn(|| assert_eq!(*lock.blocking_read(), 1));
    /// });
    /// ```
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        block_on("blocking_read", "read", self.read())
    }

    /// Waits on the calling thread until it may write, as [`write`](RwLock::write) does in a task.
    ///
    /// # Panics
    /// If a task calls it: its worker would be kept from all others.
    ///
    /// ```
    /// let lock = volt::sync::RwLock::new(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| *lock.blocking_write() += 1);
    ///     scope.spawn(|| *lock.blocking_write() += 1);
    /// });
    /// assert_eq!(lock.into_inner(), 3);
    /// ```
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        block_on("blocking_write", "write", self.write())
    }

    /// The value, which nobody else can have: no lock is needed.
    ///
    /// ```
    /// let mut lock = volt::sync::RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: the lock is the caller's alone.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => lock.field("value", &&*guard),
            None => lock.field("value", &format_args!("<locked>")),
        };
        lock.finish()
    }
}

pin_project! {
    /// The future of [`RwLock::read`].
    ///
    /// It is queued at its first poll that finds a writer, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Read<'a, T: ?Sized> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        // Until it is ready.
        lock: Option<&'a RwLock<T>>,
        place: &'static Location<'static>,
    }
}

impl<'a, T: ?Sized> Future for Read<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<RwLockReadGuard<'a, T>> {
        let this = self.project();
        let lock: &'a RwLock<T> = this.lock.expect("`Read` is polled after it was ready");
        let turn = Turn::of_task();
        let polled = lock.raw.poll_read(this.waiter, context.waker(), turn).map(|()| {
            *this.lock = None;
            RwLockReadGuard::new(lock)
        });
        if polled.is_pending() {
            probe::task_waits("the read lock of a rwlock", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for Read<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`RwLock::write`].
    ///
    /// It is queued at its first poll that finds the lock taken, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Write<'a, T: ?Sized> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        // Until it is ready.
        lock: Option<&'a RwLock<T>>,
        place: &'static Location<'static>,
    }
}

impl<'a, T: ?Sized> Future for Write<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<RwLockWriteGuard<'a, T>> {
        let this = self.project();
        let lock: &'a RwLock<T> = this.lock.expect("`Write` is polled after it was ready");
        let turn = Turn::of_task();
        let polled = lock.raw.poll_write(this.waiter, context.waker(), turn).map(|()| {
            *this.lock = None;
            RwLockWriteGuard::new(lock)
        });
        if polled.is_pending() {
            probe::task_waits("the write lock of a rwlock", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for Write<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::thread;

    use super::*;
    use crate::coop;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn assert_send_and_sync<T: Send + Sync>(_: &T) {}
    fn assert_send<T: Send>(_: &T) {}

    #[test]
    fn what_may_go_to_other_threads_does() {
        let lock = RwLock::new(1);
        assert_send_and_sync(&lock);
        assert_send_and_sync(&lock.read());
        assert_send_and_sync(&lock.write());
        assert_send(&RwLock::new(std::cell::Cell::new(1)));
    }

    #[test]
    fn a_static_needs_no_set_up() {
        static COUNT: RwLock<u32> = RwLock::new(0);
        *COUNT.try_write().unwrap() += 1;
        *COUNT.blocking_write() += 1;
        assert_eq!(*COUNT.blocking_read(), 2);
    }

    #[test]
    fn the_value_comes_and_goes() {
        let mut lock: RwLock<String> = RwLock::default();
        lock.get_mut().push('a');
        assert_eq!(format!("{lock:?}"), "RwLock { value: \"a\" }");
        let guard = lock.try_write();
        assert_eq!(format!("{lock:?}"), "RwLock { value: <locked> }");
        drop(guard);
        assert_eq!(lock.into_inner(), "a");

        let value = Arc::new(());
        drop(RwLock::from(Arc::clone(&value)));
        assert_eq!(Arc::strong_count(&value), 1);

        let numbers: &RwLock<[u32]> = &RwLock::new([1, 2, 3]);
        assert_eq!(numbers.try_read().unwrap().len(), 3);
    }

    #[test]
    fn whoever_panics_frees_the_lock() {
        let lock = RwLock::new(1);
        let writer = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = lock.try_write().unwrap();
            *guard = 2;
            panic!("planned");
        }));
        assert!(writer.is_err());
        let reader = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.try_read().unwrap();
            panic!("planned");
        }));
        assert!(reader.is_err());
        assert_eq!(*lock.try_write().unwrap(), 2);
    }

    #[test]
    fn futures_that_are_never_polled_take_nothing() {
        let lock = RwLock::new(1);
        let (read, write) = (lock.read(), lock.write());
        assert!(lock.try_write().is_some());
        drop((read, write));
        assert!(lock.try_write().is_some());
    }

    #[test]
    fn a_writer_that_waits_stops_readers_until_it_is_dropped() {
        let lock = RwLock::new(1);
        let _guard = lock.try_read().unwrap();
        let mut write = Box::pin(lock.write());
        let mut read = pin!(lock.read());
        assert!(poll(write.as_mut()).is_pending());
        assert!(poll(read.as_mut()).is_pending());
        assert!(lock.try_read().is_none());
        drop(write);
        assert_eq!(poll(read).map(|guard| *guard), Poll::Ready(1));
    }

    #[test]
    fn what_a_dropped_future_was_given_goes_to_the_next() {
        let lock = RwLock::new(1);
        let guard = lock.try_write().unwrap();
        let mut read = Box::pin(lock.read());
        let mut write = Box::pin(lock.write());
        let mut last = pin!(lock.read());
        assert!(poll(read.as_mut()).is_pending());
        assert!(poll(write.as_mut()).is_pending());
        assert!(poll(last.as_mut()).is_pending());
        drop(guard);
        assert!(poll(write.as_mut()).is_pending());
        drop(read);
        let guard = match poll(write.as_mut()) {
            Poll::Ready(guard) => guard,
            Poll::Pending => panic!("the reader is gone"),
        };
        assert!(poll(last.as_mut()).is_pending());
        drop(guard);
        assert_eq!(poll(last).map(|guard| *guard), Poll::Ready(1));
    }

    #[test]
    fn tasks_without_a_budget_are_queued_and_come_again() {
        let lock = RwLock::new(1);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let (mut write, mut read) = (pin!(lock.write()), pin!(lock.read()));
        coop::with_budget(2, || {
            assert!(pin!(lock.read()).poll(&mut context).is_ready());
            assert!(pin!(lock.write()).poll(&mut context).is_ready());
            assert!(write.as_mut().poll(&mut context).is_pending());
            assert!(read.as_mut().poll(&mut context).is_pending());
        });
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(lock.try_read().is_none());
        assert!(read.as_mut().poll(&mut context).is_pending(), "the writer came first");
        assert!(write.as_mut().poll(&mut context).is_ready());
        coop::with_budget(0, || {
            assert!(read.as_mut().poll(&mut context).is_ready(), "what it was given it may have");
        });
    }

    #[test]
    #[should_panic(expected = "`Read` is polled after it was ready")]
    fn a_read_is_ready_once() {
        let lock = RwLock::new(1);
        let mut read = pin!(lock.read());
        assert!(poll(read.as_mut()).is_ready());
        let _ = poll(read);
    }

    #[test]
    #[should_panic(expected = "`Write` is polled after it was ready")]
    fn a_write_is_ready_once() {
        let lock = RwLock::new(1);
        let mut write = pin!(lock.write());
        assert!(poll(write.as_mut()).is_ready());
        let _ = poll(write);
    }

    #[test]
    fn waiters_of_both_kinds_wait_without_a_future() {
        let lock = RwLock::new(1);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut writer = pin!(Waiter::new(waker.clone()));
        let mut reader = pin!(Waiter::new(waker));
        let guard = lock.read_wait(reader.as_mut()).unwrap();
        assert!(lock.write_wait(writer.as_mut()).is_none());
        assert!(lock.read_wait(reader.as_mut()).is_none());
        drop(guard);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        *lock.write_wait(writer.as_mut()).unwrap() += 1;
        assert!(reader.is_ready());
        assert_eq!(*lock.read_wait(reader.as_mut()).unwrap(), 2);
        lock.cancel_read(reader);
        lock.cancel_write(writer);
        assert!(lock.try_write().is_some());
    }

    #[test]
    #[should_panic(expected = "call `read` and await it")]
    fn a_task_may_not_block_its_worker() {
        let lock = RwLock::new(1);
        coop::with_budget(1, || drop(lock.blocking_read()));
    }

    #[test]
    fn threads_read_and_write() {
        let lock = RwLock::new((0_u32, 0_u32));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut guard = lock.blocking_write();
                        guard.0 += 1;
                        guard.1 += 1;
                    }
                });
                scope.spawn(|| {
                    for _ in 0..200 {
                        let guard = lock.blocking_read();
                        assert_eq!(guard.0, guard.1);
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), (400, 400));
    }
}
