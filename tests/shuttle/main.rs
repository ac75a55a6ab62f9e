//! Randomised models of compositions: four tasks and more, which loom cannot finish. `ci/shuttle`
//! runs them; without `--cfg volt_shuttle` there is nothing here.
//!
//! Volt's atomics and internal locks are shuttle's here, and each operation on one is a point
//! where another task may go on. A wake-up that is lost shows as a deadlock, since each model
//! joins all its tasks. shuttle takes every ordering for the strongest: weaker ones are loom's to
//! check.
//!
//! | file | what meets |
//! |---|---|
//! | `select` | `select!` over several channels, with four senders |
//! | `locks` | a lock, a channel and notifications |
//! | `pipeline` | a semaphore, a bounded channel, and cancellation |
//! | `fan_out` | broadcast and watch, with receivers that go |
//! | `rwlock` | readers, writers, and one who gives up waiting |
//! | `condvar` | a queue with two conditions, and one who gives up waiting |
//! | `cancellation` | a tree of tokens, with joins |
//! | `once_cell` | four initialisers, one of which fails |
//!
//! Each file also plants a bug, which the same model must notice.

#![cfg(volt_shuttle)]

#[cfg(feature = "macros")]
mod cancellation;
mod condvar;
mod fan_out;
mod locks;
mod once_cell;
mod pipeline;
mod rwlock;
#[cfg(feature = "macros")]
mod select;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Executions with a random choice of the next task.
const RANDOM_EXECUTIONS: usize = 2_000;
/// Executions with random priorities, which change now and then.
const PCT_EXECUTIONS: usize = 500;
/// How many constraints on the order a bug may have that PCT finds with a known probability.
const PCT_DEPTH: usize = 3;
/// Fixed, so that what fails once fails again; `SHUTTLE_RANDOM_SEED` sets another one.
const SEED: u64 = 3;

/// Runs `model` in many orders, and prints in how many.
///
/// # Panics
/// If one of them panics or deadlocks; the output has its schedule.
fn explore(model: fn()) {
    let began = Instant::now();
    let random = RandomScheduler::new_from_seed(SEED, RANDOM_EXECUTIONS);
    let mut executions = Runner::new(random, Config::default()).run(model);
    let pct = PctScheduler::new_from_seed(SEED, PCT_DEPTH, PCT_EXECUTIONS);
    executions += Runner::new(pct, Config::default()).run(model);
    let thread = thread::current();
    let name = thread.name().unwrap_or("model");
    println!("model {name}: {executions} executions in {:?}", began.elapsed());
}

/// Polls a future once, as somebody does who gives up waiting for it.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
