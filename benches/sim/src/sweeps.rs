//! Seeds per second of a small program, on every core and on one. No peer is in this row: the aim
//! is that the time on one core is at least nine tenths of the cores' number times the time on all.

use std::thread;

use volt::sim::{Sim, Strategy};
use volt_bench_harness::{Effort, Row};

use crate::models::on_volt;

/// Increments of each of the program's four threads.
const INCREMENTS: u64 = 250;

/// All rows of this file.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let seeds = effort.ops(20_000, 4_000);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let row = Row::new("sim_sweep", seeds)
        .timed("volt", move || sweep(seeds, cores))
        .timed("volt-one-core", move || sweep(seeds, 1));
    vec![row]
}

fn sweep(seeds: u64, jobs: usize) {
    let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..seeds).jobs(jobs);
    let report = sweep.check(|| on_volt::increments(INCREMENTS));
    assert_eq!(report.runs(), seeds);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}
