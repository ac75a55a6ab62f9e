//! C15 to C17: the internal lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use volt::platform::{Platform, PlatformLock};

use crate::{eventually, join, join_all, spawn, spawn_all};

conformance! {
    c15_one_thread_at_a_time_is_inside,
    c15_try_lock_fails_while_one_is_inside,
    c16_a_panic_inside_releases_the_lock_and_leaves_no_mark,
    c16_whoever_waits_gets_the_lock_of_one_that_panics,
    c17_whoever_waits_gets_the_lock_once_it_is_free,
}

fn c15_one_thread_at_a_time_is_inside<P: Platform + 'static>() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 50;
    let lock = Arc::new(P::Lock::new(0));
    let threads = {
        let lock = Arc::clone(&lock);
        let inside = AtomicU32::new(0);
        spawn_all::<P>(THREADS, move |number| {
            // Relaxed: the lock alone is to order those inside.
            let enter = |total: &mut u64| {
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two threads are inside");
                P::yield_now();
                *total += 1;
                inside.fetch_sub(1, Ordering::Relaxed);
            };
            for _ in 0..ROUNDS {
                match number % 2 {
                    0 => lock.with(enter),
                    _ => eventually::<P>("the lock is free", || lock.try_with(enter).is_some()),
                }
            }
        })
    };
    join_all::<P>(threads);
    assert_eq!(lock.with(|total| *total), u64::from(THREADS * ROUNDS));
}

fn c15_try_lock_fails_while_one_is_inside<P: Platform + 'static>() {
    let lock = Arc::new(P::Lock::new(0));
    let is_inside = Arc::new(AtomicBool::new(false));
    let may_leave = Arc::new(AtomicBool::new(false));
    let holder = {
        let lock = Arc::clone(&lock);
        let (is_inside, may_leave) = (Arc::clone(&is_inside), Arc::clone(&may_leave));
        spawn::<P>("holds the lock", move || {
            lock.with(|_| {
                is_inside.store(true, Ordering::Release);
                eventually::<P>("the holder may leave", || may_leave.load(Ordering::Acquire));
            });
        })
    };
    eventually::<P>("the holder is inside", || is_inside.load(Ordering::Acquire));
    for _ in 0..10 {
        assert!(lock.try_with(|_| ()).is_none(), "two threads are inside");
        P::yield_now();
    }
    may_leave.store(true, Ordering::Release);
    join::<P>(holder);
    assert!(lock.try_with(|_| ()).is_some(), "nobody is inside");
    lock.with(|_| assert!(lock.try_with(|_| ()).is_none(), "the holder entered twice"));
}

fn add_one_and_panic(value: &mut u64) {
    *value += 1;
    panic!("planned");
}

fn c16_a_panic_inside_releases_the_lock_and_leaves_no_mark<P: Platform + 'static>() {
    let lock = Arc::new(P::Lock::new(0));
    let panics = {
        let lock = Arc::clone(&lock);
        spawn::<P>("panics inside", move || lock.with(add_one_and_panic))
    };
    assert!(P::join(panics).is_err());
    assert_eq!(lock.try_with(|value| *value), Some(1));
    assert_eq!(lock.with(|value| *value), 1);
    assert!(catch_unwind(AssertUnwindSafe(|| lock.with(add_one_and_panic))).is_err());
    assert_eq!(lock.try_with(|value| *value), Some(2));
    assert!(catch_unwind(AssertUnwindSafe(|| lock.try_with(add_one_and_panic))).is_err());
    assert_eq!(lock.try_with(|value| *value), Some(3));
}

fn c16_whoever_waits_gets_the_lock_of_one_that_panics<P: Platform + 'static>() {
    const THREADS: u32 = 3;
    const ROUNDS: u32 = 5;
    let lock = Arc::new(P::Lock::new(0));
    let finished = Arc::new(AtomicU32::new(0));
    let threads = {
        let (lock, finished) = (Arc::clone(&lock), Arc::clone(&finished));
        spawn_all::<P>(THREADS, move |_| {
            for _ in 0..ROUNDS {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    lock.with(|value| {
                        P::yield_now();
                        add_one_and_panic(value);
                    });
                }));
                assert!(result.is_err());
            }
            finished.fetch_add(1, Ordering::Release);
        })
    };
    eventually::<P>("every thread gets the lock", || finished.load(Ordering::Acquire) == THREADS);
    join_all::<P>(threads);
    assert_eq!(lock.with(|value| *value), u64::from(THREADS * ROUNDS));
}

fn c17_whoever_waits_gets_the_lock_once_it_is_free<P: Platform + 'static>() {
    const WAITERS: u32 = 4;
    for settles in [false, true] {
        let lock = Arc::new(P::Lock::new(0));
        let begun = Arc::new(AtomicU32::new(0));
        let passed = Arc::new(AtomicU32::new(0));
        let waiters = lock.with(|_| {
            let waiters = {
                let lock = Arc::clone(&lock);
                let (begun, passed) = (Arc::clone(&begun), Arc::clone(&passed));
                spawn_all::<P>(WAITERS, move |_| {
                    begun.fetch_add(1, Ordering::Release);
                    lock.with(|value| *value += 1);
                    passed.fetch_add(1, Ordering::Release);
                })
            };
            if settles {
                let all = || begun.load(Ordering::Acquire) == WAITERS;
                eventually::<P>("every waiter begins", all);
                // More of them block, but the test does not rely on it.
                P::sleep(Duration::from_millis(1));
            }
            assert_eq!(passed.load(Ordering::Acquire), 0, "two threads are inside");
            waiters
        });
        eventually::<P>("every waiter gets the lock", || passed.load(Ordering::Acquire) == WAITERS);
        join_all::<P>(waiters);
        assert_eq!(lock.with(|value| *value), u64::from(WAITERS));
    }
}
