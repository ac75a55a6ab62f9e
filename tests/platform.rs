//! The conformance test of the seam: the contract of `volt::platform::Platform`, clause by clause.
//!
//! The test functions are generic over the trait and named after the clause they test. Each runs
//! against every implementation:
//!
//! | test | implementation | threads |
//! |---|---|---|
//! | `c10_...::on_the_real_machine` | `Real` | the system's |
//! | `c10_...::simulated_on_ordinary_threads` | `Simulated` | the system's |
//! | `c10_...::simulated_machines` | `Simulated` | simulated, in whole machines, over many seeds |
//! | `c10_...::simulated_under_check` | `Simulated` | simulated, plain ones, over many seeds |
//!
//! No test relies on timing. What must happen is waited for, and a test that waits in vain fails
//! after [`PATIENCE`]; on simulated threads that is virtual time. The tests count in atomics of
//! std: on simulated threads those are no scheduling points, and the platform's operations around
//! them are.

// Under a model checker `platform::sync` belongs to the checker's threads, which no
// implementation of `Platform` starts.
#![cfg(not(any(volt_loom, volt_shuttle)))]

use std::sync::Arc;
use std::time::Duration;

use volt::platform::Platform;

/// Makes tests of generic functions: a module of the function's name with a test for each kind of
/// machine.
macro_rules! conformance {
    ($($clause:ident),+ $(,)?) => {$(
        mod $clause {
            #[test]
            fn on_the_real_machine() {
                super::$clause::<volt::platform::Real>();
            }

            #[cfg(feature = "sim")]
            #[test]
            fn simulated_on_ordinary_threads() {
                super::$clause::<volt::platform::Simulated>();
            }

            #[cfg(feature = "sim")]
            #[test]
            fn simulated_machines() {
                crate::in_machines(super::$clause::<volt::platform::Simulated>);
            }

            #[cfg(feature = "sim")]
            #[test]
            fn simulated_under_check() {
                crate::under_check(super::$clause::<volt::platform::Simulated>);
            }
        }
    )+};
}

#[path = "platform/clock.rs"]
mod clock;
#[path = "platform/entropy.rs"]
mod entropy;
#[path = "platform/futex.rs"]
mod futex;
#[path = "platform/lock.rs"]
mod lock;
#[path = "platform/threads.rs"]
mod threads;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The seeds that each simulated test runs under.
#[cfg(feature = "sim")]
const SEEDS: std::ops::Range<u64> = 0..200;

#[cfg(feature = "sim")]
fn in_machines(test: impl Fn() + Send + Sync + 'static) {
    let report = volt::sim::Sim::builder().sweep(SEEDS).machine(test);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[cfg(feature = "sim")]
fn under_check(test: impl Fn() + Send + Sync + 'static) {
    let report = volt::sim::Sim::builder().sweep(SEEDS).check(test);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Waits until `holds` says so.
#[track_caller]
fn eventually<P: Platform>(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = P::now() + PATIENCE;
    while !holds() {
        assert!(P::now() < deadline, "not within {PATIENCE:?}: {what}");
        P::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn spawn<P: Platform>(name: &str, body: impl FnOnce() + Send + 'static) -> P::Thread {
    P::spawn(name, None, Box::new(body)).expect("the platform has a thread to give")
}

/// Starts `count` threads that run `body`, each with its number.
#[track_caller]
fn spawn_all<P: Platform>(
    count: u32,
    body: impl Fn(u32) + Send + Sync + 'static,
) -> Vec<P::Thread> {
    let body = Arc::new(body);
    let mut threads = Vec::new();
    for number in 0..count {
        let body = Arc::clone(&body);
        threads.push(spawn::<P>(&format!("thread {number}"), move || body(number)));
    }
    threads
}

/// Waits for a thread that must not have panicked. Panics anew instead of resuming the thread's
/// panic, so that the panic hook sees that the test fails.
#[track_caller]
fn join<P: Platform>(thread: P::Thread) {
    if let Err(payload) = P::join(thread) {
        let formatted = payload.downcast_ref::<String>().map(String::as_str);
        let message = formatted.or_else(|| payload.downcast_ref::<&str>().copied());
        panic!("a thread of the test panicked: {}", message.unwrap_or("a value that is no text"));
    }
}

#[track_caller]
fn join_all<P: Platform>(threads: Vec<P::Thread>) {
    for thread in threads {
        join::<P>(thread);
    }
}
