//! A schedule by what sets it apart from the plainest one: every thread runs on until it blocks,
//! yields or ends, the next one by number follows, and everything else goes well.
//!
//! A [`Departure`] from that is known by its [`Site`], which counts what one thread did and not
//! what the run did: it stays where it is when departures before it are taken away. So schedules
//! can be edited, and what an edit leaves open follows the plainest schedule.

use std::collections::BTreeMap;

use super::Kind;
use super::tape::Tape;
use crate::kernel::event::Operation;

/// One more than the largest number of a kind.
pub(super) const KINDS: usize = Kind::Knob as usize + 1;
/// The most steps that are noted: a run of more is too long to be read.
const MOST_NOTED: usize = 1 << 20;

/// Where in a run a decision stands: the how-manieth of its kind since the run began that was
/// made while this thread had the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    pub(crate) thread: u32,
    pub(crate) kind: Kind,
    pub(crate) number: u32,
}

/// A decision that differs from that of the plainest schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Departure {
    pub(crate) site: Site,
    /// The answer; of a choice between threads, the number of the thread.
    pub(crate) answer: u64,
}

/// What a run did, one thing at a time.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// A thread was given the processor, or kept it.
    Runs {
        thread: u32,
        /// What it does then.
        operation: Operation,
        /// It is in the middle of that already: it had blocked, and was woken.
        woken: bool,
        /// The thread that had the processor, could have gone on, and what it was about to do.
        preempts: Option<(u32, Operation)>,
    },
    /// Another decision differed from that of the plainest schedule.
    Departs { thread: u32, kind: Kind, n: u64, answer: u64 },
}

/// What the decisions of a run follow.
enum Source {
    /// A recorded run, strictly.
    Tape(Tape),
    /// The plainest schedule with these departures.
    Departures(BTreeMap<Site, u64>),
    /// Threads in this order, as far as they can run; other decisions as above.
    Order { order: Order, others: BTreeMap<Site, u64> },
}

struct Order {
    threads: Vec<u32>,
    next: usize,
    /// How many of the first threads ran just as the order says.
    followed: usize,
    has_strayed: bool,
}

impl Order {
    fn next(&mut self, runnable: &[u32]) -> Option<u32> {
        while let Some(thread) = self.threads.get(self.next).copied() {
            self.next += 1;
            if runnable.contains(&thread) {
                self.followed += usize::from(!self.has_strayed);
                return Some(thread);
            }
            self.has_strayed = true;
        }
        None
    }
}

/// Answers the decisions of one run, and tells afterwards how the run differed from the plainest
/// one.
pub(crate) struct Guide {
    source: Source,
    /// The run takes at most so many steps.
    step_limit: u64,
    notes_steps: bool,
    /// By thread and kind: decisions so far.
    counts: Vec<[u32; KINDS]>,
    /// By thread: it has begun the operation that it posted last.
    begun: Vec<bool>,
    current: u32,
    departures: Vec<Departure>,
    switches: u64,
    preemptions: u64,
    steps: Vec<Step>,
    too_long: bool,
    threads: Vec<String>,
}

impl Guide {
    fn new(source: Source, step_limit: u64) -> Guide {
        Guide {
            source,
            step_limit,
            notes_steps: false,
            counts: Vec::new(),
            begun: Vec::new(),
            current: 0,
            departures: Vec::new(),
            switches: 0,
            preemptions: 0,
            steps: Vec::new(),
            too_long: false,
            threads: Vec::new(),
        }
    }

    /// The run that the tape holds.
    pub(crate) fn of_tape(tape: Tape, step_limit: u64) -> Guide {
        Guide::new(Source::Tape(tape), step_limit)
    }

    /// The plainest run but for these departures; one whose site the run does not come to, or
    /// whose answer is not possible there, is left out.
    pub(crate) fn of_departures(departures: &[Departure], step_limit: u64) -> Guide {
        Guide::new(Source::Departures(by_site(departures)), step_limit)
    }

    /// A run in which the threads get the processor in this order, one step each, and of the
    /// departures those which are about something else. A thread that cannot run is passed over;
    /// when the order has ended, the run goes on as the plainest one does.
    pub(crate) fn of_order(threads: Vec<u32>, departures: &[Departure], step_limit: u64) -> Guide {
        let order = Order { threads, next: 0, followed: 0, has_strayed: false };
        Guide::new(Source::Order { order, others: by_site(departures) }, step_limit)
    }

    /// Writes the steps of the run down.
    pub(crate) fn noting_steps(mut self) -> Guide {
        self.notes_steps = true;
        self
    }

    pub(crate) fn notes_steps(&self) -> bool {
        self.notes_steps
    }

    pub(crate) fn step_limit(&self) -> u64 {
        self.step_limit
    }

    /// Begins a run, which may be a repetition.
    pub(super) fn begin(&mut self) {
        self.counts.clear();
        self.begun.clear();
        self.current = 0;
        self.departures.clear();
        self.switches = 0;
        self.preemptions = 0;
        self.steps.clear();
        self.too_long = false;
        match &mut self.source {
            Source::Tape(tape) => tape.rewind(),
            Source::Departures(_) => {}
            Source::Order { order, .. } => {
                order.next = 0;
                order.followed = 0;
                order.has_strayed = false;
            }
        }
    }

