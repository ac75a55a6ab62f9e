//! The lock that tasks wait for.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::mutex_guard::MutexGuard;
use super::raw_mutex::RawMutex;
use crate::platform::probe;
use crate::platform::sync::{UnsafeCell, const_fn};
use crate::waiter::{Turn, Waiter, block_on};

/// A lock around a value, for tasks: one holder at a time has the value, also across an `.await`.
///
/// It needs no runtime and no heap, may stand in a `static`, and works under any executor. Those
/// who wait are served first come, first served. A task that runs and asks for the lock just when
/// it becomes free may overtake the first of them, at most 16 times; then the lock is handed
/// over to that. [`MutexGuard::unlock_fair`] hands it over at once.
///
/// The lock is freed when its guard is dropped, also by a panic. It is not poisoned: the next
/// holder finds the value as the panic left it.
///
/// | level | call |
/// |---|---|
/// | try | [`try_lock`](Mutex::try_lock) |
/// | await | [`lock`](Mutex::lock), [`lock_owned`](Mutex::lock_owned) |
/// | future | [`Lock`], [`LockOwned`](super::LockOwned) |
/// | waiter | [`lock_wait`](Mutex::lock_wait), [`cancel_lock`](Mutex::cancel_lock) |
/// | plain thread | [`blocking_lock`](Mutex::blocking_lock) |
///
/// ```
/// use std::sync::Arc;
/// use volt::sync::Mutex;
///
/// volt::run(|io| async move {
///     let sum = Arc::new(Mutex::new(0));
///     let mut tasks = Vec::new();
///     for number in 1..=4 {
///         let sum = Arc::clone(&sum);
///         tasks.push(io.spawn(async move { *sum.lock().await += number }));
///     }
///     for task in tasks {
///         task.await.unwrap();
///     }
///     assert_eq!(*sum.lock().await, 10);
/// });
/// ```
pub struct Mutex<T: ?Sized> {
    pub(super) raw: RawMutex,
    pub(super) value: UnsafeCell<T>,
}

// SAFETY: the value goes where the mutex goes.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: one thread at a time has the lock, and with it the value.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use volt::sync::Mutex;
        ///
        /// static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        ///
        /// NAMES.try_lock().unwrap().push("Ada".to_owned());
        /// assert_eq!(NAMES.try_lock().unwrap().len(), 1);
        /// ```
        pub fn new(value: T) -> Mutex<T> {
            Mutex { raw: RawMutex::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value, without the lock.
    ///
    /// ```
    /// let mutex = volt::sync::Mutex::new(1);
    /// *mutex.try_lock().unwrap() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// Whoever has the lock and waits for it again waits for ever.
    ///
    /// Cancel safety: a future that is dropped before it is ready gives up its place in the queue.
    /// If the lock was handed to it already, that goes to the next one.
    ///
    /// ```
    /// volt::run(|_| async {
    ///     let mutex = volt::sync::Mutex::new(1);
    ///     *mutex.lock().await += 1;
    ///     assert_eq!(*mutex.lock().await, 2);
    /// });
    /// ```
    #[track_caller]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { waiter: Waiter::of_future(), mutex: Some(self), place: Location::caller() }
    }

    /// The lock, if it is free. It may overtake those who wait, as often as
    /// [the type](Mutex) says.
    ///
    /// ```
    /// let mutex = volt::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// Takes the lock, or queues `waiter`, whose waker is called when this is to be called again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Mutex, Waiter};
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(mutex.lock_wait(waiter.as_mut()).is_none());
    /// drop(guard);
    /// assert_eq!(*mutex.lock_wait(waiter.as_mut()).unwrap(), 1);
    /// ```
    #[track_caller]
    pub fn lock_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<MutexGuard<'a, T>> {
        let waker = waiter.own_waker();
        let polled = self.raw.poll_lock(waiter, &waker, Turn::Take);
        polled.is_ready().then(|| MutexGuard::new(self))
    }

    /// Ends the wait of `waiter`, if it waits for this lock. If the lock was handed to it already,
    /// that goes to the next one.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Mutex, MutexGuard, Waiter};
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(mutex.lock_wait(waiter.as_mut()).is_none());
    /// MutexGuard::unlock_fair(guard);
    /// assert!(waiter.is_ready() && mutex.is_locked());
    /// mutex.cancel_lock(waiter.as_mut());
    /// assert!(!mutex.is_locked());
    /// ```
    #[track_caller]
    pub fn cancel_lock(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// Waits for the lock on the calling thread, as [`lock`](Mutex::lock) does in a task.
    ///
    /// # Panics
    /// If a task calls it: its worker would be kept from all others.
    ///
    /// ```
    /// let mutex = volt::sync::Mutex::new(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| *mutex.blocking_lock() += 1);
    ///     scope.spawn(|| *mutex.blocking_lock() += 1);
    /// });
    /// assert_eq!(mutex.into_inner(), 3);
    /// ```
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        block_on("blocking_lock", "lock", self.lock())
    }

    /// The value, which nobody else can have: no lock is needed.
    ///
    /// ```
    /// let mut mutex = volt::sync::Mutex::new(1);
    /// *mutex.get_mut() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: the mutex is the caller's alone.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// Whether somebody has the lock. That may have changed when it returns.
    ///
    /// ```
    /// let mutex = volt::sync::Mutex::new(1);
    /// let guard = mutex.try_lock();
    /// assert!(mutex.is_locked());
    /// drop(guard);
    /// assert!(!mutex.is_locked());
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
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
            Some(guard) => mutex.field("value", &&*guard),
            None => mutex.field("value", &format_args!("<locked>")),
        };
        mutex.finish()
    }
}

