//! The simulated threads of a world: which can run, what the others wait for.
//!
//! ```text
//!            spawn                     block (futex, join, sleep, park, poller)
//!   ───────────────► Runnable ──────────────────────────────────────► Blocked
//!                     │   ▲                                             │
//!                exit │   └───── wake, alarm, event, spurious wake ─────┘
//!                     ▼
//!                  Finished
//! ```

use std::panic::Location;
use std::sync::Arc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

use super::event::{ObjectId, Operation};
use super::locals::Locals;
use super::native_tls::Block;
use super::panics::PanicRecord;
use crate::network::{HostId, Net, PollerId};

/// The coroutine that a simulated thread runs on.
pub(crate) type ThreadCoroutine = Coroutine<(), (), (), DefaultStack>;
pub(crate) type ThreadYielder = Yielder<(), ()>;

/// What a blocked thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// A wake-up of this futex object.
    Futex(ObjectId),
    /// A wake-up of the futex at this address, by the system call. The address is a key, and goes
    /// into no hash.
    Address(usize),
    /// The end of this thread.
    Exit(u32),
    /// An event of this poller.
    Poller(PollerId),
    /// A completion, a wake-up or whatever else ends a wait in this completion queue.
    Ring(u32),
    /// Its park token.
    Park,
    /// Its alarm alone.
    Time,
}

/// Why a blocked thread runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    Woken,
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Runnable,
    Blocked(WaitFor),
    Finished,
}

pub(crate) struct Thread {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) status: Status,
    /// Its place in the list of runnable threads, while it is there.
    slot: usize,
    pub(crate) operation: Operation,
    pub(crate) coroutine: Option<Box<ThreadCoroutine>>,
    /// Counts its waits: an alarm of an earlier one does not wake it.
    pub(crate) wait: u64,
    pub(crate) resumed: Resumed,
    pub(crate) park_token: bool,
    /// The first panic that nobody has looked at yet.
    pub(crate) panic: Option<PanicRecord>,
    /// Thread-locals of `sim::thread_local!`; lives in the frame of the thread's body.
    pub(crate) locals: *const Locals,
    pub(crate) stack_size: usize,
    /// The host that its sockets are on.
    pub(crate) host: HostId,
    /// What the thread pointer holds while this thread runs; 0 = the OS thread's own.
    pub(crate) thread_pointer: usize,
    /// The thread-local block that it owns.
    pub(crate) block: Option<Block>,
}

impl Thread {
    /// `thread 3 "worker"`, with its host unless that is the world's own.
    pub(crate) fn who(&self, number: u32, net: &Net) -> String {
        let thread = describe_thread(number, self.name.as_deref());
        if self.host == HostId::WORLD {
            return thread;
        }
        format!("{thread} of host {:?}", net.host_name(self.host))
    }
}

pub(crate) struct ThreadTable {
    threads: Vec<Thread>,
    runnable: Vec<u32>,
    unfinished: usize,
}

impl ThreadTable {
    pub(crate) fn new() -> ThreadTable {
        ThreadTable { threads: Vec::new(), runnable: Vec::new(), unfinished: 0 }
    }

    /// Adds a runnable thread and returns its number.
    pub(crate) fn add(&mut self, name: Option<Arc<str>>, operation: Operation) -> u32 {
        let number = self.threads.len() as u32;
        self.threads.push(Thread {
            name,
            status: Status::Finished,
            slot: 0,
            operation,
            coroutine: None,
            wait: 0,
            resumed: Resumed::Woken,
            park_token: false,
            panic: None,
            locals: std::ptr::null(),
            stack_size: 0,
            host: HostId::WORLD,
            thread_pointer: 0,
            block: None,
        });
        self.unfinished += 1;
        self.make_runnable(number);
        number
    }

    #[inline]
    pub(crate) fn get(&mut self, number: u32) -> &mut Thread {
        &mut self.threads[number as usize]
    }

    /// What the thread is about to do; of one that was woken, what it waited in.
    pub(crate) fn posted(&self, number: u32) -> Operation {
        self.threads[number as usize].operation
    }

    pub(crate) fn all(&self) -> &[Thread] {
        &self.threads
    }

