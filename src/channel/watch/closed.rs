//! The future of a sender.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::shared::Shared;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

pin_project! {
    /// The future of [`Sender::closed`](super::Sender::closed).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Closed<'a, T> {
        #[pin]
        waiter: Waiter<'a>,
        shared: &'a Shared<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Closed<'a, T> {
    #[track_caller]
    pub(super) fn new(shared: &'a Shared<T>) -> Closed<'a, T> {
        Closed { waiter: Waiter::of_future(), shared, place: Location::caller() }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let turn = Turn::of_task();
        let polled = this.shared.poll_closed(this.waiter, context.waker(), turn);
        if polled.is_pending() {
            probe::task_waits("the receivers of a watch channel to be dropped", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
