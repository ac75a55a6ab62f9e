//! How a runtime is set up.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Runtime;
use super::backend::Backend;
use super::blocking::Hook;
use super::config::Config;
use super::scheduler::Scheduler;
use super::{local_queue, timer, worker};
use crate::coop::BUDGET;
use crate::platform::knob::{self, Knob};
use crate::platform::thread;

/// Threads that the blocking pool may have unless it is told.
const MAX_THREADS: usize = 512;
/// How long an idle thread of it waits for a job unless it is told.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What the two intervals are, unless they are set, in the simulated runs in which workers are to
/// look up often.
const SMALL_EVENT_INTERVAL: u32 = 5;
const SMALL_GLOBAL_QUEUE_INTERVAL: u32 = 3;

/// How often a worker looks at the queue into which tasks come from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GlobalQueueInterval {
    /// About once a millisecond, whatever the tasks take.
    #[default]
    Auto,
    /// Once in so many polls, in two at least: the worker's own tasks would never have their turn.
    Polls(u32),
}

impl From<u32> for GlobalQueueInterval {
    fn from(polls: u32) -> GlobalQueueInterval {
        GlobalQueueInterval::Polls(polls)
    }
}

/// Sets up a [`Runtime`].
///
/// In simulation the run decides on the two intervals where they are not set, and on the sizes of
/// queues: small ones bring about what is rare with those of production.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = volt::Runtime::builder().workers(2).thread_name("server").build()?;
/// assert_eq!(runtime.run(|_io| async { 1 + 2 }), 3);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: usize,
    thread_name: String,
    stack_size: Option<usize>,
    on_thread_start: Option<Hook>,
    on_thread_stop: Option<Hook>,
    max_blocking_threads: usize,
    blocking_keep_alive: Duration,
    event_interval: Option<u32>,
    global_queue_interval: GlobalQueueInterval,
    lifo_slot: bool,
    budget: u32,
    backend: Backend,
    rescue_rings: bool,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            workers: 0,
            thread_name: "volt".to_owned(),
            stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
            max_blocking_threads: MAX_THREADS,
            blocking_keep_alive: KEEP_ALIVE,
            event_interval: None,
            global_queue_interval: GlobalQueueInterval::Auto,
            lifo_slot: true,
            budget: BUDGET,
            backend: Backend::Auto,
            rescue_rings: false,
        }
    }

    /// How many workers run tasks; 0, the default, is as many as the machine runs threads at
    /// once. Any number will do, more than 64 too.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// What the runtime's threads are called; `volt` unless set. Workers have their number
    /// behind it.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = name.into();
        self
    }

    /// The stack of each worker thread, in bytes; the platform's default unless set.
    pub fn thread_stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Runs `f` on each thread of the runtime before it does anything else.
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.on_thread_start = Some(Arc::new(f));
        self
    }

    /// Runs `f` on each thread of the runtime before it ends.
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.on_thread_stop = Some(Arc::new(f));
        self
    }

    /// The most threads that run blocking jobs at once; 512 unless set. 0 counts as 1.
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        self.max_blocking_threads = threads;
        self
    }

    /// How long a thread of the blocking pool waits for its next job before it ends; 10 seconds
    /// unless set.
    pub fn blocking_keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.blocking_keep_alive = keep_alive;
        self
    }

    /// Polls between two looks of a busy worker at its timers and at sockets; 61 unless set. 0
    /// counts as 1.
    pub fn event_interval(mut self, polls: u32) -> Builder {
        self.event_interval = Some(polls);
        self
    }

    /// How often a busy worker looks at the queue into which tasks come from outside; adaptive
    /// unless set.
    pub fn global_queue_interval(mut self, interval: impl Into<GlobalQueueInterval>) -> Builder {
        self.global_queue_interval = interval.into();
        self
    }

    /// Whether a worker runs the task that it woke last first; on unless set.
    pub fn lifo_slot(mut self, on: bool) -> Builder {
        self.lifo_slot = on;
        self
    }

    /// Operations on Volt's resources that a task may do in one poll before it gives way to
    /// others; 128 unless set. 0 counts as 1.
    pub fn budget(mut self, operations: u32) -> Builder {
        self.budget = operations;
        self
    }

    /// What the driver waits for events with; the best that there is unless set.
    pub fn backend(mut self, backend: Backend) -> Builder {
        self.backend = backend;
        self
    }

    /// Whether, with [`Backend::IoUring`], what is in flight on the ring of a worker that is stuck
    /// in a poll completes all the same: a worker that sleeps looks after the others, at first each
    /// millisecond, then less and less often, at least once a second. Off unless set.
    ///
    /// Off, such operations, of files and of reads of TCP streams into owned buffers, wait for the
    /// end of that poll; all other sockets and timers do not, either way. On, each operation costs
    /// more: the kernel interrupts the worker for each completion, and serves rings that any thread
    /// may use, about a sixth more for an operation that does nothing.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = volt::Runtime::builder().workers(2).rescue_rings(true).build()?;
    /// assert_eq!(runtime.run(|_io| async { 1 + 2 }), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rescue_rings(mut self, on: bool) -> Builder {
        self.rescue_rings = on;
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    /// `Unsupported`, with its name, if this machine lacks the back-end that was asked for. Else if
    /// the system refuses a thread or a queue for the driver; what was started is ended.
    pub fn build(self) -> io::Result<Runtime> {
        let workers = if self.workers == 0 { thread::parallelism() } else { self.workers };
        let scheduler = Scheduler::new(Config {
            workers,
            thread_name: self.thread_name,
            stack_size: self.stack_size,
            on_thread_start: self.on_thread_start,
            on_thread_stop: self.on_thread_stop,
            max_blocking_threads: self.max_blocking_threads.max(1),
            blocking_keep_alive: self.blocking_keep_alive,
            event_interval: self
                .event_interval
                .or_else(|| knob::one_of(&[None, Some(SMALL_EVENT_INTERVAL)])),
            global_queue_interval: match self.global_queue_interval {
                GlobalQueueInterval::Auto => {
                    knob::one_of(&[None, Some(SMALL_GLOBAL_QUEUE_INTERVAL)])
                }
                GlobalQueueInterval::Polls(polls) => Some(polls),
            },
            lifo_slot: self.lifo_slot,
            ring_capacity: Knob::draw(local_queue::SMALL_CAPACITY),
            timer_batch: Knob::draw(timer::SMALL_BATCH),
            budget: self.budget.clamp(1, u32::MAX - 1),
            backend: self.backend.resolve()?,
            rescue_rings: self.rescue_rings,
        })?;
        let scheduler = Arc::new(scheduler);
        let mut runtime = Runtime { scheduler: Arc::clone(&scheduler), threads: Vec::new() };
        for number in 0..workers {
            let scheduler = Arc::clone(&scheduler);
            let name = format!("{}-{number}", scheduler.config().thread_name);
            let stack_size = scheduler.config().stack_size;
            // An error drops the runtime, which ends the threads it has.
            let thread = thread::spawn(&name, stack_size, move || {
                worker::run_thread(&scheduler, number);
            })?;
            runtime.threads.push(thread);
        }
        Ok(runtime)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("thread_name", &self.thread_name)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}
