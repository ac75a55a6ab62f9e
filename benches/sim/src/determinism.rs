//! What a determinism check costs beside the two runs that it needs. The peer is Volt itself:
//! `two-runs` runs the seeds twice and compares nothing. The aim is a ratio of at most 1.15.

use volt::sim::{Sim, SimBuilder, Strategy, Sweep, SweepReport};
use volt_bench_harness::{Effort, Row};

use crate::models::{THREADS, hundred_tasks, on_volt};

/// Seeds of the program that increments.
const SEEDS: u64 = 4;

/// All rows of this file.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let each = effort.ops(250_000, 25_000);
    let runtimes = effort.ops(100, 20);
    vec![
        row("increments", SEEDS * THREADS as u64 * each, SEEDS, move |sweep| {
            sweep.check(move || on_volt::increments(each))
        }),
        row("runtime", runtimes, runtimes, |sweep| sweep.machine(hundred_tasks)),
    ]
}

/// The row of one program, which `run` runs in the sweep that it is given.
fn row(
    variant: &str,
    ops: u64,
    seeds: u64,
    run: impl Fn(Sweep) -> SweepReport + Clone + 'static,
) -> Row {
    let unchecked = run.clone();
    Row::new("sim_determinism_check", ops)
        .variant(variant)
        .timed("volt", move || {
            let checks = simulation().check_determinism(true);
            expect_success(run(checks.sweep(0..seeds).jobs(1)), seeds);
        })
        .timed("two-runs", move || {
            for _ in 0..2 {
                expect_success(unchecked(simulation().sweep(0..seeds).jobs(1)), seeds);
            }
        })
}

fn simulation() -> SimBuilder {
    Sim::builder().strategy(Strategy::Random).step_limit(u64::MAX)
}

fn expect_success(report: SweepReport, seeds: u64) {
    assert_eq!(report.runs(), seeds);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}