pin_project! {
    /// The future of [`Mutex::lock`].
    ///
    /// It is queued at its first poll that finds the lock taken, and keeps its place.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Lock<'a, T: ?Sized> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        // Until it is ready.
        mutex: Option<&'a Mutex<T>>,
        place: &'static Location<'static>,
    }
}

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        let this = self.project();
        let mutex: &'a Mutex<T> = this.mutex.expect("`Lock` is polled after it was ready");
        let turn = Turn::of_task();
        let polled = mutex.raw.poll_lock(this.waiter, context.waker(), turn).map(|()| {
            *this.mutex = None;
            MutexGuard::new(mutex)
        });
        if polled.is_pending() {
            probe::task_waits("the lock of a mutex", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("waiter", &self.waiter).finish_non_exhaustive()
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

    #[test]
    fn what_may_go_to_other_threads_does() {
        let mutex = Arc::new(Mutex::new(1));
        assert_send_and_sync(&mutex);
        assert_send_and_sync(&mutex.lock());
        assert_send_and_sync(&Mutex::new(std::cell::Cell::new(1)));
    }

    #[test]
    fn a_static_needs_no_set_up() {
        static COUNT: Mutex<u32> = Mutex::new(0);
        *COUNT.try_lock().unwrap() += 1;
        assert_eq!(*COUNT.blocking_lock(), 1);
    }

    #[test]
    fn the_value_comes_and_goes() {
        let mut mutex: Mutex<String> = Mutex::default();
        mutex.get_mut().push('a');
        assert_eq!(format!("{mutex:?}"), "Mutex { value: \"a\" }");
        let guard = mutex.try_lock();
        assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
        drop(guard);
        assert_eq!(mutex.into_inner(), "a");

        let value = Arc::new(());
        drop(Mutex::from(Arc::clone(&value)));
        assert_eq!(Arc::strong_count(&value), 1);

        let numbers: &Mutex<[u32]> = &Mutex::new([1_u32, 2, 3]);
        assert_eq!(numbers.try_lock().unwrap().len(), 3);
    }

    #[test]
    fn a_holder_that_panics_frees_the_lock() {
        let mutex = Mutex::new(1);
        let holder = catch_unwind(AssertUnwindSafe(|| {
            *mutex.try_lock().unwrap() = 2;
            let _guard = mutex.try_lock().unwrap();
            panic!("planned");
        }));
        assert!(holder.is_err());
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    }

    #[test]
    fn a_future_that_is_never_polled_takes_nothing() {
        let mutex = Mutex::new(1);
        let lock = mutex.lock();
        assert!(mutex.try_lock().is_some());
        drop(lock);
    }

    #[test]
    fn a_future_that_is_dropped_gives_up_its_place() {
        let mutex = Mutex::new(1);
        let guard = mutex.try_lock().unwrap();
        let mut first = Box::pin(mutex.lock());
        let mut second = pin!(mutex.lock());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        drop(first);
        drop(guard);
        assert_eq!(poll(second).map(|guard| *guard), Poll::Ready(1));
    }

    #[test]
    fn a_lock_that_is_handed_to_a_dropped_future_goes_to_the_next() {
        let mutex = Mutex::new(1);
        let guard = mutex.try_lock().unwrap();
        let mut first = Box::pin(mutex.lock());
        let mut second = pin!(mutex.lock());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        MutexGuard::unlock_fair(guard);
        assert!(mutex.is_locked());
        drop(first);
        assert_eq!(poll(second).map(|guard| *guard), Poll::Ready(1));
    }

    #[test]
    fn a_task_without_a_budget_is_queued_and_comes_again() {
        let mutex = Mutex::new(1);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut late = pin!(mutex.lock());
        coop::with_budget(1, || {
            assert!(pin!(mutex.lock()).poll(&mut context).is_ready());
            assert!(late.as_mut().poll(&mut context).is_pending());
        });
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        // It is queued: a fair unlock hands it the lock, which it may have without a budget.
        MutexGuard::unlock_fair(mutex.try_lock().unwrap());
        assert!(mutex.is_locked());
        coop::with_budget(0, || assert!(late.as_mut().poll(&mut context).is_ready()));
    }

    #[test]
    #[should_panic(expected = "`Lock` is polled after it was ready")]
    fn a_future_is_ready_once() {
        let mutex = Mutex::new(1);
        let mut lock = pin!(mutex.lock());
        assert!(poll(lock.as_mut()).is_ready());
        let _ = poll(lock);
    }

    #[test]
    fn a_waiter_of_ones_own_waits_as_a_future_does() {
        let mutex = Mutex::new(1);
        let count = Arc::new(Count::default());
        let guard = mutex.try_lock().unwrap();
        let mut waiter = pin!(Waiter::new(Waker::from(Arc::clone(&count))));
        let mut other = pin!(Waiter::new(Waker::noop().clone()));
        assert!(mutex.lock_wait(waiter.as_mut()).is_none());
        assert!(mutex.lock_wait(other.as_mut()).is_none());
        drop(guard);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let guard = mutex.lock_wait(waiter.as_mut()).unwrap();
        MutexGuard::unlock_fair(guard);
        assert!(other.is_ready());
        mutex.cancel_lock(other.as_mut());
        mutex.cancel_lock(other.as_mut());
        assert!(!other.is_ready() && !mutex.is_locked());
        assert!(mutex.lock_wait(other.as_mut()).is_some());
    }

    #[test]
    #[should_panic(expected = "the waiter waits somewhere else")]
    fn a_waiter_is_not_cancelled_elsewhere() {
        let (here, there) = (Mutex::new(1), Mutex::new(1));
        let _guard = here.try_lock();
        let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
        assert!(here.lock_wait(waiter.as_mut()).is_none());
        there.cancel_lock(waiter);
    }

    #[test]
    fn threads_exclude_each_other() {
        let mutex = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut guard = mutex.blocking_lock();
                        let before = *guard;
                        thread::yield_now();
                        *guard = before + 1;
                    }
                });
            }
        });
        assert_eq!(mutex.into_inner(), 800);
    }

    #[test]
    #[should_panic(expected = "`blocking_lock` is called by a task")]
    fn a_task_may_not_block() {
        let mutex = Mutex::new(1);
        coop::with_budget(1, || drop(mutex.blocking_lock()));
    }
}
