//! What must always hold of a runtime, checked in every run from the events it tells.
//!
//! 1. One worker polls a task at a time, and one queue holds it.
//! 2. No task lies in a queue that a sleeping worker could serve while nobody runs: a wake-up was
//!    lost.
//! 3. No task and no thread outlives its runtime.
//! 4. The first who waits for a lock is overtaken so often as the lock says, and never after.
//! 5. No memory is given back while an operation of the system reads or writes it.
//! 6. No timer fires early or late: none before its deadline, whoever looks at a worker's timers
//!    leaves none that was due, and no worker sleeps more than a tick past one of its own while
//!    nobody runs who would wake it.
//! 7. Permits are conserved: none is given back that was not held, and a semaphore that is dropped
//!    has as many as it should.
//! 8. Every waker is woken, replaced or dropped: where a run ends as it should, the tasks of
//!    runtimes that have ended are freed.
//! 9. A task that is ready waits for a bounded number of polls by the worker that is to take it.
//! 10. No descriptor that a runtime has for itself, no slot of a ring's table and no place of a
//!     driver's outlives it.
//!
//! The events are no scheduling points, take no decision and go into no hash. On ordinary threads
//! they do nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;

use crate::cells::Cells;
use crate::clock::virtual_time;
use crate::descriptors::{self, Open};
use crate::failure::FailureKind;
use crate::fairness::Fairness;
use crate::kernel::thread_table::show;
use crate::kernel::{self, Counters};
use crate::patience::Patience;
use crate::timeliness::{Sleep, Timeliness};

pub use crate::permits::PermitLedger;

/// What the laws know of one run. Runtimes have numbers, tasks the addresses of their cells:
/// keys for look-up alone, no order hangs on them.
#[derive(Default)]
pub(crate) struct Laws {
    runtimes: Vec<RuntimeRecord>,
    tasks: HashMap<usize, TaskRecord, FixedState>,
    cells: Cells,
    /// The threads that poll a task, and which: to find it without a search among all tasks. A
    /// thread may be there twice; what it began last comes last.
    polled: Vec<(u32, usize)>,
    fairness: Fairness,
    /// What the system has under way, by addresses that stay the same until it has completed.
    operations: BTreeSet<usize>,
    timeliness: Timeliness,
    patience: Patience,
    /// Stands for runtimes of outside, of which nothing is asked.
    stranger: RuntimeRecord,
}

#[derive(Default)]
struct RuntimeRecord {
    /// Tasks in queues that every worker can serve.
    queued: u64,
    /// Workers that sleep.
    parked: u64,
    /// Tasks that have not ended.
    tasks: u64,
    threads: u64,
    spawned: u64,
    ended: bool,
}

struct TaskRecord {
    name: TaskName,
    place: &'static Location<'static>,
    poller: Option<u32>,
    queued: bool,
    waits_for: Option<Wait>,
}

/// How a task is called in reports. Tasks of a runtime are numbered in the order of spawning.
#[derive(Clone)]
pub(crate) struct TaskName {
    pub(crate) runtime: u32,
    pub(crate) number: u64,
    name: Option<Arc<str>>,
}

/// What a task waits for. Only a report makes text of it: tasks wait more often than they do
/// anything else.
#[derive(Clone)]
pub(crate) enum Wait {
    /// Something that was asked for at a place.
    At(&'static str, &'static Location<'static>),
    /// The end of another task.
    End(TaskName),
}

impl Laws {
    /// The record of a runtime; of none for one that was made outside this run.
    fn runtime(&mut self, runtime: u32) -> &mut RuntimeRecord {
        match self.runtimes.get_mut(runtime as usize) {
            Some(record) => record,
            None => &mut self.stranger,
        }
    }

    /// Laws 2 and 6, at a moment when no thread can run: what is wrong. `now` is in nanoseconds
    /// since the run began.
    pub(crate) fn at_rest(&mut self, now: u64) -> Option<String> {
        self.lost_wake_up().or_else(|| self.timeliness.at_rest(now))
    }

