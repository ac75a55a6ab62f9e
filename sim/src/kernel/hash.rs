//! The rolling hash of a run: every executed operation with its object, thread, answer and time,
//! and every payload byte.

use foldhash::fast::{FixedState, FoldHasher};
use std::hash::{BuildHasher, Hasher};

use super::clock::STEP;
use super::event::{Event, OperationKind};

/// Fixed, so that the same run has the same hash in every process.
const SEED: u64 = 0x766f_6c74;

/// Beside an operation whose time is folded after it.
const WITH_TIME: u64 = 1 << 7;

// The last of the kinds: none is taken for another one with its time.
const _: () = assert!((OperationKind::Ring as u64) < WITH_TIME);

pub(crate) struct RunHash {
    hasher: FoldHasher<'static>,
    /// The time of the last event.
    now: u64,
}

impl RunHash {
    pub(crate) fn new() -> RunHash {
        RunHash { hasher: FixedState::with_seed(SEED).build_hasher(), now: 0 }
    }

    /// An event whose time is a step after that of the one before says so by not telling it, as
    /// most do: what is folded is as good as all times.
    #[inline]
    pub(crate) fn fold(&mut self, event: &Event) {
        let kind = event.operation.kind as u64;
        let thread = u64::from(event.thread) << 8;
        let object = u64::from(event.operation.object) << 32;
        let operation = kind ^ thread ^ object;
        let answer = u128::from(event.answer) << 64;
        let is_next_step = event.now.wrapping_sub(self.now) == STEP;
        self.now = event.now;
        // Whole 128-bit words: the hasher then folds each at once, without shifting.
        if is_next_step {
            self.hasher.write_u128(u128::from(operation) | answer);
        } else {
            self.hasher.write_u128(u128::from(operation ^ WITH_TIME) | answer);
            self.hasher.write_u128(u128::from(event.now));
        }
    }

    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    pub(crate) fn value(&self) -> u64 {
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::super::event::Operation;
    use super::*;

    /// The hash of loads that come at these times.
    fn hash(times: &[u64]) -> u64 {
        let mut hash = RunHash::new();
        for &now in times {
            let operation = Operation::new(OperationKind::Load, 1, Location::caller());
            hash.fold(&Event { operation, thread: 0, answer: 0, now });
        }
        hash.value()
    }

    #[test]
    fn every_time_counts() {
        let steps = [STEP, 2 * STEP, 3 * STEP];
        assert_eq!(hash(&steps), hash(&steps));
        for other in [
            [STEP, 2 * STEP, 2 * STEP],
            [STEP, 2 * STEP, 4 * STEP],
            [STEP, 3 * STEP, 4 * STEP],
            [0, STEP, 2 * STEP],
        ] {
            assert_ne!(hash(&steps), hash(&other));
        }
        // Both go on by steps: only the first time differs.
        assert_ne!(hash(&[5, 5 + STEP, 5 + 2 * STEP]), hash(&[6, 6 + STEP, 6 + 2 * STEP]));
    }
}
