//! What the handles of a channel share, of either kind: its messages, those who wait, and how many
//! handles there are.
//!
//! ```text
//!            ┌─── room ◄── senders wait        receivers wait ◄── messages ───┐
//!            │                                                                │
//!   senders ─┴─ try_push, push_claimed ──► messages ──► try_pop, pop_claimed ─┴─ receivers
//! ```
//!
//! ```text
//!   open ─── by a handle, or by the drop of the last ───► closed ──────────► closed and empty
//!            of an end: senders that wait are refused,     the last message   receivers that
//!            watchers are told                             and claim go       wait are refused
//! ```
//!
//! Rules:
//! 1. Whoever makes something available serves who waits for it, after that and before it returns,
//!    see [`wait_queue`](super::wait_queue).
//! 2. An end whose count comes to zero has no handle ever after.
//! 3. Messages are dropped and wakers are called where no lock is held.
//! 4. What nobody will receive is dropped by whoever comes second. The last receiver counts itself
//!    out, closes, and drains. Whoever has filled a claimed slot looks whether the channel is
//!    closed, then whether there is no receiver, and drains then, too. The filling and that close,
//!    even if another one came before, are steps of one word, or under one lock. If the slot was
//!    filled first, the receiver finds the message. If the close came first, it is seen, and what
//!    came before it: that there is no receiver.

use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use super::audience::Audience;
use super::errors::{RecvError, SendError, TryRecvError, TrySendError};
use super::queue::{End, Queue, Refusal, ToServe};
use super::wait_queue::{NoMore, WaitQueue};
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::thread;
use crate::waiter::{Turn, Waiter};

/// The most handles of one end.
const MOST_HANDLES: usize = usize::MAX / 2;

/// See the module documentation.
pub(super) struct Channel<T> {
    queue: Queue<T>,
    senders: WaitQueue<T>,
    receivers: WaitQueue<T>,
    watchers: Audience,
    sender_count: AtomicUsize,
    receiver_count: AtomicUsize,
}

impl<T> Channel<T> {
    /// A channel with one handle at each end, which the caller makes.
    pub(super) fn new(queue: Queue<T>) -> Arc<Channel<T>> {
        Arc::new_cyclic(|channel| Channel {
            queue,
            // SAFETY: the channel will be there, and does not move.
            senders: unsafe { WaitQueue::new(End::Senders, channel.as_ptr()) },
            // SAFETY: as above.
            receivers: unsafe { WaitQueue::new(End::Receivers, channel.as_ptr()) },
            watchers: Audience::new(),
            sender_count: AtomicUsize::new(1),
            receiver_count: AtomicUsize::new(1),
        })
    }

    #[inline]
    pub(super) fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    /// Those who wait for a message.
    #[cfg(all(test, volt_loom))]
    pub(super) fn receivers(&self) -> &WaitQueue<T> {
        &self.receivers
    }

