//! The messages of an unbounded channel: segments in a row, behind a lock.
//!
//! ```text
//!    first: read         full ones, in between          last: written
//!   ┌──────────────┐   ┌──────────────┬──────────────┐   ┌──────────────┐
//!   │   ▒▒▒▒▒▒▒▒▒▒ │──►│ ▒▒▒▒▒▒▒▒▒▒▒▒ │ ▒▒▒▒▒▒▒▒▒▒▒▒ │──►│ ▒▒▒▒         │
//!   └──────────────┘   └──────────────┴──────────────┘   └──────────────┘
//! ```
//!
//! A lock, and not a list of blocks that is written without one: an operation is a handful of
//! instructions inside, the lock costs two atomic operations where such a list needs as many, and
//! two threads that meet here wait shorter than they would fight over a word. Segments, and not
//! one growing ring: no message is moved twice, but those of the first segment, which grows as a
//! ring does, so that a channel of few messages is small. So the lock is never held while more
//! than a segment is copied, and what a burst took is given back.
//!
//! Nobody waits for room here, who comes without a budget is given it at once; so nothing is marked
//! for senders.
//!
//! Rules:
//! 1. A message is moved in or out under the lock, and dropped outside: that is the user's code.
//! 2. `claimed_messages <= length`; what is not claimed is anybody's. While receivers wait, whoever
//!    takes it without waiting is counted, and gets none when the count is full.
//! 3. Closed is told only when there are neither messages nor claimed slots any more.

use std::collections::VecDeque;
use std::mem;

use super::errors::{TryRecvError, TrySendError};
use super::queue::{End, Refusal, ToServe};
use super::word::MOST_OVERTAKERS;
use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::sync::Mutex;

/// What one segment takes up, about, in bytes.
const SEGMENT_SIZE: usize = 4096;

/// See the module documentation.
pub(super) struct Segments<T>(Mutex<State<T>>);

struct State<T> {
    messages: Row<T>,
    claimed_slots: usize,
    claimed_messages: usize,
    receivers_wait: bool,
    /// The first receiver that waits was woken, and has not come yet.
    is_offered: bool,
    /// How often it was overtaken.
    overtakings: u64,
    /// How many messages were sent to a first receiver that was woken.
    unanswered: u64,
    is_closed: bool,
}

impl<T> State<T> {
    fn has_message(&self) -> bool {
        // Rule 2.
        self.messages.length > self.claimed_messages
    }

    /// Why there is no message.
    fn reason(&self) -> Refusal {
        // Rule 3.
        let is_over = self.is_closed
            && self.messages.length == 0
            && mutation!("segments-close-over-claims", self.claimed_slots == 0, true);
        if is_over { Refusal::Closed } else { Refusal::Wait }
    }

    /// Adds a message. Whether a receiver is to be served: if the first one was not woken; and from
    /// time to time if it was, so that the next one need not wait for one that does not come.
    fn push(&mut self, value: T) -> bool {
        self.messages.push(value);
        self.unanswered += u64::from(self.is_offered);
        self.receivers_wait && self.unanswered.is_multiple_of(MOST_OVERTAKERS)
    }

    fn is_first_due(&self) -> bool {
        self.receivers_wait && self.overtakings >= MOST_OVERTAKERS
    }

    fn look(&self) -> Result<(), Refusal> {
        if self.has_message() { Ok(()) } else { Err(self.reason()) }
    }

    fn pop(&mut self) -> Option<(T, ToServe)> {
        let value = self.messages.pop()?;
        // The last message of a closed channel is gone: those who still wait are told.
        let receivers = self.is_closed && self.receivers_wait;
        Some((value, ToServe { senders: false, receivers }))
    }
}

impl<T> Segments<T> {
    pub(super) fn new() -> Segments<T> {
        Segments(Mutex::new(State {
            messages: Row::new(),
            claimed_slots: 0,
            claimed_messages: 0,
            receivers_wait: false,
            is_offered: false,
            overtakings: 0,
            unanswered: 0,
            is_closed: false,
        }))
    }

    #[inline]
    pub(super) fn try_push(&self, value: T, _queue: usize) -> Result<bool, TrySendError<T>> {
        let mut state = self.0.lock();
        if state.is_closed {
            drop(state);
            return Err(TrySendError::Closed(value));
        }
        Ok(state.push(value))
    }

    pub(super) fn push_claimed(&self, value: T) -> bool {
        let mut state = self.0.lock();
        debug_assert!(state.claimed_slots > 0, "a sender uses a slot that it has not claimed");
        state.claimed_slots -= 1;
        state.push(value)
    }

