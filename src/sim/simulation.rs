//! `Sim`: what to run, under which seed, strategy and limits. The machine is `volt_sim`'s; the
//! worlds that run on it are added here.

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use volt_sim::{Failure, Report, Strategy, SweepReport};

use super::world::{self, World};

/// A simulation that is ready to run one seed.
///
/// ```
/// use std::time::Duration;
/// use volt::sim::Sim;
///
/// let sim = Sim::builder().seed(7).build();
/// let report = sim.run(|world| async move {
///     let host = world.host("server").start(|io| async move {
///         volt::time::sleep(&io, Duration::from_secs(60)).await;
///     });
///     host.await.unwrap();
/// }).unwrap();
/// assert_eq!(report.seed(), 7);
/// assert!(report.virtual_time() >= Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Sim(volt_sim::Sim);

/// Sets what a [`Sim`] does.
///
/// ```
/// use std::time::Duration;
/// use volt::sim::{FailureKind, Sim, Strategy};
///
/// let sim = Sim::builder()
///     .seed(0x2a)
///     .strategy(Strategy::Random)
///     .virtual_time_limit(Duration::from_secs(60))
///     .build();
/// let failure = sim.run(|world| async move {
///     world.sleep(Duration::from_secs(3_600)).await;
/// }).unwrap_err();
/// assert_eq!(failure.kind(), FailureKind::Limit);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder runs nothing"]
pub struct SimBuilder(volt_sim::Builder);

/// Many seeds of one simulation.
///
/// They run on every processor that other sweeps of the process leave free. A sweep that takes
/// longer than a second shows how far it is on standard error: as a bar on a terminal, unless the
/// test harness prints there; elsewhere as a line every five seconds.
///
/// On Unix a sweep of several seeds stops at `SIGINT` (Ctrl-C) or `SIGTERM` when the runs that go
/// on have ended, and reports what it has; so do later ones of the process, at once. A second
/// signal ends the process. Where the program has handlers for them itself, those are left alone,
/// and no sweep stops.
#[derive(Debug)]
#[must_use = "a sweep runs nothing until it is given a program"]
pub struct Sweep(volt_sim::Sweep);

impl Sim {
    /// A builder for seed 0, the default strategy and the default limits.
    pub fn builder() -> SimBuilder {
        SimBuilder(volt_sim::Sim::builder())
    }

    /// Runs the future that `f` returns in a simulated world, on its first thread. The run ends
    /// when the future does, whatever its hosts still do. A strategy that spreads its changes over
    /// a run first measures one, so `f` may be called twice.
    ///
    /// # Errors
    /// How the run failed. Never panics for the program's failure.
    ///
    /// ```
    /// use volt::sim::{FailureKind, Sim};
    ///
    /// let failure = Sim::builder().build().run(|_world| async { panic!("planned") });
    /// let failure = failure.unwrap_err();
    /// assert_eq!(failure.kind(), FailureKind::Panic);
    /// assert!(failure.to_string().contains("planned"));
    /// ```
    pub fn run<F, Fut>(&self, f: F) -> Result<Report, Failure>
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()>,
    {
        self.0.machine(move || world::run(&f))
    }

    /// Runs `f` as plain simulated threads, until the last of them has ended. A strategy that
    /// spreads its changes over a run first measures one, so `f` may be called twice.
    ///
    /// # Errors
    /// How the run failed. Never panics for the program's failure.
    ///
    /// ```
    /// use volt::sim::{Sim, thread};
    ///
    /// let report = Sim::builder().build().check(|| {
    ///     assert_eq!(thread::spawn(|| 1 + 2).join().unwrap(), 3);
    /// });
    /// assert_eq!(report.unwrap().counters().threads, 2);
    /// ```
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
        self.0.check(f)
    }

    /// Runs `f` as the first thread of a whole simulated machine, whose threads have
    /// thread-locals of their own; the run ends when `f` returns.
    ///
    /// # Errors
    /// How the run failed. Never panics for the program's failure.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// let report = Sim::builder().build().machine(|| {
    ///     let sum = volt::run(|io| async move { io.spawn(async { 1 + 2 }).await.unwrap() });
    ///     assert_eq!(sum, 3);
    /// });
    /// report.unwrap();
    /// ```
    pub fn machine(&self, f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
        self.0.machine(f)
    }
}