    #[inline]
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.queue.try_push(value, address_of(&self.senders)) {
            Ok(calls) => {
                if calls {
                    self.receivers.serve_first();
                }
                Ok(())
            }
            Err(TrySendError::Full(unsent)) => self.try_send_after_due(unsent),
            Err(closed) => Err(closed),
        }
    }

    /// There is no room; or it is due to the first sender that waits.
    #[cold]
    fn try_send_after_due(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.senders.serve_due() { self.try_send(value) } else { Err(TrySendError::Full(value)) }
    }

    /// Sends into a slot that the caller has claimed.
    #[inline]
    pub(super) fn send_claimed(&self, value: T) {
        if self.queue.push_claimed(value) {
            self.receivers.serve_first();
        }
        if self.queue.is_closed() {
            self.drain_without_receivers();
        }
    }

    /// Rule 4, for what was sent through a claim.
    #[cold]
    fn drain_without_receivers(&self) {
        // Acquire: pairs with `remove_receiver`: no receiver has anything claimed any more.
        let has_none = self.receiver_count.load(Ordering::Acquire) == 0;
        if mutation!("channel-keeps-what-nobody-receives", has_none, false) {
            self.drain();
        }
    }

    /// Drops the messages that are there: nobody will receive them.
    fn drain(&self) {
        while let Ok((value, _)) = self.queue.try_pop(address_of(&self.receivers)) {
            drop(value);
        }
    }

    /// Sends what is in `value`, which is empty when it is sent.
    pub(super) fn poll_send<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
        value: &mut Option<T>,
    ) -> Poll<Result<(), SendError<T>>> {
        assert!(value.is_some(), "there is no message to be sent");
        if turn == Turn::Take && !waiter.is_in(&self.senders) {
            match self.try_send(take(value)) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(TrySendError::Closed(unsent)) => return Poll::Ready(Err(SendError(unsent))),
                Err(TrySendError::Full(unsent)) => *value = Some(unsent),
            }
        }
        self.poll_send_queued(waiter, waker, turn, value)
    }

    /// As `poll_send`, for one who waits, or has just found no room.
    pub(super) fn poll_send_queued<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
        value: &mut Option<T>,
    ) -> Poll<Result<(), SendError<T>>> {
        Poll::Ready(match ready!(self.senders.poll(waiter, waker, turn)) {
            Ok(()) => {
                self.send_claimed(take(value));
                Ok(())
            }
            Err(NoMore) => Err(SendError(take(value))),
        })
    }

    /// Claims a slot.
    pub(super) fn try_reserve(&self) -> Result<(), TrySendError<()>> {
        loop {
            return match self.queue.try_claim_slot(address_of(&self.senders)) {
                Err(Refusal::Wait) if self.senders.serve_due() => continue,
                Err(Refusal::Wait) => Err(TrySendError::Full(())),
                Err(Refusal::Closed) => Err(TrySendError::Closed(())),
                Ok(()) => Ok(()),
            };
        }
    }

    /// Claims a slot.
    pub(super) fn poll_reserve<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<(), SendError<()>>> {
        if turn == Turn::Take && !waiter.is_in(&self.senders) {
            match self.try_reserve() {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(TrySendError::Closed(())) => return Poll::Ready(Err(SendError(()))),
                Err(TrySendError::Full(())) => {}
            }
        }
        self.senders.poll(waiter, waker, turn).map_err(|NoMore| SendError(()))
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.queue.try_pop(address_of(&self.receivers)) {
            Ok((value, next)) => {
                self.serve(next);
                Ok(value)
            }
            Err(TryRecvError::Empty) => self.try_recv_after_due(),
            Err(closed) => Err(closed),
        }
    }

    /// There is no message; or it is due to the first receiver that waits.
    #[cold]
    fn try_recv_after_due(&self) -> Result<T, TryRecvError> {
        if self.receivers.serve_due() { self.try_recv() } else { Err(TryRecvError::Empty) }
    }

    pub(super) fn poll_recv<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<T, RecvError>> {
        if turn == Turn::Take && !waiter.is_in(&self.receivers) {
            match self.try_recv() {
                Ok(value) => return Poll::Ready(Ok(value)),
                Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
        }
        self.poll_recv_queued(waiter, waker, turn)
    }

    /// As `poll_recv`, for one who waits, or has just found no message.
    pub(super) fn poll_recv_queued<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<T, RecvError>> {
        Poll::Ready(match ready!(self.receivers.poll(waiter, waker, turn)) {
            Ok(()) => {
                let (value, next) = self.queue.pop_claimed();
                self.serve(next);
                Ok(value)
            }
            Err(NoMore) => Err(RecvError),
        })
    }

    pub(super) fn poll_closed<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<()> {
        let is_closed = || self.queue.is_closed();
        // Before the lock: most channels that are asked are closed for good.
        if (!waiter.is_in(&self.watchers) && is_closed())
            || self.watchers.wait(waiter, waker, is_closed)
        {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Gives a claim back.
    pub(super) fn unclaim(&self, end: End) {
        let next = self.queue.unclaim(end);
        if mutation!("channel-unclaims-silently", true, false) {
            self.serve(next);
        }
    }

    /// Rule 1.
    #[inline]
    fn serve(&self, next: ToServe) {
        if mutation!("channel-frees-silently", next.senders, false) {
            self.senders.serve_first();
        }
        if next.receivers {
            self.receivers.serve_first();
        }
    }

    /// Nothing is sent any more, but through claims.
    pub(super) fn close(&self) {
        if self.queue.close() {
            self.senders.serve_first();
            self.receivers.serve_first();
            self.watchers.tell();
        }
    }

    /// Ends the wait of a sender.
    pub(super) fn cancel_send<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        if waiter.is_in(&self.senders) {
            waiter.cancel();
        }
    }

    /// Ends the wait of a receiver.
    pub(super) fn cancel_recv<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        if waiter.is_in(&self.receivers) {
            waiter.cancel();
        }
    }

    /// Ends the wait for the close.
    pub(super) fn cancel_closed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.watchers.cancel(waiter);
    }

    pub(super) fn sender_count(&self) -> usize {
        // Relaxed: it may change at any moment.
        self.sender_count.load(Ordering::Relaxed)
    }

    pub(super) fn receiver_count(&self) -> usize {
        // Relaxed: it may change at any moment.
        self.receiver_count.load(Ordering::Relaxed)
    }

    pub(super) fn add_sender(&self) {
        add(&self.sender_count);
    }

    pub(super) fn add_receiver(&self) {
        add(&self.receiver_count);
    }

    /// Adds a sender, if there is one. True if there was.
    pub(super) fn add_sender_to_others(&self) -> bool {
        let mut count = self.sender_count.load(Ordering::Relaxed);
        loop {
            // Rule 2.
            if mutation!("channel-revives-senders", count == 0, false) {
                return false;
            }
            assert_few(count);
            // Relaxed: the caller has the channel already.
            let order = Ordering::Relaxed;
            match self.sender_count.compare_exchange_weak(count, count + 1, order, order) {
                Ok(_) => return true,
                Err(found) => count = found,
            }
        }
    }

    /// A sender is dropped.
    pub(super) fn remove_sender(&self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // AcqRel: the last one closes after all that others have sent.
        if self.sender_count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    /// A receiver is dropped.
    pub(super) fn remove_receiver(&self) {
        // As above.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // AcqRel: the last one comes after all that others have received.
        if self.receiver_count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
            // Rule 4.
            self.drain();
        }
    }
}

