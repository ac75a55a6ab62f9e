//! Runs a job under one seed after another, on OS threads of its own.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::decide::tape::Recorder;
use crate::decide::{Dfs, Guide, HandOffs, Length, Prepared, Profile, Strategy, Variation};
use crate::failure::{self, Details, Failure, FailureKind, Report};
use crate::interruption::{Interrupt, Interruption, Points};
use crate::kernel::run::{self, Outcome, Plan};
use crate::kernel::watchdog::Watch;
use crate::kernel::{EventLog, Limits, Position, Recording, Stop};
use crate::sweep::corpus::{Corpus, Passed};
use crate::sweep::deal::{Deal, Dealt, Hand, StopsAtPanic};
use crate::sweep::{SweepReport, Worker, interrupt};

/// The seed of the run that measures how long runs are, and counts what threads do.
const CALIBRATION_SEED: u64 = 0;
/// How often two more runs of a seed are compared event by event, when two runs differed: what
/// comes from outside need not differ each time.
const PAIRS_COMPARED: u32 = 3;

#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) strategy: Strategy,
    pub(crate) limits: Limits,
    pub(crate) whole_machine: bool,
    pub(crate) check_determinism: bool,
    pub(crate) name: Option<String>,
    /// Whether the replay line must name the strategy.
    pub(crate) names_strategy: bool,
    pub(crate) planted: Option<&'static str>,
    /// How long to look for the smallest schedule that fails; zero is not at all.
    pub(crate) shrink: Duration,
    /// How long a run is, where it is known.
    pub(crate) length: Option<Length>,
    /// What happens to futures at each of their points, if anything.
    pub(crate) interruption: Option<Interruption>,
    pub(crate) body: Arc<dyn Fn() + Send + Sync>,
}

impl Job {
    /// What happens to futures. Nothing while a tape is replayed: that of a failure is one in
    /// which nothing happened to them.
    pub(crate) fn interrupts(&self) -> Option<Interruption> {
        self.interruption.filter(|_| !matches!(self.strategy, Strategy::Tape(_)))
    }
}

pub(crate) struct Runner {
    job: Job,
    recorder: Option<Recorder>,
    watch: Arc<Watch>,
    /// How long a run is, once measured.
    length: Option<Length>,
    /// What threads do in a run, once counted.
    profile: Option<Arc<Profile>>,
    /// The depth-first search that the runs are, between two of them.
    search: Option<Box<Dfs>>,
    /// What answers the decisions of the next run, instead of the strategy.
    guide: Option<Box<Guide>>,
    /// What the runs are kept in that come to something new.
    corpus: Option<Arc<Corpus>>,
    /// What the next run varies; a run that is repeated varies it again.
    variation: Option<Variation>,
    /// The hand-offs of the last run, where they were noted.
    hand_offs: Option<HandOffs>,
    /// Some run has touched a cell whose races can be found.
    find_races: bool,
    /// The next run counts what threads do.
    counts: bool,
    /// Where the next run interrupts a future.
    interrupt: Option<Interrupt>,
    /// The OS thread must not be used for another run.
    thread_is_used: bool,
}

impl Runner {
    pub(crate) fn new(job: Job) -> Runner {
        crate::interpose::anchor();
        crate::clock::prepare();
        let watch = Watch::new(job.name.as_deref().unwrap_or("a simulation"));
        let length = job.length;
        // The process of one seed has one run: it cannot be repeated with vector clocks.
        let find_races = length.is_some();
        Runner {
            job,
            recorder: None,
            watch,
            length,
            profile: None,
            search: None,
            guide: None,
            corpus: None,
            variation: None,
            hand_offs: None,
            find_races,
            counts: false,
            interrupt: None,
            thread_is_used: false,
        }
    }

    pub(crate) fn with_corpus(mut self, corpus: Option<Arc<Corpus>>) -> Runner {
        self.corpus = corpus;
        self
    }