    fn lost_wake_up(&self) -> Option<String> {
        self.runtimes.iter().find(|runtime| runtime.queued > 0 && runtime.parked > 0).map(
            |runtime| {
                format!(
                    "lost wake-up: {} of a runtime's tasks are queued, {} of its workers sleep, \
                     and no thread runs that would wake one",
                    runtime.queued, runtime.parked
                )
            },
        )
    }

    /// What is wrong at the end of a run that nothing cut short, when each thread has ended, and so
    /// much is open.
    pub(crate) fn at_end(&self, open: &Open) -> Option<String> {
        let has_ended =
            |runtime: u32| self.runtimes.get(runtime as usize).is_some_and(|it| it.ended);
        let ended = self.runtimes.iter().filter(|runtime| runtime.ended).count();
        let may_keep_open = ended == 0 || ended < self.runtimes.len();
        let left_open = || if may_keep_open { None } else { open.at_end() };
        // The memory of a task has a handle of its runtime, so the cause comes first.
        self.cells.at_end(has_ended).or_else(left_open)
    }

    /// A line for each task that has not ended.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut tasks: Vec<&TaskRecord> = self.tasks.values().collect();
        tasks.sort_by_key(|task| (task.name.runtime, task.name.number));
        tasks.iter().map(|task| task.describe()).collect()
    }

    /// The task that `thread` polls waits for this.
    fn task_waits(&mut self, thread: u32, wait: Wait) {
        let polled = self.polled.iter().rev().find(|(poller, _)| *poller == thread);
        if let Some((_, task)) = polled
            && let Some(record) = self.tasks.get_mut(task)
        {
            record.waits_for = Some(wait);
        }
    }
}

impl TaskRecord {
    fn describe(&self) -> String {
        let what = match (&self.poller, &self.waits_for) {
            (Some(thread), _) => format!("is polled by thread {thread}"),
            (None, Some(wait)) => format!("waits for {wait}"),
            (None, None) => "has not run, or waits for something that is not Volt's".to_owned(),
        };
        format!("{}, spawned at {}, {what}", self.name, show(self.place))
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.number)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, " of runtime {}", self.runtime)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::At(what, place) => write!(f, "{what} at {}", show(place)),
            Wait::End(task) => write!(f, "the end of {task}"),
        }
    }
}

/// The laws of the running world, and the running thread; `None` on an ordinary thread.
fn with_laws<R>(f: impl FnOnce(&mut Laws, u32) -> R) -> Option<R> {
    kernel::current().map(|world| world.laws(f))
}

/// A runtime starts; its number.
pub fn runtime_started() -> u32 {
    with_laws(|laws, _| {
        laws.runtimes.push(RuntimeRecord::default());
        laws.runtimes.len() as u32 - 1
    })
    .unwrap_or(0)
}

/// A runtime has shut down.
pub fn runtime_ended(runtime: u32) {
    let broken = with_laws(|laws, _| {
        let record = laws.runtime(runtime);
        record.ended = true;
        let (tasks, threads) = (record.tasks, record.threads);
        (tasks + threads > 0).then(|| {
            format!("runtime {runtime} has ended, and {tasks} tasks and {threads} threads live on")
        })
    });
    fail(broken.flatten());
}

/// A thread of the runtime starts.
pub fn thread_started(runtime: u32) {
    with_laws(|laws, _| laws.runtime(runtime).threads += 1);
}

/// A thread of the runtime ends.
pub fn thread_ended(runtime: u32) {
    with_laws(|laws, _| {
        laws.runtime(runtime).threads = laws.runtime(runtime).threads.saturating_sub(1)
    });
}

/// A task is spawned; its number within its runtime.
pub fn task_spawned(
    runtime: u32,
    task: usize,
    name: Option<&str>,
    place: &'static Location<'static>,
) {
    with_laws(|laws, _| {
        let record = laws.runtime(runtime);
        record.tasks += 1;
        record.spawned += 1;
        let name = TaskName { runtime, number: record.spawned, name: name.map(Arc::from) };
        laws.cells.allocated(task, name.clone(), place);
        let record = TaskRecord { name, place, poller: None, queued: false, waits_for: None };
        laws.tasks.insert(task, record);
    });
}

