//! Each law, broken on purpose through the events that a runtime tells, and caught; and beside it a
//! runtime that keeps it. Those that Volt's own code can be made to break are broken there too: see
//! Volt's `tests/planted_in_volt.rs` and `tests/planted_sync.rs`.

use std::mem;
use std::panic::Location;
use std::time::Duration;

use volt_sim::fs::File;
use volt_sim::net::Poller;
use volt_sim::ring::Ring;
use volt_sim::{Failure, FailureKind, Report, Sim, clock, laws, thread};

fn run(f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
    Sim::builder().seed(1).build().check(f)
}

/// The run ends with a broken law, and says so in these words.
#[track_caller]
fn breaks(words: &str, f: impl Fn() + Send + Sync + 'static) {
    let failure = run(f).expect_err("a law is broken");
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains(words), "{failure}");
}

#[track_caller]
fn keeps(f: impl Fn() + Send + Sync + 'static) {
    run(f).unwrap_or_else(|failure| panic!("{failure}"));
}

/// A runtime with one task, which has this number.
fn runtime(task: usize) -> u32 {
    let runtime = laws::runtime_started();
    laws::task_spawned(runtime, task, None, Location::caller());
    runtime
}

#[test]
fn one_worker_polls_a_task_at_a_time() {
    let poll = |worker: fn()| {
        laws::poll_begins(1);
        worker();
        laws::poll_ends(1);
    };
    breaks("two workers poll task 1", move || {
        runtime(1);
        poll(|| thread::spawn(|| laws::poll_begins(1)).join().unwrap());
    });
    keeps(move || {
        runtime(1);
        poll(|| ());
        thread::spawn(move || poll(|| ())).join().unwrap();
    });
}

#[test]
fn one_queue_holds_a_task() {
    breaks("is queued while a queue holds it", || {
        let runtime = runtime(1);
        laws::task_queued(runtime, 1, true);
        laws::task_queued(runtime, 1, false);
    });
    breaks("leaves a queue that does not hold it", || {
        let runtime = runtime(1);
        laws::task_queued(runtime, 1, false);
        laws::task_dequeued(runtime, 1, false);
        laws::task_dequeued(runtime, 1, false);
    });
    keeps(|| {
        let runtime = runtime(1);
        laws::task_queued(runtime, 1, true);
        laws::task_dequeued(runtime, 1, true);
        laws::task_queued(runtime, 1, false);
    });
}

#[test]
fn no_worker_sleeps_beside_a_task_that_it_could_run() {
    // Parking may return without a wake-up, as std's.
    let sleep = |queue: fn(u32)| {
        let runtime = runtime(1);
        queue(runtime);
        laws::worker_parked(runtime, 1, clock::now(), None);
        loop {
            thread::park();
        }
    };
    breaks("lost wake-up", move || sleep(|runtime| laws::task_queued(runtime, 1, true)));
    let failure = run(move || sleep(|_| ())).expect_err("the worker sleeps for ever");
    assert_eq!(failure.kind(), FailureKind::Deadlock, "nothing was queued: {failure}");
}

#[test]
fn no_task_outlives_its_runtime() {
    breaks("1 tasks and 0 threads live on", || laws::runtime_ended(runtime(1)));
    keeps(|| {
        let runtime = runtime(1);
        laws::task_ended(1);
        laws::task_freed(1);
        laws::runtime_ended(runtime);
    });
}

#[test]
fn no_thread_outlives_its_runtime() {
    breaks("0 tasks and 1 threads live on", || {
        let runtime = laws::runtime_started();
        laws::thread_started(runtime);
        laws::runtime_ended(runtime);
    });
    keeps(|| {
        let runtime = laws::runtime_started();
        laws::thread_started(runtime);
        laws::thread_ended(runtime);
        laws::runtime_ended(runtime);
    });
}

#[test]
fn the_first_who_waits_is_overtaken_no_oftener_than_the_lock_says() {
    let overtake = |times: usize| {
        move || {
            laws::waiter_queued(1, 10);
            for _ in 0..times {
                laws::waiter_overtaken(1, 2);
            }
            laws::waiter_left(1, 10);
        }
    };
    breaks("overtaken 3 times, and at most 2 are allowed", overtake(3));
    keeps(overtake(2));
}

#[test]
fn no_memory_is_given_back_while_the_system_uses_it() {
    breaks("the system has not completed it", || {
        laws::operation_begun(1);
        laws::memory_given_back(1);
    });
    keeps(|| {
        laws::operation_begun(1);
        laws::operation_begun(2);
        laws::operation_completed(1);
        laws::memory_given_back(1);
        laws::operation_completed(2);
        // One that no ring has taken.
        laws::memory_given_back(3);
    });
}

#[test]
fn a_timer_fires_neither_before_its_deadline_nor_after_the_look_it_was_due_at() {
    const DEADLINE: u64 = 5_000_000;
    let look = |now: u64, fires: bool| {
        move || {
            laws::timer_armed(1, 10, DEADLINE);
            let look = laws::timers_look_begins(1, now);
            if fires {
                laws::timer_fired(10, now);
            }
            laws::timers_look_ended(1, now, look);
        }
    };
    breaks("a timer fires early: 1 ns before its deadline", look(DEADLINE - 1, true));
    breaks("a timer fires late: it was due 1 ns before a look", look(DEADLINE + 1, false));
    keeps(look(DEADLINE - 1, false));
    keeps(look(DEADLINE, true));
    keeps(|| {
        laws::timer_armed(1, 10, DEADLINE);
        laws::timer_disarmed(10);
        let look = laws::timers_look_begins(1, DEADLINE);
        laws::timers_look_ended(1, DEADLINE, look);
    });
}

