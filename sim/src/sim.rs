//! `Sim`: what to run, under which seed, strategy and limits.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::decide::{Length, Strategy};
use crate::environment::Environment;
use crate::failure::{Failure, Report};
use crate::interruption::Interruption;
use crate::kernel::Limits;
use crate::runner::Job;
use crate::sweep::Sweep;
use crate::sweep::shard::Shard;

/// Steps that plain threads may take.
const CHECK_STEPS: u64 = 20_000_000;
/// Steps that a whole machine may take.
const MACHINE_STEPS: u64 = 50_000_000;
const VIRTUAL_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a test that reads the environment looks for the smallest schedule that fails.
const SHRINK: Duration = Duration::from_secs(5);

/// A simulation that is ready to run one seed.
///
/// ```
/// use volt_sim::{Sim, Strategy, sync::atomic::{AtomicU32, Ordering}, thread};
/// use std::sync::Arc;
///
/// let sim = Sim::builder().seed(7).strategy(Strategy::Random).build();
/// let report = sim.check(|| {
///     let count = Arc::new(AtomicU32::new(0));
///     let other = Arc::clone(&count);
///     let thread = thread::spawn(move || other.fetch_add(1, Ordering::Relaxed));
///     count.fetch_add(1, Ordering::Relaxed);
///     thread.join().unwrap();
///     assert_eq!(count.load(Ordering::Relaxed), 2);
/// }).unwrap();
/// assert_eq!(report.seed(), 7);
/// ```
#[derive(Clone, Debug)]
pub struct Sim {
    builder: Builder,
}

/// Sets what a [`Sim`] does.
#[derive(Clone, Debug)]
pub struct Builder {
    seed: u64,
    pub(crate) strategy: Strategy,
    steps: Option<u64>,
    virtual_time: Duration,
    check_determinism: bool,
    name: Option<String>,
    planted: Option<&'static str>,
    shrink: Option<Duration>,
    length: Option<Length>,
    interruption: Option<Interruption>,
    pub(crate) corpus: Option<PathBuf>,
    /// Printed with a replay line where the environment named the strategy.
    strategy_from_environment: bool,
}

impl Sim {
    /// A builder for seed 0, the default strategy and the default limits.
    pub fn builder() -> Builder {
        Builder {
            seed: 0,
            strategy: Strategy::default(),
            steps: None,
            virtual_time: VIRTUAL_TIME,
            check_determinism: false,
            name: None,
            planted: None,
            shrink: None,
            length: None,
            interruption: None,
            corpus: None,
            strategy_from_environment: false,
        }
    }

    /// Runs `f` as plain simulated threads, until the last of them has ended. A strategy that
    /// spreads its changes over a run first measures one, so `f` may be called twice.
    ///
    /// # Errors
    /// How the run failed. Never panics for the program's failure.
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
        let seed = self.builder.seed;
        self.builder.clone().sweep(seed..seed + 1).check(f).into_result()
    }

    /// Runs `f` as the first thread of a whole simulated machine, whose threads have
    /// thread-locals of their own; the run ends when `f` returns.
    ///
    /// # Errors
    /// How the run failed. Never panics for the program's failure.
    pub fn machine(&self, f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
        let seed = self.builder.seed;
        self.builder.clone().sweep(seed..seed + 1).machine(f).into_result()
    }
}

impl Builder {
    /// The seed that everything follows.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// How interleavings are chosen.
    pub fn strategy(mut self, strategy: Strategy) -> Builder {
        self.strategy = strategy;
        self
    }

    /// The most scheduling points a run may pass: 20 million for plain threads, 50 million for a
    /// whole machine, unless set.
    pub fn step_limit(mut self, steps: u64) -> Builder {
        self.steps = Some(steps);
        self
    }

    /// The most virtual time a run may take: a day, unless set.
    pub fn virtual_time_limit(mut self, limit: Duration) -> Builder {
        self.virtual_time = limit;
        self
    }

    /// Runs each seed twice and compares the runs. Where they differ, it runs more often, and
    /// compares event by event: the failure names the first event that differs.
    pub fn check_determinism(mut self, check: bool) -> Builder {
        self.check_determinism = check;
        self
    }

