//! Randomness: the runtime's own choices, and bytes.

use super::{Current, Platform};

/// A number below `n`: whom to steal from, which branch to poll first. Fast and not secret in
/// production, a decision of the run in simulation.
///
/// # Panics
/// If `n` is 0.
#[inline]
pub fn below(n: u32) -> u32 {
    assert!(n > 0, "there is no number below 0");
    Current::below(n)
}

/// Fills `buffer` with bytes of the system's, or of the run's entropy in simulation.
pub fn fill(buffer: &mut [u8]) {
    Current::fill(buffer);
}
