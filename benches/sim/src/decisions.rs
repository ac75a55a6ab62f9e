//! Decisions per second: four threads that do nothing but increment an atomic, each increment a
//! scheduling point at which the simulator chooses who runs on.

use std::sync::{Arc, Mutex};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use volt::sim::Strategy;
use volt_bench_harness::{Effort, Row, Sample, Stopwatch};

use crate::models::{THREADS, check_with_shuttle, check_with_volt, on_shuttle, on_volt};

const SEED: u64 = 1;

/// All rows of this file.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let each = effort.ops(1_000_000, 100_000);
    let ops = each * THREADS as u64;
    let random = Row::new("sim_decisions_random", ops)
        .timed("volt", move || check_volt(Strategy::Random, each))
        .timed("shuttle", move || {
            let scheduler = RandomScheduler::new_from_seed(SEED, 1);
            check_with_shuttle(scheduler, move || on_shuttle::increments(each));
        });
    let pct = Row::new("sim_decisions_pct", ops)
        .contender("volt", move || Box::new(move || volt_pct(each)))
        .contender("shuttle", move || Box::new(move || shuttle_pct(each)));
    vec![random, pct]
}

fn check_volt(strategy: Strategy, each: u64) {
    let report = check_with_volt(SEED, strategy, move || on_volt::increments(each));
    let increments = each * THREADS as u64;
    assert!(report.steps() >= increments, "a scheduling point was skipped");
}

/// Runs Volt's PCT and takes the time of its run alone: before it, a run under random choices
/// learns how long the program is, as shuttle's first execution does.
fn volt_pct(each: u64) -> Sample {
    let stopwatch = Stopwatch::start();
    let strategy = Strategy::Pct { depth: 3 };
    let report = check_with_volt(SEED, strategy, move || on_volt::increments(each));
    let sample = stopwatch.stop();
    assert!(report.steps() >= each * THREADS as u64, "a scheduling point was skipped");
    Sample { elapsed: report.real_time(), ..sample }
}

/// Runs shuttle's PCT, of the same depth, twice and measures the second execution: in the first it
/// only learns how long the program is and changes no priority.
fn shuttle_pct(each: u64) -> Sample {
    let stopwatch = Arc::new(Mutex::new(None));
    let restart = Arc::clone(&stopwatch);
    check_with_shuttle(PctScheduler::new_from_seed(SEED, 3, 2), move || {
        *restart.lock().expect("nobody panics with the lock") = Some(Stopwatch::start());
        on_shuttle::increments(each);
    });
    let stopwatch = stopwatch.lock().expect("nobody panics with the lock").take();
    stopwatch.expect("the program ran").stop()
}