    #[inline]
    pub(crate) fn runnable(&self) -> &[u32] {
        &self.runnable
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    fn make_runnable(&mut self, number: u32) {
        let slot = self.runnable.len();
        self.runnable.push(number);
        let thread = self.get(number);
        thread.status = Status::Runnable;
        thread.slot = slot;
    }

    fn leave_runnable(&mut self, number: u32) {
        let slot = self.get(number).slot;
        debug_assert_eq!(self.runnable[slot], number);
        self.runnable.swap_remove(slot);
        if let Some(&moved) = self.runnable.get(slot) {
            self.get(moved).slot = slot;
        }
    }

    /// The running thread stops until it is woken; returns the number of this wait.
    pub(crate) fn block(&mut self, number: u32, wait_for: WaitFor) -> u64 {
        self.leave_runnable(number);
        let thread = self.get(number);
        thread.status = Status::Blocked(wait_for);
        thread.wait += 1;
        thread.wait
    }

    pub(crate) fn finish(&mut self, number: u32) {
        self.leave_runnable(number);
        self.get(number).status = Status::Finished;
        self.unfinished -= 1;
    }

    /// Wakes a blocked thread.
    pub(crate) fn wake(&mut self, number: u32, resumed: Resumed) {
        debug_assert!(matches!(self.get(number).status, Status::Blocked(_)));
        self.get(number).resumed = resumed;
        self.make_runnable(number);
    }

    /// Whether the thread still is in that wait.
    pub(crate) fn is_in_wait(&self, number: u32, wait: u64) -> bool {
        let thread = &self.threads[number as usize];
        thread.wait == wait && matches!(thread.status, Status::Blocked(_))
    }

    /// Wakes the thread if it is still in that wait.
    pub(crate) fn alarm(&mut self, number: u32, wait: u64) -> bool {
        if !self.is_in_wait(number, wait) {
            return false;
        }
        self.wake(number, Resumed::TimedOut);
        true
    }

    /// The threads that wait for this, by number.
    pub(crate) fn waiting_for(&self, wait_for: WaitFor) -> impl Iterator<Item = u32> + '_ {
        let waits = move |thread: &Thread| thread.status == Status::Blocked(wait_for);
        (0..).zip(&self.threads).filter(move |(_, thread)| waits(thread)).map(|(number, _)| number)
    }

    /// Where threads wait for something else than the end of another one, each place once.
    pub(crate) fn waiting_places(&self) -> Vec<String> {
        let waits = |thread: &&Thread| match thread.status {
            Status::Blocked(WaitFor::Exit(_)) | Status::Runnable | Status::Finished => false,
            Status::Blocked(_) => true,
        };
        let waiting = self.threads.iter().filter(waits);
        let mut places: Vec<String> = waiting.map(|thread| show(thread.operation.place)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// A line for each thread that has not finished: who it is, what it waits for, and where.
    pub(crate) fn describe(&self, net: &Net) -> Vec<String> {
        let unfinished = |(_, thread): &(u32, &Thread)| thread.status != Status::Finished;
        (0..)
            .zip(&self.threads)
            .filter(unfinished)
            .map(|(number, thread)| {
                let who = thread.who(number, net);
                let what = match thread.status {
                    Status::Blocked(WaitFor::Futex(object)) => format!("waits on futex {object}"),
                    Status::Blocked(WaitFor::Address(_)) => {
                        "waits in the futex system call (a lock of std or parking_lot)".to_owned()
                    }
                    Status::Blocked(WaitFor::Exit(other)) => {
                        format!("waits for thread {other} to end")
                    }
                    Status::Blocked(WaitFor::Poller(poller)) => {
                        format!("waits in {}", net.describe_poller(poller))
                    }
                    Status::Blocked(WaitFor::Ring(ring)) => format!("waits in ring {ring}"),
                    Status::Blocked(WaitFor::Park) => "is parked".to_owned(),
                    Status::Blocked(WaitFor::Time) => "sleeps".to_owned(),
                    Status::Runnable | Status::Finished => {
                        format!("is about to do: {}", thread.operation.kind.label())
                    }
                };
                let Operation { place, .. } = thread.operation;
                format!("{who} {what}, at {}", show(place))
            })
            .collect()
    }
}

/// `thread 3 "worker"`.
pub(crate) fn describe_thread(number: u32, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("thread {number} {name:?}"),
        None => format!("thread {number}"),
    }
}

/// `file:line:column`.
pub(crate) fn show(place: &'static Location<'static>) -> String {
    place.to_string()
}