    /// The name of the test, for the replay line; unless set, that of the running thread, which
    /// the test harness names after the test.
    pub fn name(mut self, name: &str) -> Builder {
        self.name = Some(name.to_owned());
        self
    }

    /// Plants a bug: [`is_planted`](crate::is_planted) says yes to this name in the run.
    pub fn plant(mut self, name: &'static str) -> Builder {
        self.planted = Some(name);
        self
    }

    /// How long to look, when a run fails, for the smallest schedule that fails for the same
    /// cause: see [`Failure::schedule`]. Not at all unless set or, with
    /// [`from_environment`](Builder::from_environment), for five seconds; zero is off. The time
    /// ends the search and steers nothing else in it, and the search also ends by itself.
    ///
    /// The time is for all failures of a sweep that [keeps going](Sweep::keep_going) together, the
    /// lowest seed first. The program is run anew for each schedule that is tried, up to 5,000
    /// times for one failure.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use volt_sim::sync::atomic::{AtomicU32, Ordering};
    /// use volt_sim::{Sim, thread};
    ///
    /// let sweep = Sim::builder().shrink(Duration::from_secs(5)).sweep(0..1_000);
    /// let report = sweep.check(|| {
    ///     let count = Arc::new(AtomicU32::new(0));
    ///     let threads = [(); 2].map(|()| {
    ///         let count = Arc::clone(&count);
    ///         thread::spawn(move || {
    ///             let seen = count.load(Ordering::SeqCst);
    ///             count.store(seen + 1, Ordering::SeqCst);
    ///         })
    ///     });
    ///     threads.map(|thread| thread.join().unwrap());
    ///     assert_eq!(count.load(Ordering::SeqCst), 2);
    /// });
    /// let schedule = report.failure().and_then(|failure| failure.schedule());
    /// assert_eq!(schedule.map(|schedule| schedule.preemptions()), Some(1));
    /// ```
    pub fn shrink(mut self, time: Duration) -> Builder {
        self.shrink = Some(time);
        self
    }

    /// Cancels [`interrupted`](crate::future::interrupted) futures wherever they can be: after a
    /// run of each seed that counts, there is one more for each poll that left such a future
    /// pending, and for each call of its waker, in which it is cancelled there. Each of them is a
    /// run of that seed up to there, and what must hold of the program is for it to assert. A run's
    /// failure says where the future was cancelled; its seed replays all of them.
    ///
    /// Determinism is not checked besides, and a schedule in which a future was cancelled is not
    /// shrunk: its points are numbered along it, and a smaller one has others. A tape is replayed
    /// with nothing cancelled, as one is that a failure leaves behind.
    ///
    /// # Panics
    /// Running the sweep panics if it is a depth-first search, and if none of its seeds has
    /// anything to cancel.
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::Poll;
    /// use volt_sim::Sim;
    /// use volt_sim::future::{block_on, interrupted};
    ///
    /// let report = Sim::builder().cancel_everywhere().build().check(|| {
    ///     let mut polls = 0;
    ///     let three_polls = poll_fn(move |context| {
    ///         polls += 1;
    ///         if polls == 3 {
    ///             return Poll::Ready(());
    ///         }
    ///         context.waker().wake_by_ref();
    ///         Poll::Pending
    ///     });
    ///     block_on(interrupted(three_polls));
    /// });
    /// // Two polls left it pending, and its waker was called twice.
    /// assert_eq!(report.unwrap().points(), 4);
    /// ```
    pub fn cancel_everywhere(mut self) -> Builder {
        self.interruption = Some(Interruption::Cancel);
        self
    }

    /// As [`cancel_everywhere`](Builder::cancel_everywhere), with panics: the future is dropped
    /// while its thread unwinds, or its waker panics, to whoever calls it.
    pub fn panic_everywhere(mut self) -> Builder {
        self.interruption = Some(Interruption::Panic);
        self
    }

