//! What one iteration of one contender took.

use std::time::{Duration, Instant};

use crate::allocator::Counts;

/// What one iteration took.
///
/// The two counts are zero unless the harness counts allocations, which it does in the last
/// iteration only.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Time from [`Stopwatch::start`] to [`Stopwatch::stop`].
    pub elapsed: Duration,
    /// CPU time of the process that did the work, if that was another one. It decides then: a
    /// neighbour on a shared machine doubles what elapses, and hardly moves this.
    pub cpu: Option<Duration>,
    /// Bytes asked of the allocator in that time, by any thread.
    pub bytes: u64,
    /// Calls that asked for them.
    pub allocations: u64,
}

/// Measures the part of an iteration that counts, and leaves its preparation out.
///
/// It may be started on one thread and stopped on another.
///
/// ```
/// use volt_bench_harness::Stopwatch;
///
/// let prepared = vec![1_u64; 1000];
/// let stopwatch = Stopwatch::start();
/// let sum = std::hint::black_box(prepared.iter().sum::<u64>());
/// let sample = stopwatch.stop();
/// assert_eq!(sum, 1000);
/// assert!(sample.elapsed > std::time::Duration::ZERO);
/// ```
#[derive(Debug)]
#[must_use = "a stopwatch that is not stopped measures nothing"]
pub struct Stopwatch {
    counts: Counts,
    started: Instant,
}

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Self {
        // The clock is read last here and first in `stop`: nothing of our own is timed.
        Self { counts: Counts::now(), started: Instant::now() }
    }

    /// Ends the measurement.
    pub fn stop(self) -> Sample {
        let elapsed = self.started.elapsed();
        let counts = Counts::now().since(self.counts);
        Sample { elapsed, cpu: None, bytes: counts.bytes, allocations: counts.allocations }
    }
}
