//! The smallest schedule, as a failure tells it: a table of steps, the pre-emptions and faults
//! marked, and the two steps that explain it.

use std::fmt::{self, Write};
use std::panic::Location;
use std::path::{Path, PathBuf};

use super::Found;
use crate::decide::{Guide, Kind, Step};
use crate::kernel::event::{Operation, OperationKind};

/// Steps that are shown of each stretch that a thread runs, at its beginning and at its end.
const SHOWN: usize = 3;
/// The most lines of the table, of which so many are its beginning; the end is of more interest.
const MOST_LINES: usize = 400;
const FIRST_LINES: usize = 100;

/// The smallest schedule that was found to fail for the same cause as a run did: see
/// [`Failure::schedule`](crate::Failure::schedule). Its `Display` is the table of its steps.
#[derive(Clone, Debug)]
pub struct Schedule {
    preemptions: u64,
    switches: u64,
    faults: usize,
    steps: usize,
    preemptions_before: u64,
    runs: u64,
    was_cut_short: bool,
    message: Option<String>,
    lost_wake_ups: Vec<String>,
    table: Vec<String>,
    explanation: Option<[ScheduleEvent; 2]>,
    tape: Vec<u8>,
    tape_path: Option<PathBuf>,
}

/// One step of a thread in a [`Schedule`].
#[derive(Clone, Debug)]
pub struct ScheduleEvent {
    step: usize,
    thread: String,
    operation: String,
    place: &'static Location<'static>,
}

impl ScheduleEvent {
    /// The number of the step, from 1.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The thread: its number, its name if it has one, and its host.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// What the thread did, and to which object.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Where in the source it did.
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }
}

impl fmt::Display for ScheduleEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScheduleEvent { step, thread, operation, place } = self;
        write!(f, "step {step}, {thread}: {operation}, at {place}")
    }
}

impl Schedule {
    pub(super) fn new(guide: &Guide, found: Found) -> Schedule {
        // A run that is too long to be noted has no table.
        let steps = guide.steps().unwrap_or_default();
        let lines = Lines { steps, threads: guide.threads(), explained: found.explanation };
        let explanation = found
            .explanation
            .and_then(|[first, second]| Some([lines.event(first)?, lines.event(second)?]));
        let is_fault = |kind: Kind| kind != Kind::Thread;
        let departures = guide.departures().iter();
        Schedule {
            preemptions: guide.preemptions(),
            switches: guide.switches(),
            faults: departures.filter(|departure| is_fault(departure.site.kind)).count(),
            steps: lines.number(steps.len()),
            preemptions_before: found.preemptions_before,
            runs: found.runs,
            was_cut_short: found.was_cut_short,
            message: found.message,
            lost_wake_ups: if found.is_deadlock { lines.lost_wake_ups() } else { Vec::new() },
            table: lines.table(),
            explanation,
            tape: found.tape,
            tape_path: found.tape_path,
        }
    }

    /// How often a thread that could have gone on stood back for another.
    pub fn preemptions(&self) -> u64 {
        self.preemptions
    }

    /// How often the processor went from one thread to another, for whatever reason.
    pub fn switches(&self) -> u64 {
        self.switches
    }

    /// Decisions about something else than threads that did not go the plainest way: faults of
    /// the network and the disks, spurious wake-ups, choices of the program.
    pub fn faults(&self) -> usize {
        self.faults
    }

    /// How many runs it took to find and to explain it.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Two steps of different threads, done to one object, in the order of this schedule: when the
    /// first comes after the second, and all else is alike as far as can be, the run passes.
    /// `None` where no such pair was found.
    pub fn explanation(&self) -> Option<&[ScheduleEvent; 2]> {
        self.explanation.as_ref()
    }

    /// Its decisions, in the form that `VOLT_TAPE` and [`Strategy::Tape`](crate::Strategy::Tape)
    /// read from a file.
    pub fn tape(&self) -> &[u8] {
        &self.tape
    }

