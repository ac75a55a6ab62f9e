//! Waiting for a change of what a [`Mutex`](super::Mutex) protects.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;

use super::condvar_wait::{CondvarWait, CondvarWaitWhile};
use super::mutex_guard::MutexGuard;
use super::raw_condvar::RawCondvar;
use crate::platform::sync::const_fn;
use crate::waiter::{Waiter, block_on};

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

/// Lets tasks wait until the value of a [`Mutex`](super::Mutex) has changed.
///
/// Whoever finds the value not to be as it should waits here, which frees the lock; whoever
/// changes the value notifies. A wait begins before the lock is free, so no change is missed that
/// was made with the lock and notified after that. It ends with the lock, for which those who were
/// notified wait in the order in which they come to it.
///
/// Those who wait are notified first come, first served. There are no wake-ups without a
/// notification; but another task may have had the lock between the notification and the end of
/// the wait, or several may have been notified of one change. So look at the value again, or use
/// [`wait_while`](Condvar::wait_while). A notification is not stored: if nobody waits, nothing
/// happens.
///
/// It needs no runtime and no heap, may stand in a `static`, and works under any executor.
/// Different mutexes may be used with it at the same time: a notification then goes to whoever has
/// waited longest, with whatever mutex.
///
/// | level | call |
/// |---|---|
/// | await | [`wait`](Condvar::wait), [`wait_while`](Condvar::wait_while) |
/// | future | [`CondvarWait`], [`CondvarWaitWhile`] |
/// | waiter | [`notified_wait`](Condvar::notified_wait), and the methods that it names |
/// | plain thread | [`blocking_wait`](Condvar::blocking_wait) |
///
/// ```
/// use std::sync::Arc;
/// use volt::sync::{Condvar, Mutex};
///
/// volt::run(|io| async move {
///     let queue = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let other = Arc::clone(&queue);
///     let consumer = io.spawn(async move {
///         let (items, is_filled) = &*other;
///         let guard = items.lock().await;
///         is_filled.wait_while(guard, |items| items.is_empty()).await.pop()
///     });
///     let (items, is_filled) = &*queue;
///     items.lock().await.push(7);
///     is_filled.notify_one();
///     assert_eq!(consumer.await.unwrap(), Some(7));
/// });
/// ```
pub struct Condvar {
    raw: RawCondvar,
}

impl Condvar {
    const_fn! {
        /// Nobody waits.
        ///
        /// ```
        /// use volt::sync::{Condvar, Mutex};
        ///
        /// static IS_OPEN: Mutex<bool> = Mutex::new(false);
        /// static OPENED: Condvar = Condvar::new();
        ///
        /// *IS_OPEN.try_lock().unwrap() = true;
        /// OPENED.notify_all();
        /// ```
        pub fn new() -> Condvar {
            Condvar { raw: RawCondvar::new() }
        }
    }

