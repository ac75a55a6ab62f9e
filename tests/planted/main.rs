//! Bugs found in the wild and in the field's suites, each in a small program: the default strategy
//! finds it from several base seeds, the failing schedule shrinks to one that can be read, and its
//! corrected twin raises no alarm. `ci/planted` has the complete statistics, for each strategy;
//! `docs/planted.md` keeps them.
//!
//! | file | what it is |
//! |---|---|
//! | `programs/` | one file for each bug: what it is, where it was found, what to look for |
//! | `statistics.rs` | runs until the bug is found, per strategy, as a table |

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

mod programs;

use std::time::Duration;

use programs::{ALL, Program, Version};
use volt::sim::{Sim, Strategy};

/// What seeds begin with; far enough from each other that no two sweeps meet.
const BASE_SEEDS: [u64; 3] = [0, 1 << 32, 2 << 32];
/// What the smallest schedule of a bug in a few threads has at most.
const SWITCHES: u64 = 12;
/// How long to look for the smallest schedule, once for each bug.
const SHRINK: Duration = Duration::from_secs(5);
/// Seeds that each twin runs under.
const TWIN_SEEDS: u64 = 500;

fn named(name: &str) -> &'static Program {
    let program = ALL.iter().find(|program| program.name == name);
    program.unwrap_or_else(|| panic!("no program is called {name}"))
}

/// How many switches between threads the smallest schedule has at most.
fn most_switches(name: &str) -> u64 {
    // Where there are that many threads, each takes a switch to run at all.
    let threads = match name {
        "reorder_100" => 101,
        "twostage_20" => 21,
        _ => 0,
    };
    threads + SWITCHES
}

fn is_found_and_its_twin_is_not(name: &str) {
    let program = named(name);
    let report = program.sweep_twin(&Strategy::Mix, 0, TWIN_SEEDS);
    report.into_result().unwrap_or_else(|failure| panic!("{name}, the twin: {failure}"));
    // To find it takes longer than a test may; `ci/planted` does.
    if program.is_long() {
        return;
    }
    for first in BASE_SEEDS {
        let run = program.run;
        let shrink = if first == 0 { SHRINK } else { Duration::ZERO };
        let sweep = Sim::builder().name(name).shrink(shrink).sweep(first..first + program.within);
        let report = sweep.check(move || run(Version::Buggy));
        let runs = report.runs();
        let failure = report.failure();
        let failure = failure.unwrap_or_else(|| panic!("{name}: not found in {runs} runs"));
        program.expect_symptom(failure);
        println!("{name}: found after {runs} runs, {}", failure.report().strategy());
        if let Some(schedule) = failure.schedule() {
            let (switches, preemptions) = (schedule.switches(), schedule.preemptions());
            println!("{name}: {switches} switches, {preemptions} of them pre-emptions");
            assert!(switches <= most_switches(name), "{name}: {failure}");
        } else {
            assert_ne!(first, 0, "{name}: it was not shrunk: {failure}");
        }
    }
}

macro_rules! tests {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                is_found_and_its_twin_is_not(stringify!($name));
            }
        )+

        #[test]
        fn each_program_has_a_test() {
            let tested = [$(stringify!($name)),+];
            assert!(ALL.iter().map(|program| program.name).eq(tested));
        }
    };
}

tests! {
    blocking_pool
    oneshot
    timer_shards
    steal_ring
    restored_front
    block_list
    local_pool
    weak_upgrade
    fallback_queue
    count_before_push
    page_compaction
    close_waits_for_permits
    notified_then_dropped
    op_slab
    join_queue
    work_stealing_queue
    work_stealing_exchange
    reorder_10
    reorder_100
    twostage_20
    wrong_lock
    bluetooth
    token_ring
    lock_order
    channel_under_lock
    wait_group
    read_lock_twice
    one_condition
    safe_stack
}
