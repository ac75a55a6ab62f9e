//! The timers of a local runtime, by deadline and then in the order in which they were armed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;

use crate::platform::clock::Instant;

/// See the module documentation.
pub(super) struct Timers {
    armed: RefCell<BTreeMap<(Instant, u64), Waker>>,
    sequence: Cell<u64>,
}

impl Timers {
    pub(super) fn new() -> Timers {
        Timers { armed: RefCell::new(BTreeMap::new()), sequence: Cell::new(0) }
    }

    /// Wakes `waker` at `deadline`; `before` is what the last call for this timer returned.
    pub(super) fn arm(&self, deadline: Instant, before: Option<u64>, waker: &Waker) -> u64 {
        let sequence = before.unwrap_or_else(|| self.sequence.replace(self.sequence.get() + 1));
        let is_known = {
            let armed = self.armed.borrow();
            armed.get(&(deadline, sequence)).is_some_and(|known| known.will_wake(waker))
        };
        if !is_known {
            // Another waker is cloned before the loan and dropped after it: both are foreign code.
            let waker = waker.clone();
            let replaced = self.armed.borrow_mut().insert((deadline, sequence), waker);
            drop(replaced);
        }
        sequence
    }

    /// Forgets a timer, if it is armed still.
    pub(super) fn disarm(&self, deadline: Instant, sequence: u64) {
        let removed = self.armed.borrow_mut().remove(&(deadline, sequence));
        drop(removed);
    }

    /// Whether there is no timer: then nobody need look at the clock.
    pub(super) fn is_empty(&self) -> bool {
        self.armed.borrow().is_empty()
    }

    /// The first deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.armed.borrow().first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Takes out a timer that is due.
    pub(super) fn take_due(&self, now: Instant) -> Option<Waker> {
        let mut armed = self.armed.borrow_mut();
        let entry = armed.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        let armed = self.armed.take();
        drop(armed);
    }
}
