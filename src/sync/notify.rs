//! Telling tasks that something has happened.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;

use super::notified::{Notified, NotifiedOwned};
use super::raw_notify::RawNotify;
use crate::platform::sync::const_fn;
use crate::waiter::{Turn, Waiter, block_on};

/// Tells tasks that something has happened: one of them, or all that wait. What has happened, they
/// see for themselves.
///
/// [`notify_one`](Notify::notify_one) without anybody who waits is kept for the next one who comes.
/// It is one permit: a second call changes nothing. So one task that does all the work, and looks
/// for it after each notification, misses none:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use volt::sync::Notify;
///
/// volt::run(|io| async move {
///     let shared = Arc::new((Mutex::new(Vec::new()), Notify::new()));
///     let other = Arc::clone(&shared);
///     let worker = io.spawn(async move {
///         let (work, notify) = &*other;
///         let mut done = 0;
///         while done < 3 {
///             notify.notified().await;
///             done += work.lock().unwrap().drain(..).count();
///         }
///     });
///     for number in 0..3 {
///         shared.0.lock().unwrap().push(number);
///         shared.1.notify_one();
///     }
///     worker.await.unwrap();
/// });
/// ```
///
/// [`notify_all`](Notify::notify_all) stores nothing. A wait begins when
/// [`notified`](Notify::notified) is called, not when its future is polled. So call that, look at
/// the condition, and await it if there is nothing to see yet:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use volt::sync::Notify;
///
/// volt::run(|io| async move {
///     let shared = Arc::new((AtomicBool::new(false), Notify::new()));
///     let other = Arc::clone(&shared);
///     let reader = io.spawn(async move {
///         let (is_open, notify) = &*other;
///         loop {
///             let notified = notify.notified();
///             if is_open.load(Ordering::Acquire) {
///                 break;
///             }
///             notified.await;
///         }
///     });
///     shared.0.store(true, Ordering::Release);
///     shared.1.notify_all();
///     reader.await.unwrap();
/// });
/// ```
///
/// Waiters are notified first come, first served, by the order of their first polls. A wait
/// allocates nothing.
pub struct Notify {
    pub(super) raw: RawNotify,
}

impl Notify {
    const_fn! {
        /// Nobody waits, and no permit is stored.
        pub fn new() -> Notify {
            Notify { raw: RawNotify::new() }
        }
    }

    /// Notifies the one who has waited longest; if nobody waits, the next one who comes.
    ///
    /// If the one who is notified is dropped before it knows, the next one is notified.
    ///
    /// ```
    /// use volt::sync::Notify;
    ///
    /// volt::run(|_io| async {
    ///     let notify = Notify::new();
    ///     notify.notify_one();
    ///     notify.notified().await;
    /// });
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Notifies all whose wait has begun, and nobody who comes later: no permit is stored, and one
    /// that is stays.
    ///
    /// ```
    /// use volt::sync::Notify;
    ///
    /// volt::run(|_io| async {
    ///     let notify = Notify::new();
    ///     let waits = [notify.notified(), notify.notified()];
    ///     notify.notify_all();
    ///     for wait in waits {
    ///         wait.await;
    ///     }
    ///     assert!(!notify.has_permit());
    /// });
    /// ```
    #[doc(alias = "notify_waiters")]
    #[inline]
    pub fn notify_all(&self) {
        self.raw.notify_all();
    }

    /// Whether a notification is kept for the next one who comes.
    pub fn has_permit(&self) -> bool {
        self.raw.has_permit()
    }

    /// How many wait.
    pub fn waiter_count(&self) -> usize {
        self.raw.waiter_count()
    }

    /// Waits for a notification: one of all from now on; one of one, from when the future is first
    /// polled or [enabled](Notified::enable).
    ///
    /// Cancel safety: a future that is dropped leaves the queue. If it was notified alone and has
    /// not said so, the next one is notified, or the notification is stored.
    #[inline]
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        Notified::new(self, Location::caller())
    }

    /// As [`notified`](Notify::notified), with a future that keeps this alive.
    #[inline]
    #[track_caller]
    pub fn notified_owned(self: Arc<Self>) -> NotifiedOwned {
        NotifiedOwned::new(self, Location::caller())
    }

    /// As [`notified`](Notify::notified), for a waiter that the caller has pinned: whether it is
    /// notified. If not, its waker is called when it is, and this is to be called again. Its wait
    /// begins with the first call.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Notify, Waiter};
    ///
    /// let notify = Notify::new();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(!notify.notified_wait(waiter.as_mut()));
    /// notify.notify_one();
    /// assert!(notify.notified_wait(waiter.as_mut()));
    /// ```
    #[track_caller]
    pub fn notified_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> bool {
        let waker = waiter.own_waker();
        self.raw.poll_notified(waiter, self.raw.calls(), &waker, Turn::Take).is_ready()
    }

    /// Ends the wait of a waiter that was passed to [`notified_wait`](Notify::notified_wait). If it
    /// was notified alone, the next one is, or the notification is stored. If it does not wait,
    /// nothing happens.
    ///
    /// # Panics
    /// If it waits somewhere else.
    #[track_caller]
    pub fn cancel_notified<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// As [`notified`](Notify::notified), on a plain thread, which is blocked meanwhile.
    ///
    /// # Panics
    /// When it is called by a task.
    ///
    /// ```
    /// use volt::sync::Notify;
    ///
    /// let notify = Notify::new();
    /// notify.notify_one();
    /// notify.blocking_wait();
    /// ```
    #[track_caller]
    pub fn blocking_wait(&self) {
        block_on("blocking_wait", "notified", self.notified());
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("has_permit", &self.has_permit()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
