//! The table of a ring: what its tokens stand for, and how many completions are still to come.
//!
//! ```text
//!   token:  cancel? │ generation of the slot │ index of the slot
//!
//!            insert              cancel                   completion
//!   free ────────────► expects 1 ──────► expects 2 ... ──────────────► expects one fewer
//!     ▲                                                                        │
//!     └──────────────────────── expects none: generation + 1 ──────────────────┘
//! ```
//!
//! A cancel has a completion of its own, which may come long after that of its operation. So a slot
//! is used again when all that it expects has come, not before; else a cancel that the system has
//! not yet looked at could meet the next operation in the slot.
//!
//! The worker whose ring it is uses the table, and nobody else.

use std::sync::Arc;

use super::flight::Landing;

/// Marks the token of a cancel.
const CANCEL: u64 = 1 << 63;
const INDEX_BITS: u32 = 32;
const GENERATION_MASK: u32 = u32::MAX >> 1;

#[derive(Default)]
struct Slot {
    generation: u32,
    /// How many completions are still to come.
    expected: u32,
    /// `None` once its own completion has come.
    operation: Option<Arc<dyn Landing>>,
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Operations {
    slots: Vec<Slot>,
    /// The indices of the free slots.
    free: Vec<u32>,
}

impl Operations {
    /// Whether no completion is to come.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Of how many slots completions are to come.
    pub(super) fn taken(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The token of an operation that is to be submitted.
    pub(super) fn insert(&mut self, operation: Arc<dyn Landing>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // A ring has far fewer operations.
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        (slot.expected, slot.operation) = (1, Some(operation));
        Operations::token(slot.generation, index as usize)
    }

    fn token(generation: u32, index: usize) -> u64 {
        u64::from(generation) << INDEX_BITS | index as u64
    }

    fn index(token: u64) -> usize {
        token as u32 as usize
    }

    /// The slot that `token` stands for; `None` if it stands for nothing any more.
    fn slot(&mut self, token: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(Operations::index(token))?;
        let generation = ((token & !CANCEL) >> INDEX_BITS) as u32;
        (slot.generation == generation && slot.expected > 0).then_some(slot)
    }

    /// The token of a cancel of `token`, which is to be submitted; `None` if that has completed.
    pub(super) fn cancel(&mut self, token: u64) -> Option<u64> {
        let slot = self.slot(token)?;
        slot.operation.as_ref()?;
        slot.expected += 1;
        Some(token | CANCEL)
    }

    /// The tokens of operations that may never complete by themselves.
    pub(super) fn endless(&self) -> Vec<u64> {
        let mut tokens = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.operation.as_ref().is_some_and(|operation| operation.may_not_end()) {
                tokens.push(Operations::token(slot.generation, index));
            }
        }
        tokens
    }

    /// A completion of `token` has come, which more may follow. The operation, if it has ended.
    pub(super) fn complete(&mut self, token: u64, more: bool) -> Option<Arc<dyn Landing>> {
        let slot = self.slot(token)?;
        if more {
            return None;
        }
        slot.expected -= 1;
        let ended = if token & CANCEL == 0 { slot.operation.take() } else { None };
        if slot.expected == 0 {
            slot.generation = (slot.generation + 1) & GENERATION_MASK;
            self.free.push(Operations::index(token) as u32);
        }
        ended
    }

    /// Takes back a token that was not submitted.
    pub(super) fn withdraw(&mut self, token: u64) {
        drop(self.complete(token, false));
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::io;
    use std::task::Waker;

    use super::*;

    struct Nothing;

    impl Landing for Nothing {
        fn land(&self, _: io::Result<usize>) -> Option<Waker> {
            None
        }

        fn may_not_end(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_slot_is_used_again_when_all_its_completions_have_come() {
        let mut operations = Operations::default();
        assert!(operations.is_empty());
        let first = operations.insert(Arc::new(Nothing));
        let cancel = operations.cancel(first).unwrap();
        assert!(operations.complete(first, false).is_some());
        assert!(!operations.is_empty(), "the cancel has not completed");
        assert_eq!(operations.cancel(first), None, "it has completed");
        let second = operations.insert(Arc::new(Nothing));
        assert_ne!(Operations::index(first), Operations::index(second));
        assert!(operations.complete(cancel, false).is_none());
        let third = operations.insert(Arc::new(Nothing));
        assert_eq!(Operations::index(first), Operations::index(third));
        assert_ne!(first, third);
        // What comes late finds nobody.
        assert!(operations.complete(first, false).is_none() && operations.cancel(first).is_none());
        assert!(operations.complete(second, false).is_some());
        assert!(operations.complete(third, false).is_some());
        assert!(operations.is_empty());
    }

    #[test]
    fn a_cancel_may_complete_before_its_operation() {
        let mut operations = Operations::default();
        let token = operations.insert(Arc::new(Nothing));
        let cancel = operations.cancel(token).unwrap();
        assert!(operations.complete(cancel, false).is_none());
        assert!(!operations.is_empty());
        assert!(operations.complete(token, false).is_some());
        assert!(operations.is_empty());
    }

    #[test]
    fn an_operation_with_more_to_come_stays() {
        let mut operations = Operations::default();
        let token = operations.insert(Arc::new(Nothing));
        assert!(operations.complete(token, true).is_none());
        assert!(operations.complete(token, false).is_some());
        assert!(operations.is_empty());
    }
}