impl SimBuilder {
    /// The seed that everything follows.
    pub fn seed(self, seed: u64) -> SimBuilder {
        SimBuilder(self.0.seed(seed))
    }

    /// How interleavings are chosen.
    pub fn strategy(self, strategy: Strategy) -> SimBuilder {
        SimBuilder(self.0.strategy(strategy))
    }

    /// The most scheduling points a run may pass: 20 million for plain threads, 50 million for a
    /// whole machine or a world, unless set.
    pub fn step_limit(self, steps: u64) -> SimBuilder {
        SimBuilder(self.0.step_limit(steps))
    }

    /// The most virtual time a run may take: a day, unless set.
    pub fn virtual_time_limit(self, limit: Duration) -> SimBuilder {
        SimBuilder(self.0.virtual_time_limit(limit))
    }

    /// Runs each seed twice and compares the runs, event by event.
    pub fn check_determinism(self, check: bool) -> SimBuilder {
        SimBuilder(self.0.check_determinism(check))
    }

    /// The name of the test, for the replay line; unless set, that of the running thread, which
    /// the test harness names after the test.
    pub fn name(self, name: &str) -> SimBuilder {
        SimBuilder(self.0.name(name))
    }

    /// Plants a bug that Volt's own tests look for.
    pub fn plant(self, name: &'static str) -> SimBuilder {
        SimBuilder(self.0.plant(name))
    }

    /// How long to look, when a run fails, for the smallest schedule that fails for the same cause:
    /// see [`Failure::schedule`]. Not at all unless set or, with
    /// [`from_environment`](SimBuilder::from_environment), for five seconds; zero is off.
    ///
    /// The program is run anew for each schedule that is tried, up to 5,000 times.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use volt::sim::sync::atomic::{AtomicU32, Ordering};
    /// use volt::sim::{Sim, thread};
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
    pub fn shrink(self, time: Duration) -> SimBuilder {
        SimBuilder(self.0.shrink(time))
    }

    /// Cancels [`interrupted`](super::future::interrupted) futures wherever they can be: after a
    /// run of each seed that counts, there is one more for each poll that left such a future
    /// pending, and for each call of its waker, in which it is cancelled there. Each of them is a
    /// run of that seed up to there; what must then hold of the program is for it to assert, and
    /// the laws are on. A run's failure says where the future was cancelled; its seed replays all
    /// of them.
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
    /// use std::sync::Arc;
    /// use volt::sim::{Sim, future::interrupted};
    /// use volt::sync::Mutex;
    ///
    /// let report = Sim::builder().cancel_everywhere().build().machine(|| {
    ///     volt::run(|io| async move {
    ///         let mutex = Arc::new(Mutex::new(()));
    ///         let held = mutex.lock().await;
    ///         let own = Arc::clone(&mutex);
    ///         let waits = io.spawn(interrupted(async move {
    ///             let _held = own.lock().await;
    ///             volt::task::yield_now().await;
    ///         }));
    ///         drop(held);
    ///         waits.await.unwrap();
    ///         assert!(mutex.try_lock().is_some());
    ///     });
    /// });
    /// report.unwrap();
    /// ```
    pub fn cancel_everywhere(self) -> SimBuilder {
        SimBuilder(self.0.cancel_everywhere())
    }

    /// As [`cancel_everywhere`](SimBuilder::cancel_everywhere), with panics: the future is dropped
    /// while its thread unwinds, or its waker panics, to whoever calls it.
    pub fn panic_everywhere(self) -> SimBuilder {
        SimBuilder(self.0.panic_everywhere())
    }

