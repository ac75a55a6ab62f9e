//! How many polls a task waits that is ready: law 9 of the [laws](crate::laws).
//!
//! A worker takes tasks from the slot for the one that it woke last, from its own ring, and from
//! the queue that all workers share. Of the ring and the queue each look takes the oldest task, if
//! there is one. So a task behind `n` others waits for at most `n + 1` looks, and the law is that
//! a worker does not poll too often between two looks. What it may, it says itself:
//!
//! - At its ring: between two looks there are at most so many polls of the slot's tasks as may
//!   follow each other, `l`. Before each of them, and before the look, there may be one poll of a
//!   task of the shared queue, unless that comes first at every poll. With that of the task which
//!   the first look found these are `2 (l + 1)`.
//! - At the shared queue: its interval.
//!
//! Only polls by that worker count: those of others, and time, pass as the strategy likes. A task
//! that is moved from one queue to another waits anew. Who serves as a worker for a while begins
//! anew, too.

use crate::laws::TaskName;

/// The workers of one run, by the numbers of their threads.
#[derive(Default)]
pub(crate) struct Patience {
    workers: Vec<Option<Worker>>,
}

/// The polls since a worker's last looks, and how many there may be.
struct Worker {
    own: Looks,
    shared: Looks,
}

struct Looks {
    polls: u32,
    most: u32,
}

impl Looks {
    fn new(most: u32) -> Looks {
        Looks { polls: 0, most }
    }

    /// Whether there have been too many polls, with one more.
    fn polled(&mut self) -> bool {
        self.polls = self.polls.saturating_add(1);
        self.polls > self.most
    }
}

impl Patience {
    /// A thread serves as a worker from now on: how often it may poll between two looks at its own
    /// ring, and at the shared queue.
    pub(crate) fn begins(&mut self, thread: u32, own: u32, shared: u32) {
        let thread = thread as usize;
        if self.workers.len() <= thread {
            self.workers.resize_with(thread + 1, || None);
        }
        self.workers[thread] = Some(Worker { own: Looks::new(own), shared: Looks::new(shared) });
    }

    /// It does so no more.
    pub(crate) fn ends(&mut self, thread: u32) {
        if let Some(worker) = self.workers.get_mut(thread as usize) {
            *worker = None;
        }
    }

    fn worker(&mut self, thread: u32) -> Option<&mut Worker> {
        self.workers.get_mut(thread as usize)?.as_mut()
    }

    /// It looks at its own ring.
    pub(crate) fn looked_at_own(&mut self, thread: u32) {
        if let Some(worker) = self.worker(thread) {
            worker.own.polls = 0;
        }
    }

    /// It looks at the shared queue.
    pub(crate) fn looked_at_shared(&mut self, thread: u32) {
        if let Some(worker) = self.worker(thread) {
            worker.shared.polls = 0;
        }
    }

    /// It polls a task: what is wrong.
    pub(crate) fn polled(&mut self, thread: u32, task: &TaskName) -> Option<String> {
        let worker = self.worker(thread)?;
        let (own, shared) = (worker.own.polled(), worker.shared.polled());
        let (what, Looks { polls, most }) = match (own, shared) {
            (true, _) => ("its own ring", &worker.own),
            (false, true) => ("the queue from outside", &worker.shared),
            (false, false) => return None,
        };
        Some(format!(
            "a task that is ready may wait for ever: the worker on thread {thread} has polled \
             {polls} tasks, the last of them {task}, without a look at {what}, and at most {most} \
             are allowed"
        ))
    }
}
