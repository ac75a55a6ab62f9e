//! The future of a receiver.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::RecvError;
use super::ring::Cursor;
use super::shared::Shared;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

pin_project! {
    /// The future of [`Receiver::recv`](super::Receiver::recv).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Recv<'a, T> {
        #[pin]
        waiter: Waiter<'a>,
        shared: &'a Shared<T>,
        cursor: &'a Cursor,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Recv<'a, T> {
    #[track_caller]
    pub(super) fn new(shared: &'a Shared<T>, cursor: &'a Cursor) -> Recv<'a, T> {
        Recv { waiter: Waiter::of_future(), shared, cursor, place: Location::caller() }
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let this = self.project();
        let turn = Turn::of_task();
        let polled = this.shared.poll_recv(this.cursor, this.waiter, context.waker(), turn);
        if polled.is_pending() {
            probe::task_waits("a message of a broadcast channel", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
