//! What the ends of a broadcast channel share: the ring, and who waits.
//!
//! ```text
//!   open, receivers: n > 0 ──── send: the ring has it, then those who wait are told
//!     │            ▲    │
//!     │  subscribe │    │ the last receiver is dropped: `closes` is told
//!     │            │    ▼
//!     │          open, receivers: 0 ──── send: the message is given back
//!     │
//!     └── close, or the drop of the last sender ──► closed: `messages` and `closes` are told;
//!                                                   receivers have what is kept
//! ```
//!
//! Rules:
//! 1. A receiver that finds nothing marks the ring as awaited, under its lock, before it is queued
//!    under the lock of the list; whoever sends takes the mark with the lock of the ring, and tells
//!    the list after that.
//! 2. The lock of a list is taken before that of the ring, never after it.
//! 3. Messages are cloned and dropped, and wakers called, where no lock is held.

use std::pin::Pin;
use std::task::{Poll, Waker};

use super::ring::{Cursor, Found, Next, Ring};
use super::{RecvError, SendError, TryRecvError};
use crate::channel::audience::Audience;
use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::thread;
use crate::waiter::{Turn, Waiter};

/// See the module documentation.
pub(super) struct Shared<T> {
    ring: Mutex<Ring<T>>,
    senders: AtomicUsize,
    /// The receivers that wait for a message.
    messages: Audience,
    /// The senders that wait for the close.
    closes: Audience,
}

/// One that clones a message, without a lock.
struct Cloning<'a, T> {
    shared: &'a Shared<T>,
    found: Found<T>,
}

impl<T> Drop for Cloning<'_, T> {
    /// Also when the clone has panicked.
    fn drop(&mut self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // SAFETY: it ends here, and the channel has the ring.
        if unsafe { self.found.reading.end() } {
            let seen = self.shared.ring.lock().clear(&self.found);
            drop(seen);
        }
    }
}

