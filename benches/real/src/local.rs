//! The local rows: many tasks on one thread that do not leave it.
//!
//! `local_ready_N` spawns N tasks that are ready and runs them all; each adds to a counter.
//! `local_yield_1000000` is the same with tasks that yield once. In the variants `joined` all
//! handles are kept and awaited; in the others they are let go at once. Every runtime is made once,
//! for all iterations. `LocalPool` has no join handles: it stands in the rows without them.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use volt_bench_harness::{Row, Run, Sample, Stopwatch, cpus, pin};

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        rows.push(detached::<false>("local_ready", tasks));
        rows.push(joined::<false>("local_ready", tasks));
    }
    rows.push(detached::<true>("local_yield", 1_000_000));
    rows.push(joined::<true>("local_yield", 1_000_000));
    rows
}

/// What every task does.
fn task<const YIELDS: bool>(count: &Rc<Cell<u64>>) -> impl Future<Output = ()> + 'static {
    let count = Rc::clone(count);
    let mut yielded = !YIELDS;
    poll_fn(move |context| {
        if !yielded {
            yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        count.set(count.get() + 1);
        Poll::Ready(())
    })
}

/// Measures `work` on a pinned thread, which has to raise the counter by `tasks`.
fn measure(tasks: u64, mut work: impl FnMut(&Rc<Cell<u64>>) + 'static) -> Run {
    Box::new(move || -> Sample {
        if let Some(cpu) = cpus().first() {
            pin(*cpu);
        }
        let count = Rc::new(Cell::new(0));
        let stopwatch = Stopwatch::start();
        work(&count);
        let sample = stopwatch.stop();
        assert_eq!(count.get(), tasks);
        sample
    })
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be had")
}

fn detached<const YIELDS: bool>(name: &str, tasks: u64) -> Row {
    Row::new(name, tasks)
        .variant(&tasks.to_string())
        .contender("volt", move || {
            let runtime = volt::local::Runtime::new();
            measure(tasks, move |count| {
                for _ in 0..tasks {
                    drop(runtime.spawn(task::<YIELDS>(count)));
                }
                runtime.run();
            })
        })
        .contender("tokio", move || {
            let runtime = tokio_runtime();
            measure(tasks, move |count| {
                let set = tokio::task::LocalSet::new();
                for _ in 0..tasks {
                    drop(set.spawn_local(task::<YIELDS>(count)));
                }
                runtime.block_on(set);
            })
        })
        .contender("async-executor", move || {
            measure(tasks, move |count| {
                let executor = async_executor::LocalExecutor::new();
                for _ in 0..tasks {
                    executor.spawn(task::<YIELDS>(count)).detach();
                }
                while executor.try_tick() {}
            })
        })
        .contender("futures", move || {
            let mut pool = LocalPool::new();
            measure(tasks, move |count| {
                let spawner = pool.spawner();
                for _ in 0..tasks {
                    spawner.spawn_local(task::<YIELDS>(count)).expect("the pool is there");
                }
                pool.run();
            })
        })
}

fn joined<const YIELDS: bool>(name: &str, tasks: u64) -> Row {
    Row::new(name, tasks)
        .variant(&format!("{tasks}_joined"))
        .contender("volt", move || {
            let runtime = volt::local::Runtime::new();
            measure(tasks, move |count| {
                let handles: Vec<_> =
                    (0..tasks).map(|_| runtime.spawn(task::<YIELDS>(count))).collect();
                runtime.run_until(async {
                    for handle in handles {
                        handle.await.expect("the task ends");
                    }
                });
            })
        })
        .contender("tokio", move || {
            let runtime = tokio_runtime();
            measure(tasks, move |count| {
                let set = tokio::task::LocalSet::new();
                let handles: Vec<_> =
                    (0..tasks).map(|_| set.spawn_local(task::<YIELDS>(count))).collect();
                runtime.block_on(set.run_until(async {
                    for handle in handles {
                        handle.await.expect("the task ends");
                    }
                }));
            })
        })
        .contender("async-executor", move || {
            measure(tasks, move |count| {
                let executor = async_executor::LocalExecutor::new();
                let handles: Vec<_> =
                    (0..tasks).map(|_| executor.spawn(task::<YIELDS>(count))).collect();
                smol::block_on(executor.run(async {
                    for handle in handles {
                        handle.await;
                    }
                }));
            })
        })
}
