//! Many seeds of one simulation, on as many threads as the machine has processors.
//!
//! ```text
//!   Seeds (range, shard) ──► Deal ──► Hand of each worker ──► Runner ──► passed, or failed
//!                             ▲                                             │
//!                             └──── runs, groups of failures by cause ◄─────┘
//!   pool: starts workers, shows progress, heeds signals
//! ```
//!
//! With a [`Corpus`] a run may wait for others, whose tapes it varies.
//!
//! The first seed is run before there are other workers: it, and the run that measures the
//! program before it, find out what all others then know, and use a static first if there is
//! one. A seed that is run alone finds out the same, so it replays.

pub(crate) mod cause;
pub(crate) mod corpus;
pub(crate) mod deal;
pub(crate) mod interrupt;
pub(crate) mod pool;
mod progress;
mod report;
pub(crate) mod shard;

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::decide::Strategy;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::shrink::Shrinking;
use crate::sim::Builder;
use cause::Cause;
use corpus::Corpus;
use deal::{Deal, Dealt, Group, Hand, SweepOutcome};
use interrupt::Listening;
use pool::Jobs;
use progress::Progress;
use shard::{Seeds, Shard};

pub use report::{FailureGroup, SweepReport};

/// Many seeds of one simulation.
///
/// They run on every processor that other sweeps of the process leave free, in as many worlds as
/// there are threads; a world has one thread to itself, as ever. A sweep that takes longer than a
/// second shows how far it is on standard error: as a bar on a terminal, unless the test harness
/// prints there; elsewhere as a line every five seconds.
///
/// On Unix a sweep of several seeds stops at `SIGINT` (Ctrl-C) or `SIGTERM` when the runs that go
/// on have ended, and reports what it has; so do later ones of the process, at once. A search for
/// the smallest schedule that fails stops with the smallest so far. A second signal ends the
/// process. Where the program has handlers for them itself, those are left alone,
/// and no sweep stops.
#[derive(Debug)]
#[must_use = "a sweep runs nothing until it is given a program"]
pub struct Sweep {
    builder: Builder,
    range: Range<u64>,
    shard: Shard,
    jobs: Jobs,
    keep_going: bool,
}

impl Sweep {
    pub(crate) fn new(builder: Builder, range: Range<u64>) -> Sweep {
        Sweep { builder, range, shard: Shard::WHOLE, jobs: Jobs::EveryCore, keep_going: false }
    }

    /// How many threads run seeds, instead of one for each processor. What the sweep reports does
    /// not depend on it. A depth-first search, which goes from run to run, has one.
    ///
    /// # Panics
    /// If `jobs` is 0.
    ///
    /// ```
    /// use volt_sim::Sim;
    ///
    /// let sweep = Sim::builder().sweep(0..100).jobs(3);
    /// assert_eq!(sweep.check(|| ()).runs(), 100);
    /// ```
    pub fn jobs(mut self, jobs: usize) -> Sweep {
        let jobs = NonZero::new(jobs).expect("a sweep needs a thread to run on");
        self.jobs = Jobs::Exactly(jobs);
        self
    }

    /// Goes on after a failure, and groups failures by cause. Unless set, the lowest seed that
    /// fails ends the sweep. The run with which some strategies measure the program first ends it
    /// in either case, if it fails: without it no seed can be run.
    ///
    /// ```
    /// use volt_sim::{Sim, Strategy};
    ///
    /// let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..50).keep_going(true);
    /// let report = sweep.check(|| panic!("in every run"));
    /// assert_eq!((report.runs(), report.failed_runs()), (50, 50));
    /// assert_eq!(report.groups().len(), 1);
    /// ```
    pub fn keep_going(mut self, keep_going: bool) -> Sweep {
        self.keep_going = keep_going;
        self
    }

    /// Runs only one of so many parts of the seeds, which together are the whole: every `of`-th
    /// seed, from the `number`-th on. They count from 1.
    ///
    /// # Panics
    /// If `number` is not in `1..=of`. Running the sweep panics if it is a depth-first search,
    /// which goes from run to run and has no parts.
    ///
    /// ```
    /// use volt_sim::Sim;
    ///
    /// let sweep = Sim::builder().sweep(0..10).shard(3, 4);
    /// // 2 and 6.
    /// assert_eq!(sweep.seeds(), 2);
    /// assert_eq!(sweep.check(|| ()).into_result().unwrap().seed(), 6);
    /// ```
    pub fn shard(mut self, number: u64, of: u64) -> Sweep {
        let Some(shard) = Shard::new(number, of) else {
            panic!("there is no shard {number}/{of}; expected {}", shard::EXPECTED);
        };
        self.shard = shard;
        self
    }