    fn run_dealt(&mut self, dealt: Dealt, deal: &Deal<Failure>, hand: &mut Hand) {
        if let Err(failure) = self.measure_length().and_then(|()| self.repeat_corpus()) {
            // Without what it measures no seed would run as it does alone.
            deal.failed(hand, dealt, failure);
            deal.stop();
            return;
        }
        let searches = matches!(self.job.strategy, Strategy::Dfs { .. });
        // Runs that differ in entropy would have no schedules in common.
        let seed = if searches { deal.first_of_all() } else { dealt.seed };
        if let Some(corpus) = &self.corpus {
            let Some(kept) = corpus.begin(dealt.place, || deal.is_over(dealt.place)) else {
                return;
            };
            self.variation = Variation::draw(seed, &kept);
        }
        let result = self.run_seed(seed);
        self.variation = None;
        let passed = result.as_ref().ok().map(Report::hash);
        match result {
            Ok(report) => hand.passed(dealt, report),
            Err(failure) => deal.failed(hand, dealt, failure),
        }
        self.tell_corpus(dealt.place, passed, deal);
        if self.search.as_mut().is_some_and(|search| !search.advance()) {
            deal.exhaust();
        }
    }

    /// The run at this place has ended; with this hash, if it passed.
    fn tell_corpus(&mut self, place: u64, passed: Option<u64>, deal: &Deal<Failure>) {
        let Some(corpus) = &self.corpus else { return };
        let recorder = &mut self.recorder;
        let passed = passed.map(|hash| Passed {
            hash,
            hand_offs: self.hand_offs.take().unwrap_or_default(),
            tape: move || recorder.as_mut().map_or_else(Vec::new, Recorder::bytes),
        });
        if !corpus.ended(place, passed) {
            deal.stop();
        }
    }

    /// Runs the tapes of the corpus again, once in a sweep: what they come to is not new.
    fn repeat_corpus(&mut self) -> Result<(), Failure> {
        let Some(corpus) = self.corpus.clone() else { return Ok(()) };
        for kept in corpus.take_read() {
            self.variation = Some(Variation::whole(&kept));
            let repeated = self.on_new_thread(|runner| runner.run_seed(kept.tape.seed()));
            self.variation = None;
            repeated?;
            if let Some(hand_offs) = self.hand_offs.take() {
                corpus.cover(&hand_offs);
            }
        }
        Ok(())
    }

    fn on_new_thread<R: Send>(&mut self, f: impl FnOnce(&mut Runner) -> R + Send) -> R {
        let name = self.job.name.clone().unwrap_or_else(|| "volt-sim".to_owned());
        thread::scope(|scope| {
            let spawned = thread::Builder::new().name(name).spawn_scoped(scope, || f(self));
            let thread = match spawned {
                Ok(thread) => thread,
                Err(error) => panic!("the system refused a thread for the simulation: {error}"),
            };
            match thread.join() {
                Ok(result) => result,
                Err(payload) => panic::resume_unwind(payload),
            }
        })
    }

    fn run_seed(&mut self, seed: u64) -> Result<Report, Failure> {
        let strategy = self.job.strategy.clone();
        if let Some(how) = self.job.interrupts() {
            return self.run_interrupted(seed, &strategy, how);
        }
        if !self.job.check_determinism || self.job.length.is_some() {
            let mut outcome = self.execute(seed, &strategy, EventLog::Off);
            return self.conclude(seed, &mut outcome, None);
        }
        self.run_twice(seed, &strategy)
    }

    /// Two runs of a seed, whose hashes are compared. To write all events down, only to find them
    /// the same, would take longer than many a run: that is left for seeds whose runs differ.
    fn run_twice(&mut self, seed: u64, strategy: &Strategy) -> Result<Report, Failure> {
        // A thread of its own for each run: what one left in thread-locals must not count.
        let mut outcome =
            self.on_new_thread(|runner| runner.execute(seed, strategy, EventLog::Off));
        let first = self.conclude(seed, &mut outcome, None)?;
        let mut second = self.on_new_thread(|runner| runner.execute(seed, strategy, EventLog::Off));
        let how = match &second.stop {
            None if second.hash == first.hash => None,
            None => Some(format!("their hashes are {:#x} and {:#x}", first.hash, second.hash)),
            // It says itself what the run depends on.
            Some(stop) if stop.kind == FailureKind::Nondeterminism => None,
            Some(stop) => {
                Some(format!("the first succeeded, the second did not: {}", stop.message))
            }
        };
        if let Some(how) = how {
            for _ in 0..PAIRS_COMPARED {
                self.compare_events(seed, strategy)?;
            }
            let kind = FailureKind::Nondeterminism;
            let message = format!(
                "two runs of one seed differ: {how}. No event did in {PAIRS_COMPARED} pairs of \
                 runs that wrote them down: what differs are bytes that the program reads or \
                 writes, or it differs only now and then"
            );
            second.stop = Some(match second.stop.take() {
                Some(stop) => Stop { kind, message, ..stop },
                None => {
                    let (threads, tasks, places) = (Vec::new(), Vec::new(), Vec::new());
                    Stop { kind, message, threads, tasks, places }
                }
            });
            // The tape that is told, and written again, is that of the second run.
            self.watch.tape(second.recorder.as_ref().and_then(Recorder::path));
        }
        self.conclude(seed, &mut second, None)
    }

