//! The sending end.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use super::shared::{Seen, Shared};
use super::{Closed, Receiver, Ref, SendError};
use crate::waiter::{Turn, Waiter};

/// A sending end of a watch channel; clone it for more. When the last one is dropped the channel
/// is closed, and receivers that wait are told.
///
/// Sending never waits for a receiver; it waits, and keeps its thread, while the value is looked
/// at.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A channel that holds `initial` and has no receiver yet:
    /// [`subscribe`](Sender::subscribe) makes some.
    ///
    /// ```
    /// let sender = volt::channel::watch::Sender::new(1);
    /// let receiver = sender.subscribe();
    /// assert_eq!(*receiver.borrow(), 1);
    /// ```
    pub fn new(initial: T) -> Sender<T> {
        let shared = Arc::new(Shared::new(initial));
        shared.add_sender();
        Sender { shared }
    }

    /// Exchanges the value, and tells the receivers.
    ///
    /// # Errors
    /// The value, if there is no receiver: the channel keeps the one that it has.
    /// [`send_replace`](Sender::send_replace) exchanges it all the same.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(receiver);
    /// assert!(sender.send(3).is_err());
    /// assert_eq!(*sender.borrow(), 2);
    /// ```
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.send_replace(value));
        Ok(())
    }

    /// Exchanges the value, whether there are receivers or not, and gives back the one before.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// assert_eq!(sender.send_replace(2), 1);
    /// assert_eq!(*receiver.borrow(), 2);
    /// ```
    #[inline]
    pub fn send_replace(&self, value: T) -> T {
        self.shared.modify(|place| (true, mem::replace(place, value)))
    }

    /// Changes the value in place, whether there are receivers or not, and tells the receivers.
    ///
    /// Nobody can look at the value meanwhile: `change` should be short, and must not use the
    /// channel. If it panics, the value is as the panic left it, and the receivers are not told.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.shared.modify(|value| {
            change(value);
            (true, ())
        });
    }

    /// As [`send_modify`](Sender::send_modify); the receivers are told only if `change` says that
    /// it has changed the value. Whether it has.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// let raise = |to: i32| move |value: &mut i32| {
    ///     let raised = to > *value;
    ///     *value = to.max(*value);
    ///     raised
    /// };
    /// assert!(!sender.send_if_modified(raise(0)));
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// assert!(sender.send_if_modified(raise(2)));
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.shared.modify(|value| {
            let is_changed = change(value);
            (is_changed, is_changed)
        })
    }

    /// Looks at the value.
    ///
    /// # Panics
    /// If the value is borrowed 2^28 - 1 times already.
    ///
    /// ```
    /// let (sender, _receiver) = volt::channel::watch("value");
    /// assert_eq!(*sender.borrow(), "value");
    /// ```
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.begin_read();
        Ref::new(&self.shared, false)
    }

    /// A new receiver, to which the value of now is no change:
    /// [`mark_changed`](Receiver::mark_changed) makes it one.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// drop(receiver);
    /// let receiver = sender.subscribe();
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    #[doc(alias = "subscribe_no_initial")]
    pub fn subscribe(&self) -> Receiver<T> {
        // Counted first: a send that comes after the version is seen finds the receiver.
        self.shared.add_receiver();
        Receiver::new(Arc::clone(&self.shared), Seen::now(&self.shared))
    }

    /// Whether there is no receiver. With [`subscribe`](Sender::subscribe) there may be one again.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// Cancel safety: dropping the future ends the wait and leaves nothing behind.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = volt::channel::watch(1);
    ///     io.spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.shared)
    }

    /// Whether there is no receiver; if there is one, the waiter is queued, and its waker is
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
    /// let (sender, receiver) = volt::channel::watch(1);
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
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// let other = receiver.clone();
    /// assert_eq!(sender.receiver_count(), 2);
    /// drop((receiver, other));
    /// assert_eq!(sender.receiver_count(), 0);
    /// ```
    #[inline]
    pub fn receiver_count(&self) -> usize {
        self.shared.receiver_count()
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.shared.sender_count()
    }

    /// Whether both are senders of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many receivers wait for a change.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn waiting(&self) -> usize {
        self.shared.waiting()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.add_sender();
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Sender<T> {
        Sender::new(T::default())
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