    /// Keeps the tapes of runs that come to something new in this folder, which is made where there
    /// is none, and lets one run in two of a sweep vary what is kept. New is a run in which the
    /// processor went from one operation to one of another thread as in no run before; operations
    /// are told apart by their kinds and places in the source, and by whether both are done to one
    /// object. None unless set or, with [`from_environment`](SimBuilder::from_environment), named
    /// by `VOLT_CORPUS`, where each test has a folder of its own in the one that is named.
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
    /// use std::time::Duration;
    /// use volt::sim::Sim;
    ///
    /// let folder = std::env::temp_dir().join(format!("volt-corpus-{}", std::process::id()));
    /// let report = Sim::builder().corpus(&folder).sweep(0..200).run(|world| async move {
    ///     world.sleep(Duration::from_secs(1)).await;
    /// });
    /// assert_eq!(report.runs(), 200);
    /// assert!(folder.read_dir()?.count() > 0);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn corpus(self, folder: impl Into<PathBuf>) -> SimBuilder {
        SimBuilder(self.0.corpus(folder))
    }

    /// The simulation of this one seed.
    pub fn build(self) -> Sim {
        Sim(self.0.build())
    }

    /// The simulations of these seeds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::sim::Sim;
    ///
    /// let report = Sim::builder().sweep(0..20).run(|world| async move {
    ///     world.sleep(Duration::from_secs(1)).await;
    /// });
    /// assert_eq!(report.runs(), 20);
    /// assert!(report.failure().is_none());
    /// ```
    pub fn sweep(self, seeds: Range<u64>) -> Sweep {
        Sweep(self.0.sweep(seeds))
    }

    /// What `VOLT_SEED` and its kin ask for, instead of what was set; `seeds` unless they name
    /// others.
    ///
    /// # Panics
    /// If a variable cannot be read.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// let sweep = Sim::builder().from_environment(0..5);
    /// sweep.check(|| {}).into_result().unwrap();
    /// ```
    pub fn from_environment(self, seeds: Range<u64>) -> Sweep {
        Sweep(self.0.from_environment(seeds))
    }
}

impl Sweep {
    /// How many threads run seeds, instead of one for each processor. What the sweep reports does
    /// not depend on it. A depth-first search, which goes from run to run, has one.
    ///
    /// # Panics
    /// If `jobs` is 0.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// let report = Sim::builder().sweep(0..20).jobs(2).run(|_world| async {});
    /// assert_eq!(report.runs(), 20);
    /// ```
    pub fn jobs(self, jobs: usize) -> Sweep {
        Sweep(self.0.jobs(jobs))
    }

    /// Goes on after a failure, and groups failures by cause. Unless set, the lowest seed that
    /// fails ends the sweep. The run with which some strategies measure the program first ends it
    /// in either case, if it fails: without it no seed can be run.
    ///
    /// ```
    /// use volt::sim::{Sim, Strategy};
    ///
    /// let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..20).keep_going(true);
    /// let report = sweep.run(|_world| async { panic!("in every run") });
    /// assert_eq!((report.failed_runs(), report.groups().len()), (20, 1));
    /// ```
    pub fn keep_going(self, keep_going: bool) -> Sweep {
        Sweep(self.0.keep_going(keep_going))
    }

    /// Runs only one of so many parts of the seeds, which together are the whole: every `of`-th
    /// seed, from the `number`-th on. They count from 1.
    ///
    /// # Panics
    /// If `number` is not in `1..=of`. Running the sweep panics if it is a depth-first search,
    /// which goes from run to run and has no parts.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// // Seeds 2, 6 and 10.
    /// assert_eq!(Sim::builder().sweep(0..11).shard(3, 4).seeds(), 3);
    /// ```
    pub fn shard(self, number: u64, of: u64) -> Sweep {
        Sweep(self.0.shard(number, of))
    }

    /// Runs the future that `f` returns under each seed, as [`Sim::run`] does, until one fails.
    pub fn run<F, Fut>(self, f: F) -> SweepReport
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()>,
    {
        self.0.machine(move || world::run(&f))
    }

    /// Runs `f` under each seed, as [`Sim::check`] does, until one fails.
    pub fn check(self, f: impl Fn() + Send + Sync + 'static) -> SweepReport {
        self.0.check(f)
    }

    /// Runs `f` under each seed, as [`Sim::machine`] does, until one fails.
    pub fn machine(self, f: impl Fn() + Send + Sync + 'static) -> SweepReport {
        self.0.machine(f)
    }

    /// How many seeds there are, of this shard.
    pub fn seeds(&self) -> u64 {
        self.0.seeds()
    }
}
