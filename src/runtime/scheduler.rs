//! What the workers of a runtime share: the queue from outside, who sleeps, which tasks live.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::builder::Config;
use super::context;
use super::idle::Idle;
use super::injection::Injection;
use super::parker::Parker;
use super::seat::Seat;
use super::task::registry::Registry;
use super::task::{self, JoinHandle, Notified};
use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Scheduler {
    injection: Injection,
    idle: Idle,
    parkers: Box<[Parker]>,
    registry: Registry,
    /// Worker 0, which a thread that calls `run` takes over.
    seat: Seat,
    /// Set once the registry is closed: workers end when it is empty.
    closing: AtomicBool,
    config: Config,
    /// The number that laws know the runtime by.
    number: u32,
}

impl Scheduler {
    pub(crate) fn new(config: Config) -> Scheduler {
        let workers = config.workers;
        Scheduler {
            injection: Injection::new(),
            idle: Idle::new(workers),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            registry: Registry::new(workers),
            seat: Seat::new(),
            closing: AtomicBool::new(false),
            config,
            number: probe::runtime_started(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn parker(&self, worker: usize) -> &Parker {
        &self.parkers[worker]
    }

    /// Starts a task.
    pub(crate) fn spawn<F>(
        self: &Arc<Scheduler>,
        future: F,
        name: Option<&str>,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, reference) = task::new(Arc::clone(self), future);
        // SAFETY: the reference of this very task, whose output is the future's.
        let handle = unsafe { JoinHandle::new(reference) };
        let shard = context::worker_of(self).unwrap_or(0);
        probe::task_spawned(self.number, task.address(), name, place);
        if self.registry.insert(&task, shard) {
            self.schedule(task);
        } else {
            task.refuse();
        }
        handle
    }

    /// Queues a task that can run, and sees to it that a worker will take it.
    pub(crate) fn schedule(&self, task: Notified) {
        probe::task_queued(self.number, task.address(), true);
        self.injection.push(task);
        self.wake_one();
    }

    /// Queues a task that was woken while it was polled, by the worker that polled it and will
    /// look at the queue next.
    pub(crate) fn schedule_again(&self, task: Notified) {
        probe::task_queued(self.number, task.address(), true);
        self.injection.push(task);
    }

    /// The next task from outside.
    pub(crate) fn next(&self) -> Option<Notified> {
        let task = self.injection.pop()?;
        probe::task_dequeued(self.number, task.address(), true);
        Some(task)
    }

    /// Whether a worker that is falling asleep must not: the look after it said that it sleeps.
    pub(crate) fn has_work(&self) -> bool {
        mutation!("worker-no-second-look", !self.injection.is_empty(), false) || self.is_done()
    }

    /// Wakes a worker, if one sleeps and none searches.
    pub(crate) fn wake_one(&self) {
        if let Some(worker) = self.idle.worker_to_wake() {
            self.parkers[worker].unpark();
        }
    }

    fn wake_all(&self) {
        for parker in &self.parkers {
            parker.unpark();
        }
    }

    /// Refuses new tasks and asks all others to end.
    pub(crate) fn close(&self) {
        let tasks = self.registry.close();
        // Release: pairs with `is_done`: whoever sees it sees the registry closed.
        self.closing.store(true, Ordering::Release);
        for task in tasks {
            task.cancel();
        }
        self.wake_all();
    }

    /// Whether the workers can end: no task lives, and none will.
    pub(crate) fn is_done(&self) -> bool {
        self.closing.load(Ordering::Acquire)
            && mutation!("shutdown-leaves-tasks", self.registry.is_empty(), true)
    }

    /// A task has ended and left the registry.
    pub(crate) fn task_ended(&self) {
        if self.is_done() {
            self.wake_all();
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    fn scheduler() -> Arc<Scheduler> {
        Arc::new(Scheduler::new(Config::for_models(1)))
    }

    #[track_caller]
    fn spawn(scheduler: &Arc<Scheduler>) -> JoinHandle<()> {
        scheduler.spawn(async {}, None, Location::caller())
    }

    /// A task that is spawned while the runtime closes is refused, or found by the workers that
    /// run until the registry is empty.
    fn spawn_and_close() {
        let scheduler = scheduler();
        let other = Arc::clone(&scheduler);
        let spawner = loom::thread::spawn(move || spawn(&other));
        scheduler.close();
        while !scheduler.is_done() {
            match scheduler.next() {
                Some(task) => task.run(),
                None => loom::thread::yield_now(),
            }
        }
        let handle = spawner.join().unwrap();
        assert!(handle.is_finished(), "the task outlives its runtime");
    }

    #[test]
    fn a_spawn_meets_a_close() {
        model(spawn_and_close);
    }

    #[test]
    fn shutdown_leaves_tasks_mutant_is_noticed() {
        assert!(is_noticed("shutdown-leaves-tasks", || model(spawn_and_close)));
    }

    #[test]
    fn pushes_and_a_pop_keep_the_queue_and_its_length() {
        model(|| {
            let scheduler = scheduler();
            let other = Arc::clone(&scheduler);
            let pusher = loom::thread::spawn(move || drop(spawn(&other)));
            drop(spawn(&scheduler));
            let mut ran = 0;
            while ran < 2 {
                match scheduler.next() {
                    Some(task) => {
                        task.run();
                        ran += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            pusher.join().unwrap();
            assert!(scheduler.injection.is_empty());
            assert!(scheduler.registry.is_empty());
        });
    }
}
