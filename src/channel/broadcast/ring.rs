//! The messages that a broadcast channel keeps. All of it is under the channel's lock.
//!
//! ```text
//!      missed          kept: `capacity` at most             to be sent
//!   ─────────────┬────┬────┬────┬────┬────┬────┬────┬ ─ ─ ─ ─ ─ ─ ─ ─ ─
//!                │  0 │  0 │  1 │  2 │  2 │  3 │  3 │   receivers that have not seen it
//!   ─────────────┴────┴────┴────┴────┴────┴────┴────┴ ─ ─ ─ ─ ─ ─ ─ ─ ─
//!        ▲                   ▲    ▲         ▲         ▲
//!   a cursor that        cursors of three receivers  tail
//!   has lagged
//! ```
//!
//! Rules:
//! 1. A message counts the receivers that there were when it was sent, and that have neither begun
//!    to receive it nor been dropped. Whoever brings the count to 0 takes the message out of the
//!    ring; if it is being cloned, it is abandoned, and the last clone takes it out.
//! 2. A message that is overwritten while it is cloned is set aside with its store: the slot goes
//!    on with another store. The last clone takes it out, and the store is used again.
//! 3. What is taken out is dropped by the caller, without the lock.

use std::mem;
use std::ptr::NonNull;

use super::store::{Handle, Reading, Store};
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicU64, Ordering};

/// The largest capacity.
const MOST_MESSAGES: usize = u32::MAX as usize;

/// How many messages are skipped in one go.
const SKIP: u64 = 64;

/// The position of the next message of a receiver: how many were sent before it.
pub(super) struct Cursor(AtomicU64);

// Relaxed throughout: the ring's lock orders it.
impl Cursor {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, position: u64) {
        self.0.store(position, Ordering::Relaxed);
    }
}

struct Slot<T> {
    handle: Handle<T>,
    /// Rule 1.
    unseen: usize,
}

/// A message that is being cloned, and where it is to be found then.
pub(super) struct Found<T> {
    pub(super) reading: Reading<T>,
    position: u64,
}

/// What there is for a receiver.
pub(super) enum Next<T> {
    /// The message itself.
    Message(T),
    /// A message to be cloned.
    Found(Found<T>),
    Empty,
    Lagged(u64),
    Closed,
}

/// See the module documentation.
pub(super) struct Ring<T> {
    slots: Box<[Slot<T>]>,
    /// The stores of the slots, to begin with.
    block: NonNull<[Store<T>]>,
    /// Those that were added later.
    added: Vec<NonNull<Store<T>>>,
    /// Of messages that were overwritten while they were cloned.
    aside: Vec<Handle<T>>,
    /// Of stores without a message.
    spare: Vec<Handle<T>>,
    /// How many messages were sent.
    tail: u64,
    /// The slot of the next one.
    tail_slot: usize,
    receivers: usize,
    is_closed: bool,
    /// Whether receivers wait, or did, since the last message.
    is_awaited: bool,
}

// SAFETY: it owns messages, which threads take out and clone at once.
unsafe impl<T: Send + Sync> Send for Ring<T> {}

impl<T> Ring<T> {
    /// # Panics
    /// If the capacity is 0 or too large.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Ring<T> {
        assert!(capacity > 0, "a broadcast channel has a capacity of 1 at least");
        assert!(
            u32::try_from(capacity).is_ok(),
            "a broadcast channel has a capacity of {MOST_MESSAGES} at most"
        );
        let stores: Box<[Store<T>]> = (0..capacity).map(|_| Store::new()).collect();
        let block = NonNull::from(Box::leak(stores));
        let slots = (0..capacity).map(|nth| {
            // SAFETY: the block has so many.
            let store = unsafe { block.cast::<Store<T>>().add(nth) };
            // SAFETY: it is new, and freed with the ring.
            Slot { handle: unsafe { Handle::new(store) }, unseen: 0 }
        });
        Ring {
            slots: slots.collect(),
            block,
            added: Vec::new(),
            aside: Vec::new(),
            spare: Vec::new(),
            tail: 0,
            tail_slot: 0,
            receivers: 0,
            is_closed: false,
            is_awaited: false,
        }
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether receivers wait for the message that was sent.
    pub(super) fn take_awaited(&mut self) -> bool {
        mem::take(&mut self.is_awaited)
    }

    /// Whether there is something to tell a receiver; if not, it waits.
    pub(super) fn is_news(&mut self, cursor: &Cursor) -> bool {
        let is_news = self.is_closed || cursor.get() != self.tail;
        if mutation!("broadcast-awaits-unmarked", !is_news, false) {
            self.is_awaited = true;
        }
        is_news
    }

    /// A new receiver, whose first message is the next one.
    ///
    /// Their number cannot run over: each has a reference to the channel, which are counted, too.
    pub(super) fn add_receiver(&mut self) -> Cursor {
        self.receivers += 1;
        Cursor(AtomicU64::new(self.tail))
    }

    /// A receiver goes. It is to [`skip`](Ring::skip) to this position.
    pub(super) fn remove_receiver(&mut self) -> u64 {
        self.receivers -= 1;
        self.tail
    }

