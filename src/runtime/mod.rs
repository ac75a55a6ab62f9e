//! The runtime: workers that run tasks.
//!
//! | file | what it is |
//! |---|---|
//! | `builder`, `config`, `backend` | how a runtime is set up |
//! | `io` | the handle that programs have |
//! | `scheduler` | what the workers share |
//! | `worker` | what a worker does |
//! | `seat` | worker 0, which a thread that calls `run` takes over |
//! | `injection` | the queue from outside |
//! | `idle` | who sleeps, whom to wake |
//! | `sleeper` | puts a worker to sleep |
//! | `local_queue`, `lifo` | a worker's own tasks |
//! | `pace` | how often a worker looks up from them |
//! | `blocking` | threads for jobs that block |
//! | `timer` | timers |
//! | `metrics`, `histogram`, `dump` | what a runtime does |
//! | `task` | the task |
//! | `context` | what the calling thread is a worker of |

mod backend;
mod blocking;
mod builder;
mod config;
pub(crate) mod context;
mod dump;
mod histogram;
mod idle;
mod injection;
mod io;
mod lifo;
mod local_queue;
mod metrics;
mod pace;
pub(crate) mod scheduler;
mod seat;
mod sleeper;
pub(crate) mod task;
pub(crate) mod timer;
mod worker;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

pub use backend::Backend;
pub use builder::{Builder, GlobalQueueInterval};
pub use dump::{DumpedTask, TaskDump};
pub use histogram::Histogram;
pub use io::Io;
pub use metrics::{Metrics, WorkerMetrics};

use crate::platform::{probe, thread};
use scheduler::Scheduler;

/// Runs `f` with a runtime of default size, to the end of the future it returns, and returns its
/// output. Tasks that still live then are cancelled and dropped.
///
/// # Panics
/// If the system refuses threads.
///
/// ```
/// let answer = volt::run(|io| async move {
///     io.spawn(async { 6 * 7 }).await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// ```
pub fn run<F, Fut>(f: F) -> Fut::Output
where
    F: FnOnce(Io) -> Fut,
    Fut: Future,
{
    match Runtime::new() {
        Ok(runtime) => runtime.run(f),
        Err(error) => panic!("the runtime cannot be started: {error}"),
    }
}

/// A runtime: its workers run until it is dropped.
///
/// Dropping it cancels and drops every task and joins every thread. That waits for tasks to
/// reach their next await point, and for blocking jobs that have begun to end.
///
/// # Panics
/// Dropping it on one of its own workers panics: that worker cannot wait for itself.
pub struct Runtime {
    scheduler: Arc<Scheduler>,
    threads: Vec<thread::Thread>,
}

impl Runtime {
    /// A runtime of default size.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new() -> std::io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Sets up a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs the future that `f` returns to its end and returns its output. The calling thread
    /// serves as a worker meanwhile, so the future may be `!Send`.
    ///
    /// # Panics
    /// If called on a worker of any runtime; and with the panic of the future itself.
    #[track_caller]
    pub fn run<F, Fut>(&self, f: F) -> Fut::Output
    where
        F: FnOnce(Io) -> Fut,
        Fut: Future,
    {
        assert!(
            !context::is_inside(),
            "`run` is called on a worker of a runtime, which would stop running its other tasks: \
             `.await` the future instead"
        );
        worker::run_future(&self.scheduler, pin!(f(self.io())))
    }

    /// A handle to the runtime.
    pub fn io(&self) -> Io {
        Io::new(Arc::clone(&self.scheduler))
    }
}

impl Runtime {
    /// Shuts down as dropping does, but waits for blocking jobs that have begun for at most
    /// `limit`; how many still run then. Their threads end with them.
    ///
    /// # Panics
    /// If called on one of the runtime's own workers.
    pub fn shutdown_timeout(mut self, limit: Duration) -> usize {
        self.shut_down(Some(limit))
    }

    fn shut_down(&mut self, limit: Option<Duration>) -> usize {
        let inside = context::is_inside_of(&self.scheduler);
        if inside || self.scheduler.blocking().is_own_thread() {
            // Its tasks end all the same, and its threads with them.
            self.scheduler.close();
            self.threads.clear();
            if !thread::panicking() {
                panic!(
                    "a runtime is dropped on one of its own threads, which cannot wait for \
                     itself: drop it on another thread"
                );
            }
            return 0;
        }
        self.scheduler.close();
        let mut panicked = None;
        for thread in self.threads.drain(..) {
            if let Err(payload) = thread.join() {
                panicked = Some(payload);
            }
        }
        self.scheduler.close_resources();
        let running = self.scheduler.blocking().join(limit);
        panicked = panicked.or_else(|| self.scheduler.blocking().take_panic());
        if let Some(payload) = panicked
            && !thread::panicking()
        {
            // A hook of the user panicked on a thread of ours: nobody else will tell.
            std::panic::resume_unwind(payload);
        }
        // With a limit, threads without a job may still be on their way out.
        if limit.is_none() {
            probe::runtime_ended(self.scheduler.number());
        }
        running
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.shut_down(None);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.scheduler.config().workers;
        f.debug_struct("Runtime").field("workers", &workers).finish_non_exhaustive()
    }
}