    /// Two runs of a seed, of which the first writes its events down and the second compares its
    /// own with them. An error names the first event that differs.
    fn compare_events(&mut self, seed: u64, strategy: &Strategy) -> Result<(), Failure> {
        let log = EventLog::Record(Recording::default());
        let mut outcome = self.on_new_thread(|runner| runner.execute(seed, strategy, log));
        self.recorder = outcome.recorder.take();
        let EventLog::Record(first) = outcome.log else { return Ok(()) };
        let log = EventLog::Compare { first, reached: Position::default() };
        let mut outcome = self.on_new_thread(|runner| runner.execute(seed, strategy, log));
        let differs = |stop: &Stop| stop.kind == FailureKind::Nondeterminism;
        if outcome.stop.as_ref().is_some_and(differs) {
            return self.conclude(seed, &mut outcome, None).map(drop);
        }
        self.recorder = outcome.recorder.take();
        Ok(())
    }

    /// A run that counts the points at which a future can be interrupted, and then one for each of
    /// them. The report is that of the first.
    fn run_interrupted(
        &mut self,
        seed: u64,
        strategy: &Strategy,
        how: Interruption,
    ) -> Result<Report, Failure> {
        // A thread of its own for each: what a run left in thread-locals must not count.
        let mut run = |at| {
            self.on_new_thread(|runner| {
                runner.interrupt = Some(Interrupt { how, at });
                let mut outcome = runner.execute(seed, strategy, EventLog::Off);
                runner.interrupt = None;
                runner.conclude(seed, &mut outcome, None)
            })
        };
        let counted = run(0)?;
        for at in 1..=counted.points {
            run(at).map_err(|mut failure| {
                // Those of the seed, not of the run that ended early.
                failure.0.report.points = counted.points;
                failure
            })?;
        }
        Ok(counted)
    }

    /// One run, to know how many choices PCT's change points spread over, and what SURW weighs
    /// threads by. Its seed and strategy are fixed, so a seed replays alone as it ran in a sweep.
    fn measure_length(&mut self) -> Result<(), Failure> {
        let counts = self.job.strategy.needs_profile();
        let needed = counts || self.job.strategy.needs_length();
        if self.length.is_some() || !needed {
            return Ok(());
        }
        let strategy = Strategy::Random;
        let measured = self.on_new_thread(|runner| {
            let mut outcome = runner.execute_counting(CALIBRATION_SEED, &strategy, counts);
            let length = Length { choices: outcome.counters.thread_choices, steps: outcome.steps };
            let measured = (length, outcome.profile.take());
            runner.conclude(CALIBRATION_SEED, &mut outcome, Some(&strategy)).map(|_| measured)
        });
        let (length, profile) = measured?;
        self.length = Some(length);
        self.profile = profile.map(Arc::new);
        Ok(())
    }

    fn execute_counting(&mut self, seed: u64, strategy: &Strategy, counts: bool) -> Outcome {
        self.counts = counts;
        let outcome = self.execute(seed, strategy, EventLog::Off);
        self.counts = false;
        outcome
    }

    /// One run, repeated with vector clocks where it turns out to need them.
    fn execute(&mut self, seed: u64, strategy: &Strategy, log: EventLog) -> Outcome {
        let mut outcome = self.execute_once(seed, strategy, log);
        self.search = outcome.search.take();
        if !outcome.wants_races {
            return outcome;
        }
        self.find_races = true;
        self.guide = outcome.guide;
        self.recorder = outcome.recorder;
        let log = match outcome.log {
            EventLog::Off | EventLog::Last(_) => EventLog::Off,
            EventLog::Record(recording) => EventLog::Record(recording.emptied()),
            EventLog::Compare { first, .. } => {
                EventLog::Compare { first, reached: Position::default() }
            }
        };
        // Another OS thread: the run was left in the middle, and what it kept in thread-locals
        // with it.
        let mut outcome = self.on_new_thread(|runner| runner.execute_once(seed, strategy, log));
        self.search = outcome.search.take();
        outcome
    }

