//! Virtual time in which nothing happens costs nothing: a day of it takes the steps of an hour.

use std::time::Duration;

use volt_sim::sync::{Condvar, Mutex};
use volt_sim::{Report, Sim, thread};

const SEEDS: u64 = 50;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than all that is slept in a run.
const LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A run in which four threads sleep for `duration` each, and the first waits as long for a
/// notification that does not come.
fn idle(seed: u64, duration: Duration) -> Report {
    let sim = Sim::builder().seed(seed).virtual_time_limit(LIMIT).build();
    let report = sim.check(move || {
        let threads = [(); 4].map(|()| thread::spawn(move || thread::sleep(duration)));
        let (lock, nobody) = (Mutex::new(()), Condvar::new());
        let waits = lock.lock().unwrap();
        let (waits, _) = nobody.wait_timeout_while(waits, duration, |_| true).unwrap();
        drop(waits);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.virtual_time() >= duration);
    report
}

#[test]
fn a_day_takes_the_steps_of_an_hour() {
    for seed in 0..SEEDS {
        let (hour, day) = (idle(seed, HOUR), idle(seed, DAY));
        assert_eq!((hour.steps(), hour.counters()), (day.steps(), day.counters()), "seed {seed}");
    }
}
