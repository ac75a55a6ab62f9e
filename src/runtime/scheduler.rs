//! What the workers of a runtime share: their rings, the queue from outside, who sleeps, which
//! tasks live.

use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use tracing::trace;

use super::backend::Backend;
use super::blocking::{BlockingJob, BlockingPool};
use super::config::Config;
use super::context;
use super::histogram::{Recorder, SAMPLE_ONE_IN};
use super::idle::Idle;
use super::injection::{Injection, Queued};
use super::lifo::Lifo;
use super::local_queue::Queue;
use super::seat::Seat;
use super::sleeper::{Sleeper, Waiting};
use super::task::registry::Registry;
use super::task::{self, JoinHandle, Notified};
use super::timer::Timers;
use crate::driver::{Completions, Driver, InFlight, Payload};
use crate::platform::clock::Instant;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::platform::{Counter, clock, probe};

/// What one worker shows the others.
pub(crate) struct Shared {
    ring: Queue<Queued>,
    lifo: Lifo,
    pub(crate) timers: Timers,
    sleeper: Sleeper,
    /// The ring of the thread that is this worker, where the back-end has rings.
    completions: Arc<Completions>,
    pub(crate) polls: Counter,
    pub(crate) parks: Counter,
    pub(crate) steals: Counter,
    pub(crate) overflows: Counter,
    pub(crate) rescues: Counter,
    /// How long sampled polls took.
    pub(crate) poll_times: Recorder,
    /// Tasks that it queued in its ring itself: which of them are measured.
    pushes: Counter,
    /// How long sampled tasks that it polled had waited in queues.
    pub(crate) scheduling_latencies: Recorder,
}

pub(crate) struct Scheduler {
    workers: Box<[Shared]>,
    injection: Injection,
    idle: Idle,
    registry: Registry,
    blocking: Arc<BlockingPool>,
    driver: Arc<Driver>,
    /// Worker 0, which a thread that calls `run` takes over.
    seat: Seat,
    /// Set once the registry is closed: workers end when it is empty.
    closing: AtomicBool,
    config: Config,
    /// What times in the queues count from.
    began: Instant,
    /// The number that laws know the runtime by.
    number: u32,
}

impl Scheduler {
    /// # Errors
    /// If the system has no queue for the driver.
    pub(crate) fn new(config: Config) -> io::Result<Scheduler> {
        let workers = config.workers;
        let began = clock::now();
        let shared = || Shared {
            ring: Queue::new(config.ring_capacity),
            lifo: Lifo::new(),
            timers: Timers::new(began, config.timer_batch),
            sleeper: Sleeper::new(),
            completions: Arc::new(Completions::new(config.rescue_rings)),
            polls: Counter::new(),
            parks: Counter::new(),
            steals: Counter::new(),
            overflows: Counter::new(),
            rescues: Counter::new(),
            poll_times: Recorder::new(),
            pushes: Counter::new(),
            scheduling_latencies: Recorder::new(),
        };
        let driver = Arc::new(Driver::new()?);
        let number = probe::runtime_started();
        Ok(Scheduler {
            workers: (0..workers).map(|_| shared()).collect(),
            injection: Injection::new(),
            idle: Idle::new(workers),
            registry: Registry::new(workers),
            blocking: Arc::new(BlockingPool::new(config.blocking(), number)),
            seat: Seat::new(),
            driver,
            closing: AtomicBool::new(false),
            config,
            began,
            number,
        })
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    /// The worker sleeps; true if it was woken by name. `timeout` is what is left until the
    /// deadline.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
    ) -> bool {
        let Shared { sleeper, completions, .. } = &self.workers[worker];
        if !completions.is_busy() {
            return sleeper.sleep(&*self.driver, None::<&Completions>, deadline, timeout);
        }
        let driver = ThroughRing { driver: &self.driver, ring: completions };
        sleeper.sleep(&driver, Some(&**completions), deadline, timeout)
    }

    /// Wakes a worker.
    pub(crate) fn wake_worker(&self, worker: usize) {
        let Shared { sleeper, completions, .. } = &self.workers[worker];
        sleeper.wake(&*self.driver, &**completions);
    }