    /// Keeps the tapes of runs that come to something new in this folder, which is made where there
    /// is none, and lets one run in two of a sweep vary what is kept: cut it short and go on at
    /// random, decide some things otherwise, go on as another one. New is a run in which the
    /// processor went from one operation to one of another thread as in no run before; operations
    /// are told apart by their kinds and places in the source, and by whether both are done to one
    /// object. None unless set or, with [`from_environment`](Builder::from_environment), named by
    /// `VOLT_CORPUS`, where each test has a folder of its own in the one that is named.
    ///
    /// A sweep begins by running all tapes of the folder again; one that fails ends it. What a
    /// seed does then depends on the folder as well, though not on the number of threads: a
    /// failing run that varies others is replayed by its tape, as its replay line says. A seed
    /// that is run alone is run without, and so are searches, tapes and bytes, which leave the
    /// seed nothing to decide, seeds with a process of their own, and interruptions.
    ///
    /// Running a sweep panics if the folder, or a tape in it, cannot be read or written.
    ///
    /// ```
    /// use volt_sim::{Sim, thread};
    ///
    /// let folder = std::env::temp_dir().join(format!("corpus-{}", std::process::id()));
    /// let sweep = Sim::builder().corpus(&folder).sweep(0..200);
    /// let report = sweep.check(|| thread::spawn(|| ()).join().unwrap());
    /// assert_eq!(report.runs(), 200);
    /// assert!(folder.read_dir()?.count() > 0);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn corpus(mut self, folder: impl Into<PathBuf>) -> Builder {
        self.corpus = Some(folder.into());
        self
    }

    /// The simulation of this one seed.
    pub fn build(self) -> Sim {
        Sim { builder: self }
    }

    /// The simulations of these seeds.
    pub fn sweep(self, seeds: Range<u64>) -> Sweep {
        Sweep::new(self, seeds)
    }

    /// How long a run is, as another process measured it.
    pub(crate) fn length(mut self, length: Length) -> Builder {
        self.length = Some(length);
        self
    }

    /// What `VOLT_SEED` and its kin ask for, instead of what was set; `seeds` unless they name
    /// others.
    ///
    /// # Panics
    /// If a variable cannot be read.
    pub fn from_environment(mut self, mut seeds: Range<u64>) -> Sweep {
        let environment = match Environment::read() {
            Ok(environment) => environment,
            Err(error) => panic!("{error}"),
        };
        if let Some(range) = environment.seeds {
            seeds = range;
        }
        let mut shard = environment.shard.unwrap_or(Shard::WHOLE);
        if let Some(seed) = environment.seed {
            seeds = seed..seed.saturating_add(1);
            shard = Shard::WHOLE;
        }
        if let Some(strategy) = environment.strategy {
            self.strategy = strategy;
            self.strategy_from_environment = true;
        }
        if let Some(path) = environment.tape {
            match crate::decide::tape::Tape::load(&path) {
                Ok(tape) => {
                    seeds = tape.seed()..tape.seed().saturating_add(1);
                    shard = Shard::WHOLE;
                }
                Err(error) => panic!("VOLT_TAPE: {error}"),
            }
            self.strategy = Strategy::Tape(path);
        }
        if let Some(folder) = environment.corpus {
            // Tapes of one test are of no use to another.
            let test = self.name.clone().or_else(crate::runner::test_name);
            self.corpus = Some(match test {
                Some(name) => folder.join(name.replace("::", "-")),
                None => folder,
            });
        }
        self.check_determinism |= environment.check_determinism;
        self.shrink = environment.shrink.or(self.shrink).or(Some(SHRINK));
        let mut sweep = Sweep::new(self, seeds).keep_going(environment.keep_going);
        sweep.set_shard(shard);
        match environment.jobs {
            Some(jobs) => sweep.jobs(jobs),
            None => sweep,
        }
    }

    pub(crate) fn job(&self, whole_machine: bool, body: Arc<dyn Fn() + Send + Sync>) -> Job {
        let default_steps = if whole_machine { MACHINE_STEPS } else { CHECK_STEPS };
        let nanoseconds = u64::try_from(self.virtual_time.as_nanos()).unwrap_or(u64::MAX);
        Job {
            strategy: self.strategy.clone(),
            limits: Limits { steps: self.steps.unwrap_or(default_steps), nanoseconds },
            whole_machine,
            check_determinism: self.check_determinism,
            name: self.name.clone().or_else(crate::runner::test_name),
            names_strategy: self.strategy_from_environment,
            planted: self.planted,
            shrink: self.shrink.unwrap_or(Duration::ZERO),
            length: self.length,
            interruption: self.interruption,
            body,
        }
    }
}
