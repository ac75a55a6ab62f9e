//! The retransmission timer of a connection: when to send again, and when to give up.
//!
//! The interval follows the measured round trip (mean and deviation, smoothed as in RFC 6298),
//! doubles with each retransmission and falls back with each acknowledgement of something new.
//! Each acknowledgement echoes when what it answers was sent, so retransmissions count too.

/// Before a round trip was measured.
const FIRST_INTERVAL: u64 = 1_000_000_000;
const SHORTEST_INTERVAL: u64 = 200_000_000;
/// The longest time between two retransmissions, in nanoseconds.
pub(super) const LONGEST_INTERVAL: u64 = 120_000_000_000;

/// How long a connection waits for an acknowledgement before it fails with `TimedOut`, in
/// nanoseconds: fifteen minutes, about what the fifteen retransmissions of Linux take. The next
/// retransmission that is due notices.
pub(crate) const USER_TIMEOUT: u64 = 900_000_000_000;

pub(super) struct Retransmit {
    /// When it rings; `None` when nothing waits for an acknowledgement.
    at: Option<u64>,
    /// Retransmissions since the last progress.
    retries: u32,
    /// Since when nothing has been heard of the peer although something was.
    waiting_since: u64,
    /// Mean and deviation of the round trip.
    round_trip: Option<(u64, u64)>,
}

impl Retransmit {
    pub(super) fn new() -> Retransmit {
        Retransmit { at: None, retries: 0, waiting_since: 0, round_trip: None }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.at
    }

    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    fn interval(&self) -> u64 {
        let first = match self.round_trip {
            None => FIRST_INTERVAL,
            Some((mean, deviation)) => (mean + 4 * deviation).max(SHORTEST_INTERVAL),
        };
        // Ten doublings of the shortest interval are past the longest.
        first.saturating_mul(1 << self.retries.min(10)).min(LONGEST_INTERVAL)
    }

    /// Something waits for an acknowledgement: starts the timer unless it runs.
    pub(super) fn start(&mut self, now: u64) {
        if self.at.is_none() {
            self.waiting_since = now;
            self.at = Some(now + self.interval());
        }
    }

    /// Nothing waits any more.
    pub(super) fn stop(&mut self) {
        self.at = None;
        self.retries = 0;
    }

    /// The timer rang: the next interval is twice as long.
    pub(super) fn back_off(&mut self, now: u64) {
        self.retries = self.retries.saturating_add(1);
        self.at = Some(now + self.interval());
    }

    /// The peer acknowledged something new, which was sent at `sent`; `more` waits still.
    pub(super) fn progress(&mut self, sent: u64, now: u64, more: bool) {
        self.sample(now - sent);
        self.retries = 0;
        self.waiting_since = now;
        self.at = more.then(|| now + self.interval());
    }

    /// The peer answered, though it acknowledged nothing new.
    pub(super) fn heard(&mut self, now: u64) {
        self.waiting_since = now;
    }

    pub(super) fn gives_up(&self, now: u64) -> bool {
        now - self.waiting_since >= USER_TIMEOUT
    }

    fn sample(&mut self, took: u64) {
        self.round_trip = Some(match self.round_trip {
            None => (took, took / 2),
            Some((mean, deviation)) => {
                ((7 * mean + took) / 8, (3 * deviation + mean.abs_diff(took)) / 4)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_the_longest() {
        let mut timer = Retransmit::new();
        timer.start(0);
        assert_eq!(timer.deadline(), Some(FIRST_INTERVAL));
        timer.back_off(FIRST_INTERVAL);
        assert_eq!(timer.deadline(), Some(3 * FIRST_INTERVAL));
        for _ in 0..20 {
            timer.back_off(0);
        }
        assert_eq!(timer.deadline(), Some(LONGEST_INTERVAL));
    }

    #[test]
    fn a_measured_round_trip_sets_the_interval() {
        let mut timer = Retransmit::new();
        timer.start(0);
        timer.progress(0, 400_000_000, true);
        // Mean 400 ms, deviation 200 ms.
        assert_eq!(timer.deadline(), Some(400_000_000 + 1_200_000_000));
        timer.stop();
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn progress_ends_the_doubling() {
        let mut timer = Retransmit::new();
        timer.start(0);
        timer.back_off(1_000_000_000);
        assert_eq!(timer.retries(), 1);
        timer.progress(1_000_000_000, 1_000_100_000, true);
        assert_eq!(timer.retries(), 0);
        assert_eq!(timer.deadline(), Some(1_000_100_000 + SHORTEST_INTERVAL));
    }

    #[test]
    fn it_gives_up_when_nothing_was_heard_for_the_whole_time() {
        let mut timer = Retransmit::new();
        timer.start(5);
        assert!(!timer.gives_up(USER_TIMEOUT));
        assert!(timer.gives_up(5 + USER_TIMEOUT));
        timer.heard(10);
        assert!(!timer.gives_up(5 + USER_TIMEOUT));
    }
}
