//! A channel that holds one value, the newest: a configuration, a state, a progress.
//!
//! Each [`Sender`] may exchange or change the value; each [`Receiver`] looks at it whenever it
//! likes, and can wait for a change. Values that nobody looked at in time are skipped; nobody sees
//! an older value after a newer one.
//!
//! ```
//! use volt::channel;
//!
//! volt::run(|io| async move {
//!     let (sender, mut receiver) = channel::watch(1);
//!     let watcher = io.spawn(async move {
//!         let mut last = *receiver.borrow();
//!         while receiver.changed().await.is_ok() {
//!             last = *receiver.borrow_and_update();
//!         }
//!         last
//!     });
//!     for value in 2..=10 {
//!         sender.send(value).unwrap();
//!     }
//!     drop(sender);
//!     assert_eq!(watcher.await.unwrap(), 10);
//! });
//! ```
//!
//! # Looking at the value
//!
//! A [`Ref`] keeps the value from being changed: a sender on another thread waits, and keeps its
//! thread, until the last `Ref` is dropped; and a sender that waits stops those who want to look.
//! So a `Ref` is to be dropped soon, not held while something else is waited for, and a thread
//! that has one should not ask for another one of the same channel: with a sender in between,
//! they wait for each other. A `Ref` is not `Send`, so that a spawned task cannot hold one while
//! it awaits.

mod borrowed;
mod changed;
mod closed;
mod errors;
mod receiver;
mod sender;
mod shared;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
mod value_lock;

pub use borrowed::Ref;
pub use changed::{Changed, WaitFor};
pub use closed::Closed;
pub use errors::{RecvError, SendError};
pub use receiver::Receiver;
pub use sender::Sender;

/// A channel that holds `initial` until another value is sent. To the receiver, `initial` is no
/// change.
///
/// ```
/// let (sender, receiver) = volt::channel::watch("old");
/// sender.send("new").unwrap();
/// assert_eq!(*receiver.borrow(), "new");
/// ```
#[doc(alias = "channel")]
pub fn watch<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(initial);
    let receiver = sender.subscribe();
    (sender, receiver)
}