    /// Begins an operation on the ring of the calling worker.
    ///
    /// # Errors
    /// What it needs, if it has to be done another way: the calling thread is no worker, there is
    /// no ring, or the runtime has shut down.
    pub(crate) fn begin_operation<P: Payload>(
        self: &Arc<Scheduler>,
        payload: P,
    ) -> Result<InFlight<P>, P> {
        if self.config.backend != Backend::IoUring || self.is_shut_down() {
            return Err(payload);
        }
        let Some(worker) = context::worker_of(self) else { return Err(payload) };
        let owner = || Waker::from(Arc::new(Owner { scheduler: Arc::downgrade(self), worker }));
        self.workers[worker].completions.begin(owner, payload)
    }

    /// Submits the worker's operations and tells of those that have completed. Only the worker
    /// itself calls this.
    pub(crate) fn turn_ring(&self, worker: usize) {
        self.workers[worker].completions.turn(false);
    }

    /// Takes what has completed on the ring of a worker that cannot, if rings are shared.
    pub(crate) fn rescue_ring(&self, worker: usize) {
        self.workers[worker].completions.rescue();
    }

    /// The calling thread ceases to be the worker: its ring ends with what is in flight.
    pub(crate) fn close_ring(&self, worker: usize) {
        self.workers[worker].completions.close();
    }

    /// Lets events of sockets in without waiting for them.
    pub(crate) fn poll_driver(&self) {
        self.driver.turn(Some(Duration::ZERO));
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

    pub(crate) fn blocking(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }

    pub(crate) fn worker(&self, worker: usize) -> &Shared {
        &self.workers[worker]
    }

    pub(crate) fn timers(&self, worker: usize) -> &Timers {
        &self.workers[worker].timers
    }

    /// A timer of this worker's is due before those that it knew of.
    pub(crate) fn timers_changed(&self, worker: usize) {
        self.wake_worker(worker);
    }

    pub(crate) fn injected(&self) -> usize {
        self.injection.len()
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
            trace!(target: "volt::task", task = task.id().map(display), name, %place, "spawn");
            self.schedule(task);
        } else {
            task.refuse_unregistered();
        }
        handle
    }

    /// Starts a blocking job.
    pub(crate) fn spawn_blocking<F, T>(
        self: &Arc<Scheduler>,
        job: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (task, reference) = task::new(Arc::clone(self), BlockingJob::new(job));
        // SAFETY: the reference of this very task, whose output is the job's.
        let handle = unsafe { JoinHandle::new(reference) };
        probe::task_spawned(self.number, task.address(), None, place);
        if !self.registry.insert_blocking(&task) {
            task.refuse_unregistered();
        } else if let Err((jobs, _error)) = self.blocking.push(task) {
            let why = match self.is_shut_down() {
                true => "its runtime has shut down",
                false => "the system has no thread for it, and the blocking pool has none",
            };
            for job in jobs {
                job.refuse(why);
            }
        }
        handle
    }

    /// Queues a task that was woken, and sees to it that a worker will take it. A worker keeps
    /// what it wakes, and announces it after the poll.
    pub(crate) fn schedule(self: &Arc<Scheduler>, task: Notified) {
        match context::worker_of(self) {
            Some(worker) if self.config.lifo_slot => {
                probe::task_queued(self.number, task.address(), false);
                if let Some(older) = self.workers[worker].lifo.put(task) {
                    probe::task_dequeued(self.number, older.address(), false);
                    self.push_local(worker, older);
                }
            }
            Some(worker) => self.push_local(worker, task),
            None => self.schedule_injected(task),
        }
    }

    /// Queues a task from outside the workers, and wakes one if need be.
    pub(crate) fn schedule_injected(&self, task: Notified) {
        probe::task_queued(self.number, task.address(), true);
        self.injection.push(task, || self.age());
        self.wake_one();
    }

    /// Queues a task that was woken while it was polled: behind all others.
    pub(crate) fn schedule_again(self: &Arc<Scheduler>, task: Notified) {
        match context::worker_of(self) {
            Some(worker) => self.push_local(worker, task),
            None => self.schedule_injected(task),
        }
    }

    /// Puts a task at the end of the worker's own ring. Only the worker itself calls this.
    pub(crate) fn push_local(&self, worker: usize, task: Notified) {
        probe::task_queued(self.number, task.address(), false);
        let shared = &self.workers[worker];
        let pushes = shared.pushes.get();
        shared.pushes.add_by_owner(1);
        let since = pushes.is_multiple_of(SAMPLE_ONE_IN).then(|| self.age());
        let overflow = |tasks: &mut dyn Iterator<Item = Queued>| {
            shared.overflows.add_by_owner(1);
            self.injection.push_all(tasks.inspect(|queued| {
                probe::task_dequeued(self.number, queued.task.address(), false);
                probe::task_queued(self.number, queued.task.address(), true);
            }));
            self.wake_one();
        };
        // SAFETY: the calling thread is the worker, so the ring's owner.
        unsafe { shared.ring.push(Queued { task, since }, overflow) };
    }

