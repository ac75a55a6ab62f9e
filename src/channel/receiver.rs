//! The receiving end of a channel.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::channel::Channel;
use super::errors::{RecvError, TryRecvError};
use super::recv::{Recv, RecvMany};
use super::stream::{IntoStream, Stream};
use crate::waiter::{Turn, Waiter, block_on};

/// The receiving end of a channel that [`bounded`](super::bounded) or
/// [`unbounded`](super::unbounded) made. Each message is received by one of its copies.
///
/// When the last one is dropped, the channel is closed, and what is in it is dropped.
///
/// Receivers that wait are served first come, first served. The first of them is woken when there
/// is a message; until it comes, running ones may overtake it, at most 16 times. Then a message is
/// set aside for it, and [`try_recv`](Receiver::try_recv) answers that the channel is empty if that
/// was the last. One that was woken wakes the next if there is more, when it is polled or dropped.
/// So poll a receive that has begun, or drop it: one that is kept without being polled may keep 15
/// messages from those who wait behind it.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Receiver<T> {
        Receiver { channel }
    }

    #[inline]
    pub(super) fn channel(&self) -> &Channel<T> {
        &self.channel
    }

    /// Receives a message, if there is one that is not set aside for one who waits.
    ///
    /// # Errors
    /// If there is none; if there will be none, the channel is closed.
    ///
    /// ```
    /// use volt::channel::{self, TryRecvError};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.try_send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
    }

    /// Receives a message, and waits for one if there is none.
    ///
    /// Cancel safety: a future that is dropped before it is ready has received nothing; a message
    /// that was set aside for it goes to the next receiver. One that is polled again after it was
    /// ready receives another message.
    ///
    /// # Errors
    /// If the channel is closed, and all its messages are received.
    ///
    /// ```
    /// use volt::channel::{self, RecvError};
    ///
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = channel::unbounded();
    ///     io.spawn(async move { sender.send("hello").await });
    ///     assert_eq!(receiver.recv().await, Ok("hello"));
    ///     assert_eq!(receiver.recv().await, Err(RecvError));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(&self.channel, Location::caller())
    }

    /// As [`recv`](Receiver::recv), for a thread that polls no task: it waits.
    ///
    /// # Errors
    /// If the channel is closed, and all its messages are received.
    ///
    /// # Panics
    /// In a task, whose worker it would keep from all others: await [`recv`](Receiver::recv) there.
    #[track_caller]
    pub fn blocking_recv(&self) -> Result<T, RecvError> {
        block_on("blocking_recv", "recv", self.recv())
    }

    /// Receives a message, or has `waiter` wait for one: then its waker is called when this is to
    /// be called again. `None` while it waits.
    ///
    /// # Errors
    /// If the channel is closed, and all its messages are received.
    ///
    /// # Panics
    /// If `waiter` waits somewhere else, or if it is that of a future.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::channel;
    /// use volt::sync::Waiter;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(receiver.recv_wait(waiter.as_mut()).is_none());
    /// sender.try_send(7).unwrap();
    /// // Its waker has been called.
    /// assert_eq!(receiver.recv_wait(waiter.as_mut()), Some(Ok(7)));
    /// ```
    pub fn recv_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<Result<T, RecvError>> {
        let waker = waiter.own_waker();
        match self.channel.poll_recv(waiter, &waker, Turn::Take) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Ends the wait that [`recv_wait`](Receiver::recv_wait) began, if there is one: a message
    /// that was set aside for `waiter` goes to the next receiver.
    ///
    /// # Panics
    /// If it waits somewhere else.
    pub fn cancel_recv<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.channel.cancel_recv(waiter);
    }

    /// Receives up to `limit` messages and appends them to `buffer`; waits for the first one if
    /// there is none. The answer is how many there were: 0 if the channel is closed and all its
    /// messages are received, or if `limit` is 0.
    ///
    /// Cancel safety: a future that is dropped before it is ready has received nothing.
    ///
    /// ```
    /// use volt::channel;
    ///
    /// volt::run(|_io| async {
    ///     let (sender, receiver) = channel::unbounded();
    ///     (0..5).for_each(|number| sender.try_send(number).unwrap());
    ///     let mut buffer = Vec::new();
    ///     assert_eq!(receiver.recv_many(&mut buffer, 3).await, 3);
    ///     assert_eq!(receiver.recv_many(&mut buffer, 3).await, 2);
    ///     assert_eq!(buffer, [0, 1, 2, 3, 4]);
    /// });
    /// ```
    #[track_caller]
    pub fn recv_many<'a>(&'a self, buffer: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
        RecvMany::new(&self.channel, buffer, limit, Location::caller())
    }

    /// The messages as a stream, which ends when the channel is closed and all are received.
    ///
    /// Cancel safety: what the stream has not yielded is in the channel.
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::pin::pin;
    /// use futures_core::Stream;
    /// use volt::channel;
    ///
    /// volt::run(|_io| async {
    ///     let (sender, receiver) = channel::unbounded();
    ///     sender.try_send(1).unwrap();
    ///     drop(sender);
    ///     let mut stream = pin!(receiver.stream());
    ///     assert_eq!(poll_fn(|context| stream.as_mut().poll_next(context)).await, Some(1));
    ///     assert_eq!(poll_fn(|context| stream.as_mut().poll_next(context)).await, None);
    /// });
    /// ```
    #[track_caller]
    pub fn stream(&self) -> Stream<'_, T> {
        Stream::new(&self.channel, Location::caller())
    }

    /// As [`stream`](Receiver::stream), with the receiver inside.
    #[track_caller]
    pub fn into_stream(self) -> IntoStream<T>
    where
        T: 'static,
    {
        IntoStream::new(self, Location::caller())
    }

    /// Closes the channel: nothing is sent any more, but through permits. What is left can be
    /// received.
    ///
    /// ```
    /// use volt::channel::{self, TryRecvError};
    ///
    /// let (sender, receiver) = channel::bounded(4);
    /// sender.try_send(1).unwrap();
    /// receiver.close();
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn close(&self) {
        self.channel.close();
    }

    /// Whether the channel is closed: by a handle, or because an end has none any more. There may
    /// be messages left.
    pub fn is_closed(&self) -> bool {
        self.channel.queue().is_closed()
    }

    /// How many messages are in the channel. What permits have set aside is not counted.
    pub fn len(&self) -> usize {
        self.channel.queue().len()
    }

    /// Whether there is no message in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room, beside what permits have set aside. Never so for an unbounded
    /// channel.
    pub fn is_full(&self) -> bool {
        self.channel.queue().is_full()
    }

    /// How many messages the channel can hold; `None` if it is unbounded.
    #[doc(alias = "max_capacity")]
    pub fn capacity(&self) -> Option<usize> {
        self.channel.queue().capacity()
    }

    /// How many senders there are. Weak ones are not counted.
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Receiver<T> {
    /// Another receiver of the same channel.
    ///
    /// # Panics
    /// If there are `usize::MAX / 2` already.
    fn clone(&self) -> Receiver<T> {
        self.channel.add_receiver();
        Receiver { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
