//! The two words of a [`Ring`](super::ring), the head and the tail, and how they are read.
//!
//! ```text
//!   63         33 32        9 8           4    3         2          1         0
//!  ┌─────────────┬───────────┬─────────────┬─────────┬─────────┬───────────┬────────┐
//!  │ position    │ claims    │ overtakings │ offered │ senders │ receivers │ closed │
//!  │             │           │             │         │ wait    │ wait      │        │
//!  └─────────────┴───────────┴─────────────┴─────────┴─────────┴───────────┴────────┘
//! ```
//!
//! The tail's position is that of the next message that is sent, its claims are slots that were
//! set aside for a sender; the head's position is that of the next message that is received, its
//! claims are messages that were set aside for a receiver.
//!
//! Who waits stands in both words, so that whoever moves either position learns of it by the same
//! operation. How often the first one was overtaken stands in the word that moves when it is: the
//! tail for senders, the head for receivers. That the first one was woken, and will come, stands
//! in the word that moves when something comes for it: the head for senders, the tail for
//! receivers.
//!
//! Positions wrap after 2³¹ messages. A thread that reads a word, sleeps, and exchanges it would
//! be deceived only if a multiple of that went through the channel meanwhile, and all the rest
//! were the same again.

/// Nothing is sent any more.
pub(super) const CLOSED: u64 = 1;
/// Receivers wait in their queue.
pub(super) const RECEIVERS_WAIT: u64 = 1 << 1;
/// Senders wait in their queue.
pub(super) const SENDERS_WAIT: u64 = 1 << 2;
/// The first one who waits for what this word brings was woken, and has not come yet.
pub(super) const OFFERED: u64 = 1 << 3;

/// How often a running task may overtake the first one who waits at an end.
pub(super) const MOST_OVERTAKERS: u64 = 16;
const _: () = assert!(MOST_OVERTAKERS < OVERTAKINGS / ONE_OVERTAKING, "the count has no room");

/// The first one who waits was overtaken once.
pub(super) const ONE_OVERTAKING: u64 = 1 << OVERTAKING_SHIFT;
/// How often it was. All of them: it is going, and nobody overtakes anybody before the next one is
/// the first.
pub(super) const OVERTAKINGS: u64 = (1 << CLAIM_SHIFT) - (1 << OVERTAKING_SHIFT);

/// One slot or message that is set aside.
pub(super) const ONE_CLAIM: u64 = 1 << CLAIM_SHIFT;
/// One message sent or received.
pub(super) const ONE_POSITION: u64 = 1 << POSITION_SHIFT;

const OVERTAKING_SHIFT: u32 = 4;
const CLAIM_SHIFT: u32 = 9;
const POSITION_SHIFT: u32 = 33;
const CLAIMS: u64 = (1 << (POSITION_SHIFT - CLAIM_SHIFT)) - 1;
/// The last position before the first.
pub(super) const LAST_POSITION: u64 = u64::MAX >> POSITION_SHIFT;

/// The most that can be set aside, and so the most that a ring can hold.
pub(super) const MOST_CLAIMS: usize = CLAIMS as usize;

/// The value of a head or a tail.
#[derive(Clone, Copy)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// Nothing set aside, no flag.
    pub(super) const fn at(position: u64) -> Word {
        Word(position << POSITION_SHIFT)
    }

    #[inline]
    pub(super) fn position(self) -> u64 {
        self.0 >> POSITION_SHIFT
    }

    #[inline]
    pub(super) fn claims(self) -> u64 {
        (self.0 >> CLAIM_SHIFT) & CLAIMS
    }

    /// Whether the first one who waits was overtaken as often as may be.
    #[inline]
    pub(super) fn is_first_due(self) -> bool {
        self.0 & OVERTAKINGS >= MOST_OVERTAKERS * ONE_OVERTAKING
    }

    /// Whether one of `flag`, who wait for what this word brings, is to be served after it moved
    /// on from here: if the first one was not woken; and from time to time if it was, so that the
    /// next one need not wait for one that does not come.
    #[inline]
    pub(super) fn calls(self, flag: u64) -> bool {
        self.has(flag) && self.calls_some()
    }

    #[cold]
    fn calls_some(self) -> bool {
        !self.has(OFFERED) || self.position().is_multiple_of(MOST_OVERTAKERS)
    }

    /// Whether it has one of `flags`.
    #[inline]
    pub(super) fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }
}

/// How far `position` is behind `other`; negative if it is ahead. Either may have wrapped.
#[inline]
pub(super) fn distance(position: u64, other: u64) -> i64 {
    ((other.wrapping_sub(position) << POSITION_SHIFT) as i64) >> POSITION_SHIFT
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_word_do_not_touch() {
        let word = Word(Word::at(5).0 + 3 * ONE_CLAIM + SENDERS_WAIT);
        assert_eq!((word.position(), word.claims()), (5, 3));
        assert!(word.has(SENDERS_WAIT | CLOSED) && !word.has(RECEIVERS_WAIT | CLOSED));
        let full = Word(Word::at(LAST_POSITION).0 + CLAIMS * ONE_CLAIM);
        assert_eq!((full.position(), full.claims()), (LAST_POSITION, CLAIMS));
        assert!(!full.is_first_due());
        assert_eq!(full.0.wrapping_add(ONE_POSITION), Word::at(0).0 + CLAIMS * ONE_CLAIM);
    }

    #[test]
    fn the_first_is_due_when_it_was_overtaken_so_often() {
        let word = |times| Word(Word::at(7).0 + 2 * ONE_CLAIM + CLOSED + times * ONE_OVERTAKING);
        assert!(!word(MOST_OVERTAKERS - 1).is_first_due());
        assert!(word(MOST_OVERTAKERS).is_first_due());
        assert!(Word(word(3).0 | OVERTAKINGS).is_first_due());
        assert_eq!(word(MOST_OVERTAKERS).claims(), 2);
    }

    #[test]
    fn one_that_was_woken_is_not_called_each_time() {
        let calls = |position, flags| Word(Word::at(position).0 + flags).calls(SENDERS_WAIT);
        assert!(!calls(3, OFFERED | RECEIVERS_WAIT));
        assert!(calls(3, SENDERS_WAIT));
        let every = (0..64).filter(|position| calls(*position, SENDERS_WAIT | OFFERED));
        assert!(every.eq([0, 16, 32, 48]));
    }

    #[test]
    fn distances_survive_the_wrap() {
        assert_eq!(distance(3, 5), 2);
        assert_eq!(distance(5, 3), -2);
        assert_eq!(distance(LAST_POSITION, 1), 2);
        assert_eq!(distance(1, LAST_POSITION), -2);
    }
}
