//! Virtual time in which a runtime only waits for timers costs nothing: a day of it takes the
//! steps of an hour. Counted, not timed.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use std::time::Duration;

use volt::Runtime;
use volt::sim::{Report, Sim};
use volt::time::sleep;

const SEEDS: u64 = 20;
const TASKS: usize = 100;
/// An hour, and a day, of whole slots of the timers' wheel: the wheel looks at a timer once more
/// for each level on which its deadline falls into a slot, and both of these have one such level.
const HOUR: Duration = Duration::from_millis(14 << 18);
const DAY: Duration = Duration::from_millis(5 << 24);
/// Longer than all that is slept in a run.
const LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A run in which nothing happens for `duration`: all tasks of a runtime sleep.
fn idle(seed: u64, workers: usize, duration: Duration) -> Report {
    let sim = Sim::builder().seed(seed).virtual_time_limit(LIMIT).build();
    let report = sim.machine(move || {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|io| async move {
            let tasks: Vec<_> = (0..TASKS).map(|_| io.spawn(sleep(&io, duration))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.virtual_time() >= duration);
    report
}

fn a_day_takes_the_steps_of_an_hour(workers: usize) {
    for seed in 0..SEEDS {
        let (hour, day) = (idle(seed, workers, HOUR), idle(seed, workers, DAY));
        assert_eq!((hour.steps(), hour.counters()), (day.steps(), day.counters()), "seed {seed}");
    }
}

#[test]
fn with_one_worker_a_day_takes_the_steps_of_an_hour() {
    a_day_takes_the_steps_of_an_hour(1);
}

#[test]
fn with_four_workers_a_day_takes_the_steps_of_an_hour() {
    a_day_takes_the_steps_of_an_hour(4);
}
