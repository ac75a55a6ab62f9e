//! The futures of [`Sender`](super::Sender): sending, and setting room aside.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::channel::Channel;
use super::errors::{SendError, TrySendError};
use super::queue::End;
use crate::platform::{probe, thread};
use crate::waiter::{Turn, Waiter};

pin_project! {
    /// The future of [`Sender::send`](super::Sender::send).
    ///
    /// # Panics
    /// If it is polled after it was ready.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Send<'a, T> {
        // Dropped first. None before it waits: what most need not is not made and moved.
        #[pin]
        waiter: Option<Waiter<'a>>,
        channel: &'a Channel<T>,
        // None once it is ready.
        value: Option<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(super) fn new(
        channel: &'a Channel<T>,
        value: T,
        place: &'static Location<'static>,
    ) -> Send<'a, T> {
        Send { waiter: None, channel, value: Some(value), place }
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let turn = Turn::of_task();
        if this.waiter.is_none() {
            if turn == Turn::Take {
                let value = this.value.take().expect("`Send` polled after it was ready");
                match this.channel.try_send(value) {
                    Ok(()) => return turn.end(context, Poll::Ready(Ok(()))),
                    Err(TrySendError::Closed(value)) => return Poll::Ready(Err(SendError(value))),
                    Err(TrySendError::Full(value)) => *this.value = Some(value),
                }
            }
            this.waiter.set(Some(Waiter::of_future()));
        }
        assert!(this.value.is_some(), "`Send` polled after it was ready");
        let waiter = this.waiter.as_pin_mut().expect("it was made");
        let polled = this.channel.poll_send_queued(waiter, context.waker(), turn, this.value);
        if polled.is_pending() {
            probe::task_waits("room in a channel", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Sender::reserve`](super::Sender::reserve).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Reserve<'a, T> {
        // Dropped first.
        #[pin]
        waiter: Waiter<'a>,
        channel: &'a Channel<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Reserve<'a, T> {
    pub(super) fn new(
        channel: &'a Channel<T>,
        place: &'static Location<'static>,
    ) -> Reserve<'a, T> {
        Reserve { waiter: Waiter::of_future(), channel, place }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<SendPermit<'a, T>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let channel: &'a Channel<T> = this.channel;
        let turn = Turn::of_task();
        let polled = channel
            .poll_reserve(this.waiter, context.waker(), turn)
            .map_ok(|()| SendPermit::new(channel));
        if polled.is_pending() {
            probe::task_waits("room in a channel", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

/// Room for one message, set aside by [`Sender::reserve`](super::Sender::reserve). If it is
/// dropped, the room goes to the next one.
///
/// Until then receivers wait, even of a channel that was closed meanwhile: the message may come.
///
/// ```
/// use volt::channel::{self, TryRecvError};
///
/// let (sender, receiver) = channel::bounded(1);
/// let permit = sender.try_reserve().unwrap();
/// receiver.close();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// permit.send(1);
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// ```
#[must_use = "the room is kept from others until a message is sent or this is dropped"]
pub struct SendPermit<'a, T> {
    channel: &'a Channel<T>,
}

impl<'a, T> SendPermit<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> SendPermit<'a, T> {
        SendPermit { channel }
    }

    /// Sends `value`. If no receiver is left, it is dropped at once.
    pub fn send(self, value: T) {
        let channel = self.channel;
        // The claim is used up, not given back.
        mem::forget(self);
        channel.send_claimed(value);
    }
}

impl<T> Drop for SendPermit<'_, T> {
    fn drop(&mut self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        self.channel.unclaim(End::Senders);
    }
}

impl<T> fmt::Debug for SendPermit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendPermit").finish_non_exhaustive()
    }
}
