//! Each strategy finds planted bugs, replays them from what its report says, and passes on the
//! fixed twins; a depth-first search ends, and is complete.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{Failure, FailureKind, Sim, Strategy, thread};

/// Two threads claim a slot each: by a load and a store, or, `fixed`, by one operation.
fn claim_slots(fixed: bool) {
    let next = Arc::new(AtomicU32::new(0));
    let claim = move |next: &AtomicU32| {
        if fixed {
            return next.fetch_add(1, Ordering::AcqRel);
        }
        let slot = next.load(Ordering::Acquire);
        next.store(slot + 1, Ordering::Release);
        slot
    };
    let threads = [(); 2].map(|()| {
        let next = Arc::clone(&next);
        thread::spawn(move || claim(&next))
    });
    let [first, second] = threads.map(|thread| thread.join().unwrap());
    assert_ne!(first, second, "two threads claimed one slot");
}

/// Steps that concern no other thread.
fn work(steps: u32) {
    let own = AtomicU32::new(0);
    for _ in 0..steps {
        own.load(Ordering::Relaxed);
    }
}

/// A bug of three orderings among much else: the reader must come between the writer's two
/// stores, for which the writer has to stand still, and again after them, between two loads of its
/// own. `fixed`, the stores are the other way round.
fn stages(fixed: bool) {
    let (begun, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (first, second) = if fixed { (&done, &begun) } else { (&begun, &done) };
    let (first, second) = (Arc::clone(first), Arc::clone(second));
    let writer = thread::spawn(move || {
        first.store(1, Ordering::Release);
        work(40);
        second.store(1, Ordering::Release);
    });
    let reader = thread::spawn(move || {
        work(100);
        let between = begun.load(Ordering::Acquire) == 1 && done.load(Ordering::Acquire) == 0;
        work(100);
        assert!(!(between && done.load(Ordering::Acquire) == 1), "seen before and after");
    });
    writer.join().unwrap();
    reader.join().unwrap();
}

/// Many threads store to one word and then to another; a reader must load the first after one of
/// them has stored to it, and the second before any has. `fixed`, it loads them the other way
/// round.
fn reorder(threads: usize, fixed: bool) {
    let (first, second) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut all: Vec<_> = (0..threads)
        .map(|_| {
            let (first, second) = (Arc::clone(&first), Arc::clone(&second));
            thread::spawn(move || {
                first.store(1, Ordering::Release);
                second.store(1, Ordering::Release);
            })
        })
        .collect();
    all.push(thread::spawn(move || {
        if fixed {
            let ended = second.load(Ordering::Acquire);
            assert!(ended <= first.load(Ordering::Acquire), "the second without the first");
        } else {
            let begun = first.load(Ordering::Acquire);
            assert!(begun <= second.load(Ordering::Acquire), "the first without the second");
        }
    }));
    for thread in all {
        thread.join().unwrap();
    }
}

fn failure(strategy: &Strategy, seeds: u64, program: fn(bool)) -> Option<Failure> {
    let sweep = Sim::builder().strategy(strategy.clone()).sweep(0..seeds);
    sweep.check(move || program(false)).failure().cloned()
}

fn passes_when_fixed(strategy: &Strategy, seeds: u64, program: fn(bool)) {
    let sweep = Sim::builder().strategy(strategy.clone()).sweep(0..seeds);
    let report = sweep.check(move || program(true));
    assert!(report.runs() == seeds || report.is_exhausted(), "{strategy}: {}", report.runs());
    report.into_result().unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
}

/// The seed gives the failure again, and so does the tape.
fn replays(strategy: &Strategy, failure: &Failure, program: fn(bool)) {
    let line = failure.replay_line();
    let path = failure.tape_path().expect("a saved tape").to_owned();
    let mut ways = vec![Strategy::Tape(path.clone())];
    if matches!(strategy, Strategy::Dfs { .. }) {
        assert!(line.starts_with(&format!("VOLT_TAPE={} ", path.display())), "{line}");
    } else {
        assert!(line.starts_with(&format!("VOLT_SEED={:#x} ", failure.seed())), "{line}");
        ways.push(strategy.clone());
    }
    for way in ways {
        let is_tape = matches!(way, Strategy::Tape(_));
        let again = Sim::builder().seed(failure.seed()).strategy(way).build();
        let again = again.check(move || program(false)).expect_err("the same failure");
        assert_eq!(again.kind(), FailureKind::Panic, "{again}");
        assert_eq!(again.message(), failure.message());
        assert_eq!(again.report().hash(), failure.report().hash());
        assert_eq!(again.report().steps(), failure.report().steps());
        let named = format!("VOLT_TAPE={} ", path.display());
        assert!(!is_tape || again.replay_line().starts_with(&named), "{}", again.replay_line());
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn each_strategy_finds_a_race_replays_it_and_passes_on_the_fix() {
    for strategy in [
        Strategy::Mix,
        Strategy::Random,
        Strategy::Pct { depth: 3 },
        Strategy::Pos,
        Strategy::Surw,
        Strategy::Dfs { preemptions: 2 },
    ] {
        let failure = failure(&strategy, 1_000, claim_slots).expect("the planted race");
        assert!(failure.message().contains("two threads claimed one slot"), "{failure}");
        replays(&strategy, &failure, claim_slots);
        passes_when_fixed(&strategy, 1_000, claim_slots);
    }
}

#[test]
fn a_bug_of_three_orderings_is_found_where_a_random_walk_misses_it() {
    assert!(failure(&Strategy::Random, 500, stages).is_none(), "a random walk is lucky");
    for strategy in [Strategy::Pct { depth: 3 }, Strategy::Pos, Strategy::Surw, Strategy::Mix] {
        let failure = failure(&strategy, 2_000, stages);
        let failure = failure.unwrap_or_else(|| panic!("{strategy} does not find it"));
        assert!(failure.message().contains("seen before and after"), "{failure}");
        replays(&strategy, &failure, stages);
        passes_when_fixed(&strategy, 200, stages);
    }
}

#[test]
fn surw_finds_the_first_of_twenty() {
    let program = |fixed| reorder(20, fixed);
    let failure = failure(&Strategy::Surw, 1_000, program).expect("one in twenty, or so");
    assert!(failure.message().contains("the first without the second"), "{failure}");
    assert!(failure.report().strategy().starts_with("surw over "), "{failure}");
    replays(&Strategy::Surw, &failure, program);
    passes_when_fixed(&Strategy::Surw, 200, program);
}

#[test]
fn the_report_says_what_was_drawn_and_the_mix_draws_each() {
    let drawn = |strategy, seed| {
        let sim = Sim::builder().strategy(strategy).seed(seed).build();
        let report = sim.check(|| claim_slots(true)).unwrap_or_else(|failure| panic!("{failure}"));
        report.strategy().to_owned()
    };
    assert_eq!(drawn(Strategy::Pos, 3), "pos");
    let dfs = drawn(Strategy::Dfs { preemptions: 2 }, 3);
    assert_eq!(dfs, "dfs with at most 2 pre-emptions, schedule 1");
    let mix: BTreeSet<String> = (0..100)
        .filter_map(|seed| drawn(Strategy::Mix, seed).split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(mix.into_iter().collect::<Vec<_>>(), ["pct", "pos", "random", "surw"]);
}

#[test]
fn a_search_exhausts_two_threads_and_counts_its_schedules() {
    let search = |preemptions, fixed| {
        let strategy = Strategy::Dfs { preemptions };
        Sim::builder().strategy(strategy).sweep(0..100_000).check(move || claim_slots(fixed))
    };
    let runs = [0, 1, 2].map(|preemptions| {
        let report = search(preemptions, true);
        assert!(report.is_exhausted(), "{preemptions}: {} runs", report.runs());
        assert_eq!(report.runs(), search(preemptions, true).runs());
        report.runs()
    });
    assert!(1 < runs[0] && runs[0] < runs[1] && runs[1] < runs[2], "{runs:?}");
    // The race needs one pre-emption: without any it is not there, and the search says so.
    assert!(search(0, false).is_exhausted());
    let found = search(1, false);
    assert!(found.failure().is_some() && !found.is_exhausted());
    // A bound on runs that is too small is no proof.
    let strategy = Strategy::Dfs { preemptions: 1 };
    let cut = Sim::builder().strategy(strategy).sweep(0..2).check(|| claim_slots(true));
    assert_eq!((cut.runs(), cut.is_exhausted()), (2, false));
}

#[test]
fn a_search_covers_every_choice_and_every_order() {
    // What the program chose, and the order in which two threads took their one step.
    let orders = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&orders);
    let strategy = Strategy::Dfs { preemptions: 2 };
    let report = Sim::builder().strategy(strategy).sweep(0..100_000).check(move || {
        let word = Arc::new(AtomicU32::new(0));
        let threads = [0, 1].map(|_| {
            let word = Arc::clone(&word);
            thread::spawn(move || word.fetch_add(1, Ordering::Relaxed))
        });
        let chosen = volt_sim::choose(3);
        let places = threads.map(|thread| thread.join().unwrap());
        seen.lock().unwrap().push((chosen, places));
    });
    assert!(report.is_exhausted());
    let orders = orders.lock().unwrap();
    assert_eq!(orders.len() as u64, report.runs());
    let different: BTreeSet<_> = orders.iter().collect();
    assert_eq!(different.len(), 6, "three choices, two orders: {different:?}");
}

#[test]
fn a_search_that_keeps_going_keeps_a_tape_of_each_cause() {
    let program = || match volt_sim::choose(4) {
        0 => panic!("the first cause"),
        1 => {}
        _ => panic!("and another"),
    };
    let search = Sim::builder().strategy(Strategy::Dfs { preemptions: 0 });
    let search = search.shrink(Duration::from_secs(300)).sweep(0..100);
    let report = search.keep_going(true).check(program);
    assert_eq!((report.runs(), report.failed_runs(), report.groups().len()), (4, 3, 2));
    for group in report.groups() {
        let failure = group.failure();
        let smallest = failure.schedule().expect("a smallest schedule").tape_path();
        for path in [failure.tape_path(), smallest] {
            let path = path.expect("a saved tape").to_owned();
            let replay = Sim::builder().strategy(Strategy::Tape(path.clone())).build();
            let again = replay.check(program).expect_err("the same failure");
            assert_eq!(again.message(), failure.message());
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_search_ends_although_threads_wait_by_yielding() {
    let program = || {
        let word = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&word);
        let waiter = thread::spawn(move || {
            while other.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
        });
        word.store(1, Ordering::Release);
        waiter.join().unwrap();
    };
    let strategy = Strategy::Dfs { preemptions: 2 };
    let report = Sim::builder().strategy(strategy).sweep(0..100_000).check(program);
    assert!(report.is_exhausted(), "{} runs", report.runs());
}

#[test]
fn a_program_that_changes_from_run_to_run_is_no_space_to_search() {
    let runs = std::sync::atomic::AtomicU32::new(0);
    let strategy = Strategy::Dfs { preemptions: 1 };
    let report = Sim::builder().strategy(strategy).sweep(0..100).check(move || {
        let threads = 2 + runs.fetch_add(1, Ordering::Relaxed) as usize % 2;
        let all: Vec<_> = (0..threads).map(|_| thread::spawn(|| ())).collect();
        for thread in all {
            thread.join().unwrap();
        }
    });
    let failure = report.failure().expect("another number of threads");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism, "{failure}");
    assert!(failure.message().contains("of the search"), "{failure}");
}
