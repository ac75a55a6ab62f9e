//! The rolling hash of a run: every executed operation with its object, thread, answer and time,
//! and every payload byte.

use foldhash::fast::{FixedState, FoldHasher};
use std::hash::{BuildHasher, Hasher};

use super::event::Event;

/// Fixed, so that the same run has the same hash in every process.
const SEED: u64 = 0x766f_6c74;

pub(crate) struct RunHash(FoldHasher<'static>);

impl RunHash {
    pub(crate) fn new() -> RunHash {
        RunHash(FixedState::with_seed(SEED).build_hasher())
    }

    #[inline]
    pub(crate) fn fold(&mut self, event: &Event) {
        let kind = event.operation.kind as u64;
        let thread = u64::from(event.thread) << 8;
        let object = u64::from(event.operation.object) << 32;
        let operation = kind ^ thread ^ object;
        // Whole 128-bit words: the hasher then folds each at once, without shifting.
        self.0.write_u128(u128::from(operation) | u128::from(event.answer) << 64);
        self.0.write_u128(u128::from(event.now));
    }

    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finish()
    }
}