    /// The file that holds the tape, if it could be written.
    pub fn tape_path(&self) -> Option<&Path> {
        self.tape_path.as_deref()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule { preemptions, switches, faults, steps, runs, .. } = self;
        let cut = if self.was_cut_short { ", when it was cut short" } else { "" };
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        writeln!(
            f,
            "smallest schedule: {preemptions} pre-emption{} (the run had {}), {faults} faults and \
             other choices, {switches} switch{}, {steps} step{}; found in {runs} runs{cut}",
            plural(*preemptions),
            self.preemptions_before,
            if *switches == 1 { "" } else { "es" },
            plural(*steps as u64),
        )?;
        if let Some(message) = &self.message {
            writeln!(f, "  it fails with: {message}")?;
        }
        for line in &self.table {
            writeln!(f, "{line}")?;
        }
        for lost in &self.lost_wake_ups {
            writeln!(f, "{lost}")?;
        }
        if let Some([first, second]) = &self.explanation {
            writeln!(f, "it passes when the first of these comes after the second:")?;
            writeln!(f, "  {first}")?;
            writeln!(f, "  {second}")?;
        }
        Ok(())
    }
}

/// What is written of the steps of a run.
struct Lines<'a> {
    steps: &'a [Step],
    threads: &'a [String],
    explained: Option<[usize; 2]>,
}

impl Lines<'_> {
    /// How many steps of threads there are before `index`.
    fn number(&self, index: usize) -> usize {
        self.steps[..index].iter().filter(|step| matches!(step, Step::Runs { .. })).count()
    }

    fn thread(&self, number: u32) -> String {
        let name = self.threads.get(number as usize);
        name.map_or_else(|| format!("thread {number}"), Clone::clone)
    }

    fn event(&self, index: usize) -> Option<ScheduleEvent> {
        let Step::Runs { thread, operation, woken, .. } = *self.steps.get(index)? else {
            return None;
        };
        Some(ScheduleEvent {
            step: self.number(index) + 1,
            thread: self.thread(thread),
            operation: describe(&operation, woken),
            place: operation.place,
        })
    }

    fn table(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut number = 0;
        let mut start = 0;
        while start < self.steps.len() {
            let end = self.end_of_stretch(start);
            let mut hidden = 0;
            for index in start..end {
                let is_step = matches!(self.steps[index], Step::Runs { .. });
                number += usize::from(is_step);
                let is_explained = self.explained.is_some_and(|it| it.contains(&index));
                let is_near_an_end = index < start + SHOWN || index + SHOWN >= end;
                if is_step && !is_explained && !is_near_an_end {
                    hidden += 1;
                    continue;
                }
                push_hidden(&mut lines, std::mem::take(&mut hidden));
                self.push(&mut lines, index, number, is_explained);
            }
            push_hidden(&mut lines, hidden);
            start = end;
        }
        if lines.len() > MOST_LINES {
            let left_out = lines.len() - MOST_LINES;
            let line = format!("         … {left_out} lines more …");
            drop(lines.splice(FIRST_LINES..FIRST_LINES + left_out, [line]));
        }
        lines
    }

    /// Where another thread runs than at `start`.
    fn end_of_stretch(&self, start: usize) -> usize {
        let mut runs = None;
        for (index, step) in self.steps.iter().enumerate().skip(start) {
            if let Step::Runs { thread, .. } = *step
                && *runs.get_or_insert(thread) != thread
            {
                return index;
            }
        }
        self.steps.len()
    }

    /// The lines of one step: `>` marks one that pre-empts, `!` what is no step of a thread, `*`
    /// one that explains.
    fn push(&self, lines: &mut Vec<String>, index: usize, number: usize, is_explained: bool) {
        match &self.steps[index] {
            Step::Runs { thread, operation, woken, preempts } => {
                if let Some((other, instead)) = preempts {
                    lines.push(format!(
                        "  >      pre-empted: {}, about to do {}, at {}",
                        self.thread(*other),
                        describe(instead, false),
                        instead.place
                    ));
                }
                let mark = if is_explained { '*' } else { ' ' };
                let who = self.thread(*thread);
                let what = describe(operation, *woken);
                lines.push(format!("  {mark} {number:>4} {who}: {what}, at {}", operation.place));
            }
            Step::Departs { thread, kind, n, answer } => {
                let mut line = format!("  !      {}", kind.label());
                // Writing into a string cannot fail.
                let _ = match kind {
                    Kind::Entropy => write!(line, ": {answer:#x}"),
                    Kind::SpuriousWake | Kind::WeakFailure => Ok(()),
                    _ => write!(line, ": {answer} of 0..{n}"),
                };
                let _ = write!(line, ", while {} has the processor", self.thread(*thread));
                lines.push(line);
            }
        }
    }

    /// Of a deadlock: threads that wait for what was woken before they waited, and never after.
    fn lost_wake_ups(&self) -> Vec<String> {
        let mut lost = Vec::new();
        for thread in 0..self.threads.len() as u32 {
            let of_thread =
                |step: &Step| matches!(step, Step::Runs { thread: it, .. } if *it == thread);
            let Some(last) = self.steps.iter().rposition(of_thread) else { continue };
            let Step::Runs { operation: wait, .. } = &self.steps[last] else { continue };
            if wait.kind != OperationKind::FutexWait || wait.object == 0 {
                continue;
            }
            let wakes = |step: &Step| match step {
                Step::Runs { operation, .. } => {
                    operation.kind == OperationKind::FutexWake && operation.object == wait.object
                }
                Step::Departs { .. } => false,
            };
            let Some(wake) = self.steps.iter().rposition(wakes).filter(|wake| *wake < last) else {
                continue;
            };
            let (Some(wait), Some(wake)) = (self.event(last), self.event(wake)) else { continue };
            lost.push(format!(
                "a lost wake-up: {} waits since step {}, at {}, for what was last woken before \
                 that, in step {} by {}, at {}",
                wait.thread, wait.step, wait.place, wake.step, wake.thread, wake.place
            ));
        }
        lost
    }
}

