//! The sending end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::cell::SenderEnd;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// The sending end of a oneshot channel. Dropped without having sent, it closes the channel.
pub struct Sender<T> {
    end: SenderEnd<T>,
    place: &'static Location<'static>,
}

impl<T> Sender<T> {
    #[inline]
    pub(super) fn new(end: SenderEnd<T>, place: &'static Location<'static>) -> Sender<T> {
        Sender { end, place }
    }

    /// Sends the value. That never waits. A value that is sent need not be received: the receiver
    /// may be dropped, and the value with it.
    ///
    /// # Errors
    /// The value, if the receiver was dropped or closed the channel.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::oneshot();
    /// drop(receiver);
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        self.end.send(value)
    }

    /// Whether the receiver was dropped or closed the channel: a value would be given back.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::oneshot::<u32>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.end.is_closed()
    }

    /// Waits until the receiver is dropped or closes the channel: until nobody wants the value.
    ///
    /// Cancel safety: dropping the future ends the wait and leaves nothing behind.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let (mut sender, receiver) = volt::channel::oneshot::<u32>();
    ///     io.spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert_eq!(sender.send(7), Err(7));
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed { sender: self, place: Location::caller(), waits: false }
    }

    /// As [`closed`](Sender::closed), for futures that are written by hand: until it is ready the
    /// waker of the last call is called when it may be.
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// volt::run(|_io| async {
    ///     let (mut sender, receiver) = volt::channel::oneshot::<u32>();
    ///     drop(receiver);
    ///     poll_fn(|context| sender.poll_closed(context)).await;
    /// });
    /// ```
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let place = self.place;
        self.poll_closed_from(context, place)
    }

    fn poll_closed_from(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<()> {
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => self.end.poll_closed(context.waker()),
            Turn::QueueOnly => Poll::Pending,
        };
        if polled.is_pending() {
            probe::task_waits("the receiver of a oneshot channel to close it", place);
        }
        turn.end(context, polled)
    }

    /// Whether the channel is closed; if not, the waiter's waker is called when it is. There is
    /// one such waker, that of the last call: the channel keeps it, and not the waiter, whose
    /// [`is_ready`](Waiter::is_ready) stays false.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::Waiter;
    ///
    /// let (mut sender, receiver) = volt::channel::oneshot::<u32>();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(!sender.closed_wait(waiter.as_mut()));
    /// drop(receiver);
    /// assert!(sender.closed_wait(waiter.as_mut()));
    /// ```
    pub fn closed_wait(&mut self, waiter: Pin<&mut Waiter<'_>>) -> bool {
        self.end.poll_closed(&waiter.own_waker()).is_ready()
    }

    /// Ends the wait that [`closed_wait`](Sender::closed_wait) began: the waker is dropped, and
    /// not called any more unless that has begun.
    pub fn cancel_closed(&mut self, _waiter: Pin<&mut Waiter<'_>>) {
        self.end.forget_waker();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// The future of [`Sender::closed`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
    place: &'static Location<'static>,
    /// Whether the sender's waker is that of this future.
    waits: bool,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let polled = this.sender.poll_closed_from(context, this.place);
        this.waits = polled.is_pending();
        polled
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if self.waits {
            self.sender.end.forget_waker();
        }
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("sender", &self.sender).finish_non_exhaustive()
    }
}
