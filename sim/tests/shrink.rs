//! A failing run is shrunk to the smallest schedule that fails for the same cause, which replays,
//! names the two events that explain it, and is the same each time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use volt_sim::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use volt_sim::sync::{Condvar, Mutex};
use volt_sim::{Failure, FailureKind, Schedule, Sim, Strategy, thread};

/// Long enough for every search here to come to its own end.
const TIME: Duration = Duration::from_secs(300);
/// What the smallest schedule of a planted bug has at most.
const SWITCHES: u64 = 12;

/// Steps that concern no other thread.
fn work(steps: u32) {
    let own = AtomicU32::new(0);
    for _ in 0..steps {
        own.load(Ordering::Relaxed);
    }
}

fn lost_update() {
    let count = Arc::new(AtomicU32::new(0));
    let threads = [(); 3].map(|()| {
        let count = Arc::clone(&count);
        thread::spawn(move || {
            work(20);
            let seen = count.load(Ordering::SeqCst); // lost update: load
            work(5);
            count.store(seen + 1, Ordering::SeqCst); // lost update: store
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 3, "an update is lost");
}

fn lock_order() {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let other = {
        let locks = Arc::clone(&locks);
        thread::spawn(move || {
            work(20);
            let _second = locks.1.lock().unwrap(); // lock order: other, second lock
            work(5);
            let _first = locks.0.lock().unwrap(); // lock order: other, first lock
        })
    };
    {
        let _first = locks.0.lock().unwrap(); // lock order: main, first lock
        work(20);
        let _second = locks.1.lock().unwrap(); // lock order: main, second lock
    }
    other.join().unwrap();
}

fn lost_wake_up() {
    let ready = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::new()));
    let notifier = {
        let ready = Arc::clone(&ready);
        thread::spawn(move || {
            work(20);
            // Without the lock: the waiter may have looked, and not be waiting yet.
            ready.0.store(true, Ordering::SeqCst); // lost wake-up: store
            ready.2.notify_one();
        })
    };
    // lost wake-up: the next line loads
    while !ready.0.load(Ordering::SeqCst) {
        let guard = ready.1.lock().unwrap();
        work(5);
        drop(ready.2.wait(guard).unwrap());
    }
    notifier.join().unwrap();
}

/// A stack of nodes by number, 0 for none, whose nodes come back: the head may be the same again
/// although another node is below it now.
struct Stack {
    head: AtomicUsize,
    below: [AtomicUsize; 4],
}

impl Stack {
    fn pop(&self) -> Option<usize> {
        loop {
            let head = self.head.load(Ordering::SeqCst); // aba: load
            if head == 0 {
                return None;
            }
            let below = self.below[head].load(Ordering::SeqCst);
            // aba: the next line exchanges
            if self.head.compare_exchange(head, below, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Some(head);
            }
        }
    }

    fn push(&self, node: usize) {
        loop {
            let head = self.head.load(Ordering::SeqCst);
            self.below[node].store(head, Ordering::SeqCst);
            if self.head.compare_exchange(head, node, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return;
            }
        }
    }
}

fn aba() {
    let stack =
        Arc::new(Stack { head: AtomicUsize::new(1), below: [0, 2, 3, 0].map(AtomicUsize::new) });
    let one = {
        let stack = Arc::clone(&stack);
        thread::spawn(move || stack.pop())
    };
    let other = {
        let stack = Arc::clone(&stack);
        thread::spawn(move || {
            let (first, second) = (stack.pop(), stack.pop());
            if let Some(first) = first {
                stack.push(first);
            }
            second
        })
    };
    let popped = [one.join().unwrap(), other.join().unwrap()].into_iter().flatten();
    let left = std::iter::from_fn(|| stack.pop()).take(4);
    let mut owned = BTreeSet::new();
    for node in popped.chain(left) {
        assert!(owned.insert(node), "a node has two owners");
    }
}

/// The number of the line of this file that ends with this comment; for "the next line", of the
/// one after it.
fn line(comment: &str) -> u32 {
    let ending = format!("// {comment}");
    let mut lines = include_str!("shrink.rs").lines();
    let index = lines.position(|line| line.ends_with(&ending)).expect("a comment");
    index as u32 + if comment.contains("next line") { 2 } else { 1 }
}

fn first_failure(program: fn()) -> Failure {
    let report = Sim::builder().shrink(TIME).sweep(0..10_000).check(program);
    report.failure().expect("the planted bug").clone()
}

/// Checks the smallest schedule of the program's bug; its explanation is one of these pairs.
fn assert_smallest(program: fn(), kind: FailureKind, pairs: &[[&str; 2]]) -> Failure {
    let failure = first_failure(program);
    assert_eq!(failure.kind(), kind, "{failure}");
    let schedule = failure.schedule().unwrap_or_else(|| panic!("{failure}"));
    assert!(schedule.switches() <= SWITCHES, "{failure}");
    assert_eq!((schedule.preemptions(), schedule.faults()), (1, 0), "{failure}");

    let path = schedule.tape_path().expect("a saved tape").to_owned();
    let replay = Sim::builder().seed(failure.seed()).strategy(Strategy::Tape(path.clone()));
    let again = replay.build().check(program).expect_err("the smallest schedule fails");
    assert_eq!(again.kind(), kind, "{again}");
    let said = |failure: &Failure| failure.message().lines().next().map(str::to_owned);
    assert_eq!(said(&again), said(&failure));
    assert_eq!(again.tape(), schedule.tape());

    let events = schedule.explanation().unwrap_or_else(|| panic!("{failure}"));
    assert!(events.iter().all(|event| event.place().file().ends_with("shrink.rs")), "{failure}");
    let found = [events[0].place().line(), events[1].place().line()];
    let expected: Vec<[u32; 2]> = pairs.iter().map(|pair| pair.map(line)).collect();
    assert!(expected.contains(&found), "one of {expected:?}: {failure}");
    assert!(events[0].step() < events[1].step() && events[0].thread() != events[1].thread());

    let second = first_failure(program);
    let second = second.schedule().expect("a second search");
    assert_eq!(second.tape(), schedule.tape());
    assert_eq!(second.to_string(), schedule.to_string());

    for path in [path, failure.tape_path().expect("a saved tape").to_owned()] {
        std::fs::remove_file(path).unwrap();
    }
    failure
}

#[test]
fn a_lost_update_is_one_preemption_between_load_and_store() {
    let pair = ["lost update: load", "lost update: store"];
    let failure = assert_smallest(lost_update, FailureKind::Panic, &[pair]);
    let text = failure.to_string();
    assert!(text.contains("pre-empted: thread "), "{text}");
    assert!(text.contains("it passes when the first of these comes after the second"), "{text}");
    assert!(!text.contains("lost wake-up:"), "{text}");
    assert!(text.contains("smallest schedule: 1 pre-emption (the run had "), "{text}");
    let smallest = failure.schedule().and_then(Schedule::tape_path).expect("a saved tape");
    for (what, path) in
        [("this run", failure.tape_path().expect("a saved tape")), ("smallest schedule", smallest)]
    {
        let line = format!(
            "tape: {what}: VOLT_TAPE={} cargo test --features sim \
             a_lost_update_is_one_preemption_between_load_and_store\n",
            path.display()
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.lines().last().is_some_and(|line| line.starts_with("replay: VOLT_SEED=")));
}

#[test]
fn a_deadlock_by_lock_order_is_explained_by_one_of_the_locks() {
    let first = ["lock order: main, first lock", "lock order: other, first lock"];
    let second = ["lock order: other, second lock", "lock order: main, second lock"];
    let mut pairs = vec![first, second];
    // Either thread may be the one that came first.
    pairs.extend([[first[1], first[0]], [second[1], second[0]]]);
    let failure = assert_smallest(lock_order, FailureKind::Deadlock, &pairs);
    assert!(!failure.to_string().contains("a lost wake-up"), "{failure}");
}

#[test]
fn a_lost_wake_up_is_told_from_other_deadlocks() {
    let pair = ["lost wake-up: the next line loads", "lost wake-up: store"];
    let failure = assert_smallest(lost_wake_up, FailureKind::Deadlock, &[pair]);
    assert!(failure.to_string().contains("a lost wake-up: thread 0 \"main\" waits"), "{failure}");
}

#[test]
fn an_aba_is_explained_by_the_load_and_the_exchange_after_it() {
    let pair = ["aba: load", "aba: the next line exchanges"];
    assert_smallest(aba, FailureKind::Panic, &[pair]);
}

#[test]
fn a_failure_of_every_schedule_has_no_preemption_and_no_explanation() {
    let program = || {
        let thread = thread::spawn(|| work(20));
        work(20);
        thread.join().unwrap();
        panic!("always");
    };
    let failure = Sim::builder().seed(3).strategy(Strategy::Random).shrink(TIME).build();
    let failure = failure.check(program).expect_err("a panic");
    let schedule = failure.schedule().unwrap_or_else(|| panic!("{failure}"));
    assert_eq!((schedule.preemptions(), schedule.faults()), (0, 0), "{failure}");
    assert!(schedule.explanation().is_none(), "{failure}");
}

#[test]
fn a_choice_of_the_program_that_matters_stays_and_others_go() {
    let program = || {
        let chosen = [(); 4].map(|()| volt_sim::choose(3));
        assert_ne!(chosen[2], 1, "the third is one");
    };
    let report = Sim::builder().shrink(TIME).sweep(0..100).check(program);
    let failure = report.failure().expect("one in three");
    let schedule = failure.schedule().unwrap_or_else(|| panic!("{failure}"));
    assert_eq!(schedule.faults(), 1, "{failure}");
    assert!(failure.to_string().contains("program: 1 of 0..3"), "{failure}");
}

#[test]
fn nothing_is_shrunk_unless_asked_for_nor_what_cannot_be() {
    let failure = Sim::builder().build().check(|| panic!("planned")).expect_err("a panic");
    assert!(failure.schedule().is_none());
    assert!(!failure.to_string().contains("smallest schedule"), "{failure}");

    let sim = Sim::builder().shrink(TIME).step_limit(1_000).build();
    let failure = sim.check(|| work(2_000)).expect_err("a limit");
    assert_eq!(failure.kind(), FailureKind::Limit, "{failure}");
    assert!(failure.to_string().contains("no smallest schedule: "), "{failure}");

    static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let sim = Sim::builder().strategy(Strategy::Random).shrink(TIME).build();
    let failure = sim.check(|| assert!(RUNS.fetch_add(1, Ordering::SeqCst) > 0, "only the first"));
    let failure = failure.expect_err("a panic");
    assert!(failure.to_string().contains("outlives a run"), "{failure}");
}
