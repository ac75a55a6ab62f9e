//! A limit that work looks at itself.

use std::time::Duration;

use super::{Elapsed, Instant};

/// A moment by which work is to be done, for code that checks it between two steps. To interrupt a
/// future that does not, give [`expires_at`](Deadline::expires_at) to
/// [`timeout_at`](super::timeout_at).
///
/// ```
/// use std::time::Duration;
/// use volt::time::{Deadline, Elapsed};
///
/// fn sum(numbers: &[u64], deadline: &Deadline) -> Result<u64, Elapsed> {
///     let mut sum = 0;
///     for number in numbers {
///         deadline.check()?;
///         sum += number;
///     }
///     Ok(sum)
/// }
///
/// assert_eq!(sum(&[1, 2, 3], &Deadline::new(Duration::from_secs(60))), Ok(6));
/// assert!(sum(&[1, 2, 3], &Deadline::expired()).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    expires_at: Instant,
}

impl Deadline {
    /// A deadline that expires after `duration`. What the clock cannot express is decades away.
    #[must_use]
    pub fn new(duration: Duration) -> Deadline {
        Deadline::at(Instant::now().later(duration))
    }

    /// A deadline that expires at `instant`.
    #[must_use]
    pub fn at(instant: Instant) -> Deadline {
        Deadline { expires_at: instant }
    }

    /// A deadline that has expired already.
    #[must_use]
    pub fn expired() -> Deadline {
        Deadline::at(Instant::now())
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// When the deadline passes.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// The time left; zero once the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.expires_at.duration_since(Instant::now())
    }

    /// Moves the deadline `duration` further into the future from where it is.
    pub fn extend(&mut self, duration: Duration) {
        self.expires_at = self.expires_at.later(duration);
    }

    /// Has the deadline expire `duration` from now, whether it has passed or not.
    pub fn reset(&mut self, duration: Duration) {
        *self = Deadline::new(duration);
    }

    /// Nothing, as long as the deadline has not passed.
    ///
    /// # Errors
    /// [`Elapsed`] once it has.
    pub fn check(&self) -> Result<(), Elapsed> {
        if self.is_expired() { Err(Elapsed::new()) } else { Ok(()) }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_deadline_expires_at_its_moment() {
        let now = Instant::now();
        assert!(Deadline::at(now).is_expired());
        assert_eq!(Deadline::at(now).remaining(), Duration::ZERO);
        assert!(Deadline::expired().is_expired());
        assert_eq!(Deadline::expired().check(), Err(Elapsed::new()));
        let later = Deadline::at(now + HOUR);
        assert!(!later.is_expired());
        assert!(later.remaining() > HOUR / 2 && later.remaining() <= HOUR);
        assert_eq!(later.check(), Ok(()));
    }

    #[test]
    fn extending_counts_from_the_deadline_and_resetting_from_now() {
        let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now);
        let mut deadline = Deadline::at(past);
        deadline.extend(HOUR);
        assert_eq!(deadline.expires_at(), past + HOUR);
        deadline.extend(Duration::MAX);
        assert!(deadline.remaining() > 1_000 * HOUR);
        deadline.reset(HOUR);
        assert!(deadline.expires_at() >= past + HOUR && deadline.remaining() <= HOUR);
        deadline.reset(Duration::ZERO);
        assert!(deadline.is_expired());
    }
}
