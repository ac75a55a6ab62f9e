//! A channel for one value: a result, an answer, a shut-down.
//!
//! The [`Sender`] sends at most once and never waits; the [`Receiver`] is itself a future of the
//! value. A channel is one allocation, which both ends share.
//!
//! ```
//! use volt::channel;
//!
//! volt::run(|io| async move {
//!     let (sender, receiver) = channel::oneshot();
//!     io.spawn(async move { sender.send(6 * 7) });
//!     assert_eq!(receiver.await, Ok(42));
//! });
//! ```

mod cell;
mod errors;
mod receiver;
mod sender;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

use std::panic::Location;

pub use errors::{RecvError, TryRecvError};
pub use receiver::Receiver;
pub use sender::{Closed, Sender};

/// A channel for one value.
///
/// Where a task waits for the value, a simulation reports the place of this call.
///
/// ```
/// let (sender, mut receiver) = volt::channel::oneshot();
/// sender.send("once").unwrap();
/// assert_eq!(receiver.try_recv(), Ok("once"));
/// ```
#[doc(alias = "channel")]
#[track_caller]
#[inline]
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = cell::new();
    (Sender::new(sender, Location::caller()), Receiver::new(receiver, Location::caller()))
}
