//! From a run that fails to the smallest schedule that fails for the same cause, and why it does.
//!
//! ```text
//!   tape of the failure ──► departures from the plainest schedule (`Guide`)
//!       ──► search: without chunks of them, ever smaller ones; then each moved
//!       ──► the run once more, step by step ──► table
//!       ──► explain: two steps in the other order, and the run passes
//! ```
//!
//! Each candidate is a run of its own, which passes, fails for the same cause or fails for
//! another; only the second counts. Which candidates are tried follows from the failure alone:
//! the clock ends the search and does nothing else, so that two searches that both come to their
//! end give the same schedule.

mod cause;
mod explain;
mod schedule;
mod search;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use schedule::{Schedule, ScheduleEvent};

use crate::decide::Guide;
use crate::decide::tape::Tape;
use crate::failure::{Details, Failure, FailureKind};
use crate::kernel::run::Outcome;
use crate::runner::Runner;
use crate::sweep::interrupt::Listening;
use cause::Cause;
use search::Search;

/// The most runs that one search makes,
const MOST_RUNS: u64 = 5_000;
/// and the most to explain what it found.
const MOST_EXPLAINING_RUNS: u64 = 200;
/// A candidate may take so many times the steps of the failure,
const STEPS_FACTOR: u64 = 2;
/// and so many more: where a thread waits in a loop for one that cannot run, it goes on for ever.
const STEPS_MORE: u64 = 10_000;
/// One part in so many of the time is kept for the explanation.
const EXPLANATION_SHARE: u32 = 5;

/// The search for the smallest schedules of all failures of one sweep: what ends it.
pub(crate) struct Shrinking {
    listening: Listening,
    /// `None` where the time is longer than the clock can tell.
    end: Option<Instant>,
}

impl Shrinking {
    /// From here on there is so much time.
    pub(crate) fn begin(time: Duration) -> Shrinking {
        Shrinking { listening: Listening::begin(), end: Instant::now().checked_add(time) }
    }

    /// The signal, by name, that asks to stop, once it has come.
    pub(crate) fn signal(&self) -> Option<&'static str> {
        self.listening.signal()
    }

    /// The time that is left.
    fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }

    /// The failure with its smallest schedule, or with the reason why it has none.
    pub(crate) fn shrink(&self, runner: &mut Runner, mut failure: Failure) -> Failure {
        let details = &mut *failure.0;
        match smallest(self, runner, details) {
            Ok(schedule) => details.schedule = Some(schedule),
            Err(why) => details.not_shrunk = Some(why),
        }
        failure
    }
}

