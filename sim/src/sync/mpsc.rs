//! Channels with many senders and one receiver, as `std::sync::mpsc`.
//!
//! ```text
//!   any:         recv ─── empty: sleep until a message or the last sender is gone
//!   unbounded:   send ──► queued
//!   capacity n:  send ─── n queued: sleep until one is taken ──► queued
//!   capacity 0:  send ──► queued ─── sleep until this message is taken ──► done
//!                try_send ─── only while the receiver sleeps and nothing is queued ──► queued
//!
//!   receiver dropped:  queued messages are dropped; senders that sleep get their message back
//!   senders dropped:   the receiver takes what is queued, then finds the channel disconnected
//! ```
//!
//! One mutex protects a queue; two condition variables hold the sleeping receiver and the sleeping
//! senders. Both sides note under the mutex that they sleep, so that nobody notifies in vain.
//!
//! ```
//! use volt_sim::sync::mpsc;
//!
//! let (sender, receiver) = mpsc::channel();
//! std::thread::scope(|scope| {
//!     for n in 0..3 {
//!         let sender = sender.clone();
//!         scope.spawn(move || sender.send(n).unwrap());
//!     }
//! });
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 3);
//! ```

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::RefUnwindSafe;
use std::time::{Duration, Instant};

use super::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// A channel without a limit on the messages it holds.
///
/// ```
/// use volt_sim::sync::mpsc::{RecvError, channel};
///
/// let (sender, receiver) = channel();
/// sender.send(1).unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok(1));
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(usize::MAX));
    let sender = Sender { channel: Arc::clone(&channel) };
    (sender, Receiver { channel, not_sync: PhantomData })
}

/// A channel that holds up to `bound` messages; sending more blocks. With a bound of 0 every send
/// lasts until the receiver takes the message.
///
/// ```
/// use volt_sim::sync::mpsc::{TrySendError, sync_channel};
///
/// let (sender, receiver) = sync_channel(1);
/// sender.send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(bound));
    let sender = SyncSender { channel: Arc::clone(&channel) };
    (sender, Receiver { channel, not_sync: PhantomData })
}

struct Channel<T> {
    state: Mutex<State<T>>,
    /// How many messages may be queued. Memory ends before `usize::MAX`: that is no bound.
    bound: usize,
    /// The receiver sleeps here: a message came, or the last sender left.
    sent: Condvar,
    /// Senders sleep here: a message was taken, or the receiver left.
    taken: Condvar,
}

struct State<T> {
    queue: VecDeque<Message<T>>,
    next_ticket: u64,
    senders: usize,
    senders_asleep: usize,
    receiver_alive: bool,
    receiver_asleep: bool,
}

struct Message<T> {
    /// Counts up along the queue. The sender of a rendezvous finds its message by it.
    ticket: u64,
    value: T,
}

impl<T> Channel<T> {
    fn new(bound: usize) -> Channel<T> {
        Channel {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                next_ticket: 0,
                senders: 1,
                senders_asleep: 0,
                receiver_alive: true,
                receiver_asleep: false,
            }),
            bound,
            sent: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    #[track_caller]
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of a user runs under the lock, so a panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message and returns its ticket.
    #[track_caller]
    fn push(&self, mut state: MutexGuard<'_, State<T>>, value: T) -> u64 {
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(Message { ticket, value });
        let notify = state.receiver_asleep;
        MutexGuard::unlock(state);
        if notify {
            self.sent.notify_one();
        }
        ticket
    }

