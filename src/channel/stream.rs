//! The messages of a channel as a stream.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::channel::Channel;
use super::receiver::Receiver;
use super::recv::poll_recv;
use crate::waiter::Waiter;

pin_project! {
    /// The stream of [`Receiver::stream`].
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct Stream<'a, T> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        channel: &'a Channel<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Stream<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, place: &'static Location<'static>) -> Stream<'a, T> {
        Stream { waiter: Waiter::of_future(), channel, place }
    }
}

impl<T> futures_core::Stream for Stream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        poll_recv(this.channel, this.waiter, context, this.place).map(Result::ok)
    }
}

impl<T> fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The stream of [`Receiver::into_stream`].
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct IntoStream<T> {
        // Dropped first: it may wait in the channel that the receiver keeps.
        #[pin]
        waiter: Waiter<'static>,
        receiver: Receiver<T>,
        place: &'static Location<'static>,
    }
}

impl<T> IntoStream<T> {
    pub(super) fn new(receiver: Receiver<T>, place: &'static Location<'static>) -> IntoStream<T> {
        IntoStream { waiter: Waiter::of_future(), receiver, place }
    }

    /// The receiver that is inside: to look at the channel, to close it, or for a copy.
    pub fn get_ref(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<T: 'static> futures_core::Stream for IntoStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let channel = ptr::from_ref(this.receiver.channel());
        // SAFETY: the receiver keeps the channel, and is dropped after the waiter, for which alone
        // the reference is made to last. A waiter is pinned, so neither is moved out or replaced.
        let channel: &'static Channel<T> = unsafe { &*channel };
        poll_recv(channel, this.waiter, context, this.place).map(Result::ok)
    }
}

impl<T> fmt::Debug for IntoStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStream")
            .field("waiter", &self.waiter)
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}
