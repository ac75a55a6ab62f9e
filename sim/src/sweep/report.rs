//! How a sweep ended.

use std::fmt;
use std::time::Duration;

use super::deal::Group;
use crate::failure::{Failure, Report};

/// What a sweep did. Its `Display` is a summary, without the reports of the failures.
///
/// ```
/// use volt_sim::Sim;
///
/// let report = Sim::builder().sweep(0..100).check(|| ());
/// assert_eq!(report.runs(), 100);
/// assert!(report.to_string().starts_with("100 of 100 seeds run in "));
/// ```
#[derive(Debug)]
pub struct SweepReport {
    pub(crate) runs: u64,
    pub(crate) seeds: u64,
    pub(crate) failed: u64,
    pub(crate) groups: Vec<FailureGroup>,
    pub(crate) last: Option<Report>,
    pub(crate) points: u64,
    pub(crate) exhausted: bool,
    pub(crate) stopped_by: Option<&'static str>,
    pub(crate) elapsed: Duration,
}

/// Failures of one cause: their kind, message and places are the same, but for numbers in the
/// message; and so is the await at which a future was [interrupted](Failure::interruption).
///
/// ```
/// use volt_sim::{Sim, Strategy, choose};
///
/// let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..200).keep_going(true);
/// let report = sweep.check(|| match choose(4) {
///     0 => panic!("an even bug"),
///     chosen => assert_ne!(chosen, 1, "an odd bug"),
/// });
/// let [first, second] = report.groups() else { panic!("two causes") };
/// assert!(first.failure().seed() < second.failure().seed());
/// assert_eq!(first.runs() + second.runs(), report.failed_runs());
/// ```
#[derive(Clone, Debug)]
pub struct FailureGroup {
    runs: u64,
    failure: Failure,
}

impl FailureGroup {
    /// The failure of the lowest seed.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// How many runs failed by this cause.
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

impl From<Group<Failure>> for FailureGroup {
    fn from(group: Group<Failure>) -> FailureGroup {
        FailureGroup { runs: group.count, failure: group.failure }
    }
}

impl fmt::Display for FailureGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailureGroup { runs, failure } = self;
        let first_line = failure.message().lines().next().unwrap_or_default();
        let (kind, seed) = (failure.kind(), failure.seed());
        write!(f, "{runs} failed, first seed {seed:#x}: {kind}: {first_line}")
    }
}

impl SweepReport {
    /// Whether a depth-first search ([`Strategy::Dfs`](crate::Strategy::Dfs)) has run every
    /// schedule within its bound, [`runs`](SweepReport::runs) in number, and none failed.
    ///
    /// ```
    /// use volt_sim::{Sim, Strategy, thread};
    ///
    /// let search = Sim::builder().strategy(Strategy::Dfs { preemptions: 2 }).sweep(0..1_000);
    /// let report = search.check(|| thread::spawn(|| ()).join().unwrap());
    /// assert!(report.is_exhausted());
    /// ```
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Seeds that were run; of a depth-first search, schedules. Where a failure ended the sweep,
    /// those up to the failing one, however many a faster thread has run beyond it.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Seeds that there were to run.
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    /// Runs that failed: at most one, unless the sweep [keeps going](crate::Sweep::keep_going).
    pub fn failed_runs(&self) -> u64 {
        self.failed
    }

    /// How many points there were at which an [`interrupted`](crate::future::interrupted) future
    /// was cancelled, or panicked, under all seeds that passed; 0 unless that was asked for. Those
    /// of a seed that failed are in the report of its [failure](Failure::report).
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The failure of the lowest seed that failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.groups.first().map(FailureGroup::failure)
    }

    /// The failures by cause, that of the lowest seed first.
    pub fn groups(&self) -> &[FailureGroup] {
        &self.groups
    }

    /// The signal, by name, that stopped the sweep before all its seeds were run, or the search
    /// for the smallest schedules before its end.
    pub fn stopped_by(&self) -> Option<&'static str> {
        self.stopped_by
    }

    /// How long the sweep took on the real machine.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The report of the last run, or the failure of the lowest seed that failed.
    ///
    /// # Errors
    /// The failure.
    ///
    /// # Panics
    /// If the sweep had no seeds, or none failed before a signal stopped it: it then proves
    /// nothing.
    pub fn into_result(self) -> Result<Report, Failure> {
        if self.groups.is_empty()
            && let Some(signal) = self.stopped_by
        {
            panic!("stopped by {signal}: {self}");
        }
        match self.groups.into_iter().next() {
            Some(group) => Err(group.failure),
            None => Ok(self.last.expect("a sweep without seeds has no report")),
        }
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SweepReport { runs, seeds, failed, elapsed, .. } = self;
        write!(f, "{runs} of {seeds} seeds run in {elapsed:.1?}")?;
        if let Some(signal) = self.stopped_by {
            write!(f, ", stopped by {signal}")?;
        }
        match self.groups.len() {
            0 => return f.write_str("; none failed"),
            1 => write!(f, "; {failed} failed, by one cause")?,
            causes => write!(f, "; {failed} failed, by {causes} causes")?,
        }
        self.groups.iter().try_for_each(|group| write!(f, "\n  {group}"))
    }
}
