//! A run that reaches its limit of steps is told from one whose threads wait for each other in
//! loops.

use std::sync::Arc;

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{FailureKind, Sim, Strategy, thread};

/// Two threads: what each does to its own word, over and over, and to that of the other.
fn two(step: fn(&AtomicU32, &AtomicU32)) -> impl Fn() + Send + Sync + 'static {
    move || {
        let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let other = Arc::clone(&words);
        let repeat = move |own: &AtomicU32, other: &AtomicU32| {
            while own.load(Ordering::SeqCst) != u32::MAX {
                step(own, other);
            }
        };
        let thread = thread::spawn(move || repeat(&other[1], &other[0]));
        repeat(&words[0], &words[1]);
        thread.join().unwrap();
    }
}

/// Each takes back what it did when the other has done the same.
fn polite() -> impl Fn() + Send + Sync + 'static {
    two(|own, other| {
        own.store(1, Ordering::SeqCst);
        if other.load(Ordering::SeqCst) == 1 {
            own.store(0, Ordering::SeqCst);
        }
        thread::yield_now();
    })
}

#[test]
fn threads_that_wait_for_each_other_in_loops_are_a_livelock() {
    let failure = Sim::builder().step_limit(100_000).build().check(polite()).expect_err("no end");
    assert_eq!(failure.kind(), FailureKind::Livelock, "{failure}");
    assert!(failure.message().contains("atomic store, at "), "{failure}");
    assert!(failure.message().contains("limits.rs"), "{failure}");
}

#[test]
fn a_livelock_within_a_small_limit_is_one_when_it_is_replayed_too() {
    for limit in [9_000, 10_000, 12_000, 17_000] {
        let sim = || Sim::builder().step_limit(limit);
        let failure = sim().build().check(polite()).expect_err("no end");
        let path = failure.tape_path().expect("a saved tape").to_owned();
        let replay = sim().strategy(Strategy::Tape(path.clone())).build();
        let again = replay.check(polite()).expect_err("no end");
        assert_eq!((failure.kind(), again.kind()), (FailureKind::Livelock, FailureKind::Livelock));
        assert_eq!(again.message(), failure.message());
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn threads_that_count_reach_the_limit_without_a_livelock() {
    let counting = two(|own, _| {
        own.fetch_add(1, Ordering::SeqCst);
    });
    let failure = Sim::builder().step_limit(100_000).build().check(counting).expect_err("no end");
    assert_eq!(failure.kind(), FailureKind::Limit, "{failure}");
}
