//! The programs that the simulators run, and how each simulator is called.

use shuttle::scheduler::Scheduler;
use shuttle::{Config, MaxSteps, Runner};
use volt::Runtime;
use volt::sim::{Report, Sim, Strategy};

/// Threads of [`on_volt::increments`] and [`on_shuttle::increments`].
pub(crate) const THREADS: usize = 4;

/// Defines the programs on the threads and atomics of one simulator: one text, so that all
/// simulators run the same. The `Arc` is std's for everyone: its count is no scheduling point.
macro_rules! models {
    ($simulator:ident uses $($path:ident)::+) => {
        pub(crate) mod $simulator {
            use std::sync::Arc;

            use $($path)::+::sync::atomic::{AtomicUsize, Ordering};
            use $($path)::+::thread;

            /// Four threads increment one atomic, each so many times.
            pub(crate) fn increments(each: u64) {
                let counter = Arc::new(AtomicUsize::new(0));
                let threads: [_; super::THREADS] = std::array::from_fn(|_| {
                    let counter = Arc::clone(&counter);
                    thread::spawn(move || {
                        for _ in 0..each {
                            counter.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                });
                for thread in threads {
                    thread.join().expect("the thread does not panic");
                }
            }

            /// Two threads each load and store one atomic.
            pub(crate) fn tiny() {
                let value = Arc::new(AtomicUsize::new(0));
                let threads: [_; 2] = std::array::from_fn(|_| {
                    let value = Arc::clone(&value);
                    thread::spawn(move || {
                        let seen = value.load(Ordering::SeqCst);
                        value.store(seen + 1, Ordering::SeqCst);
                    })
                });
                for thread in threads {
                    thread.join().expect("the thread does not panic");
                }
            }
        }
    };
}

models!(on_volt uses volt::sim);
models!(on_shuttle uses shuttle);

/// Starts a runtime of four workers, runs a hundred tasks on it and shuts it down.
pub(crate) fn hundred_tasks() {
    let runtime = Runtime::builder().workers(4).build().expect("a simulated machine has threads");
    let sum = runtime.run(|io| async move {
        let tasks: Vec<_> = (0..100_u64).map(|number| io.spawn(async move { number })).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("the task does not panic");
        }
        sum
    });
    assert_eq!(sum, 4_950);
}

/// Runs a program once in Volt's simulator, which records the run and hashes it.
///
/// # Panics
///
/// If the run fails.
pub(crate) fn check_with_volt(
    seed: u64,
    strategy: Strategy,
    program: impl Fn() + Send + Sync + 'static,
) -> Report {
    Sim::builder()
        .seed(seed)
        .strategy(strategy)
        .step_limit(u64::MAX)
        .build()
        .check(program)
        .unwrap_or_else(|failure| panic!("{failure}"))
}

/// Runs a program in shuttle, as often as the scheduler says. It records its schedule too.
pub(crate) fn check_with_shuttle(
    scheduler: impl Scheduler + 'static,
    program: impl Fn() + Send + Sync + 'static,
) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::None;
    Runner::new(scheduler, config).run(program);
}
