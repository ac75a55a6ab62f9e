//! Virtual time: what a second costs in which a thousand tasks sleep again and again, and what an
//! hour costs in which they only wait. An operation is such a second, or such an hour: 333 µs for
//! a second are 3,000 times real.
//!
//! The peers run all tasks on one thread and choose nothing between their polls, so Volt is in the
//! rows twice: with the two workers that a simulated machine has room for, and with one.

use std::future::Future;
use std::time::Duration;

use turmoil::Builder as TurmoilBuilder;
use volt::sim::{Report, Sim, Strategy};
use volt::{Io, Runtime};
use volt_bench_harness::Row;

const SEED: u64 = 1;
const TASKS: u64 = 1_000;
/// How long each task of the load sleeps, all in all.
const LOAD: Duration = Duration::from_secs(60);
/// The longest of its sleeps; the shortest is a millisecond.
const LONGEST_MILLISECONDS: u64 = 1_000;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// As many workers as the simulated machine runs threads at once.
const EVERY_CORE: usize = 0;
pub(crate) const NO_MADSIM: &str =
    "it defines `getrandom` and `clock_gettime`, as Volt does: one program cannot hold both";

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let load = Row::new("sim_virtual_second", LOAD.as_secs())
        .timed("volt", || on_volt(EVERY_CORE, LOAD, load_on_volt))
        .timed("volt-one-worker", || on_volt(1, LOAD, load_on_volt))
        .timed("tokio", || on_tokio(load_on_tokio()))
        .timed("turmoil", || on_turmoil(load_on_tokio()))
        .contender_if_able("madsim", || Err(NO_MADSIM.to_owned()));
    let idle_hour = Row::new("sim_idle_hour", 1)
        .timed("volt", || on_volt(EVERY_CORE, HOUR, wait_on_volt))
        .timed("volt-one-worker", || on_volt(1, HOUR, wait_on_volt))
        .timed("tokio", || on_tokio(wait_on_tokio()))
        .timed("turmoil", || on_turmoil(wait_on_tokio()))
        .contender_if_able("madsim", || Err(NO_MADSIM.to_owned()));
    vec![load, idle_hour]
}

/// Sleeps a random number of milliseconds, and again, until it has slept for [`LOAD`]. The numbers
/// are the task's own: drawn from the simulator's entropy, they would not be the same for all.
async fn sleep_again_and_again<S: Future<Output = ()>>(task: u64, sleep: impl Fn(Duration) -> S) {
    let mut random = task + 1;
    let mut left = LOAD;
    while !left.is_zero() {
        // A step of xorshift64, by G. Marsaglia, from any state but zero.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let milliseconds = 1 + random % LONGEST_MILLISECONDS;
        let pause = Duration::from_millis(milliseconds).min(left);
        sleep(pause).await;
        left -= pause;
    }
}

async fn load_on_volt(io: Io) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let of_task = io.clone();
            let sleep = move |pause| volt::time::sleep(&of_task, pause);
            io.spawn(sleep_again_and_again(task, sleep))
        })
        .collect();
    for task in tasks {
        task.await.expect("a task that sleeps does not panic");
    }
}

async fn load_on_tokio() {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(sleep_again_and_again(task, tokio::time::sleep)))
        .collect();
    for task in tasks {
        task.await.expect("a task that sleeps does not panic");
    }
}

async fn wait_on_volt(io: Io) {
    let tasks: Vec<_> = (0..TASKS).map(|_| io.spawn(volt::time::sleep(&io, HOUR))).collect();
    for task in tasks {
        task.await.expect("a task that sleeps does not panic");
    }
}

async fn wait_on_tokio() {
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(tokio::time::sleep(HOUR))).collect();
    for task in tasks {
        task.await.expect("a task that sleeps does not panic");
    }
}

/// Runs `program` on a runtime of a simulated machine, which records the run and hashes it.
fn on_volt<F>(workers: usize, at_least: Duration, program: fn(Io) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let sim = Sim::builder().seed(SEED).strategy(Strategy::Random).step_limit(u64::MAX).build();
    let report: Report = sim
        .machine(move || {
            let runtime = Runtime::builder().workers(workers).build();
            runtime.expect("a simulated machine has threads").run(program);
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.virtual_time() >= at_least, "a sleep ended early");
}

/// Runs `program` on a runtime of tokio's whose clock jumps to the next timer when no task can
/// run.
fn on_tokio(program: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread starts")
        .block_on(program);
}

/// Runs `program` on the one host of a simulation by turmoil, which steps through virtual time a
/// millisecond at a time unless it is told.
fn on_turmoil(program: impl Future<Output = ()> + 'static) {
    let mut simulation = TurmoilBuilder::new().rng_seed(SEED).simulation_duration(2 * HOUR).build();
    simulation.client("client", async {
        program.await;
        Ok(())
    });
    simulation.run().expect("the program ends in time");
}