/// A task has ended: its future is dropped.
pub fn task_ended(task: usize) {
    with_laws(|laws, _| {
        if let Some(record) = laws.tasks.remove(&task) {
            let record = laws.runtime(record.name.runtime);
            record.tasks = record.tasks.saturating_sub(1);
        }
    });
}

/// The memory of a task is freed: nothing refers to it any more.
pub fn task_freed(task: usize) {
    with_laws(|laws, _| laws.cells.freed(task));
}

/// A task comes into a queue; `shared` says whether every worker can serve that.
pub fn task_queued(runtime: u32, task: usize, shared: bool) {
    let broken = with_laws(|laws, _| {
        if shared {
            laws.runtime(runtime).queued += 1;
        }
        let record = laws.tasks.get_mut(&task)?;
        std::mem::replace(&mut record.queued, true)
            .then(|| format!("{} is queued while a queue holds it", record.name))
    });
    fail(broken.flatten());
}

/// It leaves that queue.
pub fn task_dequeued(runtime: u32, task: usize, shared: bool) {
    let broken = with_laws(|laws, _| {
        if shared {
            laws.runtime(runtime).queued = laws.runtime(runtime).queued.saturating_sub(1);
        }
        // One that was cancelled while it was queued has ended already.
        let record = laws.tasks.get_mut(&task)?;
        (!std::mem::replace(&mut record.queued, false))
            .then(|| format!("{} leaves a queue that does not hold it", record.name))
    });
    fail(broken.flatten());
}

/// A worker has taken tasks from the queue of another one.
pub fn tasks_stolen() {
    count(|counters| counters.steals += 1);
}

/// The worker whose timers are in `wheel` goes to sleep, until then if nobody wakes it. The clock
/// of the wheel shows 0 at `start`.
pub fn worker_parked(runtime: u32, wheel: usize, start: Instant, until: Option<Instant>) {
    with_laws(|laws, _| {
        laws.runtime(runtime).parked += 1;
        let until = until.map_or(u64::MAX, virtual_time);
        let sleep = Sleep { start: virtual_time(start), until };
        laws.timeliness.worker_parked(wheel, sleep);
    });
    count(|counters| counters.parks += 1);
}

/// It is awake again.
pub fn worker_unparked(runtime: u32, wheel: usize) {
    with_laws(|laws, _| {
        laws.runtime(runtime).parked = laws.runtime(runtime).parked.saturating_sub(1);
        laws.timeliness.worker_unparked(wheel);
    });
}

/// The running thread serves as a worker from now on: how often it may poll between two looks at
/// its own ring, and at the queue that all workers share.
pub fn worker_begins(own: u32, shared: u32) {
    with_laws(|laws, thread| laws.patience.begins(thread, own, shared));
}

/// The running thread serves as a worker no more.
pub fn worker_ends() {
    with_laws(|laws, thread| laws.patience.ends(thread));
}

/// The worker looks at its own ring for a task to poll, and takes the oldest.
pub fn worker_looked_at_own() {
    with_laws(|laws, thread| laws.patience.looked_at_own(thread));
}

/// The worker looks at the shared queue for a task to poll, and takes the oldest.
pub fn worker_looked_at_shared() {
    with_laws(|laws, thread| laws.patience.looked_at_shared(thread));
}

/// A worker begins to poll a task.
pub fn poll_begins(task: usize) {
    let broken = with_laws(|laws, thread| {
        let record = laws.tasks.get_mut(&task)?;
        if let Some(other) = record.poller.replace(thread) {
            let name = &record.name;
            return Some(format!("two workers poll {name}: threads {other} and {thread}"));
        }
        record.waits_for = None;
        laws.polled.push((thread, task));
        laws.patience.polled(thread, &record.name)
    });
    fail(broken.flatten());
    count(|counters| counters.polls += 1);
}

/// It has polled the task.
pub fn poll_ends(task: usize) {
    with_laws(|laws, _| {
        if let Some(record) = laws.tasks.get_mut(&task) {
            record.poller = None;
        }
        if let Some(last) = laws.polled.iter().rposition(|(_, polled)| *polled == task) {
            laws.polled.remove(last);
        }
    });
}

