//! The futures of a [`Condvar`](super::Condvar).

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::mutex::Mutex;
use super::mutex_guard::MutexGuard;
use super::raw_condvar::{Notification, RawCondvar};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// How far a wait has come.
enum Stage<'a, T: ?Sized> {
    /// It was not polled yet.
    Held(MutexGuard<'a, T>),
    /// It waits for a notification.
    Queued(&'a Mutex<T>),
    /// It waits for the lock.
    Notified(&'a Mutex<T>, Notification<'a>),
    /// The lock is had.
    Done,
}

pin_project! {
    /// The future of [`Condvar::wait`](super::Condvar::wait).
    ///
    /// It is queued, and frees the lock, at its first poll.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CondvarWait<'a, T: ?Sized> {
        // Dropped first: before a notification is handed on.
        #[pin]
        waiter: Waiter<'a>,
        condvar: &'a RawCondvar,
        stage: Stage<'a, T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T: ?Sized> CondvarWait<'a, T> {
    pub(super) fn new(
        condvar: &'a RawCondvar,
        guard: MutexGuard<'a, T>,
        place: &'static Location<'static>,
    ) -> CondvarWait<'a, T> {
        CondvarWait { waiter: Waiter::of_future(), condvar, stage: Stage::Held(guard), place }
    }

    /// The guard, if it was not polled yet.
    fn take_guard(self: Pin<&mut Self>) -> Option<MutexGuard<'a, T>> {
        let stage = self.project().stage;
        match mem::replace(stage, Stage::Done) {
            Stage::Held(guard) => Some(guard),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Begins to wait; again, if it was ready.
    fn begin(self: Pin<&mut Self>, guard: MutexGuard<'a, T>, context: &Context<'_>) {
        let this = self.project();
        let mutex = MutexGuard::mutex(&guard);
        this.condvar.begin(this.waiter, context.waker(), guard);
        *this.stage = Stage::Queued(mutex);
        probe::task_waits("a notification", this.place);
    }
}

impl<'a, T: ?Sized> Future for CondvarWait<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        if let Some(guard) = self.as_mut().take_guard() {
            self.begin(guard, context);
            return Poll::Pending;
        }
        let mut this = self.project();
        let (mutex, notification) = match mem::replace(this.stage, Stage::Done) {
            Stage::Queued(mutex) => {
                let polled = this.condvar.poll_notified(this.waiter.as_mut(), context.waker());
                let Poll::Ready(notification) = polled else {
                    *this.stage = Stage::Queued(mutex);
                    probe::task_waits("a notification", this.place);
                    return Poll::Pending;
                };
                (mutex, notification)
            }
            Stage::Notified(mutex, notification) => (mutex, notification),
            Stage::Held(_) | Stage::Done => panic!("`CondvarWait` is polled after it was ready"),
        };
        let turn = Turn::of_task();
        let polled = mutex
            .raw
            .poll_lock(this.waiter, context.waker(), turn)
            .map(|()| MutexGuard::new(mutex));
        if polled.is_pending() {
            *this.stage = Stage::Notified(mutex, notification);
            probe::task_waits("the lock of a mutex", this.place);
        } else {
            notification.finish();
        }
        turn.end(context, polled)
    }
}

impl<T: ?Sized> fmt::Debug for CondvarWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondvarWait").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Condvar::wait_while`](super::Condvar::wait_while).
    ///
    /// # Panics
    /// When it is polled after it was ready; and as the condition does: then the lock is free.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CondvarWaitWhile<'a, T: ?Sized, F> {
        #[pin]
        wait: CondvarWait<'a, T>,
        condition: F,
    }
}

impl<'a, T: ?Sized, F> CondvarWaitWhile<'a, T, F> {
    pub(super) fn new(wait: CondvarWait<'a, T>, condition: F) -> CondvarWaitWhile<'a, T, F> {
        CondvarWaitWhile { wait, condition }
    }
}

impl<'a, T: ?Sized, F: FnMut(&mut T) -> bool> Future for CondvarWaitWhile<'a, T, F> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        let mut this = self.project();
        let mut guard = match this.wait.as_mut().take_guard() {
            Some(guard) => guard,
            None => ready!(this.wait.as_mut().poll(context)),
        };
        let value: &mut T = &mut guard;
        if !(this.condition)(value) {
            return Poll::Ready(guard);
        }
        this.wait.begin(guard, context);
        Poll::Pending
    }
}

impl<T: ?Sized, F> fmt::Debug for CondvarWaitWhile<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondvarWaitWhile").field("wait", &self.wait).finish_non_exhaustive()
    }
}
