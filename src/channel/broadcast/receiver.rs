//! The receiving end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::ring::Cursor;
use super::shared::Shared;
use super::{Recv, RecvError, TryRecvError};
use crate::waiter::{Turn, Waiter, block_on};

/// A receiving end of a broadcast channel: it gets every message that is sent while it is there.
/// [`Sender::subscribe`](super::Sender::subscribe) and [`resubscribe`](Receiver::resubscribe) make
/// more.
///
/// Dropping it takes it off the channel's count, and drops the messages that it alone had not had.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    cursor: Cursor,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>) -> Receiver<T> {
        let shared = Arc::clone(shared);
        let cursor = shared.add_receiver();
        Receiver { shared, cursor }
    }

    /// A new receiver of the same channel: it gets what is sent from now on, whatever this one has
    /// not had yet.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::broadcast(16);
    /// sender.send("before").unwrap();
    /// let mut other = receiver.resubscribe();
    /// sender.send("after").unwrap();
    /// assert_eq!(receiver.try_recv(), Ok("before"));
    /// assert_eq!(other.try_recv(), Ok("after"));
    /// ```
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// How many of the kept messages this receiver has not had.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::broadcast(2);
    /// for message in 1..=3 {
    ///     sender.send(message).unwrap();
    /// }
    /// assert_eq!(receiver.len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len_from(&self.cursor)
    }

    /// Whether this receiver has had every message so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing will be sent any more. There may be messages to be received.
    pub fn is_closed(&self) -> bool {
        self.shared.is_ended()
    }

    /// Whether both are receivers of one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Ends the wait of [`recv_wait`](Receiver::recv_wait). No message is lost.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    #[track_caller]
    pub fn cancel_recv<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.shared.cancel_recv(waiter);
    }
}

impl<T: Clone> Receiver<T> {
    /// The next message, if there is one.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if there is none yet; [`Lagged`](TryRecvError::Lagged) with
    /// how many were missed, after which the next call goes on at the oldest that is kept;
    /// [`Closed`](TryRecvError::Closed) if there will be none.
    ///
    /// # Panics
    /// If the message's `clone` does: then this receiver goes on with the next message.
    ///
    /// ```
    /// use volt::channel::{self, broadcast::TryRecvError};
    ///
    /// let (sender, mut receiver) = channel::broadcast(16);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.try_recv(&self.cursor)
    }

    /// Waits for the next message.
    ///
    /// Cancel safety: dropping the future before it is ready loses no message.
    ///
    /// # Errors
    /// [`Lagged`](RecvError::Lagged) with how many were missed, after which the next call goes on
    /// at the oldest that is kept; [`Closed`](RecvError::Closed) if there will be none.
    ///
    /// # Panics
    /// If the message's `clone` does: then this receiver goes on with the next message.
    ///
    /// ```
    /// use volt::channel::{self, broadcast::RecvError};
    ///
    /// volt::run(|io| async move {
    ///     let (sender, mut receiver) = channel::broadcast(16);
    ///     io.spawn(async move { sender.send(7) });
    ///     assert_eq!(receiver.recv().await, Ok(7));
    ///     assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    /// });
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv::new(&self.shared, &self.cursor)
    }

    /// Waits on a plain thread, as [`recv`](Receiver::recv) does in a task.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    ///
    /// # Panics
    /// On a worker that polls a task, and as [`recv`](Receiver::recv).
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::broadcast(16);
    /// let thread = std::thread::spawn(move || receiver.blocking_recv());
    /// sender.send(7).unwrap();
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// ```
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        block_on("blocking_recv", "recv", self.recv())
    }

    /// What [`recv`](Receiver::recv) would give, if it was ready; else the waiter is queued, and
    /// its waker is called when this is to be called again. With several waiters each message goes
    /// to one of them.
    ///
    /// # Panics
    /// If the waiter waits somewhere else, and as [`recv`](Receiver::recv).
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::Waiter;
    ///
    /// let (sender, receiver) = volt::channel::broadcast(16);
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(receiver.recv_wait(waiter.as_mut()).is_none());
    /// sender.send(7).unwrap();
    /// assert!(waiter.is_ready());
    /// assert_eq!(receiver.recv_wait(waiter.as_mut()), Some(Ok(7)));
    /// ```
    #[track_caller]
    pub fn recv_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<Result<T, RecvError>> {
        let waker = waiter.own_waker();
        match self.shared.poll_recv(&self.cursor, waiter, &waker, Turn::Take) {
            Poll::Ready(received) => Some(received),
            Poll::Pending => None,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.drop_receiver(&self.cursor);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
