//! The slots of a [`Ring`](super::ring), each with a *turn* that says whose it is.
//!
//! ```text
//!              fill: the sender who took                take: the receiver who took
//!              position p from the tail                 position p from the head
//!   free for p ─────────────────────────► filled with p ────────────────────────► free for p + N
//! ```
//!
//! N, the number of slots, is a power of two, so that a position finds its slot by a mask, and
//! positions may wrap. The turn is twice the position, and one more when the slot is filled: no
//! turn means two things, even where there is one slot only.

use std::mem::MaybeUninit;

use super::word::LAST_POSITION;
use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicU64, Ordering};

/// See the module documentation.
pub(super) struct Slots<T>(Box<[Slot<T>]>);

struct Slot<T> {
    turn: AtomicU64,
    message: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: messages move between threads, and are never shared: each slot belongs to one thread at
// a time, as `fill` and `take` demand.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// At least `capacity` slots, free for as many positions, of which `first` is the first.
    pub(super) fn new(capacity: usize, first: u64) -> Slots<T> {
        let length = capacity.next_power_of_two() as u64;
        let slots = (0..length).map(|index| {
            let position = first + (index.wrapping_sub(first) & (length - 1));
            Slot {
                turn: AtomicU64::new(free_for(position)),
                message: UnsafeCell::new(MaybeUninit::uninit()),
            }
        });
        Slots(slots.collect())
    }

    /// How many slots there are.
    #[inline]
    pub(super) fn length(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether the slot of `position` is free for it: then it belongs to whoever takes the
    /// position from the tail.
    #[inline]
    pub(super) fn is_free(&self, position: u64) -> bool {
        // Acquire: pairs with `take`: the slot is written after it was read.
        self.at(position).turn.load(Ordering::Acquire) == free_for(position)
    }

    /// Whether the slot of `position` has its message: then it belongs to whoever takes the
    /// position from the head.
    #[inline]
    pub(super) fn is_filled(&self, position: u64) -> bool {
        // Acquire: pairs with `fill`: whoever takes the message sees it.
        self.at(position).turn.load(Ordering::Acquire) == filled_with(position)
    }

    /// Whether the message of `position` was taken last from its slot.
    #[inline]
    pub(super) fn was_taken(&self, position: u64) -> bool {
        let next = position.wrapping_add(self.length());
        // Relaxed: nothing is read or written on the strength of it.
        self.at(position).turn.load(Ordering::Relaxed) == free_for(next)
    }

    /// Writes a slot.
    ///
    /// # Safety
    /// The caller took `position` from the tail, after `is_free` said so, and fills it once.
    #[inline]
    pub(super) unsafe fn fill(&self, position: u64, value: T) {
        let slot = self.at(position);
        // SAFETY: the slot is free, and the position is the caller's: the caller's promise.
        slot.message.with_mut(|message| unsafe { message.write(MaybeUninit::new(value)) });
        // Release: pairs with `is_filled`.
        let release = mutation!("slots-filled-relaxed", Ordering::Release, Ordering::Relaxed);
        slot.turn.store(filled_with(position), release);
    }

    /// Reads a slot.
    ///
    /// # Safety
    /// The caller took `position` from the head, after `is_filled` said so, and takes it once.
    #[inline]
    pub(super) unsafe fn take(&self, position: u64) -> T {
        let slot = self.at(position);
        // SAFETY: the slot is filled, and the position is the caller's: the caller's promise.
        let value = slot.message.with(|message| unsafe { message.read().assume_init() });
        // Release: pairs with `is_free`.
        let release = mutation!("slots-taken-relaxed", Ordering::Release, Ordering::Relaxed);
        slot.turn.store(free_for(position.wrapping_add(self.length())), release);
        value
    }

    #[inline]
    fn at(&self, position: u64) -> &Slot<T> {
        &self.0[position as usize & (self.0.len() - 1)]
    }
}

/// The turn of a slot that is free for the message of `position`.
#[inline]
fn free_for(position: u64) -> u64 {
    (position & LAST_POSITION) << 1
}

/// The turn of a slot that holds the message of `position`.
#[inline]
fn filled_with(position: u64) -> u64 {
    free_for(position) | 1
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_free_filled_and_free_again() {
        for capacity in 1..=5 {
            for first in [0, 3, LAST_POSITION - 2] {
                let slots = Slots::new(capacity, first);
                let length = slots.length();
                assert_eq!(length, capacity.next_power_of_two() as u64);
                for position in first..first + 4 * length {
                    assert!(slots.is_free(position) && !slots.is_filled(position));
                    assert!(slots.was_taken(position.wrapping_sub(length)));
                    // SAFETY: this is the only thread, and the slot was looked at.
                    unsafe { slots.fill(position, position) };
                    assert!(slots.is_filled(position) && !slots.is_free(position + length));
                    assert!(!slots.was_taken(position));
                    // SAFETY: as above.
                    assert_eq!(unsafe { slots.take(position) }, position);
                    assert!(slots.was_taken(position) && !slots.is_filled(position));
                }
            }
        }
    }
}
