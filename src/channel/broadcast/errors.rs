//! What a sender or a receiver is told instead of a message.

use std::error::Error;
use std::fmt;

/// There is no receiver, or the channel is closed: the message was not sent, and is given back.
///
/// ```
/// use volt::channel::{self, broadcast};
///
/// let (sender, receiver) = channel::broadcast(1);
/// drop(receiver);
/// assert_eq!(sender.send(7), Err(broadcast::SendError(7)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The message that was not sent.
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
        f.write_str("the broadcast channel has no receiver, or is closed")
    }
}

impl<T> Error for SendError<T> {}

/// Why a receiver has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// So many messages came that this receiver has missed this many. The next call goes on at
    /// the oldest that is kept.
    Lagged(u64),
    /// The channel is closed, and this receiver has had every message.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged(missed) => write_lagged(*missed, f),
            RecvError::Closed => write_closed(f),
        }
    }
}

impl Error for RecvError {}

/// Why a receiver has no message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// It has had every message so far.
    Empty,
    /// So many messages came that this receiver has missed this many. The next call goes on at
    /// the oldest that is kept.
    Lagged(u64),
    /// The channel is closed, and this receiver has had every message.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the broadcast channel holds no new message"),
            TryRecvError::Lagged(missed) => write_lagged(*missed, f),
            TryRecvError::Closed => write_closed(f),
        }
    }
}

impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> TryRecvError {
        match error {
            RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
            RecvError::Closed => TryRecvError::Closed,
        }
    }
}

fn write_lagged(missed: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the receiver has missed {missed} messages of the broadcast channel")
}

fn write_closed(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the broadcast channel is closed, and every message received")
}