/// What the law of fairness knows a queue by.
#[inline]
fn address_of<T>(queue: &WaitQueue<T>) -> usize {
    ptr::from_ref(queue).addr()
}

/// The message that is to be sent, which is there.
fn take<T>(value: &mut Option<T>) -> T {
    value.take().expect("a message is sent once")
}

fn add(count: &AtomicUsize) {
    // Relaxed: the caller has a handle already.
    let before = count.fetch_add(1, Ordering::Relaxed);
    if before >= MOST_HANDLES {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    assert_few(before);
}

fn assert_few(count: usize) {
    assert!(count < MOST_HANDLES, "an end of a channel has too many handles");
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::channel::segments::Segments;

    #[test]
    fn an_end_has_a_limit_of_handles() {
        let channel = Channel::<u32>::new(Queue::Segments(Segments::new()));
        channel.sender_count.store(MOST_HANDLES, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| channel.add_sender())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| channel.add_sender_to_others())).is_err());
        assert_eq!(channel.sender_count(), MOST_HANDLES);
        channel.receiver_count.store(MOST_HANDLES - 1, Ordering::Relaxed);
        channel.add_receiver();
        assert!(catch_unwind(AssertUnwindSafe(|| channel.add_receiver())).is_err());
        assert_eq!(channel.receiver_count(), MOST_HANDLES);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use crate::channel::{Receiver, Sender, bounded, unbounded};
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    /// A weak sender becomes a sender while the last sender is dropped.
    fn upgrade_and_last_drop() {
        let (sender, receiver) = bounded::<u32>(1);
        let weak = sender.downgrade();
        let dropper = loom::thread::spawn(move || drop(sender));
        if let Some(sender) = weak.upgrade() {
            assert!(!sender.is_closed(), "a sender of a channel that has none");
            assert!(sender.try_send(1).is_ok());
        }
        dropper.join().unwrap();
        assert!(receiver.is_closed());
    }

    #[test]
    fn an_upgrade_meets_the_drop_of_the_last_sender() {
        model(upgrade_and_last_drop);
    }

    #[test]
    fn revived_senders_mutant_is_noticed() {
        assert!(is_noticed("channel-revives-senders", || model(upgrade_and_last_drop)));
    }

    /// A message is sent through a claim while the last receiver is dropped, of a channel that was
    /// closed before or not.
    fn claimed_send_and_last_drop(
        (sender, receiver): (Sender<Arc<()>>, Receiver<Arc<()>>),
        is_closed: bool,
    ) {
        let message = Arc::new(());
        let permit = sender.try_reserve().unwrap();
        if is_closed {
            sender.close();
        }
        let dropper = loom::thread::spawn(move || drop(receiver));
        permit.send(Arc::clone(&message));
        dropper.join().unwrap();
        assert_eq!(Arc::strong_count(&message), 1, "a message that nobody will receive is kept");
    }

    #[test]
    fn a_claimed_slot_is_filled_while_the_last_receiver_is_dropped() {
        for is_closed in [false, true] {
            model(move || claimed_send_and_last_drop(bounded(1), is_closed));
            model(move || claimed_send_and_last_drop(unbounded(), is_closed));
        }
    }

    #[test]
    fn kept_message_mutant_is_noticed() {
        let name = "channel-keeps-what-nobody-receives";
        let in_ring = || model(|| claimed_send_and_last_drop(bounded(1), false));
        assert!(is_noticed(name, in_ring));
        let in_segments = || model(|| claimed_send_and_last_drop(unbounded(), false));
        assert!(is_noticed(name, in_segments));
    }

    /// The last two senders and the last receiver are dropped at once; a message is in between.
    #[test]
    fn the_last_handles_are_dropped_at_once() {
        model(|| {
            let (sender, receiver) = bounded::<u32>(1);
            let other = sender.clone();
            let first = loom::thread::spawn(move || {
                let _ = other.try_send(1);
            });
            let second = loom::thread::spawn(move || drop(sender));
            let early = receiver.try_recv().ok();
            first.join().unwrap();
            second.join().unwrap();
            assert!(receiver.is_closed());
            assert_eq!(early.or_else(|| receiver.try_recv().ok()), Some(1));
            assert!(receiver.try_recv().is_err());
        });
    }
}
