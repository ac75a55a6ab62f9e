//! Channels: values from one task or thread to another. They need no runtime, and work under any
//! executor or none.
//!
//! | channel | senders | receivers | what a receiver gets | when it is full |
//! |---|---|---|---|---|
//! | [`bounded`] | many | many | each message once, whoever comes first | senders wait |
//! | [`unbounded`] | many | many | the same | never |
//! | [`oneshot()`] | one | one | one value | |
//! | [`broadcast()`] | many | many | every message | the oldest goes, and is missed |
//! | [`watch()`] | many | many | the newest value | the value before goes |
//!
//! Each waits at four levels, as everything in [`sync`](crate::sync) does:
//!
//! | level | looks like | needs |
//! |---|---|---|
//! | try | `receiver.try_recv()` | nothing |
//! | await | `receiver.recv().await` | any executor |
//! | future | `let future: Recv<'_, T> = receiver.recv();`, cancelled by its drop | any executor |
//! | waiter | `receiver.recv_wait(waiter)`, `receiver.cancel_recv(waiter)`, pinned | nothing |
//!
//! Plain threads wait with [`blocking_send`](Sender::blocking_send) and
//! [`blocking_recv`](Receiver::blocking_recv).
//!
//! What [`bounded`] and [`unbounded`] promise:
//! * No message is lost, duplicated, or reordered among those of one sender. A send or receive that
//!   is dropped before it is ready has moved no message.
//! * Whoever waits at either end is served first come, first served. The first is woken as soon as
//!   there is something for it. Tasks that run may overtake it, at most 16 times, then what comes
//!   is set aside for it.
//! * A wait allocates nothing.
//! * After a close, by [`Sender::close`], [`Receiver::close`] or the drop of the last handle of an
//!   end, what was sent is received; then receivers learn of it. What no receiver is left for is
//!   dropped at once, however many senders are left.
//!
//! ```
//! use volt::channel;
//!
//! volt::run(|io| async move {
//!     let (sender, receiver) = channel::bounded(16);
//!     for worker in 0..4 {
//!         let sender = sender.clone();
//!         io.spawn(async move {
//!             for number in 0..100 {
//!                 sender.send(worker * 100 + number).await.unwrap();
//!             }
//!         });
//!     }
//!     drop(sender);
//!     let mut sum = 0;
//!     while let Ok(number) = receiver.recv().await {
//!         sum += number;
//!     }
//!     assert_eq!(sum, (0..400).sum::<i32>());
//! });
//! ```

pub mod broadcast;
pub mod oneshot;
pub mod watch;

mod audience;
#[expect(clippy::module_inception, reason = "the channel is what this module is named after")]
mod channel;
mod closed;
mod errors;
mod queue;
mod receiver;
mod recv;
mod ring;
mod segments;
mod select;
mod send;
mod sender;
mod slots;
mod stream;
#[cfg(all(test, not(volt_shuttle)))]
mod test_wakers;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
mod wait_queue;
mod word;

pub use self::broadcast::broadcast;
pub use self::closed::Closed;
pub use self::errors::{RecvError, SendError, TryRecvError, TrySendError};
pub use self::oneshot::oneshot;
pub use self::receiver::Receiver;
pub use self::recv::{Recv, RecvMany};
pub use self::select::{Select, SelectWait, Selected};
pub use self::send::{Reserve, Send, SendPermit};
pub use self::sender::{Sender, WeakSender};
pub use self::stream::{IntoStream, Stream};
pub use self::watch::watch;

use self::channel::Channel;
use self::queue::Queue;
use self::ring::{MAX_CAPACITY, Ring};
use self::segments::Segments;

/// A channel that holds up to `capacity` messages. Whoever sends more than that waits until one is
/// received.
///
/// It is a ring that is written and read without a lock, allocated at once: its size is that of
/// `capacity` messages, each with a word, rounded up to a power of two.
///
/// # Panics
/// If `capacity` is 0: there is no channel that hands over without holding. If it is more than
/// 16,777,215 (2²⁴ - 1).
///
/// ```
/// use volt::channel;
///
/// let (sender, receiver) = channel::bounded(3);
/// for number in 0..3 {
///     sender.try_send(number).unwrap();
/// }
/// assert!(sender.try_send(3).is_err());
/// assert_eq!(receiver.try_recv(), Ok(0));
/// ```
#[must_use]
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity >= 1,
        "a bounded channel holds one message or more: its capacity was {capacity}"
    );
    assert!(
        capacity <= MAX_CAPACITY,
        "a bounded channel holds at most {MAX_CAPACITY} messages: its capacity was {capacity}"
    );
    handles(Queue::Ring(Ring::new(capacity)))
}

/// A channel that holds as many messages as memory does. Sending never waits for room.
///
/// What a burst of messages took is given back when they are received.
///
/// ```
/// use volt::channel;
///
/// let (sender, receiver) = channel::unbounded();
/// for number in 0..10_000 {
///     sender.try_send(number).unwrap();
/// }
/// assert_eq!(receiver.len(), 10_000);
/// assert_eq!(receiver.try_recv(), Ok(0));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    handles(Queue::Segments(Segments::new()))
}

fn handles<T>(queue: Queue<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Channel::new(queue);
    (Sender::new(channel.clone()), Receiver::new(channel))
}