    /// A run by `guide`, on an OS thread of its own, and its tape.
    pub(crate) fn execute_guided(&mut self, seed: u64, guide: Guide) -> (Outcome, Vec<u8>) {
        let strategy = self.job.strategy.clone();
        let wants_tape = guide.notes_steps();
        // A depth-first search goes on where it was.
        let search = self.search.take();
        self.guide = Some(Box::new(guide));
        let mut outcome =
            self.on_new_thread(|runner| runner.execute(seed, &strategy, EventLog::Off));
        self.search = search;
        self.recorder = outcome.recorder.take();
        let recorder = self.recorder.as_mut().filter(|_| wants_tape);
        let tape = recorder.map_or_else(Vec::new, Recorder::bytes);
        (outcome, tape)
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    fn execute_once(&mut self, seed: u64, strategy: &Strategy, log: EventLog) -> Outcome {
        let recorder = self.recorder.take().unwrap_or_else(|| {
            let recorder = Recorder::new();
            self.watch.tape(recorder.path());
            recorder
        });
        let guide = self.guide.take();
        let mut limits = self.job.limits;
        if let Some(guide) = &guide {
            limits.steps = limits.steps.min(guide.step_limit());
        }
        let plan = Plan {
            seed,
            strategy: strategy.clone(),
            prepared: Prepared {
                length: self.length.unwrap_or_default(),
                profile: self.profile.clone(),
                search: self.search.take(),
                counts: self.counts,
                guide,
                covers: self.corpus.is_some(),
                variation: self.variation.clone(),
            },
            limits,
            whole_machine: self.job.whole_machine,
            find_races: self.find_races,
            planted: self.job.planted,
            interrupt: self.interrupt,
            log,
        };
        let body = Arc::clone(&self.job.body);
        let body = move || panic::catch_unwind(AssertUnwindSafe(|| body())).is_err();
        let mut outcome = run::run(plan, recorder, &self.watch, Box::new(body));
        self.hand_offs = outcome.hand_offs.take();
        // A thread that was stopped while it unwinds leaves its panic in the count that std keeps.
        let left_threads = outcome.stop.is_some() || outcome.counters.abandoned > 0;
        self.thread_is_used |= outcome.used_entropy || left_threads || self.job.whole_machine;
        outcome
    }

    /// The report of a run, or its failure with all that replays it. `strategy` is named where
    /// the seed alone would not replay.
    fn conclude(
        &mut self,
        seed: u64,
        outcome: &mut Outcome,
        strategy: Option<&Strategy>,
    ) -> Result<Report, Failure> {
        let report = Report {
            seed,
            strategy: std::mem::take(&mut outcome.strategy),
            hash: outcome.hash,
            steps: outcome.steps,
            virtual_time: Duration::from_nanos(outcome.nanoseconds),
            real_time: outcome.real_time,
            counters: outcome.counters,
            points: outcome.points.as_ref().map_or(0, Points::passed),
        };
        let interruption = outcome.points.as_ref().and_then(Points::struck).map(str::to_owned);
        let stop = outcome.stop.take();
        let result = match stop {
            None => Ok(report),
            Some(stop) => {
                let tape = outcome.recorder.as_mut().map_or_else(Vec::new, Recorder::bytes);
                // Where no tape can be written, the bytes themselves replay.
                let names_strategy =
                    self.job.names_strategy || matches!(self.job.strategy, Strategy::Bytes(_));
                let named = names_strategy.then_some(&self.job.strategy).or(strategy);
                // A tape does not say where a future was interrupted.
                let whole = interruption.is_none();
                let tape_path = whole.then(|| self.save_tape(seed, &tape)).flatten();
                let replays_tape = match &self.job.strategy {
                    // What it varies is not in the seed,
                    _ if self.variation.is_some() => tape_path.as_deref(),
                    // nor is its place in a search, nor are bytes.
                    Strategy::Dfs { .. } | Strategy::Bytes(_) => tape_path.as_deref(),
                    // Not the new one, which ends where the program strayed from this.
                    Strategy::Tape(path) => Some(path.as_path()),
                    _ => None,
                };
                let test = self.job.name.clone().unwrap_or_default();
                let replay = match replays_tape {
                    Some(path) => failure::tape_command(path, &test),
                    None => seed_command(seed, named, &test),
                };
                Err(Failure(Box::new(Details {
                    kind: stop.kind,
                    message: stop.message,
                    interruption,
                    threads: stop.threads,
                    tasks: stop.tasks,
                    places: stop.places,
                    report,
                    tape_path,
                    tape,
                    test,
                    replay,
                    schedule: None,
                    not_shrunk: None,
                })))
            }
        };
        self.recorder = outcome.recorder.take();
        result
    }

    /// Writes the tape of the last run into the folder for temporary files.
    fn save_tape(&self, seed: u64, tape: &[u8]) -> Option<PathBuf> {
        // All schedules of a search have one seed.
        let search = self.search.as_ref();
        let suffix = search.map_or_else(String::new, |it| format!("-{}", it.schedule()));
        let path = tape_path(self.job.name.as_deref(), seed, std::process::id(), &suffix);
        std::fs::write(&path, tape).ok()?;
        Some(path)
    }
}

impl Worker for Runner {
    type Failure = Failure;