    /// The thread of `runnable` that runs, by its index; called too where there is but one.
    ///
    /// # Errors
    /// How the program differs from the tape.
    pub(super) fn choose_thread(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: &dyn Fn(u32) -> Operation,
    ) -> Result<u32, String> {
        let site = self.site(current, Kind::Thread);
        let plain = plainest_thread(runnable, current, yielding);
        let chosen = match &mut self.source {
            Source::Order { order, .. } => order.next(runnable).unwrap_or(plain),
            _ if runnable.len() == 1 => plain,
            Source::Tape(tape) => {
                let index = tape.next(Kind::Thread, runnable.len() as u64)?;
                runnable.get(index as usize).copied().unwrap_or(plain)
            }
            Source::Departures(answers) => match answers.get(&site) {
                None => plain,
                Some(thread) if runnable.contains(&(*thread as u32)) => *thread as u32,
                // That thread cannot run, now that an earlier departure is gone. What counts is
                // often that another one does.
                Some(_) => {
                    let others = runnable.iter().copied().filter(|thread| *thread != plain);
                    next_by_number(others, current).unwrap_or(plain)
                }
            },
        };
        if chosen != plain {
            self.departures.push(Departure { site, answer: u64::from(chosen) });
        }
        let could_go_on = runnable.contains(&current);
        self.switches += u64::from(chosen != current);
        let preempts = could_go_on && !yielding && chosen != current;
        self.preemptions += u64::from(preempts);
        if self.notes_steps {
            if could_go_on {
                *self.begun(current) = false;
            }
            let woken = std::mem::replace(self.begun(chosen), true);
            let preempts = preempts.then(|| (current, posted(current)));
            self.note(Step::Runs { thread: chosen, operation: posted(chosen), woken, preempts });
        }
        self.current = chosen;
        let index = runnable.iter().position(|thread| *thread == chosen);
        Ok(index.unwrap_or(0) as u32)
    }

    /// A decision about something else than threads.
    ///
    /// # Errors
    /// How the program differs from the tape.
    pub(super) fn choose(&mut self, kind: Kind, n: u64) -> Result<u64, String> {
        // The last answer of a jump is the latest one; everywhere else the first means least.
        let plain = if kind == Kind::ClockJump { n - 1 } else { 0 };
        self.answer(kind, n, plain)
    }

    /// A word of entropy: `plain`, which the seed draws, unless the run departs from that.
    ///
    /// # Errors
    /// How the program differs from the tape.
    pub(super) fn entropy(&mut self, plain: u64) -> Result<u64, String> {
        self.answer(Kind::Entropy, u64::MAX, plain)
    }

    fn answer(&mut self, kind: Kind, n: u64, plain: u64) -> Result<u64, String> {
        let site = self.site(self.current, kind);
        let answer = match &mut self.source {
            Source::Tape(tape) => tape.next(kind, n)?,
            Source::Departures(answers) | Source::Order { others: answers, .. } => {
                answers.get(&site).copied().filter(|answer| *answer < n).unwrap_or(plain)
            }
        };
        // Of these all answers but the last mean the same.
        let yes_or_no = matches!(kind, Kind::SpuriousWake | Kind::WeakFailure);
        if answer != plain && !(yes_or_no && answer != n - 1) {
            self.departures.push(Departure { site, answer });
            if self.notes_steps {
                self.note(Step::Departs { thread: site.thread, kind, n, answer });
            }
        }
        Ok(answer)
    }

    /// Whether the run ended before its tape did.
    pub(super) fn left(&self) -> Option<String> {
        match &self.source {
            Source::Tape(tape) => tape.left(),
            Source::Departures(_) | Source::Order { .. } => None,
        }
    }

    /// How the run that has ended differed from the plainest one, in the order of the run.
    pub(crate) fn departures(&self) -> &[Departure] {
        &self.departures
    }

    /// How often the processor went from one thread to another.
    pub(crate) fn switches(&self) -> u64 {
        self.switches
    }

    /// How often it did although the thread could have gone on, and had not yielded.
    pub(crate) fn preemptions(&self) -> u64 {
        self.preemptions
    }

    /// The steps of the run; `None` where they are too many to be read.
    pub(crate) fn steps(&self) -> Option<&[Step]> {
        (!self.too_long).then_some(self.steps.as_slice())
    }

    /// How many of the first threads of the order ran just as it says.
    pub(crate) fn followed(&self) -> usize {
        match &self.source {
            Source::Order { order, .. } => order.followed,
            Source::Tape(_) | Source::Departures(_) => 0,
        }
    }

    /// How the threads of the run are called, by number.
    pub(crate) fn threads(&self) -> &[String] {
        &self.threads
    }

    pub(crate) fn name_threads(&mut self, threads: Vec<String>) {
        self.threads = threads;
    }

