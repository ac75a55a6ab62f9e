//! A channel whose every message goes to every receiver: events, ticks, chat.
//!
//! Sending never waits. The channel keeps the newest messages, as many as its capacity; a
//! [`Receiver`] that falls further behind is told how many it has missed, and goes on at the
//! oldest that is kept.
//!
//! ```
//! use volt::channel;
//!
//! volt::run(|io| async move {
//!     let (sender, mut first) = channel::broadcast(16);
//!     let mut second = sender.subscribe();
//!     io.spawn(async move {
//!         sender.send("to").unwrap();
//!         sender.send("all").unwrap();
//!     });
//!     for receiver in [&mut first, &mut second] {
//!         assert_eq!(receiver.recv().await, Ok("to"));
//!         assert_eq!(receiver.recv().await, Ok("all"));
//!         assert!(receiver.recv().await.is_err());
//!     }
//! });
//! ```
//!
//! # Messages
//!
//! A message is cloned for each receiver but the last, which gets the message itself. It is
//! dropped when all receivers have had it, when it is overwritten, and with the channel. Cloning
//! and dropping hold no lock of the channel; several receivers may clone one message at once, so
//! it is to be `Sync` where the ends go to other threads. If a clone panics, that receiver goes on
//! with the next message, and nobody else notices.

mod errors;
mod receiver;
mod recv;
mod ring;
mod sender;
mod shared;
mod store;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

pub use errors::{RecvError, SendError, TryRecvError};
pub use receiver::Receiver;
pub use recv::Recv;
pub use sender::{Closed, Sender, WeakSender};

/// A channel that keeps the `capacity` newest messages, with one receiver.
///
/// # Panics
/// If `capacity` is 0, or more than 2^32 - 1. The memory for all messages is allocated at once; if
/// there is too little, that fails as it does for a `Vec`.
///
/// ```
/// use volt::channel::{self, broadcast::TryRecvError};
///
/// let (sender, mut receiver) = channel::broadcast(2);
/// for message in 1..=5 {
///     sender.send(message).unwrap();
/// }
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(3)));
/// assert_eq!(receiver.try_recv(), Ok(4));
/// assert_eq!(receiver.try_recv(), Ok(5));
/// ```
#[doc(alias = "channel")]
#[track_caller]
pub fn broadcast<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}
