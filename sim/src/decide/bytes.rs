//! The bytes of a fuzzer as the answers to all decisions.
//!
//! Each decision takes as few bytes as can tell its answers apart, low one first, modulo their
//! number: one byte for most. When they end, a random walk under the seed goes on: a fixed answer
//! could let one thread spin for ever on what another one is to do, and the run would never end.

use std::sync::Arc;

use super::dfs::from_current;

pub(super) struct Bytes {
    bytes: Arc<[u8]>,
    next: usize,
}

impl Bytes {
    pub(super) fn new(bytes: Arc<[u8]>) -> Bytes {
        Bytes { bytes, next: 0 }
    }

    /// What the run does, for its report.
    pub(super) fn describe(&self) -> String {
        format!("{} bytes, then random", self.bytes.len())
    }

    /// The index in `runnable` of the thread to run; `None` where the bytes have ended. A zero
    /// lets the same thread go on, so that bytes which are mostly that are schedules with few
    /// switches.
    pub(super) fn choose_thread(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
    ) -> Option<u32> {
        let answer = self.next(runnable.len() as u64)?;
        let thread = from_current(runnable, current, yielding)[answer as usize];
        let index = runnable.iter().position(|it| *it == thread);
        index.map(|index| index as u32)
    }

    /// An answer below `n`; `None` where the bytes have ended.
    pub(super) fn next(&mut self, n: u64) -> Option<u64> {
        let left = &self.bytes[self.next..];
        if left.is_empty() {
            return None;
        }
        let width = (u64::BITS - (n - 1).leading_zeros()).div_ceil(8) as usize;
        let taken = &left[..width.min(left.len())];
        let mut word = [0; 8];
        word[..taken.len()].copy_from_slice(taken);
        self.next += taken.len();
        Some(u64::from_le_bytes(word) % n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_takes_the_bytes_that_it_needs() {
        let mut bytes = Bytes::new([5_u8, 255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].as_slice().into());
        assert_eq!(bytes.next(3), Some(2));
        assert_eq!(bytes.next(256), Some(255));
        assert_eq!(bytes.next(257), Some(256));
        assert_eq!(bytes.next(u64::MAX), Some(0x0908_0706_0504_0302));
        assert_eq!(bytes.next(2), None);
    }

    #[test]
    fn the_last_bytes_count_though_they_are_too_few() {
        let mut bytes = Bytes::new([7_u8].as_slice().into());
        assert_eq!(bytes.next(1_000), Some(7));
        assert_eq!(bytes.next(1_000), None);
    }

    #[test]
    fn zero_lets_the_same_thread_go_on() {
        let mut bytes = Bytes::new([0_u8, 1, 2, 0].as_slice().into());
        let runnable = [4, 1, 3];
        assert_eq!(bytes.choose_thread(&runnable, 3, false), Some(2));
        assert_eq!(bytes.choose_thread(&runnable, 3, false), Some(0), "the next by number");
        assert_eq!(bytes.choose_thread(&runnable, 3, false), Some(1), "round");
        assert_eq!(bytes.choose_thread(&runnable, 3, true), Some(0), "others go first");
        assert_eq!(bytes.choose_thread(&runnable, 3, false), None);
    }
}