    fn run_one(&mut self, deal: &Deal<Failure>) {
        let mut hand = Hand::new();
        if let Some(dealt) = deal.next(&mut hand) {
            self.on_new_thread(|runner| runner.run_dealt(dealt, deal, &mut hand));
        }
        deal.take_back(hand);
    }

    fn run_all(mut self, deal: &Deal<Failure>) {
        let _stops = StopsAtPanic(deal);
        let mut hand = Hand::new();
        let mut next = deal.next(&mut hand);
        while next.is_some() {
            // A thread serves until a run leaves something in its thread-locals.
            self.on_new_thread(|runner| {
                runner.thread_is_used = false;
                while !runner.thread_is_used
                    && let Some(dealt) = next
                {
                    runner.run_dealt(dealt, deal, &mut hand);
                    next = deal.next(&mut hand);
                }
            });
        }
        deal.take_back(hand);
    }

    fn another(&self) -> Runner {
        let mut another = Runner::new(self.job.clone());
        another.length = self.length;
        another.profile = self.profile.clone();
        another.find_races = self.find_races;
        another.corpus = self.corpus.clone();
        another
    }
}

/// The command that runs a seed again, under this strategy if it must be named.
fn seed_command(seed: u64, strategy: Option<&Strategy>, test: &str) -> String {
    let strategy = strategy.map(|strategy| format!(" VOLT_STRATEGY={strategy}"));
    failure::command(&format!("VOLT_SEED={seed:#x}{}", strategy.unwrap_or_default()), test)
}

/// Where `process` saves the tape of a failed run; `suffix` tells it from the others of its seed.
pub(crate) fn tape_path(test: Option<&str>, seed: u64, process: u32, suffix: &str) -> PathBuf {
    let name = test.unwrap_or("simulation").replace("::", "-");
    std::env::temp_dir().join(format!("volt-{name}-{seed:#x}-{process}{suffix}.tape"))
}

/// The name of the running test: the harness names its threads after their tests; where it runs
/// them on the main thread, its arguments may name one.
pub(crate) fn test_name() -> Option<String> {
    let thread = thread::current();
    match thread.name() {
        Some(name) if name != "main" => Some(name.to_owned()),
        _ => {
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let exact = arguments.iter().any(|argument| argument == "--exact");
            arguments.into_iter().find(|argument| exact && !argument.starts_with('-'))
        }
    }
}

/// Panics with the reports of the failures, the line to paste of the lowest seed last; ends the
/// process where a signal has stopped the sweep.
pub(crate) fn expect_success(report: SweepReport) {
    if let Some(signal) = report.stopped_by() {
        // The stream, not the macro: what the test harness keeps goes when the process does.
        let _ = writeln!(io::stderr(), "{}", failure_text(&report));
        interrupt::end_process();
        panic!("the sweep was stopped by {signal}");
    }
    if report.failure().is_some() {
        panic!("{}", failure_text(&report));
    }
}

fn failure_text(report: &SweepReport) -> String {
    let stopped = report.stopped_by().is_some();
    match report.groups() {
        [group] if report.failed_runs() == 1 && !stopped => {
            format!("simulation failed on run {}: {}", report.runs(), group.failure())
        }
        [] => format!("simulation: {report}"),
        groups => {
            let mut text = format!("simulation failed: {report}\n");
            for (index, group) in groups.iter().enumerate().rev() {
                let (number, failure) = (index + 1, group.failure());
                text.push_str(&format!("\ncause {number} of {}: {failure}\n", groups.len()));
            }
            text.trim_end().to_owned()
        }
    }
}
