//! A regular beat.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::{Instant, Sleep};
use crate::runtime::Io;

/// What an [`Interval`] does about the beat after a tick, above all one that was taken late.
///
/// With a period of 10 ms, and the tick of 10 ms taken at 35 ms:
///
/// | | the next ticks |
/// |---|---|
/// | `Burst` | 20, 30 (both at once), 40, 50 |
/// | `Skip` | 40, 50, 60 |
/// | `Delay` | 45, 55, 65 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// The next tick comes a period after this one was due: missed ones are made up for, as fast
    /// as they are taken, so their number is right in the long run.
    Burst,
    /// The next tick comes at the first whole number of periods that is still ahead: missed ones
    /// are left out, and the beat stays in phase.
    Skip,
    /// The next tick comes a period after this one was taken: ticks are never less than a period
    /// apart, and the beat falls behind by as much as each was late.
    #[default]
    Delay,
}

impl MissedTickBehavior {
    /// The tick after that of `due`, which is taken at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => due.later(period),
            MissedTickBehavior::Skip => {
                let late = now.duration_since(due);
                let missed = late.saturating_sub(remainder(late, period));
                due.later(missed.saturating_add(period))
            }
            MissedTickBehavior::Delay => now.later(period),
        }
    }
}

/// What is left of `duration` after as many whole periods as it holds.
fn remainder(duration: Duration, period: Duration) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let nanos = duration.as_nanos() % period.as_nanos();
    Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32)
}

/// A beat of `period`. The first tick comes a period from now.
///
/// # Panics
/// If `period` is zero.
///
/// ```
/// use std::time::Duration;
/// use volt::time::interval;
///
/// volt::run(|io| async move {
///     let mut beat = interval(&io, Duration::from_millis(1));
///     for _ in 0..3 {
///         beat.tick().await;
///     }
/// });
/// ```
#[track_caller]
pub fn interval(io: &Io, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval is zero");
    let next = Instant::now().later(period);
    Interval { io: io.clone(), period, next, behavior: MissedTickBehavior::default() }
}

/// A regular beat, of [`interval`].
#[derive(Debug)]
pub struct Interval {
    io: Io,
    period: Duration,
    /// When the next tick is due.
    next: Instant,
    behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick and gives the moment at which it was due.
    ///
    /// Cancel safety: a tick is taken when the future is ready. One that is dropped before takes
    /// none.
    #[track_caller]
    pub fn tick(&mut self) -> Tick<'_> {
        let sleep = Sleep::new(&self.io, self.next, Location::caller());
        Tick { interval: self, sleep }
    }

    /// Has the next tick come a period from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::time::{Instant, interval};
    ///
    /// volt::run(|io| async move {
    ///     let mut beat = interval(&io, Duration::from_millis(2));
    ///     beat.tick().await;
    ///     let before = Instant::now();
    ///     beat.reset();
    ///     beat.tick().await;
    ///     assert!(before.elapsed() >= beat.period());
    /// });
    /// ```
    pub fn reset(&mut self) {
        self.next = Instant::now().later(self.period);
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens about ticks that are taken late.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Says what is to happen about ticks that are taken late, from the next one on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::time::{MissedTickBehavior, interval};
    ///
    /// volt::run(|io| async move {
    ///     let mut beat = interval(&io, Duration::from_millis(1));
    ///     assert_eq!(beat.missed_tick_behavior(), MissedTickBehavior::Delay);
    ///     beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ///     let first = beat.tick().await;
    ///     assert_eq!(beat.tick().await - first, beat.period());
    /// });
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }

    /// Takes the tick that is due, at `now`, and gives the moment at which it was.
    fn take(&mut self, now: Instant) -> Instant {
        let next = self.behavior.next(self.next, now, self.period);
        std::mem::replace(&mut self.next, next)
    }
}

pin_project! {
    /// The future of [`Interval::tick`].
    ///
    /// # Panics
    /// As [`Sleep`], when its runtime has shut down.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Tick<'a> {
        interval: &'a mut Interval,
        #[pin]
        sleep: Sleep,
    }
}

impl Future for Tick<'_> {
    type Output = Instant;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Instant> {
        let this = self.project();
        ready!(this.sleep.poll(context));
        Poll::Ready(this.interval.take(Instant::now()))
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    /// The moments, in microseconds, at which ticks are due when they are taken at `taken`.
    fn due(behavior: MissedTickBehavior, taken: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut due = start + PERIOD;
        let mut moments = Vec::new();
        for micros in taken {
            let now = start + Duration::from_micros(*micros);
            assert!(now >= due, "no tick is due at {micros}");
            due = behavior.next(due, now, PERIOD);
            moments.push((due - start).as_micros() as u64);
        }
        moments
    }

    #[test]
    fn burst_makes_up_for_every_tick() {
        let taken = [10_000, 45_000, 45_000, 45_000, 51_000];
        let expected = [20_000, 30_000, 40_000, 50_000, 60_000];
        assert_eq!(due(MissedTickBehavior::Burst, &taken), expected);
    }

    #[test]
    fn skip_stays_in_phase() {
        let taken = [10_000, 21_500, 35_000, 45_000, 99_999];
        let expected = [20_000, 30_000, 40_000, 50_000, 100_000];
        assert_eq!(due(MissedTickBehavior::Skip, &taken), expected);
        // Taken at the very moment of another tick: that one is missed.
        assert_eq!(due(MissedTickBehavior::Skip, &[30_000]), [40_000]);
    }

    #[test]
    fn delay_leaves_a_whole_period_between_ticks() {
        let taken = [10_500, 20_500, 99_000];
        let expected = [20_500, 30_500, 109_000];
        assert_eq!(due(MissedTickBehavior::Delay, &taken), expected);
    }

    #[test]
    fn a_period_may_be_longer_than_any_clock() {
        let now = Instant::now();
        let late = now + 3 * PERIOD;
        for behavior in
            [MissedTickBehavior::Burst, MissedTickBehavior::Skip, MissedTickBehavior::Delay]
        {
            assert!(behavior.next(now, late, Duration::MAX) > now + Duration::from_secs(1 << 29));
        }
    }

    #[test]
    fn the_remainder_keeps_its_nanoseconds() {
        let whole = Duration::from_secs(3 * 7_000_000_000);
        let rest = Duration::new(6_999_999_999, 999_999_999);
        assert_eq!(remainder(whole + rest, Duration::from_secs(7_000_000_000)), rest);
        assert_eq!(remainder(Duration::from_nanos(25), Duration::from_nanos(10)).as_nanos(), 5);
        assert_eq!(remainder(rest, rest), Duration::ZERO);
    }
}
