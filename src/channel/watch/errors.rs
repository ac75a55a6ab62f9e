//! What a sender or a receiver is told when the other end is gone.

use std::error::Error;
use std::fmt;

/// There is no receiver: the value was not sent, and is given back.
///
/// ```
/// use volt::channel::{self, watch};
///
/// let (sender, receiver) = channel::watch(0);
/// drop(receiver);
/// assert_eq!(sender.send(7), Err(watch::SendError(7)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the watch channel has no receiver")
    }
}

impl<T> Error for SendError<T> {}

/// All senders were dropped, and every change has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the watch channel has no sender, and every change has been seen")
    }
}

impl Error for RecvError {}
