//! The receiving end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::FusedFuture;

use super::cell::ReceiverEnd;
use super::{RecvError, TryRecvError};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter, block_on};

/// The receiving end of a oneshot channel: a future of the value. It is [`Unpin`], so that
/// `&mut receiver` can be awaited and the receiver kept.
///
/// Cancel safety: dropping `&mut receiver` loses nothing; dropping the receiver closes the
/// channel, and drops a value that was sent.
///
/// Polling it after it was ready panics.
#[must_use = "dropping the receiver closes the channel; as a future it does nothing unless awaited"]
pub struct Receiver<T> {
    /// Until the channel has told all that there is.
    end: Option<ReceiverEnd<T>>,
    place: &'static Location<'static>,
}

impl<T> Receiver<T> {
    #[inline]
    pub(super) fn new(end: ReceiverEnd<T>, place: &'static Location<'static>) -> Receiver<T> {
        Receiver { end: Some(end), place }
    }

    /// The value, if it has been sent.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if it has not been sent yet;
    /// [`Closed`](TryRecvError::Closed) if it never will, or was received.
    ///
    /// ```
    /// use volt::channel::oneshot::TryRecvError;
    ///
    /// let (sender, mut receiver) = volt::channel::oneshot();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(end) = &mut self.end else { return Err(TryRecvError::Closed) };
        match end.try_recv() {
            Poll::Ready(value) => {
                self.end = None;
                value.ok_or(TryRecvError::Closed)
            }
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the value on a plain thread.
    ///
    /// # Errors
    /// If there will be no value.
    ///
    /// # Panics
    /// On a worker that polls a task: await the receiver there.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::oneshot();
    /// let thread = std::thread::spawn(move || receiver.blocking_recv());
    /// sender.send(7).unwrap();
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// ```
    #[doc(alias = "recv_blocking")]
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        block_on("blocking_recv", "into_future", self)
    }

    /// Closes the channel: a value that was sent before can still be received; from now on the
    /// sender gets its value back.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::oneshot();
    /// receiver.close();
    /// assert_eq!(sender.send(7), Err(7));
    /// assert!(receiver.try_recv().is_err());
    /// ```
    pub fn close(&mut self) {
        if let Some(end) = &mut self.end {
            end.close();
        }
    }

    /// The value, or that there is none; until that is settled `None`, and the waiter's waker is
    /// called when it is. There is one such waker, that of the last call: the channel keeps it,
    /// and not the waiter, whose [`is_ready`](Waiter::is_ready) stays false.
    ///
    /// # Panics
    /// If the value was received before.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::Waiter;
    ///
    /// let (sender, mut receiver) = volt::channel::oneshot();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(receiver.recv_wait(waiter.as_mut()).is_none());
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.recv_wait(waiter.as_mut()), Some(Ok(7)));
    /// ```
    pub fn recv_wait(&mut self, waiter: Pin<&mut Waiter<'_>>) -> Option<Result<T, RecvError>> {
        match self.poll_end(|end| end.poll_recv(&waiter.own_waker())) {
            Poll::Ready(received) => Some(received),
            Poll::Pending => None,
        }
    }

    /// Ends the wait that [`recv_wait`](Receiver::recv_wait) began: the waker is dropped, and not
    /// called any more unless that has begun. The receiver stays as it is.
    pub fn cancel_recv(&mut self, _waiter: Pin<&mut Waiter<'_>>) {
        if let Some(end) = &mut self.end {
            end.forget_waker();
        }
    }

    #[track_caller]
    fn poll_end(
        &mut self,
        poll: impl FnOnce(&mut ReceiverEnd<T>) -> Poll<Option<T>>,
    ) -> Poll<Result<T, RecvError>> {
        let end = self.end.as_mut().expect("`Receiver` polled after it was ready");
        let polled = poll(end);
        if polled.is_ready() {
            self.end = None;
        }
        polled.map(|value| value.ok_or(RecvError))
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let this = self.get_mut();
        let turn = Turn::of_task();
        let polled = this.poll_end(|end| match turn {
            Turn::Take => end.poll_recv(context.waker()),
            Turn::QueueOnly => Poll::Pending,
        });
        if polled.is_pending() {
            probe::task_waits("the value of a oneshot channel", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> FusedFuture for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.end.is_none()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.end.is_none();
        f.debug_struct("Receiver").field("has_ended", &has_ended).finish_non_exhaustive()
    }
}