    /// Runs `f` under each seed, as [`Sim::check`](crate::Sim::check) does, until one fails or a
    /// depth-first search is exhausted. `f` is called on several threads at once: what it shares
    /// with other runs, such as a lock of std that it captures, must not decide what it does.
    ///
    /// # Panics
    /// If a [corpus](crate::Builder::corpus) cannot be read or written.
    pub fn check(self, f: impl Fn() + Send + Sync + 'static) -> SweepReport {
        self.run(false, Arc::new(f))
    }

    /// Runs `f` under each seed, as [`Sim::machine`](crate::Sim::machine) does, until one fails or
    /// a depth-first search is exhausted. `f` is called on several threads at once: what it
    /// shares with other runs, such as a lock of std that it captures, must not decide what it
    /// does.
    ///
    /// # Panics
    /// If a [corpus](crate::Builder::corpus) cannot be read or written.
    pub fn machine(self, f: impl Fn() + Send + Sync + 'static) -> SweepReport {
        self.run(true, Arc::new(f))
    }

    /// How many seeds there are, of this shard.
    pub fn seeds(&self) -> u64 {
        self.dealt_seeds().len()
    }

    pub(crate) fn strategy(&self) -> &Strategy {
        &self.builder.strategy
    }

    pub(crate) fn set_shard(&mut self, shard: Shard) {
        self.shard = shard;
    }

    fn dealt_seeds(&self) -> Seeds {
        Seeds::new(self.range.clone(), self.shard)
    }

    fn is_search(&self) -> bool {
        matches!(self.strategy(), Strategy::Dfs { .. })
    }

    fn run(self, whole_machine: bool, body: Arc<dyn Fn() + Send + Sync>) -> SweepReport {
        assert!(
            !self.is_search() || self.shard.is_whole(),
            "VOLT_SHARD={}: a depth-first search goes from run to run and cannot be split; use \
             another strategy, or search on one machine",
            self.shard
        );
        let job = self.builder.job(whole_machine, body);
        let interrupts = job.interrupts().is_some();
        assert!(
            !interrupts || !self.is_search(),
            "interruptions need runs that are the same up to a point, and a depth-first search \
             goes on to another schedule: use another strategy"
        );
        let jobs = match self.is_search() {
            true => Jobs::Exactly(NonZero::<usize>::MIN),
            false => self.jobs,
        };
        let corpus = if interrupts { None } else { self.open_corpus() };
        let conditions = Conditions {
            seeds: self.dealt_seeds(),
            keep_going: self.keep_going,
            largest_hand: if corpus.is_some() { corpus::LARGEST_HAND } else { u64::MAX },
            jobs,
            name: job.name.clone(),
        };
        let listening = conditions.listen();
        let first = Runner::new(job.clone()).with_corpus(corpus.clone());
        let Ended { outcome, seeds, stopped_by, elapsed } =
            run(conditions, listening.as_ref(), first);
        let is_whole = outcome.runs == seeds && seeds > 0;
        assert!(
            !interrupts || !is_whole || !outcome.groups.is_empty() || outcome.points > 0,
            "nothing was interrupted: the program has no `interrupted` future that waits"
        );
        if let Some(corpus) = corpus
            && let Err(error) = corpus.finish()
        {
            panic!("{error}");
        }
        // Not on the way: a lower seed may fail yet, and other threads are running seeds. Nor
        // when somebody waits for the end.
        let shrinks = stopped_by.is_none() && !outcome.groups.is_empty() && !job.shrink.is_zero();
        let shrinking = shrinks.then(|| Shrinking::begin(job.shrink));
        let shrunk = |group: Group<Failure>| match &shrinking {
            None => FailureGroup::from(group),
            Some(shrinking) => FailureGroup::from(Group {
                failure: shrinking.shrink(&mut Runner::new(job.clone()), group.failure),
                ..group
            }),
        };
        let groups = outcome.groups.into_iter().map(shrunk).collect::<Vec<_>>();
        SweepReport {
            runs: outcome.runs,
            seeds,
            failed: outcome.failed,
            exhausted: outcome.exhausted && groups.is_empty(),
            groups,
            last: outcome.last,
            points: outcome.points,
            stopped_by: stopped_by.or_else(|| shrinking.as_ref().and_then(Shrinking::signal)),
            elapsed,
        }
    }

