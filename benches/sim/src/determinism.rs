//! What a determinism check costs beside the two runs that it needs. The peer is Volt itself:
//! `two-runs` runs each seed twice and compares nothing. The aim is a ratio of at most 1.15.

use volt::sim::{Failure, Report, Sim, SimBuilder, Strategy};
use volt_bench_harness::{Effort, Row};

use crate::models::{THREADS, hundred_tasks, on_volt};

/// All rows of this file.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let each = effort.ops(1_000_000, 100_000);
    let seeds = effort.ops(100, 20);
    vec![
        row("increments", each * THREADS as u64, 1, move |sim| {
            sim.check(move || on_volt::increments(each))
        }),
        row("runtime", seeds, seeds, |sim| sim.machine(hundred_tasks)),
    ]
}

/// The row of one program, which `run` runs in the simulation that it is given.
fn row(
    variant: &str,
    ops: u64,
    seeds: u64,
    run: impl Fn(&Sim) -> Result<Report, Failure> + Clone + 'static,
) -> Row {
    let twice = run.clone();
    Row::new("sim_determinism_check", ops)
        .variant(variant)
        .timed("volt", move || {
            for seed in 0..seeds {
                expect_success(run(&simulation(seed).check_determinism(true).build()));
            }
        })
        .timed("two-runs", move || {
            for seed in 0..seeds {
                let sim = simulation(seed).build();
                expect_success(twice(&sim));
                expect_success(twice(&sim));
            }
        })
}

fn simulation(seed: u64) -> SimBuilder {
    Sim::builder().seed(seed).strategy(Strategy::Random).step_limit(u64::MAX)
}

fn expect_success(result: Result<Report, Failure>) {
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
