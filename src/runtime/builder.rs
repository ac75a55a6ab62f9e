//! How a runtime is set up.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::Runtime;
use super::scheduler::Scheduler;
use super::worker;
use crate::platform::thread;

/// A hook that runs on each worker thread.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What a runtime was set up with.
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
}

#[cfg(all(test, volt_loom))]
impl Config {
    /// For models, which start no threads of a runtime's own.
    pub(crate) fn for_models(workers: usize) -> Config {
        Config {
            workers,
            thread_name: String::new(),
            stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
        }
    }
}

/// Sets up a [`Runtime`].
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
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            workers: 0,
            thread_name: "volt".to_owned(),
            stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
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

    /// Starts the runtime.
    ///
    /// # Errors
    /// If the system refuses a thread; those that were started are ended.
    pub fn build(self) -> io::Result<Runtime> {
        let workers = if self.workers == 0 { thread::parallelism() } else { self.workers };
        let scheduler = Arc::new(Scheduler::new(Config {
            workers,
            thread_name: self.thread_name,
            stack_size: self.stack_size,
            on_thread_start: self.on_thread_start,
            on_thread_stop: self.on_thread_stop,
        }));
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
