//! How long things took, in buckets of powers of two: a statistic that one worker writes and
//! anybody reads.

use std::time::Duration;

use crate::platform::Counter;

/// One event in so many is measured: reading the clock for each would cost too much.
pub(crate) const SAMPLE_ONE_IN: u64 = 16;

/// Up to 2^40 ns, about 18 minutes; what takes longer falls into the last bucket.
const BUCKETS: usize = 41;

pub(crate) struct Recorder {
    buckets: [Counter; BUCKETS],
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder { buckets: [const { Counter::new() }; BUCKETS] }
    }

    /// Counts one duration. Only the worker itself calls this.
    pub(crate) fn record(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = nanoseconds.checked_ilog2().map_or(0, |power| power as usize + 1);
        self.buckets[bucket.min(BUCKETS - 1)].add_by_owner(1);
    }

    pub(crate) fn snapshot(&self) -> Histogram {
        Histogram { counts: self.buckets.iter().map(Counter::get).collect() }
    }
}

/// How many durations fell into each bucket; each bucket reaches to twice the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    /// The durations of all `parts` together.
    pub(crate) fn sum<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Histogram {
        let mut counts = vec![0; BUCKETS];
        for part in parts {
            counts.iter_mut().zip(&part.counts).for_each(|(sum, count)| *sum += count);
        }
        Histogram { counts }
    }

    /// The buckets: how long at most, and how many durations; the last has no upper end.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let ends = (0..).map(|power| Duration::from_nanos(1 << power));
        ends.zip(self.counts.iter().copied())
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper end of the bucket below which this share of the durations lies; `None` without
    /// any. `share` is clamped to 0..=1.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets().find_map(|(end, count)| {
            seen += count;
            (seen >= wanted && self.count() > 0).then_some(end)
        })
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let recorder = Recorder::new();
        for nanoseconds in [0, 1, 3, 1_000, 1_023, 1_024, u64::MAX] {
            recorder.record(Duration::from_nanos(nanoseconds));
        }
        let histogram = recorder.snapshot();
        assert_eq!(histogram.count(), 7);
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        let nanoseconds = |power: u32| Duration::from_nanos(1 << power);
        assert_eq!(
            filled,
            [
                (nanoseconds(0), 1),
                (nanoseconds(1), 1),
                (nanoseconds(2), 1),
                (nanoseconds(10), 2),
                (nanoseconds(11), 1),
                (nanoseconds(40), 1)
            ]
        );
        assert_eq!(histogram.quantile(0.5), Some(nanoseconds(10)));
        assert_eq!(Recorder::new().snapshot().quantile(0.5), None);
    }

    #[test]
    fn a_sum_holds_the_durations_of_its_parts() {
        let [first, second, both] = [(); 3].map(|()| Recorder::new());
        for (part, nanoseconds) in [(&first, 0), (&first, 1_000), (&second, 1_000), (&second, 5)] {
            part.record(Duration::from_nanos(nanoseconds));
            both.record(Duration::from_nanos(nanoseconds));
        }
        let parts = [first.snapshot(), second.snapshot()];
        assert_eq!(Histogram::sum(parts.iter()), both.snapshot());
    }
}
