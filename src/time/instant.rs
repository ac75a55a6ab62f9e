//! A moment on the monotonic clock.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use crate::platform::clock;

/// What stands for "never": about thirty years, which every clock can express.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A moment on the monotonic clock, with the methods of [`std::time::Instant`], from which and
/// into which it converts. In a simulation the clock is the virtual one.
///
/// ```
/// use std::time::Duration;
/// use volt::time::Instant;
///
/// let before = Instant::now();
/// let later = before + Duration::from_secs(1);
/// assert!(later > before);
/// assert_eq!(later - before, Duration::from_secs(1));
/// assert!(std::time::Instant::from(later) >= std::time::Instant::from(before));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(clock::Instant);

impl Instant {
    /// The present.
    #[must_use]
    pub fn now() -> Instant {
        Instant(clock::now())
    }

    /// The time since `earlier`, or zero if that is later.
    #[must_use]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time since `earlier`; `None` if that is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// The time since `earlier`, or zero if that is later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time since this moment, or zero if it is yet to come.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// The moment that is `duration` later; `None` if the clock cannot express it.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    /// The moment that is `duration` earlier; `None` if the clock cannot express it.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }

    /// The moment that is `duration` later; one decades away if the clock cannot express it, so
    /// that waiting "forever" works.
    pub(super) fn later(self, duration: Duration) -> Instant {
        self.checked_add(duration).or_else(|| self.checked_add(NEVER)).unwrap_or(self)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// If the clock cannot express the sum.
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// If the clock cannot express the difference.
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    /// The time since `earlier`, or zero if that is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl From<clock::Instant> for Instant {
    fn from(instant: clock::Instant) -> Instant {
        Instant(instant)
    }
}

impl From<Instant> for clock::Instant {
    fn from(instant: Instant) -> clock::Instant {
        instant.0
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn differences_saturate_at_zero() {
        let first = Instant::now();
        let second = first + Duration::from_millis(5);
        assert_eq!(second - first, Duration::from_millis(5));
        assert_eq!(first - second, Duration::ZERO);
        assert_eq!(first.duration_since(second), Duration::ZERO);
        assert_eq!(first.saturating_duration_since(second), Duration::ZERO);
        assert_eq!(first.checked_duration_since(second), None);
        assert_eq!(second.checked_duration_since(first), Some(Duration::from_millis(5)));
    }

    #[test]
    fn what_the_clock_cannot_express_is_decades_away() {
        let now = Instant::now();
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(now.later(Duration::MAX), now + NEVER);
        assert_eq!(now.later(Duration::from_secs(1)), now + Duration::from_secs(1));
    }

    #[test]
    fn the_operators_in_place_are_those_of_std() {
        let now = Instant::now();
        let mut moved = now;
        moved += Duration::from_secs(2);
        assert_eq!(clock::Instant::from(moved), clock::Instant::from(now) + Duration::from_secs(2));
        moved -= Duration::from_secs(2);
        assert_eq!(moved, now);
        assert_eq!((now + Duration::from_secs(3)) - Duration::from_secs(3), now);
        assert_eq!(Instant::from(clock::Instant::from(now)), now);
    }
}
