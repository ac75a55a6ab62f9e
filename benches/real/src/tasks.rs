//! Rows 19 to 21: what it costs to spawn a task, or a blocking job, and to await it.
//!
//! Each row comes in two variants: all threads on one CPU, and threads on different CPUs. For the
//! two task rows that decides what waking another worker costs, one that may steal the new task.
//! For the blocking row it decides what the way to the blocking thread and back costs; it has one
//! worker, since with more of them the way back may end on either CPU.

use volt_bench_harness::{Row, Sample, Spread, Stopwatch, cpus, pin};

use crate::runtimes::{SmolExecutor, on_smol, on_tokio, on_volt};

/// Operations per iteration, in each of the three rows.
const OPS: u64 = 10_000;
const BATCHES: usize = 100;
const BATCH: usize = 100;
const _: () = assert!((BATCHES * BATCH) as u64 == OPS);

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let groups: [fn(Row, &[usize]) -> Row; 3] = [task_spawn, task_spawn_batch, blocking_spawn];
    ["task_spawn", "task_spawn_batch", "blocking_spawn"]
        .into_iter()
        .zip(groups)
        .flat_map(|(name, contenders)| {
            Spread::BOTH.map(|spread| {
                let row = Row::new(name, OPS).variant(spread.name());
                match spread.cpus() {
                    Ok(cpus) => contenders(row, &cpus),
                    Err(reason) => row.leave_out(reason),
                }
            })
        })
        .collect()
}

/// Spawns a task that does nothing and awaits it, one after the other.
fn task_spawn(row: Row, on: &[usize]) -> Row {
    let workers = cpus().len();
    row.contender("volt", on_volt(workers, on, spawn_on_volt))
        .contender("tokio", on_tokio(workers, on, spawn_on_tokio))
        .contender("smol", on_smol(workers, on, spawn_on_smol))
}

async fn spawn_on_volt(io: volt::Io) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        io.spawn(async {}).await.expect("the task ends");
    }
    stopwatch.stop()
}

async fn spawn_on_tokio() -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        tokio::spawn(async {}).await.expect("the task ends");
    }
    stopwatch.stop()
}

async fn spawn_on_smol(executor: SmolExecutor) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        executor.spawn(async {}).await;
    }
    stopwatch.stop()
}

/// Spawns a batch of tasks that do nothing, then awaits them all; again and again.
fn task_spawn_batch(row: Row, on: &[usize]) -> Row {
    let workers = cpus().len();
    row.contender("volt", on_volt(workers, on, batches_on_volt))
        .contender("tokio", on_tokio(workers, on, batches_on_tokio))
        .contender("smol", on_smol(workers, on, batches_on_smol))
}

async fn batches_on_volt(io: volt::Io) -> Sample {
    let mut tasks = Vec::with_capacity(BATCH);
    let stopwatch = Stopwatch::start();
    for _ in 0..BATCHES {
        tasks.extend((0..BATCH).map(|_| io.spawn(async {})));
        for task in tasks.drain(..) {
            task.await.expect("the task ends");
        }
    }
    stopwatch.stop()
}

async fn batches_on_tokio() -> Sample {
    let mut tasks = Vec::with_capacity(BATCH);
    let stopwatch = Stopwatch::start();
    for _ in 0..BATCHES {
        tasks.extend((0..BATCH).map(|_| tokio::spawn(async {})));
        for task in tasks.drain(..) {
            task.await.expect("the task ends");
        }
    }
    stopwatch.stop()
}

async fn batches_on_smol(executor: SmolExecutor) -> Sample {
    let mut tasks = Vec::with_capacity(BATCH);
    let stopwatch = Stopwatch::start();
    for _ in 0..BATCHES {
        tasks.extend((0..BATCH).map(|_| executor.spawn(async {})));
        for task in tasks.drain(..) {
            task.await;
        }
    }
    stopwatch.stop()
}

/// Hands a job that does nothing to the blocking pool and awaits it, one after the other.
///
/// The job pins its thread, which costs one thread-local read once the thread is where it should
/// be: smol's pool has no hook for new threads, and everyone runs the same job.
fn blocking_spawn(row: Row, on: &[usize]) -> Row {
    let worker = &on[..1];
    let pool = on[on.len() - 1];
    row.contender("volt", on_volt(1, worker, move |io| blocking_on_volt(io, pool)))
        .contender("tokio", on_tokio(1, worker, move || blocking_on_tokio(pool)))
        .contender("smol", on_smol(1, worker, move |_| blocking_on_smol(pool)))
}

async fn blocking_on_volt(io: volt::Io, pool: usize) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        io.spawn_blocking(move || pin(pool)).await.expect("the job ends");
    }
    stopwatch.stop()
}

async fn blocking_on_tokio(pool: usize) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        tokio::task::spawn_blocking(move || pin(pool)).await.expect("the job ends");
    }
    stopwatch.stop()
}

async fn blocking_on_smol(pool: usize) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..OPS {
        smol::unblock(move || pin(pool)).await;
    }
    stopwatch.stop()
}
