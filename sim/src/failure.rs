//! How a run ended: the report of a success, the failure with the line that replays it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kernel::Counters;
use crate::shrink::Schedule;

/// What kind of failure ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A thread panicked and nobody looked at its result.
    Panic,
    /// Every thread waits and nothing is left to wake one.
    Deadlock,
    /// The step limit was reached, and at the end the threads only did over and over what they had
    /// done before: they wait for each other in loops.
    Livelock,
    /// Something that must always hold of the runtime did not.
    Law,
    /// The step or time limit was reached by a run that went on.
    Limit,
    /// The run cannot be replayed: it depends on something outside the simulation.
    Nondeterminism,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Panic => "panic",
            FailureKind::Deadlock => "deadlock",
            FailureKind::Livelock => "livelock",
            FailureKind::Law => "broken law",
            FailureKind::Limit => "limit reached",
            FailureKind::Nondeterminism => "not deterministic",
        })
    }
}

/// What a run that succeeded did.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) seed: u64,
    pub(crate) strategy: String,
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) virtual_time: Duration,
    pub(crate) real_time: Duration,
    pub(crate) counters: Counters,
    pub(crate) points: u64,
}

impl Report {
    /// The seed that replays the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the run drew from its strategy: `random`, `pct` with its change points, `pos`, `surw`
    /// with the places in the source that it looks at, or `dfs` with the number of the schedule.
    pub fn strategy(&self) -> &str {
        &self.strategy
    }

    /// The hash of every executed operation, answer and payload: equal for equal runs.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Scheduling points passed.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Virtual time at the end.
    pub fn virtual_time(&self) -> Duration {
        self.virtual_time
    }

    /// How long the run took on the real machine: the one figure here that does not replay.
    pub fn real_time(&self) -> Duration {
        self.real_time
    }

    /// Exact counts of what the run did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many points there were at which an [`interrupted`](crate::future::interrupted) future
    /// was cancelled, or panicked, in runs of their own; 0 unless that was asked for.
    pub fn points(&self) -> u64 {
        self.points
    }
}

/// A run that failed. Its `Display` is the whole report, the line to paste last.
#[derive(Clone, Debug)]
pub struct Failure(pub(crate) Box<Details>);

/// The command that runs a test with these variables set.
pub(crate) fn command(variables: &str, test: &str) -> String {
    format!("{variables} cargo test --features sim {test}").trim_end().to_owned()
}

/// The command that replays a tape.
pub(crate) fn tape_command(tape: &Path, test: &str) -> String {
    command(&format!("VOLT_TAPE={}", tape.display()), test)
}

/// What a failure is made of.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// Which future was interrupted, and where.
    pub(crate) interruption: Option<String>,
    pub(crate) threads: Vec<String>,
    pub(crate) tasks: Vec<String>,
    /// Where threads wait for something else than the end of another one.
    pub(crate) places: Vec<String>,
    pub(crate) report: Report,
    pub(crate) tape: Vec<u8>,
    pub(crate) tape_path: Option<PathBuf>,
    /// The name of the test, for commands that run it; empty if it has none.
    pub(crate) test: String,
    pub(crate) replay: String,
    pub(crate) schedule: Option<Schedule>,
    /// Why there is no smallest schedule, although one was asked for.
    pub(crate) not_shrunk: Option<String>,
}

impl Failure {
    /// The seed that replays the failure.
    pub fn seed(&self) -> u64 {
        self.0.report.seed
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// What happened, without the rest of the report.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Which future was cancelled, or panicked, at which point, where the run was to interrupt one.
    pub fn interruption(&self) -> Option<&str> {
        self.0.interruption.as_deref()
    }

    /// The recorded decisions, in the form that `VOLT_TAPE` and [`Strategy::Tape`] read from a
    /// file. They do not tell where a future was [interrupted](Failure::interruption).
    ///
    /// [`Strategy::Tape`]: crate::Strategy::Tape
    pub fn tape(&self) -> &[u8] {
        &self.0.tape
    }

    /// The file that holds the tape, if it could be written; none where a future was
    /// [interrupted](Failure::interruption), which takes the seed to replay.
    pub fn tape_path(&self) -> Option<&Path> {
        self.0.tape_path.as_deref()
    }

    /// What the run had done until it failed.
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    /// The smallest schedule that was found to fail for the same cause, where
    /// [`Builder::shrink`](crate::Builder::shrink) asks for one and there is one: not for a limit
    /// that was reached, which a schedule that lets only one thread run reaches too, nor for a
    /// run that cannot be replayed or in which a future was
    /// [interrupted](Failure::interruption).
    pub fn schedule(&self) -> Option<&Schedule> {
        self.0.schedule.as_ref()
    }

    /// The line that replays the failure.
    pub fn replay_line(&self) -> &str {
        &self.0.replay
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, strategy, hash, steps, virtual_time, counters, .. } = &self.0.report;
        writeln!(f, "seed {seed:#x}: {}", self.0.kind)?;
        writeln!(f, "  {}", self.0.message)?;
        if let Some(interruption) = &self.0.interruption {
            writeln!(f, "  {interruption}")?;
        }
        if let Some(schedule) = &self.0.schedule {
            write!(f, "{schedule}")?;
        }
        if let Some(why) = &self.0.not_shrunk {
            writeln!(f, "no smallest schedule: {why}")?;
        }
        if !self.0.threads.is_empty() {
            writeln!(f, "threads alive:")?;
            for thread in &self.0.threads {
                writeln!(f, "  {thread}")?;
            }
        }
        if !self.0.tasks.is_empty() {
            writeln!(f, "tasks alive:")?;
            for task in &self.0.tasks {
                writeln!(f, "  {task}")?;
            }
        }
        writeln!(
            f,
            "run: {strategy}; {steps} steps, {} switches, {virtual_time:?} of virtual time, hash \
             {hash:#018x}",
            counters.switches
        )?;
        if let Some(path) = &self.0.tape_path {
            writeln!(f, "tape: this run: {}", tape_command(path, &self.0.test))?;
        }
        if let Some(path) = self.0.schedule.as_ref().and_then(Schedule::tape_path) {
            writeln!(f, "tape: smallest schedule: {}", tape_command(path, &self.0.test))?;
        }
        write!(f, "replay: {}", self.0.replay)
    }
}

impl std::error::Error for Failure {}
