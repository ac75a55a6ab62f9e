//! The messages of a bounded channel: a ring that is written and read without a lock.
//!
//! The design is Dmitry Vyukov's bounded queue (1024cores.net, 2010): a position is taken by one
//! exchange of the tail or the head, and each slot says whose it is, see [`slots`](super::slots).
//! Here the two words also carry claims and flags, see [`word`](super::word).
//!
//! ```text
//!        head              tail              tail + claims        head + capacity
//!         │ messages, the   │ slots that are   │ room               │
//!   ──────┤ first of them   ├ claimed by       ├ for anybody        ├──────
//!         │ claimed         │ senders          │                    │
//! ```
//!
//! There may be more slots than `capacity`, which is what was asked for and what full means.
//!
//! Rules, cited where they are relied on:
//! 1. `head + head.claims <= tail <= tail + tail.claims <= head + capacity`.
//! 2. A slot is written by whoever moved the tail past its position, after its turn said that it
//!    is free; it is read by whoever moved the head past it, after its turn said that it is
//!    filled. So each message is moved in once and out once.
//! 3. The words change by exchanges alone. A flag is in both; so whoever moves a position either
//!    sees the flag, or is seen by whoever sets it and looks after that. No fence is needed, and
//!    who finds no flag has nothing else to read.
//! 4. While `SENDERS_WAIT` is set, whoever takes a slot without waiting counts that in the tail, by
//!    the same exchange, and takes none when the count is full; while `RECEIVERS_WAIT` is set, so
//!    does whoever takes a message, in the head.
//! 5. After `CLOSED` the tail moves through claims alone. The end is reached when there are none
//!    and head and tail meet; nothing changes after that.
//! 6. Between taking a position and changing the turn nothing happens that could wait or panic.
//!    So whoever finds a turn that lags behind the words waits for a few instructions of another
//!    thread.

use std::iter;

use super::errors::{TryRecvError, TrySendError};
use super::queue::{End, Refusal, ToServe};
use super::slots::Slots;
use super::word::{
    CLOSED, MOST_CLAIMS, MOST_OVERTAKERS, OFFERED, ONE_CLAIM, ONE_OVERTAKING, ONE_POSITION,
    OVERTAKINGS, RECEIVERS_WAIT, SENDERS_WAIT, Word, distance,
};
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicU64, Ordering};
use crate::platform::sync::spin_loop;
use crate::platform::{probe, thread};

#[cfg(all(test, volt_loom))]
mod models;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

/// How often a thread spins before it lets others run.
const SPINS: u32 = 64;

/// The largest capacity of a bounded channel.
pub(super) const MAX_CAPACITY: usize = MOST_CLAIMS;

/// See the module documentation.
pub(super) struct Ring<T> {
    tail: CacheLine<AtomicU64>,
    head: CacheLine<AtomicU64>,
    slots: Slots<T>,
    capacity: u64,
}

/// Keeps apart what different threads write: two lines of 64 bytes, which processors fetch in
/// pairs, or one of the 128 that some have.
#[repr(align(128))]
struct CacheLine<T>(T);

impl<T> Ring<T> {
    /// An empty ring. `capacity` is from 1 to [`MAX_CAPACITY`].
    pub(super) fn new(capacity: usize) -> Ring<T> {
        Ring::starting_at(capacity, 0)
    }

    /// An empty ring whose first message will have `position`.
    fn starting_at(capacity: usize, position: u64) -> Ring<T> {
        debug_assert!((1..=MAX_CAPACITY).contains(&capacity), "a capacity that was not checked");
        Ring {
            tail: CacheLine(AtomicU64::new(Word::at(position).0)),
            head: CacheLine(AtomicU64::new(Word::at(position).0)),
            slots: Slots::new(capacity, position),
            capacity: capacity as u64,
        }
    }

    #[inline]
    pub(super) fn try_push(&self, value: T, queue: usize) -> Result<bool, TrySendError<T>> {
        let mut tail = self.tail();
        let mut pause = Pause(0);
        loop {
            let mut step = ONE_POSITION;
            // Rules 4 and 5.
            if tail.has(CLOSED | SENDERS_WAIT) {
                if tail.has(CLOSED) {
                    return Err(TrySendError::Closed(value));
                }
                if tail.is_first_due() {
                    return Err(TrySendError::Full(value));
                }
                step += ONE_OVERTAKING;
            }
            if !self.has_room(tail) {
                return Err(TrySendError::Full(value));
            }
            let position = tail.position();
            if !self.slots.is_free(position) {
                // Rule 6; or the tail is out of date.
                pause.wait();
                tail = self.tail();
                continue;
            }
            match self.move_tail(tail, step) {
                Ok(()) => {
                    tell_overtaken(tail, SENDERS_WAIT, queue);
                    // SAFETY: the slot was free, and the position is the caller's (rule 2).
                    unsafe { self.slots.fill(position, value) };
                    return Ok(tail.calls(RECEIVERS_WAIT));
                }
                Err(found) => tail = found,
            }
        }
    }

