//! What the engine tells whoever watches it: the events that the laws and the reports of a
//! simulation are made of. Empty in production; in simulation never a decision.

use std::panic::Location;

use super::clock::Instant;

macro_rules! events {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*);)+) => {$(
        $(#[$attribute])*
        #[inline(always)]
        pub fn $name($($argument: $type),*) {
            #[cfg(feature = "sim")]
            volt_sim::laws::$name($($argument),*);
            #[cfg(not(feature = "sim"))]
            let _ = ($($argument,)*);
        }
    )+};
}

events! {
    /// A runtime has shut down.
    fn runtime_ended(runtime: u32);
    /// A thread of the runtime starts.
    fn thread_started(runtime: u32);
    /// A thread of the runtime ends.
    fn thread_ended(runtime: u32);
    /// A task is spawned.
    fn task_spawned(
        runtime: u32, task: usize, name: Option<&str>, place: &'static Location<'static>
    );
    /// A task has ended: its future is dropped.
    fn task_ended(task: usize);
    /// The memory of a task is freed: no waker and no handle refers to it.
    fn task_freed(task: usize);
    /// A task comes into a queue; `shared` says whether every worker can serve that.
    fn task_queued(runtime: u32, task: usize, shared: bool);
    /// It leaves that queue.
    fn task_dequeued(runtime: u32, task: usize, shared: bool);
    /// A worker has taken tasks from the queue of another one.
    fn tasks_stolen();
    /// The worker whose timers are in `wheel` goes to sleep, until then if nobody wakes it. The
    /// clock of the wheel shows 0 at `start`.
    fn worker_parked(runtime: u32, wheel: usize, start: Instant, until: Option<Instant>);
    /// It is awake again.
    fn worker_unparked(runtime: u32, wheel: usize);
    /// The running thread serves as a worker from now on: how often it may poll between two looks
    /// at its own ring, and at the queue that all workers share.
    fn worker_begins(own: u32, shared: u32);
    /// The running thread serves as a worker no more.
    fn worker_ends();
    /// The worker looks at its own ring for a task to poll, and takes the oldest.
    fn worker_looked_at_own();
    /// The worker looks at the shared queue for a task to poll, and takes the oldest.
    fn worker_looked_at_shared();
    /// A worker begins to poll a task.
    fn poll_begins(task: usize);
    /// It has polled the task.
    fn poll_ends(task: usize);
    /// The running task waits for another one to end.
    fn task_joins(task: usize);
    /// The running task waits for something that was asked for at `place`.
    fn task_waits(what: &'static str, place: &'static Location<'static>);
    /// A waiter comes into a queue.
    fn waiter_queued(queue: usize, waiter: usize);
    /// It leaves that queue.
    fn waiter_left(queue: usize, waiter: usize);
    /// The running thread gets what the first in the queue waits for, which may be so `most`
    /// times.
    fn waiter_overtaken(queue: usize, most: u32);
    /// The system begins an operation: the memory that goes with it is the system's own.
    fn operation_begun(operation: usize);
    /// The system has completed it.
    fn operation_completed(operation: usize);
    /// The memory that goes with an operation is freed, or is its owner's again.
    fn memory_given_back(operation: usize);
    /// A worker closes its ring, and so many slots of its table are taken.
    fn ring_closed(operations: usize);
    /// A driver ends, and so many places of its table are taken.
    fn driver_ended(sources: usize);
    /// A timer is armed, or armed anew; `deadline` is in nanoseconds on the clock of its wheel.
    fn timer_armed(wheel: usize, timer: usize, deadline: u64);
    /// It waits no more, and has not fired.
    fn timer_disarmed(timer: usize);
    /// It fires, at a look that takes `now` for the time.
    fn timer_fired(timer: usize, now: u64);
    /// The look with this number, at what was due at `now`, has ended.
    fn timers_look_ended(wheel: usize, now: u64, look: u64);
}

/// A runtime starts; its number within the simulation.
#[inline(always)]
pub fn runtime_started() -> u32 {
    #[cfg(feature = "sim")]
    return volt_sim::laws::runtime_started();
    #[cfg(not(feature = "sim"))]
    0
}

/// A thread begins to fire what is due at `now`; the number of this look.
#[inline(always)]
pub fn timers_look_begins(wheel: usize, now: u64) -> u64 {
    #[cfg(feature = "sim")]
    return volt_sim::laws::timers_look_begins(wheel, now);
    #[cfg(not(feature = "sim"))]
    {
        let _ = (wheel, now);
        0
    }
}
