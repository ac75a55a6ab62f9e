//! What can go wrong with a message.

use std::error::Error;
use std::fmt;

/// The channel is closed: the error of [`Sender::send`](super::Sender::send), with the message
/// that was not sent, and of [`Sender::reserve`](super::Sender::reserve), with nothing.
///
/// ```
/// use volt::channel::{self, SendError};
///
/// let (sender, receiver) = channel::bounded::<u32>(1);
/// drop(receiver);
/// assert_eq!(sender.blocking_send(7), Err(SendError(7)));
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
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl<T> Error for SendError<T> {}

/// Why [`Sender::try_send`](super::Sender::try_send) did not send, with the message.
///
/// ```
/// use volt::channel::{self, TrySendError};
///
/// let (sender, _receiver) = channel::bounded(1);
/// assert_eq!(sender.try_send("first"), Ok(()));
/// assert_eq!(sender.try_send("second"), Err(TrySendError::Full("second")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// There is no room, or others wait for it.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The message that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Closed(value) => value,
        }
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, TrySendError::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "the channel is full",
            TrySendError::Closed(_) => "the channel is closed",
        })
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> TrySendError<T> {
        TrySendError::Closed(error.0)
    }
}

/// The channel is closed, and all its messages are received: the error of
/// [`Receiver::recv`](super::Receiver::recv).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed and empty")
    }
}

impl Error for RecvError {}

/// Why [`Receiver::try_recv`](super::Receiver::try_recv) received nothing.
///
/// ```
/// use volt::channel::{self, TryRecvError};
///
/// let (sender, receiver) = channel::unbounded::<u32>();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is no message, or none that others do not wait for.
    Empty,
    /// The channel is closed, and all its messages are received.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "the channel is empty",
            TryRecvError::Closed => "the channel is closed and empty",
        })
    }
}

impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> TryRecvError {
        TryRecvError::Closed
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    struct Opaque;

    #[test]
    fn errors_say_what_is_wrong_without_asking_anything_of_the_message() {
        assert_eq!(format!("{:?}", SendError(Opaque)), "SendError { .. }");
        assert_eq!(format!("{:?}", TrySendError::Full(Opaque)), "Full(..)");
        assert_eq!(format!("{:?}", TrySendError::Closed(Opaque)), "Closed(..)");
        assert_eq!(SendError(Opaque).to_string(), "the channel is closed");
        assert_eq!(TrySendError::Full(Opaque).to_string(), "the channel is full");
        assert_eq!(TrySendError::from(SendError(1)), TrySendError::Closed(1));
        assert_eq!(TrySendError::Full(1).into_inner(), 1);
        assert_eq!(SendError(2).into_inner(), 2);
        assert!(TrySendError::Full(1).is_full() && TrySendError::Closed(1).is_closed());
        assert_eq!(RecvError.to_string(), TryRecvError::from(RecvError).to_string());
        assert_eq!(TryRecvError::Empty.to_string(), "the channel is empty");
    }
}
