//! Programs that run one short future after the other: tasks and timers go on in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::Runtime;
use volt::platform::{clock, thread};
use volt::time::sleep;

/// How long a timer takes: as long as several simulated runs.
const A_WHILE: Duration = Duration::from_micros(20);
/// How long a scenario waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `again` over and over, until a task has slept for a while.
fn until_a_task_has_slept(runtime: &Runtime, again: impl Fn(&Runtime)) {
    let has_slept = Arc::new(AtomicBool::new(false));
    let (io, flag) = (runtime.io(), Arc::clone(&has_slept));
    drop(runtime.io().spawn(async move {
        sleep(&io, A_WHILE).await;
        flag.store(true, Ordering::Release);
    }));
    let began = clock::now();
    while !has_slept.load(Ordering::Acquire) {
        let waited = clock::now().saturating_duration_since(began);
        assert!(waited < PATIENCE, "the task is kept waiting");
        again(runtime);
    }
}

scenario!(futures_that_are_ready_at_once, || {
    until_a_task_has_slept(&runtime(1), |runtime| runtime.run(|_io| async {}));
});

scenario!(futures_that_wait_for_a_task, || {
    until_a_task_has_slept(&runtime(1), |runtime| {
        runtime.run(|io| async move { io.spawn(async {}).await.unwrap() });
    });
});

scenario!(two_threads_that_take_turns, || {
    let runtime = runtime(1);
    let (io, is_over) = (runtime.io(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&is_over);
    let other = thread::spawn("other", None, move || {
        while !flag.load(Ordering::Acquire) {
            io.block_on(async { io.spawn(async {}).await.unwrap() });
        }
    });
    until_a_task_has_slept(&runtime, |runtime| {
        runtime.run(|io| async move { io.spawn(async {}).await.unwrap() });
    });
    is_over.store(true, Ordering::Release);
    other.unwrap().join().unwrap();
});

scenario!(futures_that_outlive_their_runtime, || {
    let runtime = runtime(1);
    let io = runtime.io();
    drop(runtime);
    // More than come in a row while the runtime lives.
    for number in 0..100 {
        assert_eq!(io.block_on(async { number }), number);
        assert!(io.block_on(async { io.spawn(async {}).await }).unwrap_err().is_cancelled());
    }
});
