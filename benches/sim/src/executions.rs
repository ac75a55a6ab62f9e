//! Executions per second: of a tiny program, for what starting and ending a run costs, and of a
//! whole runtime that starts, runs a hundred tasks and shuts down, which nobody else simulates.

use shuttle::scheduler::RandomScheduler;
use volt::sim::{Sim, Strategy};
use volt_bench_harness::{Effort, Row};

use crate::models::{check_with_shuttle, hundred_tasks, on_shuttle, on_volt};

const EXECUTIONS: u32 = 10_000;

/// All rows of this file.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
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
    let runtimes = effort.ops(500, 100);
    let runtime = Row::new("sim_runtime", runtimes).timed("volt", move || {
        let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..runtimes).jobs(1);
        let report = sweep.machine(hundred_tasks);
        assert_eq!(report.runs(), runtimes);
        report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    });
    vec![tiny_model, runtime]
}