    fn site(&mut self, thread: u32, kind: Kind) -> Site {
        let index = thread as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, [0; KINDS]);
        }
        let number = &mut self.counts[index][kind as usize];
        *number += 1;
        Site { thread, kind, number: *number }
    }

    fn begun(&mut self, thread: u32) -> &mut bool {
        let index = thread as usize;
        if self.begun.len() <= index {
            self.begun.resize(index + 1, false);
        }
        &mut self.begun[index]
    }

    fn note(&mut self, step: Step) {
        if self.too_long {
            return;
        }
        if self.steps.len() == MOST_NOTED {
            self.too_long = true;
            self.steps = Vec::new();
            return;
        }
        self.steps.push(step);
    }
}

fn by_site(departures: &[Departure]) -> BTreeMap<Site, u64> {
    departures.iter().map(|departure| (departure.site, departure.answer)).collect()
}

/// The one that has the processor while it can go on and does not yield; else the next by number.
fn plainest_thread(runnable: &[u32], current: u32, yielding: bool) -> u32 {
    if !yielding && runnable.contains(&current) {
        return current;
    }
    next_by_number(runnable.iter().copied(), current).unwrap_or(current)
}

/// The first of `threads` that comes after `current`, round.
fn next_by_number(threads: impl Iterator<Item = u32>, current: u32) -> Option<u32> {
    threads.min_by_key(|thread| (*thread <= current, *thread))
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::kernel::event::OperationKind;

    fn posted(_: u32) -> Operation {
        Operation::new(OperationKind::Load, 1, Location::caller())
    }

    /// Two threads of three steps each: who took each step.
    fn run(guide: &mut Guide) -> Vec<u32> {
        guide.begin();
        let mut left = [3; 2];
        let mut current = 0;
        let mut ran = Vec::new();
        while left != [0, 0] {
            let runnable: Vec<u32> = (0..2).filter(|it| left[*it as usize] > 0).collect();
            let index = guide.choose_thread(&runnable, current, false, &posted);
            current = runnable[index.expect("no tape") as usize];
            left[current as usize] -= 1;
            ran.push(current);
        }
        ran
    }

    fn switch(thread: u32, number: u32, to: u64) -> Departure {
        Departure { site: Site { thread, kind: Kind::Thread, number }, answer: to }
    }

    #[test]
    fn the_plainest_schedule_runs_each_thread_to_its_end() {
        let mut guide = Guide::of_departures(&[], 100);
        assert_eq!(run(&mut guide), [0, 0, 0, 1, 1, 1]);
        assert_eq!((guide.switches(), guide.preemptions()), (1, 0));
        assert!(guide.departures().is_empty());
        assert_eq!(plainest_thread(&[2, 0, 1], 1, true), 2);
        assert_eq!(plainest_thread(&[0, 1], 1, true), 0);
        assert_eq!(plainest_thread(&[0, 2], 1, false), 2);
    }

    #[test]
    fn a_departure_keeps_its_site_when_one_before_it_is_taken_away() {
        let both = [switch(0, 2, 1), switch(1, 2, 0)];
        let mut guide = Guide::of_departures(&both, 100);
        assert_eq!(run(&mut guide), [0, 1, 1, 0, 0, 1]);
        assert_eq!(guide.departures(), both);
        assert_eq!((guide.switches(), guide.preemptions()), (3, 2));
        // The second is then of no consequence: the other thread has ended.
        let mut guide = Guide::of_departures(&both[1..], 100);
        assert_eq!(run(&mut guide), [0, 0, 0, 1, 1, 1]);
        assert!(guide.departures().is_empty());
    }

    #[test]
    fn an_order_is_followed_as_far_as_threads_can_run() {
        let mut guide = Guide::of_order(vec![1, 0, 1, 1, 1, 0], &[], 100).noting_steps();
        assert_eq!(run(&mut guide), [1, 0, 1, 1, 0, 0]);
        assert_eq!(guide.followed(), 4);
        assert_eq!(guide.steps().expect("a short run").len(), 6);
        assert_eq!(run(&mut guide), [1, 0, 1, 1, 0, 0], "it begins anew");
    }

    #[test]
    fn other_decisions_go_well_unless_they_depart() {
        let site = Site { thread: 0, kind: Kind::Network, number: 2 };
        let departure = Departure { site, answer: 7 };
        let mut guide = Guide::of_departures(&[departure], 100);
        guide.begin();
        assert_eq!(guide.choose(Kind::Network, 9), Ok(0));
        assert_eq!(guide.choose(Kind::ClockJump, 9), Ok(8));
        assert_eq!(guide.choose(Kind::Network, 9), Ok(7));
        assert_eq!(guide.entropy(5), Ok(5));
        assert_eq!(guide.departures(), [departure]);
        assert_eq!(guide.choose(Kind::SpuriousWake, 32), Ok(0));
        guide.begin();
        assert_eq!(guide.choose(Kind::Network, 9), Ok(0));
        assert_eq!(guide.choose(Kind::Network, 7), Ok(0), "an answer that is not possible");
    }
}