    /// Takes the oldest message; without one the error gives the lock back.
    #[track_caller]
    fn pop<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
    ) -> Result<T, MutexGuard<'a, State<T>>> {
        let Some(message) = state.queue.pop_front() else {
            return Err(state);
        };
        let notify = state.senders_asleep > 0;
        MutexGuard::unlock(state);
        if notify {
            if self.bound == 0 {
                // Each sender of a rendezvous waits for its own message.
                self.taken.notify_all();
            } else {
                self.taken.notify_one();
            }
        }
        Ok(message.value)
    }

    /// Blocks a sender until the receiver has done something.
    #[track_caller]
    fn sleep_as_sender<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
    ) -> MutexGuard<'a, State<T>> {
        state.senders_asleep += 1;
        let mut state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.senders_asleep -= 1;
        state
    }

    /// Sends a message, and blocks while there is no room for it.
    #[track_caller]
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.lock();
        while state.receiver_alive && self.bound > 0 && state.queue.len() >= self.bound {
            state = self.sleep_as_sender(state);
        }
        if !state.receiver_alive {
            MutexGuard::unlock(state);
            return Err(SendError(value));
        }
        let ticket = self.push(state, value);
        if self.bound == 0 { self.await_taker(ticket) } else { Ok(()) }
    }

    /// Blocks the sender of a rendezvous until its message is taken, or withdraws the message.
    #[track_caller]
    fn await_taker(&self, ticket: u64) -> Result<(), SendError<T>> {
        let mut state = self.lock();
        loop {
            let place = state.queue.binary_search_by_key(&ticket, |message| message.ticket);
            let withdrawn = match place {
                Ok(_) if state.receiver_alive => {
                    state = self.sleep_as_sender(state);
                    continue;
                }
                Ok(index) => state.queue.remove(index),
                Err(_) => None,
            };
            MutexGuard::unlock(state);
            return withdrawn.map_or(Ok(()), |message| Err(SendError(message.value)));
        }
    }

    #[track_caller]
    fn add_sender(&self) {
        let mut state = self.lock();
        state.senders += 1;
        MutexGuard::unlock(state);
    }

    fn remove_sender(&self) {
        let mut state = self.lock();
        state.senders -= 1;
        let notify = state.senders == 0 && state.receiver_asleep;
        drop(state);
        if notify {
            self.sent.notify_one();
        }
    }

    fn remove_receiver(&self) {
        let mut state = self.lock();
        state.receiver_alive = false;
        let unread = if self.bound == 0 {
            // These belong to senders that wait, and go back to them.
            VecDeque::new()
        } else {
            mem::take(&mut state.queue)
        };
        let notify = state.senders_asleep > 0;
        drop(state);
        if notify {
            self.taken.notify_all();
        }
        // Last, and outside the lock: a destructor may use the channel, or panic.
        drop(unread);
    }

    /// Takes the oldest message, and waits for one until `deadline`; none means no limit.
    #[track_caller]
    fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let mut state = self.lock();
        let mut timed_out = false;
        loop {
            state = match self.pop(state) {
                Ok(value) => return Ok(value),
                Err(state) => state,
            };
            if state.senders == 0 || timed_out {
                let connected = state.senders > 0;
                MutexGuard::unlock(state);
                return Err(if connected {
                    RecvTimeoutError::Timeout
                } else {
                    RecvTimeoutError::Disconnected
                });
            }
            state.receiver_asleep = true;
            let (relocked, result) =
                self.sent.wait_until(state, deadline).unwrap_or_else(PoisonError::into_inner);
            state = relocked;
            state.receiver_asleep = false;
            timed_out = result.timed_out();
        }
    }
}

/// The sending side of [`channel`].
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Sends `t`, and never blocks.
    ///
    /// # Errors
    ///
    /// Gives `t` back if the receiver is gone.
    #[track_caller]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.channel.send(t)
    }
}

impl<T> Clone for Sender<T> {
    #[track_caller]
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
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The sending side of [`sync_channel`].
pub struct SyncSender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> SyncSender<T> {
    /// Sends `t`, and blocks while the channel is full; with a bound of 0, until it is taken.
    ///
    /// # Errors
    ///
    /// Gives `t` back if the receiver is gone, or leaves before a message with bound 0 is taken.
    #[track_caller]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.channel.send(t)
    }

    /// Sends `t` if that is possible without blocking; with a bound of 0, if the receiver waits.
    ///
    /// # Errors
    ///
    /// Gives `t` back: [`TrySendError::Disconnected`] if the receiver is gone, else
    /// [`TrySendError::Full`].
    #[track_caller]
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        let state = self.channel.lock();
        if !state.receiver_alive {
            MutexGuard::unlock(state);
            return Err(TrySendError::Disconnected(t));
        }
        let room = match self.channel.bound {
            0 => state.receiver_asleep && state.queue.is_empty(),
            bound => state.queue.len() < bound,
        };
        if !room {
            MutexGuard::unlock(state);
            return Err(TrySendError::Full(t));
        }
        self.channel.push(state, t);
        Ok(())
    }
}

impl<T> Clone for SyncSender<T> {
    #[track_caller]
    fn clone(&self) -> SyncSender<T> {
        self.channel.add_sender();
        SyncSender { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

/// The receiving side of [`channel`] and [`sync_channel`]. It may be sent to another thread, but
/// not shared.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    /// One receiver at a time: the channel notifies one.
    not_sync: PhantomData<Cell<()>>,
}

// What the receiver shares with the senders is protected by the channel's lock.
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// Takes the next message, and blocks until there is one.
    ///
    /// # Errors
    ///
    /// If no message is queued and all senders are gone.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel.receive(None).map_err(|_| RecvError)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// If no message is queued: [`TryRecvError::Disconnected`] if all senders are gone, else
    /// [`TryRecvError::Empty`].
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.channel.pop(self.channel.lock()) {
            Ok(value) => Ok(value),
            Err(state) => {
                let connected = state.senders > 0;
                MutexGuard::unlock(state);
                Err(if connected { TryRecvError::Empty } else { TryRecvError::Disconnected })
            }
        }
    }