    #[inline]
    pub(super) fn try_pop(&self, queue: usize) -> Result<(T, ToServe), TryRecvError> {
        let mut state = self.0.lock();
        // Rule 2.
        if state.is_first_due() {
            return Err(TryRecvError::Empty);
        }
        if state.has_message()
            && let Some(popped) = state.pop()
        {
            if state.receivers_wait {
                state.overtakings += 1;
                probe::waiter_overtaken(queue, MOST_OVERTAKERS as u32);
            }
            return Ok(popped);
        }
        Err(match state.reason() {
            Refusal::Wait => TryRecvError::Empty,
            Refusal::Closed => TryRecvError::Closed,
        })
    }

    pub(super) fn pop_claimed(&self) -> (T, ToServe) {
        let mut state = self.0.lock();
        state.claimed_messages -= 1;
        state.pop().expect("a claimed message is there")
    }

    pub(super) fn try_claim_slot(&self, _queue: usize) -> Result<(), Refusal> {
        self.claim_slot()
    }

    pub(super) fn claim_slot(&self) -> Result<(), Refusal> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        let claimed = state.claimed_slots.checked_add(1);
        state.claimed_slots = claimed.expect("too many slots of a channel are reserved");
        Ok(())
    }

    pub(super) fn claim_message(&self) -> Result<(), Refusal> {
        let mut state = self.0.lock();
        state.look()?;
        state.claimed_messages += 1;
        // The first receiver goes, and is overtaken no more.
        state.overtakings = MOST_OVERTAKERS;
        Ok(())
    }

    pub(super) fn unclaim_slot(&self) -> ToServe {
        let mut state = self.0.lock();
        state.claimed_slots -= 1;
        let is_last = state.is_closed && state.claimed_slots == 0;
        ToServe { senders: false, receivers: is_last && state.receivers_wait }
    }

    pub(super) fn unclaim_message(&self) -> ToServe {
        let mut state = self.0.lock();
        state.claimed_messages -= 1;
        ToServe { senders: false, receivers: state.receivers_wait }
    }

    pub(super) fn look(&self, end: End) -> Result<(), Refusal> {
        let state = self.0.lock();
        match end {
            End::Senders if state.is_closed => Err(Refusal::Closed),
            End::Senders => Ok(()),
            End::Receivers => state.look(),
        }
    }

    pub(super) fn mark(&self, end: End) {
        self.of_receivers(end, |state| {
            state.receivers_wait = true;
            state.overtakings = 0;
        });
    }

    pub(super) fn unmark(&self, end: End) {
        self.of_receivers(end, |state| {
            state.receivers_wait = false;
            state.is_offered = false;
            state.unanswered = 0;
        });
    }

    pub(super) fn offer(&self, end: End) {
        self.of_receivers(end, |state| state.is_offered = true);
    }

    pub(super) fn take_offer_back(&self, end: End) {
        self.of_receivers(end, |state| {
            state.is_offered = false;
            state.unanswered = 0;
        });
    }

    pub(super) fn is_first_due(&self, end: End) -> bool {
        end == End::Receivers && self.0.lock().is_first_due()
    }

    pub(super) fn first_goes(&self, end: End) {
        self.of_receivers(end, |state| state.overtakings = MOST_OVERTAKERS);
    }

    pub(super) fn first_comes(&self, end: End) {
        self.of_receivers(end, |state| state.overtakings = 0);
    }

    fn of_receivers(&self, end: End, change: impl FnOnce(&mut State<T>)) {
        if end == End::Receivers {
            change(&mut self.0.lock());
        }
    }

    pub(super) fn close(&self) -> bool {
        !mem::replace(&mut self.0.lock().is_closed, true)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().messages.length
    }
}

/// Segments in a row.
struct Row<T> {
    first: VecDeque<T>,
    between: VecDeque<VecDeque<T>>,
    last: VecDeque<T>,
    /// An empty one, so that a row of about a segment does not allocate again and again.
    spare: Option<VecDeque<T>>,
    length: usize,
}

