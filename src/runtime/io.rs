//! The handle that says where a program runs.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;

use super::backend::Backend;
use super::dump::TaskDump;
use super::metrics::Metrics;
use super::scheduler::Scheduler;
use super::task::JoinHandle;
use super::{context, worker};

/// The handle to a running runtime. Whatever needs a runtime takes it, and only a runtime hands
/// one out. It is one pointer wide, and cheap to clone.
///
/// It may outlive its runtime: [`spawn`](Io::spawn) then gives a handle to a cancelled task.
#[derive(Clone)]
pub struct Io {
    scheduler: Arc<Scheduler>,
}

impl Io {
    pub(super) fn new(scheduler: Arc<Scheduler>) -> Io {
        Io { scheduler }
    }

    /// Starts a task: `future` runs on the runtime's workers, whatever becomes of the handle.
    ///
    /// ```
    /// let sum = volt::run(|io| async move {
    ///     let first = io.spawn(async { 1 });
    ///     let second = io.spawn(async { 2 });
    ///     first.await.unwrap() + second.await.unwrap()
    /// });
    /// assert_eq!(sum, 3);
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future, None, Location::caller())
    }

    /// As [`spawn`](Io::spawn), with a name that reports show.
    pub(crate) fn spawn_named<F>(
        &self,
        name: &str,
        future: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future, Some(name), place)
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// Runs `job`, which may block, on a thread of the blocking pool.
    ///
    /// An abort reaches a job that has not begun; one that runs is never stopped. If the system
    /// refuses a thread and the pool has none, the handle gives a cancelled
    /// [`JoinError`](super::task::JoinError) that says so.
    ///
    /// ```
    /// let text = volt::run(|io| async move {
    ///     io.spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await.unwrap()
    /// });
    /// assert!(text.is_ok());
    /// ```
    #[doc(alias = "concurrent")]
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.scheduler.spawn_blocking(job, Location::caller())
    }

    /// What the driver of the runtime waits for events with; never [`Backend::Auto`].
    ///
    /// ```
    /// # if cfg!(target_os = "linux") {
    /// use volt::{Backend, Runtime};
    ///
    /// let runtime = Runtime::builder().backend(Backend::Epoll).build().unwrap();
    /// assert_eq!(runtime.io().backend(), Backend::Epoll);
    /// # }
    /// ```
    pub fn backend(&self) -> Backend {
        self.scheduler.config().backend
    }

    /// What the runtime does and has done.
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.scheduler)
    }

    /// Every task that has not ended.
    pub fn dump(&self) -> TaskDump {
        TaskDump::of(&self.scheduler)
    }

    /// Runs `future` on the calling thread, which polls no task of a runtime, and returns its
    /// output. The thread serves as a worker meanwhile, so it may run tasks between two polls of
    /// the future.
    ///
    /// # Panics
    /// If called on a worker, whose other tasks would wait: `.await` the future there.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = volt::Runtime::new()?;
    /// let io = runtime.io();
    /// let output = std::thread::spawn(move || io.block_on(async { 7 })).join().unwrap();
    /// assert_eq!(output, 7);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_inside(),
            "`block_on` is called on a worker, which would stop running its other tasks: `.await` \
             the future, or call it from a thread of your own"
        );
        worker::run_future(&self.scheduler, pin!(future))
    }

    /// The runtime that the calling thread is a worker of.
    pub fn try_current() -> Option<Io> {
        context::scheduler().map(Io::new)
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.scheduler.config().workers;
        f.debug_struct("Io").field("workers", &workers).finish_non_exhaustive()
    }
}