    /// Frees the lock of `guard`, waits for a notification, and then for the lock.
    ///
    /// The lock is freed at the first poll, when the wait has its place in the queue.
    ///
    /// Cancel safety: a future that is dropped before it is ready leaves the queue that it is in,
    /// and has no lock. If it was notified by [`notify_one`](Condvar::notify_one), the notification
    /// goes to the next one.
    ///
    /// ```
    /// use volt::sync::{Condvar, Mutex};
    ///
    /// volt::run(|io| async move {
    ///     let pair = std::sync::Arc::new((Mutex::new(false), Condvar::new()));
    ///     let other = pair.clone();
    ///     io.spawn(async move {
    ///         *other.0.lock().await = true;
    ///         other.1.notify_one();
    ///     });
    ///     let mut is_open = pair.0.lock().await;
    ///     while !*is_open {
    ///         is_open = pair.1.wait(is_open).await;
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> CondvarWait<'a, T> {
        CondvarWait::new(&self.raw, guard, Location::caller())
    }

    /// Waits as long as `condition` is true of the value: it is asked at the first poll, and with
    /// each notification, and has the lock then. The guard is of a value for which it is false.
    ///
    /// Cancel safety: as [`wait`](Condvar::wait).
    ///
    /// ```
    /// use volt::sync::{Condvar, Mutex};
    ///
    /// volt::run(|io| async move {
    ///     let pair = std::sync::Arc::new((Mutex::new(3), Condvar::new()));
    ///     for _ in 0..3 {
    ///         let other = pair.clone();
    ///         io.spawn(async move {
    ///             *other.0.lock().await -= 1;
    ///             other.1.notify_one();
    ///         });
    ///     }
    ///     let left = pair.1.wait_while(pair.0.lock().await, |left| *left > 0).await;
    ///     assert_eq!(*left, 0);
    /// });
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized, F: FnMut(&mut T) -> bool>(
        &'a self,
        guard: MutexGuard<'a, T>,
        condition: F,
    ) -> CondvarWaitWhile<'a, T, F> {
        CondvarWaitWhile::new(self.wait(guard), condition)
    }

    /// Queues `waiter` for a notification, then frees the lock of `guard`. Its waker is called when
    /// [`take_notified`](Condvar::take_notified) is to be called;
    /// [`cancel_notified`](Condvar::cancel_notified) ends the wait before that.
    ///
    /// # Panics
    /// If the waiter waits already, here or somewhere else. The lock is free then.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Condvar, Mutex, Waiter};
    ///
    /// let (is_open, opened) = (Mutex::new(false), Condvar::new());
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// opened.notified_wait(is_open.try_lock().unwrap(), waiter.as_mut());
    /// *is_open.try_lock().unwrap() = true;
    /// opened.notify_one();
    /// assert!(opened.take_notified(waiter.as_mut()));
    /// assert!(*is_open.lock_wait(waiter.as_mut()).unwrap());
    /// ```
    #[track_caller]
    pub fn notified_wait<'a, T: ?Sized>(
        &'a self,
        guard: MutexGuard<'_, T>,
        waiter: Pin<&mut Waiter<'a>>,
    ) {
        let waker = waiter.own_waker();
        self.raw.begin(waiter, &waker, guard);
    }

    /// Whether `waiter` was notified; else its waker is called when it is.
    ///
    /// After `true` it does not wait here any more, and may be given to
    /// [`Mutex::lock_wait`](super::Mutex::lock_wait). The notification is the caller's: whoever
    /// then gives up the lock calls [`notify_one`](Condvar::notify_one), so that the next one has
    /// it.
    ///
    /// # Panics
    /// If the waiter does not wait here.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Condvar, Mutex, Waiter};
    ///
    /// let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// condvar.notified_wait(mutex.try_lock().unwrap(), waiter.as_mut());
    /// assert!(!condvar.take_notified(waiter.as_mut()));
    /// condvar.notify_all();
    /// assert!(condvar.take_notified(waiter.as_mut()));
    /// ```
    #[track_caller]
    pub fn take_notified<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> bool {
        let waker = waiter.own_waker();
        let polled = self.raw.poll_notified(waiter, &waker);
        polled.map(|notification| notification.finish()).is_ready()
    }

    /// Ends the wait of `waiter`, if it waits here. If it was notified by
    /// [`notify_one`](Condvar::notify_one) already, the notification goes to the next one.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Condvar, Mutex, Waiter};
    ///
    /// let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    /// let mut first = pin!(Waiter::new(Waker::noop().clone()));
    /// let mut second = pin!(Waiter::new(Waker::noop().clone()));
    /// condvar.notified_wait(mutex.try_lock().unwrap(), first.as_mut());
    /// condvar.notified_wait(mutex.try_lock().unwrap(), second.as_mut());
    /// condvar.notify_one();
    /// assert!(first.is_ready() && !second.is_ready());
    /// condvar.cancel_notified(first.as_mut());
    /// assert!(second.is_ready());
    /// ```
    #[track_caller]
    pub fn cancel_notified(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// Waits on the calling thread, as [`wait`](Condvar::wait) does in a task.
    ///
    /// # Panics
    /// If a task calls it: its worker would be kept from all others. The lock is free then.
    ///
    /// ```
    /// use volt::sync::{Condvar, Mutex};
    ///
    /// let (is_open, opened) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *is_open.blocking_lock() = true;
    ///         opened.notify_one();
    ///     });
    ///     let mut guard = is_open.blocking_lock();
    ///     while !*guard {
    ///         guard = opened.blocking_wait(guard);
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn blocking_wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        block_on("blocking_wait", "wait", self.wait(guard))
    }

    /// Notifies the one who has waited longest; nobody, if nobody waits. If that one gives up
    /// before it has the lock, the next one is notified.
    ///
    /// The caller may have the lock or not. With the lock, the one who is notified waits for it.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Condvar, Mutex, Waiter};
    ///
    /// let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    /// condvar.notify_one();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// condvar.notified_wait(mutex.try_lock().unwrap(), waiter.as_mut());
    /// assert!(!waiter.is_ready());
    /// condvar.notify_one();
    /// assert!(waiter.is_ready());
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Notifies everybody who waits now; they have the lock one after the other.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Condvar, Mutex, Waiter};
    ///
    /// let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    /// let mut first = pin!(Waiter::new(Waker::noop().clone()));
    /// let mut second = pin!(Waiter::new(Waker::noop().clone()));
    /// condvar.notified_wait(mutex.try_lock().unwrap(), first.as_mut());
    /// condvar.notified_wait(mutex.try_lock().unwrap(), second.as_mut());
    /// condvar.notify_all();
    /// assert!(first.is_ready() && second.is_ready());
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        self.raw.notify_all();
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
