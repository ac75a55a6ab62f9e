//! Waiting for the trigger, and for the end of the work.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::state::State;
use crate::platform::probe;
use crate::time::Sleep;
use crate::waiter::{Turn, Waiter};

pin_project! {
    /// The future of [`Shutdown::triggered`](super::Shutdown::triggered).
    ///
    /// Cancel safety: dropping it ends the wait.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Triggered<'a> {
        #[pin]
        waiter: Waiter<'a>,
        state: &'a State,
        place: &'static Location<'static>,
    }
}

impl<'a> Triggered<'a> {
    pub(super) fn new(state: &'a State, place: &'static Location<'static>) -> Triggered<'a> {
        Triggered { waiter: Waiter::of_future(), state, place }
    }
}

impl Future for Triggered<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let state = *this.state;
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => state.poll_triggered(this.waiter, context.waker()),
            // It comes to all: a place in the queue is worth nothing.
            Turn::QueueOnly => Poll::Pending,
        };
        if polled.is_pending() {
            probe::task_waits("the shutdown to be triggered", this.place);
        }
        turn.end(context, polled)
    }
}

impl fmt::Debug for Triggered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Triggered").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Shutdown::drain`](super::Shutdown::drain).
    ///
    /// Cancel safety: dropping it ends the wait.
    ///
    /// # Panics
    /// When it is polled, has to wait, and its runtime has shut down.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Drain<'a> {
        #[pin]
        waiter: Waiter<'a>,
        state: &'a State,
        #[pin]
        deadline: Sleep,
        place: &'static Location<'static>,
    }
}

impl<'a> Drain<'a> {
    pub(super) fn new(
        state: &'a State,
        deadline: Sleep,
        place: &'static Location<'static>,
    ) -> Drain<'a> {
        Drain { waiter: Waiter::of_future(), state, deadline, place }
    }
}

impl Future for Drain<'_> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let this = self.project();
        let state = *this.state;
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => match state.poll_drained(this.waiter, context.waker()) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => {
                    let is_over = this.deadline.poll(context).is_ready();
                    // The deadline is paid for already.
                    if is_over {
                        return Poll::Ready(false);
                    }
                    Poll::Pending
                }
            },
            // It comes to all: a place in the queue is worth nothing.
            Turn::QueueOnly => Poll::Pending,
        };
        if polled.is_pending() {
            probe::task_waits("the work that is under way", this.place);
        }
        turn.end(context, polled)
    }
}

impl fmt::Debug for Drain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}
