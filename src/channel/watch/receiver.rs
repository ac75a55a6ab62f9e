//! The receiving end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::shared::{Seen, Shared};
use super::{Changed, RecvError, Ref, WaitFor};
use crate::waiter::{Turn, Waiter, block_on};

/// A receiving end of a watch channel; clone it for more. Each one knows which version of the
/// value it saw last; a clone has seen what the original has.
///
/// Dropping it takes it off the channel's count.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: Seen,
}

impl<T> Receiver<T> {
    /// `shared` has counted it.
    pub(super) fn new(shared: Arc<Shared<T>>, seen: Seen) -> Receiver<T> {
        Receiver { shared, seen }
    }

    /// Looks at the value, which stays unseen if it was.
    ///
    /// # Panics
    /// If the value is borrowed 2^28 - 1 times already.
    ///
    /// ```
    /// let (sender, receiver) = volt::channel::watch(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    #[inline]
    pub fn borrow(&self) -> Ref<'_, T> {
        let version = self.shared.begin_read();
        Ref::new(&self.shared, self.seen.is_before(version))
    }

    /// Looks at the value, and notes it as seen.
    ///
    /// # Panics
    /// If the value is borrowed 2^28 - 1 times already.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::watch(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    #[doc(alias = "get_and_update")]
    #[inline]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let version = self.shared.begin_read();
        let found = Ref::new(&self.shared, self.seen.is_before(version));
        self.seen.set(version);
        found
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    /// If there is none, and none will come: all senders were dropped.
    ///
    /// ```
    /// use volt::channel::watch::RecvError;
    ///
    /// let (sender, mut receiver) = volt::channel::watch(1);
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// receiver.mark_unchanged();
    /// assert_eq!(receiver.has_changed(), Err(RecvError));
    /// ```
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        match self.shared.news(&self.seen) {
            Some(news) => news.map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes the value of now as not seen: the next [`changed`](Receiver::changed) is ready at
    /// once.
    ///
    /// ```
    /// let (_sender, mut receiver) = volt::channel::watch(1);
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// receiver.mark_changed();
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen.set_nothing();
    }

    /// Takes the value of now as seen.
    #[doc(alias = "mark_seen")]
    pub fn mark_unchanged(&mut self) {
        self.seen.set_now(&self.shared);
    }

    /// Waits for a value that this receiver has not seen, and notes it as seen.
    ///
    /// Cancel safety: dropping the future ends the wait; a change that it has not told stays
    /// unseen.
    ///
    /// # Errors
    /// If there is none, and none will come: all senders were dropped.
    ///
    /// ```
    /// use volt::channel::watch::RecvError;
    ///
    /// volt::run(|io| async move {
    ///     let (sender, mut receiver) = volt::channel::watch(1);
    ///     io.spawn(async move { sender.send(2) });
    ///     assert_eq!(receiver.changed().await, Ok(()));
    ///     assert_eq!(*receiver.borrow(), 2);
    ///     assert_eq!(receiver.changed().await, Err(RecvError));
    /// });
    /// ```
    #[track_caller]
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed::new(&self.shared, &self.seen)
    }

    /// Waits for a value for which `predicate` is true: the one of now, or a later one. Values
    /// that it is asked about are noted as seen. It is not asked about every value: those that
    /// come while another one does are skipped.
    ///
    /// The value cannot change while `predicate` is asked: that should be short, and must not use
    /// the channel.
    ///
    /// Cancel safety: dropping the future ends the wait and leaves nothing behind.
    ///
    /// # Errors
    /// If `predicate` is false for the last value, and all senders were dropped.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let (sender, mut receiver) = volt::channel::watch(1);
    ///     io.spawn(async move {
    ///         for value in 2..=10 {
    ///             sender.send_replace(value);
    ///         }
    ///     });
    ///     assert!(*receiver.wait_for(|value| *value > 5).await.unwrap() > 5);
    ///     assert!(receiver.wait_for(|value| *value > 10).await.is_err());
    /// });
    /// ```
    #[track_caller]
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, predicate: F) -> WaitFor<'_, T, F> {
        WaitFor::new(&self.shared, &self.seen, predicate)
    }

    /// Waits on a plain thread, as [`changed`](Receiver::changed) does in a task.
    ///
    /// # Errors
    /// As [`changed`](Receiver::changed).
    ///
    /// # Panics
    /// On a worker that polls a task.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::watch(1);
    /// let thread = std::thread::spawn(move || sender.send(2));
    /// assert_eq!(receiver.blocking_changed(), Ok(()));
    /// assert_eq!(*receiver.borrow(), 2);
    /// thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_changed(&mut self) -> Result<(), RecvError> {
        block_on("blocking_changed", "changed", self.changed())
    }

    /// What [`changed`](Receiver::changed) would give, if it was ready; else the waiter is queued,
    /// and its waker is called when this is to be called again.
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
    /// assert!(receiver.changed_wait(waiter.as_mut()).is_none());
    /// sender.send(2).unwrap();
    /// assert!(waiter.is_ready());
    /// assert_eq!(receiver.changed_wait(waiter.as_mut()), Some(Ok(())));
    /// ```
    #[track_caller]
    pub fn changed_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
    ) -> Option<Result<(), RecvError>> {
        let waker = waiter.own_waker();
        match self.shared.poll_changed(&self.seen, waiter, &waker, Turn::Take) {
            Poll::Ready(news) => Some(news),
            Poll::Pending => None,
        }
    }

    /// Ends the wait of [`changed_wait`](Receiver::changed_wait). A change that was not told stays
    /// unseen.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    #[track_caller]
    pub fn cancel_changed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.shared.cancel_changed(waiter);
    }

    /// Whether all senders were dropped. There may be a change that was not seen.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Whether both are receivers of one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.shared.add_receiver();
        Receiver { shared: Arc::clone(&self.shared), seen: self.seen.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.drop_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_changed = self.has_changed();
        f.debug_struct("Receiver").field("has_changed", &has_changed).finish_non_exhaustive()
    }
}
