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
enum Stage<'c, 'm, T: ?Sized> {
    /// It was not polled yet.
    Held(MutexGuard<'m, T>),
    /// It waits for a notification.
    Queued(&'m Mutex<T>),
    /// It waits for the lock.
    Notified(&'m Mutex<T>, Notification<'c>),
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
    pub struct CondvarWait<'c, 'm, T: ?Sized> {
        // Dropped first: before a notification is handed on.
        #[pin]
        waiter: Waiter<'c>,
        condvar: &'c RawCondvar,
        stage: Stage<'c, 'm, T>,
        place: &'static Location<'static>,
    }
}

impl<'c, 'm, T: ?Sized> CondvarWait<'c, 'm, T> {
    pub(super) fn new(
        condvar: &'c RawCondvar,
        guard: MutexGuard<'m, T>,
        place: &'static Location<'static>,
    ) -> CondvarWait<'c, 'm, T> {
        CondvarWait { waiter: Waiter::of_future(), condvar, stage: Stage::Held(guard), place }
    }

    /// The guard, if it was not polled yet.
    fn take_guard(self: Pin<&mut Self>) -> Option<MutexGuard<'m, T>> {
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
    fn begin(self: Pin<&mut Self>, guard: MutexGuard<'m, T>, context: &Context<'_>) {
        let this = self.project();
        let mutex = MutexGuard::mutex(&guard);
        this.condvar.begin(this.waiter, context.waker(), guard);
        *this.stage = Stage::Queued(mutex);
        probe::task_waits("a notification", this.place);
    }
}

impl<'c, 'm: 'c, T: ?Sized> Future for CondvarWait<'c, 'm, T> {
    type Output = MutexGuard<'m, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'m, T>> {
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

impl<T: ?Sized> fmt::Debug for CondvarWait<'_, '_, T> {
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
    pub struct CondvarWaitWhile<'c, 'm, T: ?Sized, F> {
        #[pin]
        wait: CondvarWait<'c, 'm, T>,
        condition: F,
    }
}

impl<'c, 'm, T: ?Sized, F> CondvarWaitWhile<'c, 'm, T, F> {
    pub(super) fn new(
        wait: CondvarWait<'c, 'm, T>,
        condition: F,
    ) -> CondvarWaitWhile<'c, 'm, T, F> {
        CondvarWaitWhile { wait, condition }
    }
}

impl<'c, 'm: 'c, T: ?Sized, F: FnMut(&mut T) -> bool> Future for CondvarWaitWhile<'c, 'm, T, F> {
    type Output = MutexGuard<'m, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'m, T>> {
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

impl<T: ?Sized, F> fmt::Debug for CondvarWaitWhile<'_, '_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondvarWaitWhile").field("wait", &self.wait).finish_non_exhaustive()
    }
}