    #[inline]
    pub(super) fn push_claimed(&self, value: T) -> bool {
        let mut tail = self.tail();
        let mut pause = Pause(0);
        loop {
            debug_assert!(tail.claims() > 0, "a sender uses a slot that it has not claimed");
            let position = tail.position();
            if !self.slots.is_free(position) {
                // Rule 6; or the tail is out of date.
                pause.wait();
                tail = self.tail();
                continue;
            }
            match self.move_tail(tail, ONE_POSITION.wrapping_sub(ONE_CLAIM)) {
                Ok(()) => {
                    // SAFETY: the slot was free, and the position is the caller's (rule 2).
                    unsafe { self.slots.fill(position, value) };
                    return tail.calls(RECEIVERS_WAIT);
                }
                Err(found) => tail = found,
            }
        }
    }

    #[inline]
    pub(super) fn try_pop(&self, queue: usize) -> Result<(T, ToServe), TryRecvError> {
        let mut head = self.head();
        let mut pause = Pause(0);
        loop {
            let mut step = ONE_POSITION;
            // Rule 4.
            if head.has(RECEIVERS_WAIT) {
                if head.is_first_due() {
                    return Err(TryRecvError::Empty);
                }
                step += ONE_OVERTAKING;
            }
            let position = head.position();
            let claims = mutation!("ring-overlooks-claimed-messages", head.claims(), 0);
            let is_filled = self.slots.is_filled(position);
            if claims > 0 || !is_filled {
                let tail = self.tail();
                if distance(position, tail.position()) <= claims as i64 {
                    return Err(match reason(head, tail) {
                        Refusal::Wait => TryRecvError::Empty,
                        Refusal::Closed => TryRecvError::Closed,
                    });
                }
            }
            if !is_filled {
                // Rule 6; or the head is out of date.
                pause.wait();
                head = self.head();
                continue;
            }
            match self.move_head(head, step) {
                Ok(()) => {
                    tell_overtaken(head, RECEIVERS_WAIT, queue);
                    // SAFETY: the slot was filled, and the position is the caller's (rule 2).
                    let value = unsafe { self.slots.take(position) };
                    return Ok((value, to_serve_after_pop(head)));
                }
                Err(found) => head = found,
            }
        }
    }

    #[inline]
    pub(super) fn pop_claimed(&self) -> (T, ToServe) {
        let mut head = self.head();
        let mut pause = Pause(0);
        loop {
            debug_assert!(head.claims() > 0, "a receiver takes what it has not claimed");
            let position = head.position();
            if !self.slots.is_filled(position) {
                // Rule 6; or the head is out of date.
                pause.wait();
                head = self.head();
                continue;
            }
            match self.move_head(head, ONE_POSITION.wrapping_sub(ONE_CLAIM)) {
                Ok(()) => {
                    // SAFETY: the slot was filled, and the position is the caller's (rule 2).
                    let value = unsafe { self.slots.take(position) };
                    return (value, to_serve_after_pop(head));
                }
                Err(found) => head = found,
            }
        }
    }

    #[inline]
    pub(super) fn try_claim_slot(&self, queue: usize) -> Result<(), Refusal> {
        let mut tail = self.tail();
        loop {
            let mut step = ONE_CLAIM;
            // Rule 4.
            if tail.has(SENDERS_WAIT) {
                step += ONE_OVERTAKING;
                if tail.is_first_due() && !tail.has(CLOSED) {
                    return Err(Refusal::Wait);
                }
            }
            self.look_for_slot(tail)?;
            match self.move_tail(tail, step) {
                Ok(()) => {
                    tell_overtaken(tail, SENDERS_WAIT, queue);
                    return Ok(());
                }
                Err(found) => tail = found,
            }
        }
    }

    pub(super) fn claim_slot(&self) -> Result<(), Refusal> {
        let mut tail = self.tail();
        loop {
            self.look_for_slot(tail)?;
            match self.move_tail(tail, claim_of_first(tail, SENDERS_WAIT)) {
                Ok(()) => return Ok(()),
                Err(found) => tail = found,
            }
        }
    }

