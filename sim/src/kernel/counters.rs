//! What a run counts.

use super::World;

/// Exact counts of what a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Decisions taken, of every kind.
    pub decisions: u64,
    /// Choices between two or more runnable threads.
    pub thread_choices: u64,
    /// Switches from one simulated thread to another.
    pub switches: u64,
    /// Atomic operations, fences among them.
    pub atomics: u64,
    /// Futex waits that blocked.
    pub futex_waits: u64,
    /// Threads that futex wake-ups reached.
    pub futex_wakes: u64,
    /// Requests to the simulated system: what is done to sockets, the network, files and disks, and
    /// what completion queues are given to do.
    pub submissions: u64,
    /// Polls of tasks, by the workers of runtimes; a task that is cancelled counts once more.
    pub polls: u64,
    /// Times that a worker took tasks from another one's queue.
    pub steals: u64,
    /// Times that a worker went to sleep.
    pub parks: u64,
    /// Allocations of simulated threads, if the program's allocator is a
    /// [`CountingAllocator`](crate::CountingAllocator); without one, 0.
    pub allocations: u64,
    /// Simulated threads started.
    pub threads: u64,
    /// Threads that the end of the run found unfinished: their stacks are reused, what they
    /// owned is leaked.
    pub abandoned: u64,
}

impl World {
    /// Counts a futex wait that blocks, and what a wake-up reached.
    pub(crate) fn count(&self, waits: u64, wakes: u64) {
        self.with(|state| {
            state.counters.futex_waits += waits;
            state.counters.futex_wakes += wakes;
        });
    }

    /// Counts what `f` says.
    pub(crate) fn count_with(&self, f: impl FnOnce(&mut Counters)) {
        self.with(|state| f(&mut state.counters));
    }

    /// Counts an allocation of the running thread, unless it is the kernel's own.
    pub(crate) fn count_allocation(&self) {
        if !self.lent.get() {
            self.allocations.set(self.allocations.get() + 1);
        }
    }
}