impl<T> Row<T> {
    /// How many messages a segment holds.
    const SEGMENT: usize = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        match SEGMENT_SIZE / size {
            0..8 => 8,
            fitting => fitting,
        }
    };

    fn new() -> Row<T> {
        Row {
            first: VecDeque::new(),
            between: VecDeque::new(),
            last: VecDeque::new(),
            spare: None,
            length: 0,
        }
    }

    #[inline]
    fn push(&mut self, value: T) {
        if self.last.len() == Self::SEGMENT {
            self.begin_segment();
        }
        self.last.push_back(value);
        self.length += 1;
    }

    #[cold]
    fn begin_segment(&mut self) {
        let next = self.spare.take().unwrap_or_else(|| VecDeque::with_capacity(Self::SEGMENT));
        self.between.push_back(mem::replace(&mut self.last, next));
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        if self.first.is_empty() {
            self.end_segment();
        }
        let value = self.first.pop_front()?;
        self.length -= 1;
        Some(value)
    }

    /// The first segment is read: the next one comes to its place.
    fn end_segment(&mut self) {
        match self.between.pop_front() {
            Some(next) => {
                let read = mem::replace(&mut self.first, next);
                if read.capacity() >= Self::SEGMENT {
                    self.spare = Some(read);
                }
                // What a burst took for the row itself is given back, too.
                if self.between.is_empty() {
                    self.between = VecDeque::new();
                }
            }
            None => mem::swap(&mut self.first, &mut self.last),
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_in_the_order_in_which_they_went_in() {
        let mut row = Row::new();
        let (mut pushed, mut popped) = (0_u64, 0_u64);
        for round in 1..2_000_u64 {
            for _ in 0..round % 97 {
                row.push(pushed);
                pushed += 1;
            }
            for _ in 0..round % 89 {
                if let Some(value) = row.pop() {
                    assert_eq!(value, popped);
                    popped += 1;
                }
            }
            assert_eq!(row.length as u64, pushed - popped);
        }
        while let Some(value) = row.pop() {
            assert_eq!(value, popped);
            popped += 1;
        }
        assert_eq!((popped, row.length), (pushed, 0));
    }

    #[test]
    fn what_a_burst_took_is_given_back() {
        let mut row = Row::new();
        (0..100_000_u64).for_each(|value| row.push(value));
        assert!(row.between.len() > 100);
        while row.pop().is_some() {}
        let kept = row.first.capacity() + row.last.capacity();
        let spare = row.spare.as_ref().map_or(0, VecDeque::capacity);
        assert!(kept + spare <= 4 * Row::<u64>::SEGMENT, "{kept} + {spare}");
        assert_eq!(row.between.capacity(), 0);
    }

    #[test]
    fn segments_hold_some_messages_of_any_size() {
        assert_eq!(Row::<()>::SEGMENT, SEGMENT_SIZE);
        assert_eq!(Row::<u64>::SEGMENT, SEGMENT_SIZE / 8);
        assert_eq!(Row::<[u8; 100_000]>::SEGMENT, 8);
    }

    #[test]
    fn claims_are_left_alone_and_outlive_a_close() {
        let segments = Segments::new();
        assert_eq!(segments.try_push(1, 0), Ok(false));
        assert_eq!(segments.claim_message(), Ok(()));
        assert_eq!(segments.claim_message(), Err(Refusal::Wait));
        assert!(matches!(segments.try_pop(0), Err(TryRecvError::Empty)));
        assert_eq!(segments.claim_slot(), Ok(()));
        assert!(segments.close() && !segments.close());
        assert_eq!(segments.try_push(2, 0), Err(TrySendError::Closed(2)));
        assert_eq!(segments.claim_slot(), Err(Refusal::Closed));
        assert_eq!(segments.pop_claimed().0, 1);
        assert_eq!(segments.claim_message(), Err(Refusal::Wait));
        assert!(!segments.push_claimed(3));
        assert_eq!(segments.try_pop(0).unwrap().0, 3);
        assert_eq!(segments.claim_message(), Err(Refusal::Closed));
        assert!(matches!(segments.try_pop(0), Err(TryRecvError::Closed)));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    /// The channel is closed while a slot is claimed: what is sent through it is received.
    fn claimed_slot_and_close() {
        let segments = Arc::new(Segments::new());
        assert_eq!(segments.claim_slot(), Ok(()));
        let other = Arc::clone(&segments);
        let sender = loom::thread::spawn(move || {
            other.close();
            other.push_claimed(7);
        });
        let early = match segments.try_pop(0) {
            Ok((value, _)) => Some(value),
            Err(error) => {
                assert_eq!(error, TryRecvError::Empty, "closed over a claimed slot");
                None
            }
        };
        sender.join().unwrap();
        let received = early.or_else(|| segments.try_pop(0).ok().map(|(value, _)| value));
        assert_eq!(received, Some(7));
        assert!(matches!(segments.try_pop(0), Err(TryRecvError::Closed)));
    }

    #[test]
    fn a_claimed_slot_outlives_a_close() {
        model(claimed_slot_and_close);
    }

    #[test]
    fn close_over_claims_mutant_is_noticed() {
        assert!(is_noticed("segments-close-over-claims", || model(claimed_slot_and_close)));
    }
}
