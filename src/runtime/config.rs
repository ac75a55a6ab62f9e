//! What a runtime was set up with.

use std::time::Duration;

use super::backend::Backend;
use super::blocking::{BlockingConfig, Hook};
use super::{local_queue, timer};
#[cfg(all(test, volt_loom))]
use crate::coop::BUDGET;

/// What a runtime was set up with.
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) max_blocking_threads: usize,
    pub(crate) blocking_keep_alive: Duration,
    /// Polls between two looks at the timers and the driver; `None` = the default.
    pub(crate) event_interval: Option<u32>,
    /// Polls between two looks at the queue from outside; `None` = adaptive.
    pub(crate) global_queue_interval: Option<u32>,
    pub(crate) lifo_slot: bool,
    /// Tasks that the ring of a worker holds.
    pub(crate) ring_capacity: local_queue::Capacity,
    /// Timers that fire at a time.
    pub(crate) timer_batch: timer::Batch,
    /// Resource operations that a task may do in one poll.
    pub(crate) budget: u32,
    /// What the driver waits with; never `Auto`.
    pub(crate) backend: Backend,
    /// Whether the sentinel takes what has completed on the rings of stuck workers.
    pub(crate) rescue_rings: bool,
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
            max_blocking_threads: 1,
            blocking_keep_alive: Duration::from_secs(10),
            event_interval: None,
            global_queue_interval: None,
            lifo_slot: true,
            ring_capacity: local_queue::Capacity::usual(),
            timer_batch: timer::Batch::usual(),
            budget: BUDGET,
            backend: Backend::Epoll,
            rescue_rings: false,
        }
    }
}

impl Config {
    /// What the blocking pool is set up with.
    pub(crate) fn blocking(&self) -> BlockingConfig {
        BlockingConfig {
            max_threads: self.max_blocking_threads,
            keep_alive: self.blocking_keep_alive,
            thread_name: self.thread_name.clone(),
            stack_size: self.stack_size,
            on_thread_start: self.on_thread_start.clone(),
            on_thread_stop: self.on_thread_stop.clone(),
        }
    }
}
