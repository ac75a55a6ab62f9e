//! What the report of a failure says, and that of a success counts.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use volt::sim::{FailureKind, Sim, Strategy};

#[test]
fn a_deadlock_names_each_blocked_task_and_thread_and_where_it_waits() {
    let report = Sim::builder().seed(1).build().machine(|| {
        volt::Runtime::builder().workers(2).build().unwrap().run(|io| async move {
            let sleeper =
                volt::task::Builder::new().name("sleeper").spawn(&io, std::future::pending::<()>());
            let joiner = io.spawn(async move { sleeper.await.unwrap() });
            joiner.await.unwrap();
        });
    });
    let failure = report.expect_err("nobody will ever wake the sleeper");
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    let text = failure.to_string();
    println!("{text}");
    assert!(text.contains("task 1 \"sleeper\" of runtime 0, spawned at tests/reports.rs:"));
    assert!(text.contains("waits for something that is not Volt's"));
    assert!(text.contains("waits for the end of task 1 \"sleeper\" of runtime 0"));
    assert!(text.contains("thread 0 \"main\" waits "));
    // One of the workers waits in the driver, the other one on its own.
    assert!(text.contains("waits in poller 1 (no sockets), at src/driver/mod.rs"));
    assert!(text.contains("src/waiter/parker.rs"));
}

#[test]
fn the_counts_of_a_run_are_exact() {
    const TASKS: u64 = 10;
    let run = || {
        let report = Sim::builder().seed(1).strategy(Strategy::Random).build().machine(|| {
            let runtime = volt::Runtime::builder().workers(1).build().unwrap();
            runtime.run(|io| async move {
                let tasks: Vec<_> = (0..TASKS).map(|_| io.spawn(async {})).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        });
        report.unwrap_or_else(|failure| panic!("{failure}")).counters()
    };
    let counters = run();
    assert_eq!(counters.polls, TASKS, "each task is ready when it is polled");
    assert_eq!(counters.steals, 0, "nobody is there to steal");
    assert!(counters.atomics > TASKS, "{counters:?}");
    assert_eq!(counters, run());
}