    /// Adds a message for all receivers, and gives the one that it overwrites.
    pub(super) fn push(&mut self, message: T) -> Option<T> {
        let nth = self.tail_slot;
        let slot = &mut self.slots[nth];
        slot.unseen = self.receivers;
        if slot.handle.is_cloned() && !slot.handle.abandon() {
            self.set_aside(nth);
        }
        // SAFETY: nobody clones it, or it was set aside.
        let overwritten = unsafe { self.slots[nth].handle.put(message) };
        self.tail += 1;
        self.tail_slot = if nth + 1 == self.slots.len() { 0 } else { nth + 1 };
        overwritten
    }

    /// Rule 2.
    #[cold]
    fn set_aside(&mut self, nth: usize) {
        let spare = self.spare.pop().unwrap_or_else(|| {
            let store = NonNull::from(Box::leak(Box::new(Store::new())));
            self.added.push(store);
            // SAFETY: it is new, and freed with the ring.
            unsafe { Handle::new(store) }
        });
        self.aside.push(mem::replace(&mut self.slots[nth].handle, spare));
    }

    /// What there is for a receiver, whose cursor moves past it.
    pub(super) fn next(&mut self, cursor: &Cursor) -> Next<T> {
        let position = cursor.get();
        let Some(nth) = self.slot_of(position) else {
            let kept = self.tail - self.slots.len() as u64;
            cursor.set(kept);
            return Next::Lagged(kept - position);
        };
        if position == self.tail {
            return if self.is_closed { Next::Closed } else { Next::Empty };
        }
        cursor.set(position + 1);
        let slot = &mut self.slots[nth];
        slot.unseen -= 1;
        let is_last = slot.unseen == 0;
        if is_last && !slot.handle.is_cloned() {
            // SAFETY: nobody clones it.
            let message = unsafe { slot.handle.take() };
            return Next::Message(message.expect("a message is there until all have seen it"));
        }
        let reading = slot.handle.begin();
        if mutation!("broadcast-abandons-nothing", is_last, false) {
            // This one has begun, so it is left to the last clone.
            slot.handle.abandon();
        }
        Next::Found(Found { reading, position })
    }

    /// Moves the cursor of a receiver that was removed by some messages towards `until`, and gives
    /// one that all have seen. It is called again, until it says that the cursor is there.
    pub(super) fn skip(&mut self, cursor: &Cursor, until: u64) -> (bool, Option<T>) {
        let mut position = cursor.get().max(self.tail.saturating_sub(self.slots.len() as u64));
        let stop = until.min(position.saturating_add(SKIP));
        let mut seen = None;
        while position < stop && seen.is_none() {
            let nth = self.slot_of(position).expect("a message of the last ones is kept");
            position += 1;
            let slot = &mut self.slots[nth];
            slot.unseen -= 1;
            if slot.unseen == 0 && (!slot.handle.is_cloned() || slot.handle.abandon()) {
                // SAFETY: nobody clones it.
                seen = unsafe { slot.handle.take() };
            }
        }
        cursor.set(position);
        (position >= until, seen)
    }

    /// What is left of an abandoned message when a clone of it has ended, if that was the last.
    #[cold]
    pub(super) fn clear(&mut self, found: &Found<T>) -> Option<T> {
        if let Some(nth) = self.slot_of(found.position) {
            let slot = &mut self.slots[nth];
            if slot.unseen > 0 || slot.handle.is_cloned() {
                return None;
            }
            // SAFETY: nobody clones it.
            return unsafe { slot.handle.take() };
        }
        let is_left = |handle: &Handle<T>| handle.is_of(&found.reading) && !handle.is_cloned();
        let nth = self.aside.iter().position(is_left)?;
        let mut handle = self.aside.swap_remove(nth);
        // SAFETY: nobody clones it.
        let message = unsafe { handle.take() };
        self.spare.push(handle);
        message
    }

    /// How many kept messages the receiver has not had.
    pub(super) fn len_from(&self, cursor: &Cursor) -> usize {
        let behind = self.tail - cursor.get();
        usize::try_from(behind).map_or(self.slots.len(), |behind| behind.min(self.slots.len()))
    }

    /// How many kept messages some receiver has not had.
    pub(super) fn len(&self) -> usize {
        let is_seen =
            |position| self.slot_of(position).is_none_or(|nth| self.slots[nth].unseen == 0);
        // Whoever has not had one has not had those after it.
        let mut low = self.tail.saturating_sub(self.slots.len() as u64);
        let mut high = self.tail;
        while low < high {
            let middle = low + (high - low) / 2;
            if is_seen(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        usize::try_from(self.tail - low).expect("the ring has so many slots")
    }

    /// The slot of a message, or of the next one, unless it is overwritten.
    fn slot_of(&self, position: u64) -> Option<usize> {
        let behind = usize::try_from(self.tail - position).ok()?;
        if behind <= self.tail_slot {
            Some(self.tail_slot - behind)
        } else if behind <= self.slots.len() {
            Some(self.tail_slot + self.slots.len() - behind)
        } else {
            None
        }
    }

    /// How many stores there are, and how many of them are set aside.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn stores(&self) -> (usize, usize) {
        (self.slots.len() + self.added.len(), self.aside.len())
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: `new` has leaked it; nobody clones a message, since that takes the channel.
        let block = unsafe { Box::from_raw(self.block.as_ptr()) };
        for store in self.added.drain(..) {
            // SAFETY: as above, for `set_aside`.
            drop(unsafe { Box::from_raw(store.as_ptr()) });
        }
        drop(block);
    }
}