    /// The first task of the worker's own ring. Only the worker itself calls this.
    pub(crate) fn pop_local(&self, worker: usize) -> Option<Notified> {
        probe::worker_looked_at_own();
        // SAFETY: as in `push_local`.
        let queued = unsafe { self.workers[worker].ring.pop() }?;
        probe::task_dequeued(self.number, queued.task.address(), false);
        Some(self.end_wait(worker, queued))
    }

    /// The task in a worker's LIFO slot.
    pub(crate) fn take_lifo(&self, worker: usize) -> Option<Notified> {
        let task = self.workers[worker].lifo.take()?;
        probe::task_dequeued(self.number, task.address(), false);
        Some(task)
    }

    /// Moves half of the victim's ring to the worker's; the first task comes out.
    pub(crate) fn steal(&self, victim: usize, worker: usize) -> Option<Notified> {
        let shared = &self.workers[worker];
        // SAFETY: as in `push_local`, for the ring that is stolen into.
        let queued = unsafe { self.workers[victim].ring.steal_into(&shared.ring) }?;
        shared.steals.add_by_owner(1);
        probe::tasks_stolen();
        probe::task_dequeued(self.number, queued.task.address(), false);
        Some(self.end_wait(worker, queued))
    }

    /// A fair share of what came from outside: the first task comes out, the others go into the
    /// worker's ring.
    pub(crate) fn take_injected(&self, worker: usize) -> Option<Notified> {
        probe::worker_looked_at_shared();
        let waiting = self.injection.len();
        if waiting == 0 {
            return None;
        }
        let ring = &self.workers[worker].ring;
        let fair = waiting / self.config.workers + 1;
        // Half of the ring stays free for what the tasks wake.
        let room = ring.room().saturating_sub(ring.capacity() / 2);
        let queued = self.injection.pop_some(fair.min(room + 1), |queued| {
            probe::task_dequeued(self.number, queued.task.address(), true);
            probe::task_queued(self.number, queued.task.address(), false);
            // SAFETY: as in `push_local`.
            unsafe {
                ring.push(queued, |_| unreachable!("no more is taken than the ring has room for"));
            }
        })?;
        probe::task_dequeued(self.number, queued.task.address(), true);
        Some(self.end_wait(worker, queued))
    }

    /// The worker has taken a task to poll it, or as a rescuer, to queue it anew. Only the worker
    /// itself calls this.
    #[inline]
    fn end_wait(&self, worker: usize, Queued { task, since }: Queued) -> Notified {
        if let Some(since) = since {
            let waited = self.age().get().saturating_sub(since.get());
            self.workers[worker].scheduling_latencies.record(Duration::from_nanos(waited));
        }
        task
    }

