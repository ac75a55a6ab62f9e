//! Bugs found in the wild and in the field's suites, each in a small program: the default strategy
//! finds it from several base seeds, and its corrected twin raises no alarm. `ci/planted` has the
//! complete statistics, for each strategy; `docs/planted.md` keeps them.
//!
//! | file | what it is |
//! |---|---|
//! | `programs/` | one file for each bug: what it is, where it was found, what to look for |
//! | `statistics.rs` | runs until the bug is found, per strategy, as a table |

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

mod programs;

use programs::{ALL, Program, Version};
use volt::sim::{Sim, Strategy};

/// What seeds begin with; far enough from each other that no two sweeps meet.
const BASE_SEEDS: [u64; 3] = [0, 1 << 32, 2 << 32];
/// Seeds that each twin runs under.
const TWIN_SEEDS: u64 = 500;

fn named(name: &str) -> &'static Program {
    let program = ALL.iter().find(|program| program.name == name);
    program.unwrap_or_else(|| panic!("no program is called {name}"))
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
        let sweep = Sim::builder().name(name).sweep(first..first + program.within);
        let report = sweep.check(move || run(Version::Buggy));
        let runs = report.runs();
        let failure = report.failure();
        let failure = failure.unwrap_or_else(|| panic!("{name}: not found in {runs} runs"));
        program.expect_symptom(failure);
        println!("{name}: found after {runs} runs, {}", failure.report().strategy());
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
