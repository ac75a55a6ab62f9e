//! How often a worker looks up from its own ring: at the queue from outside, at its timers, and at
//! the driver.
//!
//! By time rather than by count: a look each millisecond or so, whatever the tasks take. The mean
//! time of a poll is an exponentially weighted average, measured over whole intervals, so that
//! the clock is read once an interval.

use std::time::Duration;

use crate::platform::clock::{self, Instant};

/// Polls between two looks at the injection queue, before anything is known.
const FIRST_INTERVAL: u32 = 61;
const LEAST_INTERVAL: u32 = 8;
const MOST_INTERVAL: u32 = 255;
/// How long a task from outside should wait behind local ones, at most.
const TARGET: Duration = Duration::from_millis(1);
/// The weight of a new measurement, one in so many.
const WEIGHT: u32 = 10;
/// Polls between two looks at the timers and the driver.
const DRIVER_INTERVAL: u32 = 61;

pub(crate) struct Pace {
    polls: u32,
    injection_at: u32,
    driver_at: u32,
    interval: u32,
    /// Set by the user: not adapted.
    fixed: bool,
    driver_interval: u32,
    began: Option<Instant>,
    /// Mean time of a poll, in nanoseconds.
    mean: u32,
}

impl Pace {
    pub(crate) fn new(interval: Option<u32>, driver_interval: Option<u32>) -> Pace {
        // At 1, tasks from outside could come first for ever.
        let first = interval.unwrap_or(FIRST_INTERVAL).max(2);
        let driver_interval = driver_interval.unwrap_or(DRIVER_INTERVAL).max(1);
        Pace {
            polls: 0,
            injection_at: first,
            driver_at: driver_interval,
            interval: first,
            fixed: interval.is_some(),
            driver_interval,
            began: None,
            mean: TARGET.subsec_nanos() / FIRST_INTERVAL,
        }
    }

    /// The most polls between two looks at the queue from outside.
    pub(crate) fn longest_interval(&self) -> u32 {
        if self.fixed { self.interval } else { MOST_INTERVAL }
    }

    /// Counts a poll; whether the queue from outside comes first.
    #[inline]
    pub(crate) fn is_injection_due(&mut self) -> bool {
        self.polls = self.polls.wrapping_add(1);
        if self.polls != self.injection_at {
            return false;
        }
        self.adapt();
        self.injection_at = self.polls.wrapping_add(self.interval);
        true
    }

    /// Whether the timers and the driver are to be looked at before the next poll.
    #[inline]
    pub(crate) fn is_driver_due(&mut self) -> bool {
        if self.polls != self.driver_at {
            return false;
        }
        self.driver_at = self.polls.wrapping_add(self.driver_interval);
        true
    }

    /// The worker has slept: what passed meanwhile was no poll.
    pub(crate) fn slept(&mut self) {
        self.began = None;
    }

    #[cold]
    fn adapt(&mut self) {
        if self.fixed {
            return;
        }
        let now = clock::now();
        if let Some(began) = self.began.replace(now) {
            self.learn(now.duration_since(began));
        }
    }

    fn learn(&mut self, elapsed: Duration) {
        let poll = (elapsed / self.interval).as_nanos().min(u128::from(u32::MAX / WEIGHT)) as u32;
        self.mean = (self.mean / WEIGHT * (WEIGHT - 1) + poll / WEIGHT).max(1);
        let polls = TARGET.subsec_nanos() / self.mean;
        self.interval = polls.clamp(LEAST_INTERVAL, MOST_INTERVAL);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn looks_come_at_their_interval() {
        let mut pace = Pace::new(Some(3), Some(5));
        let due: Vec<bool> = (0..7).map(|_| pace.is_injection_due()).collect();
        assert_eq!(due, [false, false, true, false, false, true, false]);
        let mut pace = Pace::new(Some(100), Some(2));
        let due: Vec<bool> = (0..5)
            .map(|_| {
                pace.is_injection_due();
                pace.is_driver_due()
            })
            .collect();
        assert_eq!(due, [false, true, false, true, false]);
    }

    #[test]
    fn long_polls_bring_looks_closer_and_short_ones_apart() {
        let mut pace = Pace::new(None, None);
        for _ in 0..100 {
            pace.learn(Duration::from_millis(1) * pace.interval);
        }
        assert_eq!(pace.interval, LEAST_INTERVAL);
        for _ in 0..100 {
            pace.learn(Duration::from_nanos(100) * pace.interval);
        }
        assert_eq!(pace.interval, MOST_INTERVAL);
    }
}
