//! Small programs with one bug each, and their corrected twins.
//!
//! Each is written from the description of a bug, in simulated threads, atomics, locks and
//! channels; the version chooses between the bug and the twin. Bugs that only weak memory shows are
//! not here, since a simulated load reads the last store: they are for loom.

mod block_list;
mod blocking_pool;
mod bluetooth;
mod channel_under_lock;
mod close_waits_for_permits;
mod count_before_push;
mod fallback_queue;
mod join_queue;
mod local_pool;
mod lock_order;
mod notified_then_dropped;
mod one_condition;
mod oneshot;
mod op_slab;
mod page_compaction;
mod read_lock_twice;
mod reorder;
mod restored_front;
mod safe_stack;
mod steal_ring;
mod timer_shards;
mod token_ring;
mod twostage;
mod wait_group;
mod weak_upgrade;
mod work_stealing_exchange;
mod work_stealing_queue;
mod wrong_lock;

use volt::sim::thread::JoinHandle;
use volt::sim::{Failure, Sim, Strategy, SweepReport};

/// Which of the two a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Buggy,
    Fixed,
}

impl Version {
    pub fn is_fixed(self) -> bool {
        self == Version::Fixed
    }
}

/// The result of a thread; panics as it did, so that the failure says what went wrong there.
#[track_caller]
fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(result) => result,
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            panic!("{}", text.unwrap_or("a thread panicked without a text"));
        }
    }
}

/// A program with a bug, and its twin.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub run: fn(Version),
    /// What the message of the failure says.
    pub symptom: &'static str,
    /// Runs within which the default strategy finds the bug.
    pub within: u64,
}

/// The bound for all but those with one of their own.
pub const WITHIN: u64 = 10_000;

const DEADLOCK: &str = "every thread waits";

const fn program(name: &'static str, run: fn(Version), symptom: &'static str) -> Program {
    Program { name, run, symptom, within: WITHIN }
}

/// All of them: first those found in the wild, then those of the suites.
pub const ALL: &[Program] = &[
    program("blocking_pool", blocking_pool::run, DEADLOCK),
    program("oneshot", oneshot::run, "the value was taken twice"),
    program("timer_shards", timer_shards::run, DEADLOCK),
    program("steal_ring", steal_ring::run, "not each task ran once"),
    program("restored_front", restored_front::run, "not each task ran once"),
    program("block_list", block_list::run, "the head block is null"),
    program("local_pool", local_pool::run, DEADLOCK),
    program("weak_upgrade", weak_upgrade::run, "a sender of a closed channel"),
    program("fallback_queue", fallback_queue::run, DEADLOCK),
    program("count_before_push", count_before_push::run, "a message outlives its receiver"),
    program("page_compaction", page_compaction::run, "the page of a registered source"),
    program("close_waits_for_permits", close_waits_for_permits::run, DEADLOCK),
    program("notified_then_dropped", notified_then_dropped::run, DEADLOCK),
    program("op_slab", op_slab::run, "places of operations that have ended"),
    program("join_queue", join_queue::run, DEADLOCK),
    program("work_stealing_queue", work_stealing_queue::run, "a task ran twice"),
    program("work_stealing_exchange", work_stealing_exchange::run, "a task ran twice"),
    program("reorder_10", reorder::run_10, "the first word without the second"),
    program("reorder_100", reorder::run_100, "the first word without the second"),
    program("twostage_20", twostage::run, "does not follow from the first"),
    program("wrong_lock", wrong_lock::run, "the value changed under its lock"),
    program("bluetooth", bluetooth::run, "the driver has stopped"),
    program("token_ring", token_ring::run, "the tokens differ"),
    program("lock_order", lock_order::run, DEADLOCK),
    program("channel_under_lock", channel_under_lock::run, DEADLOCK),
    program("wait_group", wait_group::run, "the peer is gone"),
    program("read_lock_twice", read_lock_twice::run, DEADLOCK),
    program("one_condition", one_condition::run, DEADLOCK),
    Program {
        within: 2_000_000,
        ..program("safe_stack", safe_stack::run, "an element was given to two threads")
    },
];

impl Program {
    /// Whether it is beyond what a test has time for.
    pub fn is_long(&self) -> bool {
        self.within > WITHIN
    }

    /// Runs the twin under so many seeds.
    pub fn sweep_twin(&self, strategy: &Strategy, first: u64, seeds: u64) -> SweepReport {
        let run = self.run;
        let sweep = Sim::builder().strategy(strategy.clone()).name(self.name);
        sweep.sweep(first..first + seeds).check(move || run(Version::Fixed))
    }

    /// Checks that a failure is that of the planted bug, and removes its tape.
    pub fn expect_symptom(&self, failure: &Failure) {
        let name = self.name;
        assert!(failure.message().contains(self.symptom), "{name}: another failure: {failure}");
        if let Some(tape) = failure.tape_path()
            && let Err(error) = std::fs::remove_file(tape)
        {
            panic!("{name}: the tape {} cannot be removed: {error}", tape.display());
        }
    }
}
