//! The futures of [`Receiver`](super::Receiver).

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::channel::Channel;
use super::errors::{RecvError, TryRecvError};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// One poll of a future or stream that receives, as a task.
#[inline]
pub(super) fn poll_recv<'a, T>(
    channel: &'a Channel<T>,
    waiter: Pin<&mut Waiter<'a>>,
    context: &mut Context<'_>,
    place: &'static Location<'static>,
) -> Poll<Result<T, RecvError>> {
    let turn = Turn::of_task();
    let polled = channel.poll_recv(waiter, context.waker(), turn);
    end(turn, polled, context, place)
}

/// Ends one poll of a task that receives.
#[inline]
fn end<T>(
    turn: Turn,
    polled: Poll<T>,
    context: &mut Context<'_>,
    place: &'static Location<'static>,
) -> Poll<T> {
    if polled.is_pending() {
        probe::task_waits("a message of a channel", place);
    }
    turn.end(context, polled)
}

pin_project! {
    /// The future of [`Receiver::recv`](super::Receiver::recv).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Recv<'a, T> {
        // Dropped first. None before it waits: what most need not is not made and moved.
        #[pin]
        waiter: Option<Waiter<'a>>,
        channel: &'a Channel<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Recv<'a, T> {
    #[inline]
    pub(super) fn new(channel: &'a Channel<T>, place: &'static Location<'static>) -> Recv<'a, T> {
        Recv { waiter: None, channel, place }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let turn = Turn::of_task();
        if this.waiter.is_none() {
            if turn == Turn::Take {
                match this.channel.try_recv() {
                    Ok(value) => return turn.end(context, Poll::Ready(Ok(value))),
                    Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError)),
                    Err(TryRecvError::Empty) => {}
                }
            }
            this.waiter.set(Some(Waiter::of_future()));
        }
        let waiter = this.waiter.as_pin_mut().expect("it was made");
        let polled = this.channel.poll_recv_queued(waiter, context.waker(), turn);
        end(turn, polled, context, this.place)
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Receiver::recv_many`](super::Receiver::recv_many).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct RecvMany<'a, T> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        channel: &'a Channel<T>,
        buffer: &'a mut Vec<T>,
        limit: usize,
        place: &'static Location<'static>,
    }
}

impl<'a, T> RecvMany<'a, T> {
    pub(super) fn new(
        channel: &'a Channel<T>,
        buffer: &'a mut Vec<T>,
        limit: usize,
        place: &'static Location<'static>,
    ) -> RecvMany<'a, T> {
        RecvMany { waiter: Waiter::of_future(), channel, buffer, limit, place }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let this = self.project();
        if *this.limit == 0 {
            return Poll::Ready(0);
        }
        poll_recv(this.channel, this.waiter, context, this.place).map(|first| {
            let Ok(first) = first else { return 0 };
            this.buffer.push(first);
            let mut count = 1;
            while count < *this.limit
                && let Ok(next) = this.channel.try_recv()
            {
                this.buffer.push(next);
                count += 1;
            }
            count
        })
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany")
            .field("waiter", &self.waiter)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