/// The task that the running thread polls waits for this, which the caller asked for at `place`.
pub fn task_waits(what: &'static str, place: &'static Location<'static>) {
    waits(|_| Some(Wait::At(what, place)));
}

/// The task that the running thread polls waits for the end of `task`.
pub fn task_joins(task: usize) {
    waits(|laws| laws.tasks.get(&task).map(|record| Wait::End(record.name.clone())));
}

/// The task that the running thread polls waits for what `wait` says, and so does the future that
/// the run may interrupt.
fn waits(wait: impl FnOnce(&Laws) -> Option<Wait>) {
    let Some(world) = kernel::current() else { return };
    let told = world.laws(|laws, thread| {
        let wait = wait(laws)?;
        laws.task_waits(thread, wait.clone());
        Some(wait)
    });
    if let Some(wait) = told {
        world.points(|points, thread| points.waits(thread, wait));
    }
}

/// A waiter comes into a queue.
pub fn waiter_queued(queue: usize, waiter: usize) {
    with_laws(|laws, _| laws.fairness.queued(queue, waiter));
}

/// It leaves that queue.
pub fn waiter_left(queue: usize, waiter: usize) {
    with_laws(|laws, _| laws.fairness.left(queue, waiter));
}

/// The running thread gets what the first in the queue waits for, which may be so `most` times.
pub fn waiter_overtaken(queue: usize, most: u32) {
    fail(with_laws(|laws, _| laws.fairness.overtaken(queue, most)).flatten());
}

/// The system begins an operation: the memory that goes with it is the system's own.
pub fn operation_begun(operation: usize) {
    with_laws(|laws, _| laws.operations.insert(operation));
}

/// The system has completed it.
pub fn operation_completed(operation: usize) {
    with_laws(|laws, _| laws.operations.remove(&operation));
}

/// The memory that goes with an operation is freed, or is its owner's again.
pub fn memory_given_back(operation: usize) {
    let broken = with_laws(|laws, _| {
        laws.operations.contains(&operation).then(|| {
            "the memory of an operation is given back, and the system has not completed it"
                .to_owned()
        })
    });
    fail(broken.flatten());
}

/// A worker closes its ring, and so many slots of its table are taken.
pub fn ring_closed(operations: usize) {
    fail(with_laws(|_, _| descriptors::ring_closed(operations)).flatten());
}

/// A driver ends, and so many places of its table are taken.
pub fn driver_ended(sources: usize) {
    fail(with_laws(|_, _| descriptors::driver_ended(sources)).flatten());
}

/// A timer is armed, or armed anew; `deadline` is in nanoseconds on the clock of its wheel.
pub fn timer_armed(wheel: usize, timer: usize, deadline: u64) {
    with_laws(|laws, _| laws.timeliness.armed(wheel, timer, deadline));
}

/// It waits no more, and has not fired.
pub fn timer_disarmed(timer: usize) {
    with_laws(|laws, _| laws.timeliness.ended(timer));
}

/// It fires, at a look that takes `now` for the time.
pub fn timer_fired(timer: usize, now: u64) {
    fail(with_laws(|laws, _| laws.timeliness.fired(timer, now)).flatten());
}

/// A thread begins to fire what is due at `now`; the number of this look.
pub fn timers_look_begins(wheel: usize, now: u64) -> u64 {
    with_laws(|laws, _| laws.timeliness.look_begins(wheel, now)).unwrap_or(0)
}

/// That look has ended.
pub fn timers_look_ended(wheel: usize, now: u64, look: u64) {
    fail(with_laws(|laws, _| laws.timeliness.look_ended(wheel, now, look)).flatten());
}

/// Counts what `f` says in the running world.
fn count(f: impl FnOnce(&mut Counters)) {
    if let Some(world) = kernel::current() {
        world.count_with(f);
    }
}

fn fail(broken: Option<String>) {
    if let (Some(message), Some(world)) = (broken, kernel::current()) {
        world.fail(FailureKind::Law, message);
    }
}
