//! What both kinds of channel have in common: messages in order, and claims on them.
//!
//! A *claim* is a slot that is set aside for a sender, or a message that is set aside for a
//! receiver: for one who waited, and whose turn it is, or who reserved. Whoever has none leaves
//! what is claimed alone.
//!
//! What takes something without waiting is told the `queue` that it passes by, as the address that
//! the law of fairness knows it by.

use super::errors::{TryRecvError, TrySendError};
use super::ring::Ring;
use super::segments::Segments;

/// One end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Senders,
    Receivers,
}

/// Why there was no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no room, or no message.
    Wait,
    /// There will never be.
    Closed,
}

/// At which ends somebody may have to be served after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToServe {
    pub(super) senders: bool,
    pub(super) receivers: bool,
}

/// The messages of a channel.
#[allow(clippy::large_enum_variant, reason = "there is one in a channel, which is on the heap")]
pub(super) enum Queue<T> {
    Ring(Ring<T>),
    Segments(Segments<T>),
}

/// Calls the same method of either kind.
macro_rules! either {
    ($queue:expr, $name:ident($($argument:expr),*)) => {
        match $queue {
            Queue::Ring(ring) => ring.$name($($argument),*),
            Queue::Segments(segments) => segments.$name($($argument),*),
        }
    };
}

impl<T> Queue<T> {
    /// Sends a message, unless the first who waits is due. True if a receiver is to be served.
    #[inline]
    pub(super) fn try_push(&self, value: T, queue: usize) -> Result<bool, TrySendError<T>> {
        either!(self, try_push(value, queue))
    }

    /// Sends a message into a slot that the caller has claimed, and uses up the claim. True if a
    /// receiver is to be served.
    #[inline]
    pub(super) fn push_claimed(&self, value: T) -> bool {
        either!(self, push_claimed(value))
    }

    /// Receives a message, unless the first who waits is due.
    #[inline]
    pub(super) fn try_pop(&self, queue: usize) -> Result<(T, ToServe), TryRecvError> {
        either!(self, try_pop(queue))
    }

    /// Receives a message that the caller has claimed, and uses up the claim.
    #[inline]
    pub(super) fn pop_claimed(&self) -> (T, ToServe) {
        either!(self, pop_claimed())
    }

    /// Claims a slot, unless the first who waits is due.
    #[inline]
    pub(super) fn try_claim_slot(&self, queue: usize) -> Result<(), Refusal> {
        either!(self, try_claim_slot(queue))
    }

    /// Claims a slot or a message for the first who waits at `end`, which goes then: see
    /// [`first_goes`](Queue::first_goes). Under the lock of that end.
    pub(super) fn claim(&self, end: End) -> Result<(), Refusal> {
        match end {
            End::Senders => either!(self, claim_slot()),
            End::Receivers => either!(self, claim_message()),
        }
    }

    /// Gives a claim back.
    pub(super) fn unclaim(&self, end: End) -> ToServe {
        match end {
            End::Senders => either!(self, unclaim_slot()),
            End::Receivers => either!(self, unclaim_message()),
        }
    }

    /// Whether there is something to claim at `end`.
    pub(super) fn look(&self, end: End) -> Result<(), Refusal> {
        either!(self, look(end))
    }

    /// Somebody waits at `end` from now on: who overtakes is counted, and whoever brings what is
    /// waited for serves. Under the lock of that end.
    pub(super) fn mark(&self, end: End) {
        either!(self, mark(end));
    }

    /// Nobody waits at `end` any more. Under the lock of that end.
    pub(super) fn unmark(&self, end: End) {
        either!(self, unmark(end));
    }

    /// The first who waits at `end` is woken, and will come: nobody needs to serve, but from time
    /// to time. Under the lock of that end.
    pub(super) fn offer(&self, end: End) {
        either!(self, offer(end));
    }

    /// The first who waits at `end` sleeps. Under the lock of that end.
    pub(super) fn take_offer_back(&self, end: End) {
        either!(self, take_offer_back(end));
    }

    /// Whether nobody may overtake the first who waits at `end` any more.
    pub(super) fn is_first_due(&self, end: End) -> bool {
        either!(self, is_first_due(end))
    }

    /// The first who waits at `end` goes: nobody overtakes before the next is the first, or
    /// nobody waits. Under the lock of that end.
    pub(super) fn first_goes(&self, end: End) {
        either!(self, first_goes(end));
    }

    /// Another one is the first who waits at `end`. Under the lock of that end.
    pub(super) fn first_comes(&self, end: End) {
        either!(self, first_comes(end));
    }

    /// Nothing is sent any more, but through claims. True for whoever closes first; for the others
    /// it is a step, too, by which what they did before is seen.
    pub(super) fn close(&self) -> bool {
        either!(self, close())
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        either!(self, is_closed())
    }

    /// How many messages are there.
    #[inline]
    pub(super) fn len(&self) -> usize {
        either!(self, len())
    }

    /// Whether there is no room.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Queue::Ring(ring) => ring.is_full(),
            Queue::Segments(_) => false,
        }
    }

    /// How many messages there can be.
    pub(super) fn capacity(&self) -> Option<usize> {
        match self {
            Queue::Ring(ring) => Some(ring.capacity()),
            Queue::Segments(_) => None,
        }
    }
}
