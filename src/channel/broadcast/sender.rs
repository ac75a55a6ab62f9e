//! The sending end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::shared::Shared;
use super::{Receiver, SendError};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// A sending end of a broadcast channel; clone it for more. When the last one is dropped the
/// channel is closed: receivers have what is kept, and are told then.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Clone> Sender<T> {
    /// A channel that keeps the `capacity` newest messages, and has no receiver yet:
    /// [`subscribe`](Sender::subscribe) makes some.
    ///
    /// # Panics
    /// If `capacity` is 0, or more than 2^32 - 1.
    ///
    /// ```
    /// let sender = volt::channel::broadcast::Sender::new(16);
    /// assert!(sender.send("nobody listens").is_err());
    /// let mut receiver = sender.subscribe();
    /// assert_eq!(sender.send("one listens"), Ok(1));
    /// assert_eq!(receiver.try_recv(), Ok("one listens"));
    /// ```
    #[track_caller]
    pub fn new(capacity: usize) -> Sender<T> {
        let shared = Arc::new(Shared::new(capacity));
        shared.add_sender();
        Sender { shared }
    }
}

impl<T> Sender<T> {
    /// Sends the message to all receivers, and says how many there are. That never waits: if the
    /// channel is full, the oldest message is overwritten, and dropped.
    ///
    /// # Errors
    /// The message, if there is no receiver, or the channel is closed.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::broadcast(16);
    /// let mut other = sender.subscribe();
    /// assert_eq!(sender.send(7), Ok(2));
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(other.try_recv(), Ok(7));
    /// drop((receiver, other));
    /// assert!(sender.send(8).is_err());
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        self.shared.send(message)
    }

    /// A new receiver: it gets what is sent from now on.
    ///
    /// ```
    /// let (sender, _receiver) = volt::channel::broadcast(16);
    /// sender.send("before").unwrap();
    /// let mut receiver = sender.subscribe();
    /// sender.send("after").unwrap();
    /// assert_eq!(receiver.try_recv(), Ok("after"));
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// Closes the channel: nothing is sent any more, receivers have what is kept, and are told
    /// then. So does the drop of the last sender.
    ///
    /// ```
    /// use volt::channel::{self, broadcast::TryRecvError};
    ///
    /// let (sender, mut receiver) = channel::broadcast(16);
    /// sender.send(7).unwrap();
    /// sender.close();
    /// assert!(sender.send(8).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether a message would be given back: there is no receiver, or the channel is closed. A
    /// channel without a receiver may get one again, by [`subscribe`](Sender::subscribe).
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Waits until a message would be given back: until there is no receiver, or the channel is
    /// closed.
    ///
    /// Cancel safety: dropping the future ends the wait and leaves nothing behind.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = volt::channel::broadcast::<u32>(16);
    ///     io.spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.send(7).is_err());
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&self) -> Closed<'_, T> {
        Closed { waiter: Waiter::of_future(), shared: &self.shared, place: Location::caller() }
    }

    /// Whether a message would be given back; if not, the waiter is queued, and its waker is
    /// called when this is to be called again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::Waiter;
    ///
    /// let (sender, receiver) = volt::channel::broadcast::<u32>(16);
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(!sender.closed_wait(waiter.as_mut()));
    /// drop(receiver);
    /// assert!(waiter.is_ready());
    /// assert!(sender.closed_wait(waiter.as_mut()));
    /// ```
    #[track_caller]
    pub fn closed_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> bool {
        let waker = waiter.own_waker();
        self.shared.poll_closed(waiter, &waker, Turn::Take).is_ready()
    }

    /// Ends the wait of [`closed_wait`](Sender::closed_wait).
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    #[track_caller]
    pub fn cancel_closed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.shared.cancel_closed(waiter);
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receiver_count()
    }

    /// How many senders there are.
    #[doc(alias = "strong_count")]
    pub fn sender_count(&self) -> usize {
        self.shared.sender_count()
    }

    /// How many of the kept messages some receiver has not had.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::broadcast(2);
    /// for message in 1..=3 {
    ///     sender.send(message).unwrap();
    /// }
    /// assert_eq!(sender.len(), 2);
    /// assert!(receiver.try_recv().is_err());
    /// assert_eq!(receiver.try_recv(), Ok(2));
    /// assert_eq!(sender.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether all receivers have had every message that is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { shared: Arc::clone(&self.shared) }
    }

    /// Whether both are senders of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many receivers wait.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn waiting(&self) -> usize {
        self.shared.waiting()
    }

    /// How many stores there are, and how many of them are set aside.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn stores(&self) -> (usize, usize) {
        self.shared.stores()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.add_sender();
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("senders", &self.sender_count())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

/// A sender that does not keep the channel open: see [`Sender::downgrade`].
///
/// ```
/// let (sender, _receiver) = volt::channel::broadcast(16);
/// let weak = sender.downgrade();
/// assert_eq!(weak.upgrade().unwrap().send(7), Ok(1));
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless the last one was dropped.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let is_added = self.shared.try_add_sender();
        is_added.then(|| Sender { shared: Arc::clone(&self.shared) })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> WeakSender<T> {
        WeakSender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender")
            .field("senders", &self.shared.sender_count())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Sender::closed`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Closed<'a, T> {
        #[pin]
        waiter: Waiter<'a>,
        shared: &'a Shared<T>,
        place: &'static Location<'static>,
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let turn = Turn::of_task();
        let polled = this.shared.poll_closed(this.waiter, context.waker(), turn);
        if polled.is_pending() {
            probe::task_waits("the close of a broadcast channel", this.place);
        }
        turn.end(context, polled)
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