impl<T> Shared<T> {
    /// A channel without ends.
    ///
    /// # Panics
    /// If the capacity is 0 or too large.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Shared<T> {
        Shared {
            ring: Mutex::new(Ring::new(capacity)),
            senders: AtomicUsize::new(0),
            messages: Audience::new(),
            closes: Audience::new(),
        }
    }

    /// Sends the message to all receivers, and says how many there are.
    ///
    /// # Errors
    /// The message, if there is none, or the channel is closed.
    #[inline]
    pub(super) fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let mut ring = self.ring.lock();
        let receivers = ring.receivers();
        if receivers == 0 || ring.is_closed() {
            return Err(SendError(message));
        }
        let overwritten = ring.push(message);
        let is_awaited = ring.take_awaited();
        drop(ring);
        if mutation!("broadcast-sends-silently", is_awaited, false) {
            self.messages.tell();
        }
        // Last, since its destructor may panic.
        drop(overwritten);
        Ok(receivers)
    }

    /// Closes the channel.
    pub(super) fn close(&self) {
        self.ring.lock().close();
        if mutation!("broadcast-closes-silently", true, false) {
            self.messages.tell();
        }
        self.closes.tell();
    }

    /// Whether a message would be given back.
    pub(super) fn is_closed(&self) -> bool {
        let ring = self.ring.lock();
        ring.is_closed() || ring.receivers() == 0
    }

    /// Whether no message will be sent any more.
    pub(super) fn is_ended(&self) -> bool {
        self.ring.lock().is_closed()
    }

    pub(super) fn receiver_count(&self) -> usize {
        self.ring.lock().receivers()
    }

    /// How many kept messages some receiver has not had.
    pub(super) fn len(&self) -> usize {
        self.ring.lock().len()
    }

    /// How many kept messages the receiver has not had.
    pub(super) fn len_from(&self, cursor: &Cursor) -> usize {
        self.ring.lock().len_from(cursor)
    }

    /// A new receiver, whose first message is the next one.
    pub(super) fn add_receiver(&self) -> Cursor {
        self.ring.lock().add_receiver()
    }

    /// The receiver goes, and with it what it alone had not seen.
    pub(super) fn drop_receiver(&self, cursor: &Cursor) {
        let (until, is_last) = {
            let mut ring = self.ring.lock();
            (ring.remove_receiver(), ring.receivers() == 0)
        };
        if mutation!("broadcast-leaves-silently", is_last, false) {
            self.closes.tell();
        }
        loop {
            let (is_done, seen) = self.ring.lock().skip(cursor, until);
            drop(seen);
            if is_done {
                return;
            }
        }
    }

    pub(super) fn sender_count(&self) -> usize {
        // Relaxed: it may change at once.
        self.senders.load(Ordering::Relaxed)
    }

    /// It cannot run over: each sender has a reference to the channel, which are counted, too.
    pub(super) fn add_sender(&self) {
        // Relaxed: whoever adds one has one, or the channel is new.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a sender, if there is one.
    pub(super) fn try_add_sender(&self) -> bool {
        let mut count = self.senders.load(Ordering::Relaxed);
        while count > 0 {
            // Relaxed: what senders share has a lock.
            let order = Ordering::Relaxed;
            match self.senders.compare_exchange_weak(count, count + 1, order, order) {
                Ok(_) => return true,
                Err(found) => count = found,
            }
        }
        false
    }

    pub(super) fn drop_sender(&self) {
        // AcqRel: what others have sent comes before the last one's close.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    /// The next message for a receiver.
    pub(super) fn try_recv(&self, cursor: &Cursor) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        let next = self.ring.lock().next(cursor);
        match next {
            Next::Message(message) => Ok(message),
            Next::Found(found) => {
                let cloning = Cloning { shared: self, found };
                // SAFETY: it ends when `cloning` is dropped, and the channel has the ring.
                Ok(unsafe { cloning.found.reading.clone_message() })
            }
            Next::Empty => Err(TryRecvError::Empty),
            Next::Lagged(missed) => Err(TryRecvError::Lagged(missed)),
            Next::Closed => Err(TryRecvError::Closed),
        }
    }

    /// Waits for the next message.
    pub(super) fn poll_recv<'a>(
        &'a self,
        cursor: &Cursor,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<T, RecvError>>
    where
        T: Clone,
    {
        if turn == Turn::QueueOnly {
            return Poll::Pending;
        }
        loop {
            let received = match self.try_recv(cursor) {
                Ok(message) => Ok(message),
                Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
                Err(TryRecvError::Empty) => {
                    // Rules 1 and 2.
                    let is_news = || self.ring.lock().is_news(cursor);
                    if self.messages.wait(waiter.as_mut(), waker, is_news) {
                        continue;
                    }
                    return Poll::Pending;
                }
            };
            self.messages.cancel(waiter);
            return Poll::Ready(received);
        }
    }

    /// Ends a receiver's wait.
    #[track_caller]
    pub(super) fn cancel_recv<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.messages.cancel(waiter);
    }

    /// Waits until a message would be given back.
    pub(super) fn poll_closed<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::QueueOnly {
            return Poll::Pending;
        }
        loop {
            if self.is_closed() {
                self.closes.cancel(waiter);
                return Poll::Ready(());
            }
            if !self.closes.wait(waiter.as_mut(), waker, || self.is_closed()) {
                return Poll::Pending;
            }
        }
    }

    /// Ends a sender's wait.
    #[track_caller]
    pub(super) fn cancel_closed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.closes.cancel(waiter);
    }

    /// How many receivers wait.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn waiting(&self) -> usize {
        self.messages.len()
    }

    /// How many stores there are, and how many of them are set aside.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn stores(&self) -> (usize, usize) {
        self.ring.lock().stores()
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    fn is_woken(task: &Task) -> bool {
        task.0.load(Ordering::Acquire)
    }

    /// A message, whose clones and destructors are counted by its references.
    type Message = Arc<u32>;

    /// A channel with one sender and room for one message.
    fn channel() -> Arc<Shared<Message>> {
        let shared = Arc::new(Shared::new(1));
        shared.add_sender();
        shared
    }

    fn send_and_wait() {
        let shared = channel();
        let cursor = shared.add_receiver();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.send(Arc::new(7)).unwrap());
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = shared.poll_recv(&cursor, waiter.as_mut(), &waker, Turn::Take);
        assert_eq!(thread.join().unwrap(), 1);
        let received = match polled {
            Poll::Ready(received) => received,
            Poll::Pending => {
                assert!(is_woken(&task), "a message that nobody tells");
                shared.try_recv(&cursor).map_err(|_| RecvError::Closed)
            }
        };
        assert_eq!(received, Ok(Arc::new(7)));
    }

    #[test]
    fn a_send_meets_a_receiver_that_begins_to_wait() {
        model(send_and_wait);
    }

    #[test]
    fn unmarked_receiver_mutant_is_noticed() {
        assert!(is_noticed("broadcast-awaits-unmarked", || model(send_and_wait)));
    }

    #[test]
    fn silent_send_mutant_is_noticed() {
        assert!(is_noticed("broadcast-sends-silently", || model(send_and_wait)));
    }

    /// A message is overwritten while one of two receivers may be cloning it.
    fn overwrite_and_clone() {
        let shared = channel();
        let (cursor, _other_cursor) = (shared.add_receiver(), shared.add_receiver());
        let first = Arc::new(1);
        shared.send(Arc::clone(&first)).unwrap();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.try_recv(&cursor));
        shared.send(Arc::new(2)).unwrap();
        let received = thread.join().unwrap();
        match &received {
            Ok(message) => assert_eq!(**message, 1),
            Err(error) => assert_eq!(*error, TryRecvError::Lagged(1)),
        }
        drop(received);
        assert_eq!(Arc::strong_count(&first), 1, "the message that was overwritten is kept");
    }

    #[test]
    fn a_message_is_overwritten_while_it_is_cloned() {
        model(overwrite_and_clone);
    }

    #[test]
    fn uncounted_clone_mutant_is_noticed() {
        assert!(is_noticed("broadcast-begins-uncounted", || model(overwrite_and_clone)));
    }

    #[test]
    fn unordered_clone_mutant_is_noticed() {
        assert!(is_noticed("broadcast-ends-unordered", || model(overwrite_and_clone)));
    }

    fn two_receive() {
        let shared = channel();
        let (cursor, other_cursor) = (shared.add_receiver(), shared.add_receiver());
        let first = Arc::new(1);
        shared.send(Arc::clone(&first)).unwrap();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.try_recv(&other_cursor));
        let received = shared.try_recv(&cursor);
        let both = [received, thread.join().unwrap()];
        assert!(both.iter().all(|received| received.as_deref() == Ok(&1)));
        assert_eq!(Arc::strong_count(&first), 3, "a message that all have seen is kept");
    }

    #[test]
    fn two_receivers_meet_and_the_message_goes() {
        model(two_receive);
    }

    #[test]
    fn no_abandoned_message_mutant_is_noticed() {
        assert!(is_noticed("broadcast-abandons-nothing", || model(two_receive)));
    }

    #[test]
    fn a_receiver_is_dropped_while_another_one_receives() {
        model(|| {
            let shared = channel();
            let (cursor, other_cursor) = (shared.add_receiver(), shared.add_receiver());
            let first = Arc::new(1);
            shared.send(Arc::clone(&first)).unwrap();
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || other.try_recv(&other_cursor));
            shared.drop_receiver(&cursor);
            let received = thread.join().unwrap();
            assert_eq!(received.as_deref(), Ok(&1));
            assert_eq!(Arc::strong_count(&first), 2);
        });
    }

    fn close_and_wait() {
        let shared = channel();
        let cursor = shared.add_receiver();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.drop_sender());
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = shared.poll_recv(&cursor, waiter.as_mut(), &waker, Turn::Take);
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "an end that nobody tells");
        assert_eq!(shared.try_recv(&cursor), Err(TryRecvError::Closed));
    }

    #[test]
    fn the_last_sender_is_dropped_while_a_receiver_begins_to_wait() {
        model(close_and_wait);
    }

    #[test]
    fn silent_close_mutant_is_noticed() {
        assert!(is_noticed("broadcast-closes-silently", || model(close_and_wait)));
    }

    fn leave_and_wait() {
        let shared = channel();
        let cursor = shared.add_receiver();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.drop_receiver(&cursor));
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = shared.poll_closed(waiter.as_mut(), &waker, Turn::Take);
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "the last receiver goes silently");
    }

    #[test]
    fn the_last_receiver_is_dropped_while_a_sender_begins_to_wait() {
        model(leave_and_wait);
    }

    #[test]
    fn silent_leave_mutant_is_noticed() {
        assert!(is_noticed("broadcast-leaves-silently", || model(leave_and_wait)));
    }
}
