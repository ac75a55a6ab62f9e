//! The sending end of a channel.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use super::channel::Channel;
use super::closed::Closed;
use super::errors::{SendError, TrySendError};
use super::send::{Reserve, Send, SendPermit};
use crate::waiter::{Turn, Waiter, block_on};

/// The sending end of a channel that [`bounded`](super::bounded) or
/// [`unbounded`](super::unbounded) made. Copies of it send into the same channel.
///
/// When the last one is dropped, the channel is closed: its receivers receive what is left, then
/// learn of it.
///
/// Senders that wait for room are served first come, first served. The first of them is woken when
/// there is room; until it comes, running ones may overtake it, at most 16 times. Then room is set
/// aside for it, and [`try_send`](Sender::try_send) answers that the channel is full.
///
/// One that waits has sent nothing yet: what is sent meanwhile, also by the same handle, comes
/// before its message.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Sender<T> {
        Sender { channel }
    }

    /// Sends `value`, if there is room that is not set aside for one who waits. An unbounded
    /// channel has room always.
    ///
    /// # Errors
    /// With the value, if the channel is full or closed.
    ///
    /// ```
    /// use volt::channel::{self, TrySendError};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// assert!(sender.try_send(1).is_ok());
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(value)
    }

    /// Sends `value`, and waits for room first if there is none.
    ///
    /// Cancel safety: a future that is dropped before it is ready has sent nothing; the value is
    /// dropped with it. To keep the value, [`reserve`](Sender::reserve) first.
    ///
    /// # Errors
    /// With the value, if the channel is closed.
    ///
    /// ```
    /// use volt::channel;
    ///
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = channel::bounded(1);
    ///     let task = io.spawn(async move {
    ///         for number in 0..3 {
    ///             sender.send(number).await.unwrap();
    ///         }
    ///     });
    ///     assert_eq!(receiver.recv().await, Ok(0));
    ///     assert_eq!(receiver.recv().await, Ok(1));
    ///     assert_eq!(receiver.recv().await, Ok(2));
    ///     assert!(receiver.recv().await.is_err());
    ///     task.await.unwrap();
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Send<'_, T> {
        Send::new(&self.channel, value, Location::caller())
    }

    /// As [`send`](Sender::send), for a thread that polls no task: it waits.
    ///
    /// # Errors
    /// With the value, if the channel is closed.
    ///
    /// # Panics
    /// In a task, whose worker it would keep from all others: await [`send`](Sender::send) there.
    ///
    /// ```
    /// use volt::channel;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let thread = std::thread::spawn(move || (0..3).for_each(|number| {
    ///     sender.blocking_send(number).unwrap();
    /// }));
    /// let received: Vec<u32> = std::iter::from_fn(|| receiver.blocking_recv().ok()).collect();
    /// assert_eq!(received, [0, 1, 2]);
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        block_on("blocking_send", "send", self.send(value))
    }

    /// Sends what is in `value`, or has `waiter` wait for room: then its waker is called when this
    /// is to be called again. `None` while it waits; `value` is taken when it is sent.
    ///
    /// # Errors
    /// With the value, if the channel is closed.
    ///
    /// # Panics
    /// If `value` is empty, if `waiter` waits somewhere else, or if it is that of a future.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::channel;
    /// use volt::sync::Waiter;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// sender.try_send("first").unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// let mut value = Some("second");
    /// assert!(sender.send_wait(waiter.as_mut(), &mut value).is_none());
    /// assert_eq!(receiver.try_recv(), Ok("first"));
    /// // Its waker has been called.
    /// assert_eq!(sender.send_wait(waiter.as_mut(), &mut value), Some(Ok(())));
    /// assert_eq!(receiver.try_recv(), Ok("second"));
    /// ```
    pub fn send_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        value: &mut Option<T>,
    ) -> Option<Result<(), SendError<T>>> {
        let waker = waiter.own_waker();
        match self.channel.poll_send(waiter, &waker, Turn::Take, value) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Ends the wait that [`send_wait`](Sender::send_wait) or
    /// [`reserve_wait`](Sender::reserve_wait) began, if there is one: the room that `waiter` may
    /// have been given goes to the next one.
    ///
    /// # Panics
    /// If it waits somewhere else.
    pub fn cancel_send<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.channel.cancel_send(waiter);
    }

    /// Sets room for one message aside, if there is some that is not set aside already.
    ///
    /// # Errors
    /// If the channel is full or closed.
    ///
    /// ```
    /// use volt::channel::{self, TrySendError};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let permit = sender.try_reserve().unwrap();
    /// assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    /// permit.send(2);
    /// assert_eq!(receiver.try_recv(), Ok(2));
    /// ```
    pub fn try_reserve(&self) -> Result<SendPermit<'_, T>, TrySendError<()>> {
        self.channel.try_reserve().map(|()| SendPermit::new(&self.channel))
    }

    /// Sets room for one message aside, and waits for it if there is none. The permit sends one
    /// message, and neither waits nor fails; if it is dropped instead, the room goes to the next
    /// one.
    ///
    /// Receivers take a channel for closed only when no permit is left.
    ///
    /// Cancel safety: a future that is dropped before it is ready leaves nothing behind.
    ///
    /// # Errors
    /// If the channel is closed.
    ///
    /// ```
    /// use volt::channel;
    ///
    /// volt::run(|_io| async {
    ///     let (sender, receiver) = channel::bounded(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     permit.send("made when there was room");
    ///     assert_eq!(receiver.recv().await, Ok("made when there was room"));
    /// });
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve::new(&self.channel, Location::caller())
    }

    /// As [`reserve`](Sender::reserve), with a waiter of the caller's, as
    /// [`send_wait`](Sender::send_wait). `None` while it waits.
    ///
    /// # Errors
    /// If the channel is closed.
    ///
    /// # Panics
    /// If `waiter` waits somewhere else, or if it is that of a future.
    pub fn reserve_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
    ) -> Option<Result<SendPermit<'a, T>, SendError<()>>> {
        let waker = waiter.own_waker();
        match self.channel.poll_reserve(waiter, &waker, Turn::Take) {
            Poll::Ready(result) => Some(result.map(|()| SendPermit::new(&self.channel))),
            Poll::Pending => None,
        }
    }

    /// Closes the channel: nothing is sent any more, but through permits. Receivers receive what
    /// is left, then learn of it.
    ///
    /// ```
    /// use volt::channel::{self, RecvError};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// sender.try_send(1).unwrap();
    /// sender.close();
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.blocking_recv(), Ok(1));
    /// assert_eq!(receiver.blocking_recv(), Err(RecvError));
    /// ```
    pub fn close(&self) {
        self.channel.close();
    }

    /// Whether the channel is closed: by a handle, or because an end has none any more.
    pub fn is_closed(&self) -> bool {
        self.channel.queue().is_closed()
    }

    /// Waits until the channel is closed, such as by the drop of the last receiver.
    ///
    /// Cancel safety: a future that is dropped leaves nothing behind.
    ///
    /// ```
    /// use volt::channel;
    ///
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = channel::bounded::<u32>(1);
    ///     let task = io.spawn(async move { sender.closed().await });
    ///     drop(receiver);
    ///     task.await.unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.channel)
    }

    /// As [`closed`](Sender::closed), with a waiter of the caller's, as
    /// [`send_wait`](Sender::send_wait). False while it waits.
    ///
    /// # Panics
    /// If `waiter` waits somewhere else, or if it is that of a future.
    pub fn closed_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> bool {
        let waker = waiter.own_waker();
        self.channel.poll_closed(waiter, &waker).is_ready()
    }

    /// Ends the wait that [`closed_wait`](Sender::closed_wait) began, if there is one.
    ///
    /// # Panics
    /// If `waiter` waits somewhere else.
    pub fn cancel_closed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.channel.cancel_closed(waiter);
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
    #[doc(alias = "strong_count")]
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }

    /// A handle that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { channel: Arc::downgrade(&self.channel) }
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    /// Another sender of the same channel.
    ///
    /// # Panics
    /// If there are `usize::MAX / 2` already.
    fn clone(&self) -> Sender<T> {
        self.channel.add_sender();
        Sender { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A [`Sender`] that does not keep its channel open. It cannot send, but become a sender again.
///
/// ```
/// use volt::channel;
///
/// let (sender, receiver) = channel::bounded(1);
/// let weak = sender.downgrade();
/// weak.upgrade().unwrap().try_send(1).unwrap();
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// assert_eq!(receiver.try_recv(), Ok(1));
/// ```
pub struct WeakSender<T> {
    channel: Weak<Channel<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, if there is one still.
    ///
    /// # Panics
    /// If there are `usize::MAX / 2` already.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let channel = self.channel.upgrade()?;
        channel.add_sender_to_others().then(|| Sender { channel })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> WeakSender<T> {
        WeakSender { channel: Weak::clone(&self.channel) }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}
