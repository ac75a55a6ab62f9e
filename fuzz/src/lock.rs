//! What a lock must do.

use std::collections::VecDeque;

/// How many may overtake the first one who waits before the lock is handed over to it.
const MOST_OVERTAKERS: usize = 16;

/// A lock and who waits for it. Whether a lock that is freed is handed over, the model is told; it
/// checks that this comes in time.
#[derive(Default)]
pub(crate) struct LockModel {
    /// Somebody has it, or it was handed over.
    is_held: bool,
    /// To whom it was handed over, who does not know yet.
    handed_to: Option<usize>,
    /// Who waits, first come, first.
    queue: VecDeque<usize>,
    /// How many have overtaken the first one.
    overtakers: usize,
}

impl LockModel {
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether `waiter` waits for it, or was handed it.
    pub(crate) fn is_awaited_by(&self, waiter: usize) -> bool {
        self.handed_to == Some(waiter) || self.queue.contains(&waiter)
    }

    /// Who can go on.
    pub(crate) fn next(&self) -> Option<usize> {
        if self.is_held { self.handed_to } else { self.queue.front().copied() }
    }

    /// Somebody who does not wait asks for it: whether it is had.
    pub(crate) fn try_lock(&mut self) -> bool {
        if self.is_held {
            return false;
        }
        if !self.queue.is_empty() {
            self.overtakers += 1;
            assert!(self.overtakers <= MOST_OVERTAKERS, "the first one is overtaken for ever");
        }
        self.is_held = true;
        true
    }

    /// `waiter` asks for it, and waits if need be: whether it is had.
    pub(crate) fn poll(&mut self, waiter: usize) -> bool {
        if self.handed_to == Some(waiter) {
            self.handed_to = None;
            return true;
        }
        match self.place_of(waiter) {
            None => {
                let is_had = self.try_lock();
                if !is_had {
                    self.queue.push_back(waiter);
                }
                is_had
            }
            Some(0) if !self.is_held => {
                self.leave(0);
                self.is_held = true;
                true
            }
            Some(_) => false,
        }
    }

    /// Whoever has it frees it; `is_locked` says whether it is locked after that.
    pub(crate) fn unlock(&mut self, is_locked: bool) {
        assert!(self.is_held && self.handed_to.is_none(), "the interpreter frees a free lock");
        self.is_held = is_locked;
        if is_locked {
            self.handed_to = self.queue.pop_front();
            self.overtakers = 0;
            assert!(self.handed_to.is_some(), "a lock was freed, and stays locked for nobody");
        }
    }

    /// As `unlock`, without anybody who overtakes.
    pub(crate) fn unlock_fair(&mut self, is_locked: bool) {
        assert_eq!(is_locked, !self.queue.is_empty(), "a fair unlock hands the lock over");
        self.unlock(is_locked);
    }

    /// `waiter` goes; `is_locked` says whether the lock is locked after that.
    pub(crate) fn cancel(&mut self, waiter: usize, is_locked: bool) {
        if self.handed_to == Some(waiter) {
            self.handed_to = None;
            self.unlock(is_locked);
        } else if let Some(place) = self.place_of(waiter) {
            self.leave(place);
        }
        assert_eq!(is_locked, self.is_held);
    }

    fn place_of(&self, waiter: usize) -> Option<usize> {
        self.queue.iter().position(|other| *other == waiter)
    }

    fn leave(&mut self, place: usize) {
        self.queue.remove(place);
        if place == 0 {
            self.overtakers = 0;
        }
    }
}