    /// Takes the next message, and blocks for `timeout` at most until there is one.
    ///
    /// # Errors
    ///
    /// If no message is queued: [`RecvTimeoutError::Disconnected`] if all senders are gone,
    /// [`RecvTimeoutError::Timeout`] if the time has passed.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.channel.receive(crate::clock::now().checked_add(timeout))
    }

    /// The messages, each waited for, until all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The messages that can be taken without waiting.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The iterator of [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a> {
    receiver: &'a Receiver<T>,
}

/// The iterator of [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a> {
    receiver: &'a Receiver<T>,
}

/// As [`Iter`], but it owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Returns once the state of the channel satisfies `condition`.
    fn await_state<T>(channel: &Channel<T>, condition: impl Fn(&State<T>) -> bool) {
        while !condition(&channel.lock()) {
            thread::yield_now();
        }
    }

    #[test]
    fn messages_arrive_in_order_and_the_last_sender_ends_them() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        thread::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
        assert!(receiver.iter().eq(0..100));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_sleeping_receiver_is_woken_by_a_message_and_by_disconnection() {
        let (sender, receiver) = channel();
        let channel = Arc::clone(&receiver.channel);
        let waiter = thread::spawn(move || receiver.into_iter().collect::<Vec<u32>>());
        await_state(&channel, |state| state.receiver_asleep);
        sender.send(1).unwrap();
        let second = sender.clone();
        drop(sender);
        await_state(&channel, |state| state.receiver_asleep && state.queue.is_empty());
        second.send(2).unwrap();
        drop(second);
        assert_eq!(waiter.join().unwrap(), [1, 2]);
    }

    #[test]
    fn sending_to_nobody_gives_the_message_back_and_drops_the_unread() {
        let (sender, receiver) = channel();
        let message = Arc::new(());
        sender.send(Arc::clone(&message)).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(sender.send(message).is_err());

        let (sender, receiver) = sync_channel(1);
        drop(receiver);
        assert_eq!(sender.send(1), Err(SendError(1)));
        assert_eq!(sender.try_send(1), Err(TrySendError::Disconnected(1)));
    }

    #[test]
    fn a_full_channel_blocks_senders_until_a_message_is_taken_or_the_receiver_leaves() {
        let (sender, receiver) = sync_channel(1);
        sender.send(0).unwrap();
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        thread::scope(|scope| {
            let sender = &sender;
            let first = scope.spawn(move || sender.send(1));
            await_state(&sender.channel, |state| state.senders_asleep == 1);
            assert_eq!(receiver.recv(), Ok(0));
            assert_eq!(first.join().unwrap(), Ok(()));
            let second = scope.spawn(move || sender.send(2));
            await_state(&sender.channel, |state| state.senders_asleep == 1);
            drop(receiver);
            assert_eq!(second.join().unwrap(), Err(SendError(2)));
        });
    }

    #[test]
    fn a_rendezvous_lasts_until_the_message_is_taken_or_the_receiver_leaves() {
        let (sender, receiver) = sync_channel(0);
        thread::scope(|scope| {
            let sender = &sender;
            let senders = [1, 2, 3, 4].map(|n| {
                let thread = scope.spawn(move || sender.send(n));
                await_state(&sender.channel, |state| state.senders_asleep == n);
                thread
            });
            assert_eq!(receiver.recv(), Ok(1));
            assert_eq!(receiver.try_iter().next(), Some(2));
            drop(receiver);
            let outcomes = senders.map(|thread| thread.join().unwrap());
            assert_eq!(outcomes, [Ok(()), Ok(()), Err(SendError(3)), Err(SendError(4))]);
        });
    }

    #[test]
    fn try_send_meets_only_a_receiver_that_waits() {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        let waiter = thread::spawn(move || receiver.recv());
        while sender.try_send(2).is_err() {
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), Ok(2));
    }

    #[test]
    fn receiving_times_out_only_without_message_and_with_senders() {
        let (sender, receiver) = channel();
        let limit = Duration::from_millis(1);
        assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
        drop(sender);
        assert_eq!(receiver.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
    }
}
