//! Interruptions within sweeps: what is reported does not depend on how many threads run the seeds,
//! is grouped by the await that cannot be left, and is the same when its seed is run alone.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use volt_sim::future::{block_on, interrupted};
use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{Builder, FailureKind, Sim, Strategy, SweepReport, choose, thread};

/// Pending once, and ready when it is polled again.
async fn rest() {
    let mut rested = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut rested, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Seeds differ in how often the future rests, and in what it has changed by then.
fn program() {
    let accounts = Arc::new([AtomicU32::new(1), AtomicU32::new(0)]);
    let own = Arc::clone(&accounts);
    let transfers = choose(4) == 0;
    block_on(interrupted(async move {
        rest().await;
        if transfers {
            own[0].fetch_sub(1, Ordering::SeqCst);
            rest().await;
            own[1].fetch_add(1, Ordering::SeqCst);
        }
    }));
    let sum: u32 = accounts.iter().map(|account| account.load(Ordering::SeqCst)).sum();
    assert_eq!(sum, 1, "money is lost");
}

fn builder() -> Builder {
    Sim::builder().strategy(Strategy::Random).cancel_everywhere()
}

/// What a sweep reports, but for the time that it took.
fn told(report: &SweepReport) -> (u64, u64, u64, Vec<String>) {
    let groups = report.groups().iter().map(|group| {
        let failure = group.failure();
        format!("{} {:?} {failure}", group.runs(), failure.interruption())
    });
    (report.runs(), report.failed_runs(), report.points(), groups.collect())
}

#[test]
fn a_sweep_reports_the_same_on_any_number_of_threads() {
    for keep_going in [false, true] {
        let sweep = |jobs| builder().sweep(0..60).jobs(jobs).keep_going(keep_going).check(program);
        let alone = sweep(1);
        assert_eq!(told(&alone), told(&sweep(3)));
        assert!(alone.failed_runs() > 0, "{alone}");
        assert!(alone.points() > 0 || !keep_going, "{alone}");
    }
}

#[test]
fn the_seed_of_a_failure_replays_it_with_its_point() {
    let report = builder().sweep(0..60).check(program);
    let failure = report.failure().expect("some seed transfers");
    let point = failure.interruption().expect("the transfer is cancelled");
    // A rest is three points: a call of the waker and a poll that leaves it pending, then a call
    // of the waker by the poll that ends it. Cancelled by that of its first rest, the future is
    // dropped in the second one, before it has added what it took.
    assert!(point.starts_with("at point 3, a future was cancelled"), "{failure}");
    assert!(failure.to_string().contains(point), "{failure}");
    assert_eq!(failure.report().points(), 6, "{failure}");
    assert!(failure.tape_path().is_none(), "it would replay another run");
    assert!(failure.replay_line().contains("VOLT_SEED="), "{failure}");
    let again = builder().seed(failure.seed()).build().check(program);
    let again = again.expect_err("the seed replays the failure");
    assert_eq!(again.to_string(), failure.to_string());
}

#[test]
fn each_await_that_cannot_be_left_is_a_cause() {
    let program = || {
        let lost = Arc::new(AtomicU32::new(1));
        let (first, second) = (Arc::clone(&lost), Arc::clone(&lost));
        match choose(2) {
            0 => block_on(interrupted(async move {
                first.store(0, Ordering::SeqCst);
                rest().await;
                first.store(1, Ordering::SeqCst);
            })),
            _ => block_on(interrupted(async move {
                second.store(0, Ordering::SeqCst);
                rest().await;
                second.store(1, Ordering::SeqCst);
            })),
        };
        assert_eq!(lost.load(Ordering::SeqCst), 1, "one is lost");
    };
    let report = builder().sweep(0..40).keep_going(true).check(program);
    assert_eq!((report.failed_runs(), report.groups().len()), (40, 2), "{report}");
}

#[test]
fn a_failure_at_a_point_says_why_it_is_not_shrunk() {
    let report = builder().shrink(Duration::from_secs(5)).sweep(0..60).check(program);
    let failure = report.failure().expect("some seed transfers");
    assert!(failure.interruption().is_some() && failure.schedule().is_none(), "{failure}");
    assert!(failure.to_string().contains("no smallest schedule: the points at which"), "{failure}");
}

#[test]
fn a_failure_without_an_interruption_is_shrunk_and_its_tape_replays() {
    let program = || {
        let count = Arc::new(AtomicU32::new(0));
        let threads = [(); 2].map(|()| {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                let seen = count.load(Ordering::SeqCst);
                count.store(seen + 1, Ordering::SeqCst);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        block_on(interrupted(rest()));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    };
    let report = builder().shrink(Duration::from_secs(5)).sweep(0..1_000).check(program);
    let failure = report.failure().expect("an addition is lost");
    assert_eq!(failure.interruption(), None, "{failure}");
    let schedule = failure.schedule().unwrap_or_else(|| panic!("{failure}"));
    assert_eq!(schedule.preemptions(), 1, "{failure}");
    let tape = failure.tape_path().expect("there is room for a tape").to_owned();
    let replayed = builder().strategy(Strategy::Tape(tape)).seed(failure.seed()).build();
    let replayed = replayed.check(program).expect_err("the tape replays the failure");
    assert_eq!(replayed.kind(), FailureKind::Panic, "{replayed}");
    assert_eq!(replayed.message(), failure.message());
}

#[test]
#[should_panic(expected = "use another strategy")]
fn a_depth_first_search_has_no_runs_that_are_the_same_up_to_a_point() {
    let sweep = builder().strategy(Strategy::Dfs { preemptions: 1 }).sweep(0..10);
    let _ = sweep.check(program);
}
