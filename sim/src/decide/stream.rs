//! A seeded stream of random words: ChaCha with eight rounds, one stream number per level.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One level's stream of one run.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn new(seed: u64, level: u64) -> Stream {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(level);
        Stream(generator)
    }

    /// A number below `n`. Lemire's reduction without the rejection step: the bias is below
    /// `n` in 2^32, far under what a search over thousands of seeds could notice.
    #[inline]
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// As [`Stream::below`], for numbers of 64 bits.
    pub(crate) fn below_u64(&mut self, n: u64) -> u64 {
        match u32::try_from(n) {
            Ok(n) => u64::from(self.below(n)),
            Err(_) => ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64,
        }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams_and_levels_differ() {
        let words = |seed, level| {
            let mut stream = Stream::new(seed, level);
            [0; 8].map(|_| stream.next_u64())
        };
        assert_eq!(words(7, 0), words(7, 0));
        assert_ne!(words(7, 0), words(7, 1));
        assert_ne!(words(7, 0), words(8, 0));
    }

    #[test]
    fn below_reaches_every_number_and_none_beyond() {
        let mut stream = Stream::new(1, 0);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[stream.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