    /// How long ago the runtime began, in nanoseconds, and one more: never 0.
    fn age(&self) -> NonZeroU64 {
        let nanoseconds = clock::now().saturating_duration_since(self.began).as_nanos();
        NonZeroU64::MIN.saturating_add(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Whether there is work for a worker that is falling asleep: the look after it said that it
    /// sleeps.
    pub(crate) fn has_work(&self, worker: usize) -> bool {
        let mut others = (0..self.workers.len()).filter(|other| *other != worker);
        let queued =
            !self.injection.is_empty() || others.any(|other| !self.workers[other].ring.is_empty());
        mutation!("worker-no-second-look", queued, false)
    }

    /// Whether the worker has tasks of its own.
    pub(crate) fn has_local(&self, worker: usize) -> bool {
        let shared = &self.workers[worker];
        !shared.lifo.is_empty() || !shared.ring.is_empty()
    }

    /// A worker has ended a poll: if its ring holds tasks, another worker may take some. The only
    /// worker has nobody to wake, as it is awake itself.
    #[inline]
    pub(crate) fn announce(&self, worker: usize) {
        if self.config.workers > 1 && !self.workers[worker].ring.is_empty() {
            self.wake_one();
        }
    }

    /// Wakes a worker, if one sleeps and none searches.
    pub(crate) fn wake_one(&self) {
        if let Some(worker) = self.idle.worker_to_wake() {
            self.wake_worker(worker);
        }
    }

    /// Fires the timers of a worker that are due. The time now, if it was looked at and nothing
    /// was due: wakers, which are anybody's code, may take their time.
    #[inline]
    pub(crate) fn fire_timers(&self, worker: usize) -> Option<Instant> {
        let timers = &self.workers[worker].timers;
        let next = timers.next_deadline()?;
        let now = clock::now();
        if now < next {
            return Some(now);
        }
        timers.fire(now);
        None
    }

    fn wake_all(&self) {
        for worker in 0..self.workers.len() {
            self.wake_worker(worker);
        }
        self.seat.wake_caretaker();
    }

    /// Refuses new tasks and asks all others to end.
    pub(crate) fn close(&self) {
        let tasks = self.registry.close();
        // Release: pairs with `is_done`: whoever sees it sees the registry closed.
        self.closing.store(true, Ordering::Release);
        for task in tasks {
            task.cancel();
        }
        for job in self.blocking.close() {
            job.refuse("its runtime has shut down");
        }
        self.wake_all();
    }

    /// Tells timers and sockets that outlive the runtime that nobody will wake them: its workers
    /// have ended.
    pub(crate) fn close_resources(&self) {
        self.driver.close();
        for worker in &self.workers {
            worker.timers.close();
            worker.completions.end();
        }
    }

    /// Whether the runtime has begun to shut down.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether the workers can end: no task lives, and none will.
    pub(crate) fn is_done(&self) -> bool {
        self.is_shut_down()
            && mutation!("shutdown-leaves-tasks", self.registry.is_empty_of_tasks(), true)
    }

    /// A task has ended and left the registry.
    pub(crate) fn task_ended(&self) {
        if self.is_done() {
            self.wake_all();
        }
    }
}

/// Begins an operation on the ring of the calling thread, if that is a worker of the runtime that
/// has `driver`.
///
/// # Errors
/// As [`Scheduler::begin_operation`].
pub(crate) fn begin_operation<P: Payload>(
    driver: &Arc<Driver>,
    payload: P,
) -> Result<InFlight<P>, P> {
    match context::scheduler() {
        Some(scheduler) if Arc::ptr_eq(&scheduler.driver, driver) => {
            scheduler.begin_operation(payload)
        }
        _ => Err(payload),
    }
}

/// Wakes the worker whose ring has something to tell it.
struct Owner {
    scheduler: Weak<Scheduler>,
    worker: usize,
}

impl Wake for Owner {
    fn wake(self: Arc<Owner>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Owner>) {
        if let Some(scheduler) = self.scheduler.upgrade()
            // The worker itself looks at its messages before it sleeps.
            && context::worker_of(&scheduler) != Some(self.worker)
        {
            scheduler.wake_worker(self.worker);
        }
    }
}

impl Waiting for Driver {
    fn wait_unless(&self, timeout: Option<Duration>, is_woken: impl FnOnce() -> bool) -> bool {
        self.turn_unless(timeout, is_woken)
    }

    fn interrupt(&self) {
        self.unpark();
    }
}

/// The driver, for a worker that waits there through its ring.
struct ThroughRing<'a> {
    driver: &'a Driver,
    ring: &'a Completions,
}

impl Waiting for ThroughRing<'_> {
    fn wait_unless(&self, timeout: Option<Duration>, is_woken: impl FnOnce() -> bool) -> bool {
        self.driver.turn_through(self.ring, timeout, is_woken)
    }

    fn interrupt(&self) {
        self.driver.unpark();
    }
}

/// The ring of the worker, without the driver.
impl Waiting for Completions {
    fn wait_unless(&self, timeout: Option<Duration>, is_woken: impl FnOnce() -> bool) -> bool {
        if !is_woken() {
            self.wait(timeout, None);
        }
        self.turn(false);
        true
    }

    fn interrupt(&self) {
        Completions::interrupt(self);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    fn scheduler() -> Arc<Scheduler> {
        Arc::new(Scheduler::new(Config::for_models(1)).unwrap())
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
            match scheduler.take_injected(0) {
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
                match scheduler.pop_local(0).or_else(|| scheduler.take_injected(0)) {
                    Some(task) => {
                        task.run();
                        ran += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            pusher.join().unwrap();
            assert!(scheduler.injection.is_empty());
            assert!(scheduler.registry.is_empty_of_tasks());
        });
    }
}
