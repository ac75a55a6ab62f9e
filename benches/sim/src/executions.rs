//! Executions per second of a tiny program: what starting and ending a run costs.

use shuttle::scheduler::RandomScheduler;
use volt::sim::{Sim, Strategy};
use volt_bench_harness::Row;

use crate::models::{check_with_shuttle, on_shuttle, on_volt};

const EXECUTIONS: u32 = 10_000;

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let tiny_model = Row::new("sim_tiny_model", u64::from(EXECUTIONS))
        .timed("volt", || {
            let seeds = 0..u64::from(EXECUTIONS);
            let sweep = Sim::builder().strategy(Strategy::Random).sweep(seeds);
            let report = sweep.check(on_volt::tiny);
            assert_eq!(report.runs(), u64::from(EXECUTIONS));
            report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
        })
        .timed("shuttle", || {
            let scheduler = RandomScheduler::new_from_seed(1, EXECUTIONS as usize);
            check_with_shuttle(scheduler, on_shuttle::tiny);
        });
    vec![tiny_model]
}
