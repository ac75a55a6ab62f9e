//! What a runtime does and has done.

use super::histogram::Histogram;
use super::scheduler::Scheduler;

/// A snapshot of a runtime. The counts are exact once the runtime is at rest; while it works,
/// each is right at some moment of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that have not ended; blocking jobs apart.
    pub tasks: usize,
    /// Tasks in the queue from outside.
    pub injected: usize,
    /// Workers that sleep.
    pub sleeping_workers: usize,
    /// Threads of the blocking pool.
    pub blocking_threads: usize,
    /// Those of them without a job.
    pub idle_blocking_threads: usize,
    /// Blocking jobs that wait for a thread.
    pub blocking_queue: usize,
    /// By worker.
    pub workers: Vec<WorkerMetrics>,
}

/// What one worker has done since its runtime began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Tasks polled.
    pub polls: u64,
    /// Times it went to sleep.
    pub parks: u64,
    /// Times it took tasks from another worker.
    pub steals: u64,
    /// Times half of its ring went to the queue from outside.
    pub overflows: u64,
    /// Times it looked after a worker that was stuck in one poll.
    pub rescues: u64,
    /// How long polls took: one in 16 is measured.
    pub poll_times: Histogram,
    /// How long tasks had waited in queues when it took them to poll them: one in 16 of those
    /// that are queued is measured, through however many queues it goes.
    ///
    /// The task that a worker woke or spawned last is in its LIFO slot, not in a queue, since it
    /// is polled after the current poll: it is not measured. A task that leaves the slot for a
    /// queue waits from then on. Blocking jobs are not measured either.
    pub scheduling_latencies: Histogram,
}

impl Metrics {
    /// How long tasks waited in queues until a worker polled them: the
    /// [`scheduling_latencies`](WorkerMetrics::scheduling_latencies) of all workers together.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let tasks: Vec<_> = (0..100).map(|_| io.spawn(async {})).collect();
    ///     for task in tasks {
    ///         task.await.unwrap();
    ///     }
    ///     let waits = io.metrics().scheduling_latency();
    ///     println!("99 of 100 tasks waited at most {:?}", waits.quantile(0.99).unwrap());
    /// });
    /// ```
    pub fn scheduling_latency(&self) -> Histogram {
        Histogram::sum(self.workers.iter().map(|worker| &worker.scheduling_latencies))
    }

    pub(super) fn of(scheduler: &Scheduler) -> Metrics {
        let worker = |number| {
            let shared = scheduler.worker(number);
            WorkerMetrics {
                polls: shared.polls.get(),
                parks: shared.parks.get(),
                steals: shared.steals.get(),
                overflows: shared.overflows.get(),
                rescues: shared.rescues.get(),
                poll_times: shared.poll_times.snapshot(),
                scheduling_latencies: shared.scheduling_latencies.snapshot(),
            }
        };
        Metrics {
            tasks: scheduler.registry().len(),
            injected: scheduler.injected(),
            sleeping_workers: scheduler.idle().asleep(),
            blocking_threads: scheduler.blocking().threads(),
            idle_blocking_threads: scheduler.blocking().idle(),
            blocking_queue: scheduler.blocking().queue_depth(),
            workers: (0..scheduler.config().workers).map(worker).collect(),
        }
    }
}