fn smallest(
    shrinking: &Shrinking,
    runner: &mut Runner,
    details: &Details,
) -> Result<Schedule, String> {
    match details.kind {
        FailureKind::Nondeterminism => return Err("the run cannot be replayed".to_owned()),
        FailureKind::Limit | FailureKind::Livelock => {
            return Err(
                "one that lets a single thread run reaches any limit, and explains nothing"
                    .to_owned(),
            );
        }
        FailureKind::Panic | FailureKind::Deadlock | FailureKind::Law => {}
    }
    if details.interruption.is_some() {
        return Err("the points at which a future can be interrupted are numbered along a \
                    schedule, and a smaller one has others"
            .to_owned());
    }
    if runner.job().length.is_some() {
        return Err("the process of one seed has one run, and looking takes many".to_owned());
    }
    if let Some(signal) = shrinking.signal() {
        return Err(format!("stopped by {signal}"));
    }
    let left = shrinking.left();
    if left.is_zero() {
        return Err("no time was left for it".to_owned());
    }
    // A candidate may end the process, and the report would never be seen. The stream, not the
    // macro: what the test harness keeps goes when the process does.
    let _ = writeln!(
        io::stderr(),
        "volt-sim: seed {:#x}: {}; looking for the smallest schedule that fails, for at most \
         {left:.1?}\n{}",
        details.report.seed,
        details.kind,
        details.replay
    );
    let tape = Tape::parse(&details.tape).map_err(|why| format!("the tape {why}"))?;
    let mut trials = Trials {
        runner,
        shrinking,
        seed: details.report.seed,
        cause: Cause::new(details.kind, &details.message, &details.places),
        step_limit: details.report.steps.saturating_mul(STEPS_FACTOR).saturating_add(STEPS_MORE),
        runs: 0,
        most_runs: MOST_RUNS,
        end: Instant::now().checked_add(left - left / EXPLANATION_SHARE),
        was_cut_short: false,
    };
    let whole = Guide::of_tape(tape, trials.step_limit);
    let (verdict, guide, _) = trials.run(whole);
    if !matches!(verdict, Verdict::Fails(_)) {
        return Err("a second run of its tape in this process does not fail for the same cause: \
                    the program depends on something that outlives a run"
            .to_owned());
    }
    let preemptions_before = guide.preemptions();
    let departures = Search::new(&mut trials, &guide).run();
    let smallest = Guide::of_departures(&departures, trials.step_limit).noting_steps();
    let (verdict, guide, tape) = trials.run(smallest);
    let Verdict::Fails(message) = verdict else {
        return Err("the smallest schedule does not fail again: the program depends on something \
                    that outlives a run"
            .to_owned());
    };
    let was_cut_short = trials.was_cut_short;
    trials.end = shrinking.end;
    trials.most_runs = trials.runs + MOST_EXPLAINING_RUNS;
    let explanation = explain::explain(&mut trials, &guide);
    let runs = trials.runs;
    let tape_path = details.tape_path.as_deref().and_then(|whole| save_beside(whole, &tape));
    let found = Found {
        // Where it is another one, the numbers in it are those of this schedule.
        message: (message != details.message).then_some(message),
        preemptions_before,
        runs,
        was_cut_short,
        is_deadlock: details.kind == FailureKind::Deadlock,
        explanation,
        tape,
        tape_path,
    };
    Ok(Schedule::new(&guide, found))
}

/// Writes the tape of the smallest schedule beside that of the failure.
fn save_beside(whole: &Path, tape: &[u8]) -> Option<PathBuf> {
    let mut name = whole.file_stem()?.to_owned();
    name.push("-smallest.tape");
    let path = whole.with_file_name(name);
    fs::write(&path, tape).ok()?;
    Some(path)
}

/// What is known of the smallest schedule besides its steps.
struct Found {
    message: Option<String>,
    preemptions_before: u64,
    runs: u64,
    was_cut_short: bool,
    is_deadlock: bool,
    /// Two of its steps, by their places among all.
    explanation: Option<[usize; 2]>,
    tape: Vec<u8>,
    tape_path: Option<PathBuf>,
}

/// How a run of a candidate ended.
enum Verdict {
    Passes,
    /// For the cause that is looked at, with this message.
    Fails(String),
    FailsOtherwise,
}

/// Runs candidates, within the time and the number of runs there is, until a signal comes.
struct Trials<'a> {
    runner: &'a mut Runner,
    shrinking: &'a Shrinking,
    seed: u64,
    cause: Cause,
    step_limit: u64,
    runs: u64,
    most_runs: u64,
    /// `None` where the time is longer than the clock can tell.
    end: Option<Instant>,
    was_cut_short: bool,
}

impl Trials<'_> {
    /// Whether there is no time or no run left, or a signal has come.
    fn is_over(&mut self) -> bool {
        let late = self.end.is_some_and(|end| Instant::now() >= end);
        let over = late || self.runs >= self.most_runs || self.shrinking.signal().is_some();
        self.was_cut_short |= over;
        over
    }

    /// One run; its guide tells what it did. The tape is that of a run whose steps are noted.
    fn run(&mut self, guide: Guide) -> (Verdict, Box<Guide>, Vec<u8>) {
        self.runs += 1;
        let (outcome, tape) = self.runner.execute_guided(self.seed, guide);
        let Outcome { stop, guide, .. } = outcome;
        let verdict = match stop {
            None => Verdict::Passes,
            Some(stop) if Cause::new(stop.kind, &stop.message, &stop.places) == self.cause => {
                Verdict::Fails(stop.message)
            }
            Some(_) => Verdict::FailsOtherwise,
        };
        (verdict, guide.expect("a guided run gives its guide back"), tape)
    }
}