#[test]
fn no_worker_sleeps_more_than_a_tick_past_a_timer_of_its_own() {
    const MILLISECOND: Duration = Duration::from_millis(1);
    // A worker sleeps until so many ticks of its clock have ended, beside a timer that is due at
    // the end of the second.
    let sleep = |until: Option<u32>, armed: bool| {
        move || {
            let (runtime, start) = (laws::runtime_started(), clock::now());
            laws::timer_armed(1, 10, 9_000_000);
            laws::timer_armed(1, 10, 2_000_000);
            if !armed {
                laws::timer_disarmed(10);
            }
            laws::worker_parked(runtime, 1, start, until.map(|ticks| start + MILLISECOND * ticks));
            thread::sleep(MILLISECOND * 5);
            laws::worker_unparked(runtime, 1);
        }
    };
    for until in [None, Some(4)] {
        breaks("a timer fires late", sleep(until, true));
        keeps(sleep(until, false));
    }
    for until in [2, 3] {
        keeps(sleep(Some(until), true));
    }
    // Another worker's.
    keeps(|| {
        let (runtime, start) = (laws::runtime_started(), clock::now());
        laws::timer_armed(2, 10, 2_000_000);
        laws::worker_parked(runtime, 1, start, None);
        thread::sleep(MILLISECOND * 5);
        laws::worker_unparked(runtime, 1);
    });
}

#[test]
fn permits_are_conserved() {
    let ledger = |permits| laws::PermitLedger::new(permits, Location::caller());
    let here = Location::caller();
    breaks("2 that were asked for at", move || {
        let ledger = ledger(2);
        ledger.acquired(1, here);
        ledger.given_back(2, here);
    });
    breaks("dropped with 3 of them free, and 4 should be", move || {
        let ledger = ledger(2);
        ledger.acquired(2, here);
        ledger.given_back(2, here);
        ledger.added(3);
        ledger.forgotten(1);
        ledger.ended(3);
    });
    keeps(move || {
        let ledger = ledger(2);
        ledger.acquired(2, here);
        ledger.given_back(1, here);
        ledger.added(3);
        ledger.forgotten(1);
        // One is leaked, or forgotten by whoever held it: it is free no more in either case.
        ledger.ended(3);
        ledger.lost(1, here);
        ledger.ended(3);
    });
}

#[test]
fn every_waker_is_woken_replaced_or_dropped() {
    breaks("task 1 of runtime 0, spawned at sim/tests/laws.rs:", || {
        let runtime = runtime(1);
        laws::task_ended(1);
        laws::runtime_ended(runtime);
    });
    keeps(|| {
        let runtime = runtime(1);
        laws::task_ended(1);
        laws::runtime_ended(runtime);
        // A handle may be held for longer than the runtime lives.
        laws::task_freed(1);
    });
    // A runtime that has not ended may hold wakers.
    keeps(|| {
        runtime(1);
    });
}

#[test]
fn a_task_that_is_ready_waits_for_a_bounded_number_of_polls() {
    let polls = |times: usize| {
        for _ in 0..times {
            laws::poll_begins(1);
            laws::poll_ends(1);
        }
    };
    let words =
        "has polled 4 tasks, the last of them task 1 of runtime 0, without a look at its own";
    breaks(words, move || {
        runtime(1);
        laws::worker_begins(3, 5);
        polls(3);
        laws::worker_looked_at_shared();
        polls(1);
    });
    breaks("has polled 6 tasks", move || {
        runtime(1);
        laws::worker_begins(3, 5);
        polls(3);
        laws::worker_looked_at_own();
        polls(3);
    });
    keeps(move || {
        runtime(1);
        laws::worker_begins(3, 5);
        polls(3);
        laws::worker_looked_at_own();
        polls(2);
        laws::worker_looked_at_shared();
        polls(1);
        // Another thread is no worker, nor is this one any more.
        thread::spawn(move || polls(10)).join().unwrap();
        laws::worker_ends();
        polls(10);
    });
}

#[test]
fn no_descriptor_outlives_its_runtime() {
    let ended = || laws::runtime_ended(laws::runtime_started());
    breaks("1 pollers are open", move || {
        ended();
        mem::forget(Poller::new().unwrap());
    });
    breaks("1 rings are open", move || {
        ended();
        mem::forget(Ring::new(1).unwrap());
    });
    keeps(move || {
        ended();
        drop((Poller::new().unwrap(), Ring::new(1).unwrap()));
    });
    // A file is the program's own, and may have a handle of the runtime.
    keeps(move || {
        ended();
        mem::forget((Poller::new().unwrap(), File::create("/file").unwrap()));
    });
    // Another runtime has not ended.
    keeps(move || {
        ended();
        laws::runtime_started();
        mem::forget(Poller::new().unwrap());
    });
}

#[test]
fn no_slot_of_a_table_outlives_what_it_is_for() {
    breaks("2 slots of its table are taken", || laws::ring_closed(2));
    breaks("1 places of its table are taken", || laws::driver_ended(1));
    keeps(|| {
        laws::ring_closed(0);
        laws::driver_ended(0);
    });
}