    pub(super) fn claim_message(&self) -> Result<(), Refusal> {
        let mut head = self.head();
        loop {
            self.look_for_message(head)?;
            match self.move_head(head, claim_of_first(head, RECEIVERS_WAIT)) {
                Ok(()) => return Ok(()),
                Err(found) => head = found,
            }
        }
    }

    pub(super) fn look(&self, end: End) -> Result<(), Refusal> {
        match end {
            End::Senders => self.look_for_slot(self.tail()),
            End::Receivers => self.look_for_message(self.head()),
        }
    }

    #[inline]
    fn look_for_slot(&self, tail: Word) -> Result<(), Refusal> {
        if tail.has(CLOSED) {
            return Err(Refusal::Closed);
        }
        if self.has_room(tail) { Ok(()) } else { Err(Refusal::Wait) }
    }

    fn look_for_message(&self, head: Word) -> Result<(), Refusal> {
        let tail = self.tail();
        if distance(head.position(), tail.position()) <= head.claims() as i64 {
            return Err(reason(head, tail));
        }
        Ok(())
    }

    pub(super) fn unclaim_slot(&self) -> ToServe {
        // Relaxed: no message comes with a claim.
        let before = Word(self.tail.0.fetch_sub(ONE_CLAIM, Ordering::Relaxed));
        debug_assert!(before.claims() > 0, "a sender gives back what it has not claimed");
        let is_last = before.has(CLOSED) && before.claims() == 1;
        ToServe {
            senders: before.has(SENDERS_WAIT),
            // Rule 5: this may have been the end.
            receivers: is_last && before.has(RECEIVERS_WAIT),
        }
    }

    pub(super) fn unclaim_message(&self) -> ToServe {
        // Release: as in `move_head`.
        let before = Word(self.head.0.fetch_sub(ONE_CLAIM, Ordering::Release));
        debug_assert!(before.claims() > 0, "a receiver gives back what it has not claimed");
        ToServe { senders: false, receivers: before.has(RECEIVERS_WAIT) }
    }

    pub(super) fn mark(&self, end: End) {
        let Line { flag, taken, brought } = self.line(end);
        // Relaxed: whoever sees it comes to the list, under its lock. What is looked at next are
        // the same two words.
        taken.fetch_or(flag, Ordering::Relaxed);
        brought.fetch_or(flag, Ordering::Relaxed);
    }

    pub(super) fn unmark(&self, end: End) {
        let Line { flag, taken, brought } = self.line(end);
        // Relaxed: as in `mark`.
        taken.fetch_and(!(flag | OVERTAKINGS), Ordering::Relaxed);
        brought.fetch_and(!(flag | OFFERED), Ordering::Relaxed);
    }

    pub(super) fn offer(&self, end: End) {
        // Relaxed: as in `mark`.
        self.line(end).brought.fetch_or(OFFERED, Ordering::Relaxed);
    }

    pub(super) fn take_offer_back(&self, end: End) {
        // Relaxed: as in `mark`.
        self.line(end).brought.fetch_and(!OFFERED, Ordering::Relaxed);
    }

    pub(super) fn is_first_due(&self, end: End) -> bool {
        // Relaxed: as in `mark`.
        Word(self.line(end).taken.load(Ordering::Relaxed)).is_first_due()
    }

    pub(super) fn first_goes(&self, end: End) {
        // Relaxed: as in `mark`.
        self.line(end).taken.fetch_or(OVERTAKINGS, Ordering::Relaxed);
    }

    pub(super) fn first_comes(&self, end: End) {
        // Relaxed: as in `mark`.
        self.line(end).taken.fetch_and(!OVERTAKINGS, Ordering::Relaxed);
    }

