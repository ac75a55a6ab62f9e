//! A plain statistic.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts events for metrics. No order hangs on it, and reading or raising it is no scheduling
/// point of a simulation: counting must not change a schedule.
#[derive(Default)]
pub struct Counter(AtomicU64);

// Relaxed throughout: a statistic orders nothing.
impl Counter {
    /// A counter at 0.
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Adds `n`; any thread may.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds `n` without a read-modify-write: for counters that one thread alone raises.
    #[inline]
    pub fn add_by_owner(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets the count; for gauges.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The count.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
