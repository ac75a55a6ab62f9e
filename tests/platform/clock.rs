//! C1 to C3: the clocks and sleep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use volt::platform::{Platform, PlatformLock};

use crate::{eventually, join_all, spawn_all};

conformance! {
    c1_now_never_goes_backwards_on_one_thread,
    c1_now_follows_every_order_between_threads,
    c2_wall_moves_on_with_now,
    c3_sleep_lasts_at_least_as_long_as_asked,
    c3_sleepers_do_not_wake_each_other,
}

fn c1_now_never_goes_backwards_on_one_thread<P: Platform + 'static>() {
    let mut latest = P::now();
    for round in 0..1_000 {
        match round % 100 {
            0 => P::sleep(Duration::from_micros(10)),
            1 => P::yield_now(),
            _ => {}
        }
        let now = P::now();
        assert!(now >= latest, "the clock went back by {:?}", latest - now);
        latest = now;
    }
}

/// Nanoseconds from an instant that the clock gave before.
fn nanoseconds_since<P: Platform>(start: Instant) -> u64 {
    let since = P::now().checked_duration_since(start);
    let since = since.expect("the clock is before an instant that it gave earlier");
    u64::try_from(since.as_nanos()).expect("a test does not last for centuries")
}

fn c1_now_follows_every_order_between_threads<P: Platform + 'static>() {
    let start = P::now();
    // What the last thread inside the lock has read: the lock puts the readings in order.
    let latest = Arc::new(P::Lock::new(0));
    let readers = {
        let latest = Arc::clone(&latest);
        spawn_all::<P>(3, move |number| {
            for _ in 0..100 {
                latest.with(|latest| {
                    let now = nanoseconds_since::<P>(start);
                    assert!(now >= *latest, "thread {number} read {now} after {latest}");
                    *latest = now;
                });
            }
        })
    };
    join_all::<P>(readers);
    let end = nanoseconds_since::<P>(start);
    assert!(end >= latest.with(|latest| *latest), "the clock went back across a join");
}

fn c2_wall_moves_on_with_now<P: Platform + 'static>() {
    const NAP: Duration = Duration::from_millis(20);
    const SLACK: Duration = Duration::from_millis(1);
    // The real wall clock is set now and then, so the first interval need not agree.
    eventually::<P>("the wall clock moves on as far as the monotonic one", || {
        let (now, wall) = (P::now(), P::wall());
        P::sleep(NAP);
        let wall_passed = P::wall().duration_since(wall);
        let passed = P::now().duration_since(now);
        wall_passed.is_ok_and(|wall| wall + SLACK >= NAP && wall <= passed + SLACK)
    });
}

fn sleep_and_measure<P: Platform>(duration: Duration) {
    let start = P::now();
    P::sleep(duration);
    let slept = P::now().duration_since(start);
    assert!(slept >= duration, "a sleep of {duration:?} took {slept:?}");
}

fn c3_sleep_lasts_at_least_as_long_as_asked<P: Platform + 'static>() {
    for nanoseconds in [0, 1, 999, 1_000, 1_000_000, 5_000_001] {
        sleep_and_measure::<P>(Duration::from_nanos(nanoseconds));
    }
}

fn c3_sleepers_do_not_wake_each_other<P: Platform + 'static>() {
    let sleepers = spawn_all::<P>(4, |number| {
        for round in 0..4 {
            sleep_and_measure::<P>(Duration::from_millis(((number + round) % 4).into()));
        }
    });
    join_all::<P>(sleepers);
}