    fn line(&self, end: End) -> Line<'_> {
        let (tail, head) = (&self.tail.0, &self.head.0);
        match end {
            End::Senders => Line { flag: SENDERS_WAIT, taken: tail, brought: head },
            End::Receivers => Line { flag: RECEIVERS_WAIT, taken: head, brought: tail },
        }
    }

    pub(super) fn close(&self) -> bool {
        // Release: whoever learns of it sees what came before: pairs with `tail`.
        let before = Word(self.tail.0.fetch_or(CLOSED, Ordering::Release));
        // Rule 3: a receiver takes the last message either before, and whoever closes sees that,
        // or after, and sees the flag.
        self.head.0.fetch_or(mutation!("ring-closes-the-tail-alone", CLOSED, 0), Ordering::Release);
        !before.has(CLOSED)
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.tail().has(CLOSED)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        let head = self.head();
        // The head may have moved on before the tail is read.
        distance(head.position(), self.tail().position()).clamp(0, self.capacity as i64) as usize
    }

    pub(super) fn is_full(&self) -> bool {
        !self.has_room(self.tail())
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    #[inline]
    fn tail(&self) -> Word {
        // Acquire: pairs with `close`. And the head that is read next is not older than this.
        Word(self.tail.0.load(Ordering::Acquire))
    }

    #[inline]
    fn head(&self) -> Word {
        // Acquire: pairs with `move_head`: the tail that is read next is not behind this head.
        Word(self.head.0.load(Ordering::Acquire))
    }

    /// # Errors
    /// What the tail is, if it is not `tail`.
    #[inline]
    fn move_tail(&self, tail: Word, step: u64) -> Result<(), Word> {
        let next = tail.0.wrapping_add(step);
        // Relaxed: the turn of the slot publishes the message. Acquire on failure: as in `tail`.
        let (success, failure) = (Ordering::Relaxed, Ordering::Acquire);
        match self.tail.0.compare_exchange_weak(tail.0, next, success, failure) {
            Ok(_) => Ok(()),
            Err(found) => Err(Word(found)),
        }
    }

    /// # Errors
    /// What the head is, if it is not `head`.
    #[inline]
    fn move_head(&self, head: Word, step: u64) -> Result<(), Word> {
        let next = head.0.wrapping_add(step);
        // Release: pairs with `head`, for those who read the tail next. Acquire on failure: as in
        // `head`.
        let (success, failure) = (Ordering::Release, Ordering::Acquire);
        match self.head.0.compare_exchange_weak(head.0, next, success, failure) {
            Ok(_) => Ok(()),
            Err(found) => Err(Word(found)),
        }
    }

    /// Whether there is room beside what senders have claimed. False only if there was none when
    /// `tail` was read.
    #[inline]
    fn has_room(&self, tail: Word) -> bool {
        let claims = mutation!("ring-overlooks-claimed-slots", tail.claims(), 0);
        let next = tail.position().wrapping_add(claims);
        let capacity = mutation!("ring-rounds-its-capacity", self.capacity, self.slots.length());
        // If the message whose place this would take is gone, then the head is past it. That
        // leaves the head to the receivers, but for a ring that is full or nearly so.
        self.slots.was_taken(next.wrapping_sub(capacity))
            || distance(self.head().position(), next) < capacity as i64
    }
}

/// What the words have to do with those who wait at an end.
struct Line<'a> {
    /// Says that somebody does.
    flag: u64,
    /// Moves when what they wait for is taken.
    taken: &'a AtomicU64,
    /// Moves when it is brought.
    brought: &'a AtomicU64,
}

/// The step of a word by which the first one who waits gets its claim, if any waits: it goes, and
/// is overtaken no more.
fn claim_of_first(word: Word, flag: u64) -> u64 {
    if word.has(flag) { ONE_CLAIM + (OVERTAKINGS - (word.0 & OVERTAKINGS)) } else { ONE_CLAIM }
}

/// Something was taken without waiting when the word was `word`, past the `queue` of those of
/// `flag`. At once after that.
#[inline]
fn tell_overtaken(word: Word, flag: u64, queue: usize) {
    if word.has(flag) {
        probe::waiter_overtaken(queue, MOST_OVERTAKERS as u32);
    }
}

/// Why there is no message, if `head` was read before `tail`.
fn reason(head: Word, tail: Word) -> Refusal {
    // Rule 5. The head was not past the tail, and is not behind it: so it is up to date.
    let is_over = tail.has(CLOSED)
        && mutation!("ring-closes-over-claimed-slots", tail.claims() == 0, true)
        && tail.position() == head.position();
    if is_over { Refusal::Closed } else { Refusal::Wait }
}

/// Who may have to be served, after a message was taken from `head`.
#[inline]
fn to_serve_after_pop(head: Word) -> ToServe {
    ToServe {
        senders: head.calls(SENDERS_WAIT),
        // It may have been the last message: those who still wait are told.
        receivers: head.has(CLOSED) && head.has(RECEIVERS_WAIT),
    }
}

/// Waits for another thread that is between two of its steps.
struct Pause(u32);

impl Pause {
    #[cold]
    fn wait(&mut self) {
        // Model checkers have other threads go on when this one spins.
        if cfg!(any(volt_loom, volt_shuttle)) || self.0 < SPINS {
            self.0 += 1;
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        let mut position = self.head().position();
        let left = iter::repeat_with(|| {
            // SAFETY: nobody else has the ring any more: what is before the tail is filled, and
            // each position is taken once.
            let message = unsafe { self.slots.take(position) };
            position = position.wrapping_add(1);
            message
        });
        left.take(self.len()).for_each(drop);
    }
}
