//! The futures of a receiver.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::shared::{Seen, Shared, is_last};
use super::{RecvError, Ref};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// What a task is said to wait for.
const WHAT: &str = "a change of a watched value";

pin_project! {
    /// The future of [`Receiver::changed`](super::Receiver::changed).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Changed<'a, T> {
        #[pin]
        waiter: Waiter<'a>,
        shared: &'a Shared<T>,
        seen: &'a Seen,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Changed<'a, T> {
    #[track_caller]
    pub(super) fn new(shared: &'a Shared<T>, seen: &'a Seen) -> Changed<'a, T> {
        Changed { waiter: Waiter::of_future(), shared, seen, place: Location::caller() }
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        let this = self.project();
        let turn = Turn::of_task();
        let polled = this.shared.poll_changed(this.seen, this.waiter, context.waker(), turn);
        if polled.is_pending() {
            probe::task_waits(WHAT, this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Receiver::wait_for`](super::Receiver::wait_for).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WaitFor<'a, T, F> {
        #[pin]
        waiter: Waiter<'a>,
        shared: &'a Shared<T>,
        seen: &'a Seen,
        predicate: F,
        // Whether the predicate has been asked about the value that was seen last.
        is_asked: bool,
        place: &'static Location<'static>,
    }
}

impl<'a, T, F> WaitFor<'a, T, F> {
    #[track_caller]
    pub(super) fn new(shared: &'a Shared<T>, seen: &'a Seen, predicate: F) -> WaitFor<'a, T, F> {
        let place = Location::caller();
        WaitFor { waiter: Waiter::of_future(), shared, seen, predicate, is_asked: false, place }
    }
}

impl<'a, T, F: FnMut(&T) -> bool> WaitFor<'a, T, F> {
    fn poll_value(
        self: Pin<&mut Self>,
        context: &Context<'_>,
    ) -> Poll<Result<Ref<'a, T>, RecvError>> {
        let mut this = self.project();
        let (shared, seen) = (*this.shared, *this.seen);
        loop {
            if *this.is_asked && shared.news(seen).is_none() {
                if !shared.await_news(seen, this.waiter.as_mut(), context.waker()) {
                    return Poll::Pending;
                }
                continue;
            }
            // Before the value is looked at: a waker may be dropped here.
            shared.cancel_changed(this.waiter.as_mut());
            let version = shared.begin_read();
            let found = Ref::new(shared, seen.is_before(version));
            if !*this.is_asked || found.has_changed() {
                *this.is_asked = true;
                seen.set(version);
                let value: &T = &found;
                if (this.predicate)(value) {
                    return Poll::Ready(Ok(found));
                }
            }
            drop(found);
            if is_last(version) {
                return Poll::Ready(Err(RecvError));
            }
        }
    }
}

impl<'a, T, F: FnMut(&T) -> bool> Future for WaitFor<'a, T, F> {
    type Output = Result<Ref<'a, T>, RecvError>;

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Ref<'a, T>, RecvError>> {
        let place = self.place;
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => self.poll_value(context),
            Turn::QueueOnly => Poll::Pending,
        };
        if polled.is_pending() {
            probe::task_waits(WHAT, place);
        }
        turn.end(context, polled)
    }
}

impl<T, F> fmt::Debug for WaitFor<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