fn push_hidden(lines: &mut Vec<String>, hidden: usize) {
    if hidden > 0 {
        lines.push(format!("         … {hidden} steps …"));
    }
}

fn describe(operation: &Operation, woken: bool) -> String {
    let mut text = operation.kind.label().to_owned();
    if operation.object != 0 {
        // Writing into a string cannot fail.
        let _ = write!(text, " of object {}", operation.object);
    }
    if woken {
        text.push_str(", goes on");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(thread: u32, kind: OperationKind, preempts: Option<u32>) -> Step {
        let operation = Operation::new(kind, 7, Location::caller());
        let preempts = preempts.map(|other| (other, operation));
        Step::Runs { thread, operation, woken: false, preempts }
    }

    fn lines<'a>(steps: &'a [Step], threads: &'a [String]) -> Lines<'a> {
        Lines { steps, threads, explained: None }
    }

    #[test]
    fn long_stretches_are_cut_and_preemptions_are_marked() {
        let mut steps: Vec<Step> = (0..20).map(|_| runs(0, OperationKind::Load, None)).collect();
        steps.push(runs(1, OperationKind::Store, Some(0)));
        steps.push(Step::Departs { thread: 1, kind: Kind::Network, n: 9, answer: 3 });
        let threads = ["thread 0".to_owned(), "thread 1 \"second\"".to_owned()];
        let table = lines(&steps, &threads).table();
        assert!(table[3].contains("… 14 steps …"), "{table:?}");
        assert!(table[4].contains("  18 thread 0: atomic load of object 7, at "), "{table:?}");
        assert!(table[7].contains("pre-empted: thread 0, about to do atomic store"), "{table:?}");
        assert!(table[8].contains("  21 thread 1 \"second\": atomic store"), "{table:?}");
        assert!(table[9].contains("network: 3 of 0..9, while thread 1"), "{table:?}");
        assert_eq!(table.len(), 10);
    }

    #[test]
    fn a_wake_up_before_the_wait_is_lost_and_one_after_it_is_not() {
        let threads = ["thread 0".to_owned(), "thread 1".to_owned()];
        let wake = || runs(0, OperationKind::FutexWake, None);
        let wait = || runs(1, OperationKind::FutexWait, None);
        let steps = [wake(), wait()];
        let lost = lines(&steps, &threads).lost_wake_ups();
        assert_eq!(lost.len(), 1);
        assert!(lost[0].contains("thread 1 waits since step 2"), "{lost:?}");
        assert!(lost[0].contains("in step 1 by thread 0"), "{lost:?}");
        assert!(lines(&[wait(), wake()], &threads).lost_wake_ups().is_empty());
    }
}