    /// The corpus, where there is one. A seed that is run alone is run as it is, without: it is
    /// mostly one that is run again.
    fn open_corpus(&self) -> Option<Arc<Corpus>> {
        let folder = self.builder.corpus.as_ref()?;
        let places = self.seeds();
        if places <= 1 || !self.strategy().draws_from_seed() {
            return None;
        }
        match Corpus::open(folder, places, self.keep_going) {
            Ok(corpus) => Some(Arc::new(corpus)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs each seed with `run_seed`, which starts a process for it and says how that failed.
    pub(crate) fn in_processes<F: Cause>(
        self,
        name: &str,
        run_seed: impl Fn(u64) -> Result<(), F> + Clone + Send,
    ) -> Ended<F> {
        let conditions = Conditions {
            seeds: self.dealt_seeds(),
            keep_going: self.keep_going,
            largest_hand: u64::MAX,
            jobs: self.jobs,
            name: Some(name.to_owned()),
        };
        let listening = conditions.listen();
        run(conditions, listening.as_ref(), Processes(run_seed))
    }
}

/// Runs seeds, on a thread of its own.
pub(crate) trait Worker: Send {
    type Failure: Cause;

    /// Runs one seed; workers that are made after it know what it taught.
    fn run_one(&mut self, deal: &Deal<Self::Failure>);

    /// Runs seeds for as long as there are any.
    fn run_all(self, deal: &Deal<Self::Failure>);

    /// Another worker for the same deal.
    fn another(&self) -> Self;
}

/// What a sweep is to do.
struct Conditions {
    seeds: Seeds,
    keep_going: bool,
    /// How many places a worker takes at once, at most.
    largest_hand: u64,
    jobs: Jobs,
    /// Whose sweep it is, for what is shown.
    name: Option<String>,
}

impl Conditions {
    fn listen(&self) -> Option<Listening> {
        // A single run is short, and is no search that could be cut short.
        (self.seeds.len() > 1).then(Listening::begin)
    }
}

/// What a sweep did.
pub(crate) struct Ended<F> {
    pub(crate) outcome: SweepOutcome<F>,
    pub(crate) seeds: u64,
    pub(crate) stopped_by: Option<&'static str>,
    elapsed: Duration,
}

fn run<W: Worker>(
    conditions: Conditions,
    listening: Option<&Listening>,
    mut first: W,
) -> Ended<W::Failure> {
    let Conditions { seeds, keep_going, largest_hand, jobs, name } = conditions;
    let deal = Deal::new(seeds, keep_going).in_hands_of(largest_hand);
    let seeds = deal.len();
    let mut progress = Progress::new(name, seeds);
    let signal = || listening.and_then(Listening::signal);
    if signal().is_some() {
        deal.stop();
    }
    first.run_one(&deal);
    if let Some(listening) = listening {
        let template = first.another();
        pool::run(&deal, jobs, listening, &mut progress, first, || template.another(), W::run_all);
    }
    let outcome = deal.gather(signal().is_some());
    let is_whole = outcome.runs == seeds || outcome.exhausted;
    Ended {
        stopped_by: signal().filter(|_| !is_whole),
        outcome,
        seeds,
        elapsed: progress.elapsed(),
    }
}

/// Each seed in a process of its own: nothing is known of one run in another.
#[derive(Clone)]
struct Processes<R>(R);

impl<F: Cause, R: Fn(u64) -> Result<(), F> + Clone + Send> Processes<R> {
    fn run_dealt(&self, dealt: Dealt, deal: &Deal<F>, hand: &mut Hand) {
        match (self.0)(dealt.seed) {
            Ok(()) => hand.passed_unseen(),
            Err(failure) => deal.failed(hand, dealt, failure),
        }
    }
}

impl<F: Cause, R: Fn(u64) -> Result<(), F> + Clone + Send> Worker for Processes<R> {
    type Failure = F;

    fn run_one(&mut self, deal: &Deal<F>) {
        let mut hand = Hand::new();
        if let Some(dealt) = deal.next(&mut hand) {
            self.run_dealt(dealt, deal, &mut hand);
        }
        deal.take_back(hand);
    }

    fn run_all(self, deal: &Deal<F>) {
        let mut hand = Hand::new();
        while let Some(dealt) = deal.next(&mut hand) {
            self.run_dealt(dealt, deal, &mut hand);
        }
        deal.take_back(hand);
    }

    fn another(&self) -> Processes<R> {
        self.clone()
    }
}
