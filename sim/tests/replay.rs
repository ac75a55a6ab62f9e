//! Seeds replay: a planted race is found, its seed and its tape give the same failure, the
//! hash tells runs apart and covers everything a run does.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64 as RealAtomicU64;
use std::time::Duration;

use volt_sim::cell::UnsafeCell;
use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{Failure, FailureKind, Report, Sim, Strategy, thread};

/// A lock-free stack of claims: two threads claim a slot each, by a load and a store where
/// `fixed` is false, by one compare-and-exchange where it is true.
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

fn first_failure(strategy: Strategy) -> Failure {
    let report = Sim::builder().strategy(strategy).sweep(0..1_000).check(|| claim_slots(false));
    report.failure().expect("the planted race").clone()
}

#[test]
fn a_planted_race_is_found_replayed_and_gone_when_fixed() {
    for strategy in [Strategy::Mix, Strategy::Random, Strategy::Pct { depth: 3 }] {
        let failure = first_failure(strategy.clone());
        assert_eq!(failure.kind(), FailureKind::Panic);
        assert!(failure.message().contains("two threads claimed one slot"), "{failure}");

        let again = Sim::builder().seed(failure.seed()).strategy(strategy.clone()).build();
        let again = again.check(|| claim_slots(false)).expect_err("the same failure");
        assert_eq!(again.message(), failure.message());
        assert_eq!(again.report().hash(), failure.report().hash());
        assert_eq!(again.report().steps(), failure.report().steps());

        let fixed = Sim::builder().strategy(strategy).sweep(0..1_000).check(|| claim_slots(true));
        assert_eq!(fixed.runs(), 1_000);
        fixed.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_tape_replays_to_the_same_failure_and_a_wrong_one_is_refused() {
    let failure = first_failure(Strategy::Mix);
    let path = failure.tape_path().expect("a saved tape").to_owned();
    let replay = Sim::builder().strategy(Strategy::Tape(path.clone())).build();
    let again = replay.check(|| claim_slots(false)).expect_err("the same failure");
    assert_eq!(again.message(), failure.message());
    assert_eq!(again.report().hash(), failure.report().hash());

    let other = replay.check(|| {
        let threads = [(); 3].map(|()| thread::spawn(|| ()));
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let other = other.expect_err("another program");
    assert_eq!(other.kind(), FailureKind::Nondeterminism);
    assert!(other.message().contains("tape"), "{other}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_tape_replays_a_run_with_alarms() {
    let program = || {
        let word = Arc::new(AtomicU32::new(0));
        let sleeper = thread::spawn(|| thread::sleep(Duration::from_micros(1)));
        for _ in 0..6_000 {
            word.load(Ordering::SeqCst);
        }
        sleeper.join().unwrap();
        panic!("planned");
    };
    let failure = Sim::builder().seed(5).build().check(program).expect_err("a panic");
    let path = failure.tape_path().expect("a saved tape").to_owned();
    let replay = Sim::builder().strategy(Strategy::Tape(path.clone())).build();
    let again = replay.check(program).expect_err("the same panic");
    assert_eq!(again.message(), failure.message());
    assert_eq!(again.report().hash(), failure.report().hash());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_report_ends_with_a_line_to_paste() {
    let failure = first_failure(Strategy::Mix);
    let text = failure.to_string();
    let line = text.lines().last().unwrap();
    let seed = failure.seed();
    assert_eq!(
        line,
        format!(
            "replay: VOLT_SEED={seed:#x} cargo test --features sim \
             the_report_ends_with_a_line_to_paste"
        )
    );
}

/// Four threads, some contention, entropy and time: what a small real program is made of.
fn busy() {
    let word = Arc::new(AtomicU32::new(0));
    let hashed = std::hash::RandomState::new().hash_one(7);
    word.store(hashed as u32, Ordering::Relaxed);
    let threads = [1, 2, 3, 4].map(|number| {
        let word = Arc::clone(&word);
        thread::spawn(move || {
            for _ in 0..5 {
                word.fetch_add(number, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(number.into()));
            word.fetch_xor(number, Ordering::Relaxed);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_hundred_seeds_give_at_least_95_hashes() {
    let hash = |seed| Sim::builder().seed(seed).build().machine(busy).unwrap().hash();
    let hashes: HashSet<u64> = (0..100).map(hash).collect();
    assert!(hashes.len() >= 95, "{} hashes", hashes.len());
    assert_eq!(hash(17), hash(17));
}

/// The run of `f`, under a fixed schedule.
fn run(f: impl Fn() + Send + Sync + 'static) -> Report {
    let sim = Sim::builder().seed(1).strategy(Strategy::Pct { depth: 1 }).build();
    sim.machine(f).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn the_hash_covers_kind_object_thread_answer_clock_and_payload() {
    let two = || (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let base = run(move || {
        let (first, second) = two();
        first.store(0, Ordering::SeqCst);
        second.store(0, Ordering::SeqCst);
        first.load(Ordering::SeqCst);
    });
    let same = run(move || {
        let (first, second) = two();
        first.store(0, Ordering::SeqCst);
        second.store(0, Ordering::SeqCst);
        first.load(Ordering::SeqCst);
    });
    assert_eq!(base.hash(), same.hash());
    let kind = run(move || {
        let (first, second) = two();
        first.store(0, Ordering::SeqCst);
        second.store(0, Ordering::SeqCst);
        first.swap(0, Ordering::SeqCst);
    });
    assert_ne!(base.hash(), kind.hash(), "the kind of an operation");
    let object = run(move || {
        let (first, second) = two();
        first.store(0, Ordering::SeqCst);
        second.store(0, Ordering::SeqCst);
        second.load(Ordering::SeqCst);
    });
    assert_ne!(base.hash(), object.hash(), "the object of an operation");
    let answer = run(move || {
        let (first, second) = two();
        first.store(0, Ordering::SeqCst);
        second.store(1, Ordering::SeqCst);
        first.load(Ordering::SeqCst);
    });
    assert_ne!(base.hash(), answer.hash(), "what was stored");

    let sleeping =
        |nanoseconds| run(move || thread::sleep(Duration::from_nanos(nanoseconds))).hash();
    assert_eq!(sleeping(5_000), sleeping(5_000));
    assert_ne!(sleeping(5_000), sleeping(5_001), "the clock");

    let payload = |text: &'static [u8]| run(move || volt_sim::observe(text)).hash();
    assert_eq!(payload(b"one"), payload(b"one"));
    assert_ne!(payload(b"one"), payload(b"two"), "payload bytes");

    // The same operations in the same order, by another thread.
    let by_thread = |first: bool| {
        run(move || {
            let word = Arc::new(AtomicU32::new(0));
            let threads = [true, false].map(|mine| {
                let word = Arc::clone(&word);
                thread::spawn(move || {
                    if mine == first {
                        word.fetch_add(1, Ordering::SeqCst);
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
        })
    };
    let (first, second) = (by_thread(true), by_thread(false));
    assert_ne!(first.hash(), second.hash(), "the thread of an operation");
}

fn determinism(f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
    Sim::builder().seed(3).check_determinism(true).build().machine(f)
}

#[test]
fn a_deterministic_program_passes_the_determinism_check() {
    determinism(busy).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_address_that_decides_is_caught() {
    static KEPT: std::sync::Mutex<Vec<Vec<u8>>> = std::sync::Mutex::new(Vec::new());
    let failure = determinism(|| {
        let block = vec![0_u8; 64];
        let address = block.as_ptr().addr();
        // Kept, so that the second run cannot get the same block.
        KEPT.lock().unwrap().push(block);
        volt_sim::observe(&address.to_le_bytes());
        let word = AtomicU32::new(0);
        word.store(address as u32, Ordering::Relaxed);
    });
    let failure = failure.expect_err("an address went into an atomic");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert!(failure.message().contains("two runs of one seed differ"), "{failure}");
    assert!(failure.message().contains("replay.rs"), "{failure}");
}

#[test]
fn a_real_clock_that_decides_is_caught() {
    // A counter of the process stands for any state outside the run; the time stamp counter for a
    // clock that no interposition reaches.
    static RUNS: RealAtomicU64 = RealAtomicU64::new(0);
    let failure = determinism(|| {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 processor has the instruction.
        let cycles = unsafe { std::arch::x86_64::_rdtsc() };
        #[cfg(not(target_arch = "x86_64"))]
        let cycles = 0;
        let clock = cycles.wrapping_add(RUNS.fetch_add(1, Ordering::Relaxed));
        AtomicU32::new(0).store(clock as u32, Ordering::Relaxed);
    });
    let failure = failure.expect_err("a real clock went into an atomic");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
}

/// The run depends on something outside, and the report says where that came in, in both runs.
#[track_caller]
fn is_caught(f: impl Fn() + Send + Sync + 'static) {
    let failure = determinism(f).expect_err("the program cheats");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism, "{failure}");
    let message = failure.message();
    assert!(message.contains("first run:") && message.contains("second run:"), "{failure}");
    assert_eq!(message.matches("replay.rs").count(), 2, "{failure}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_real_clock_asked_by_a_raw_system_call_is_caught() {
    is_caught(|| {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes a time where there is room for one.
        let result =
            unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
        assert_eq!(result, 0);
        let nanoseconds = time.tv_sec * 1_000_000_000 + time.tv_nsec;
        AtomicU32::new(0).store(nanoseconds as u32, Ordering::Relaxed);
    });
}

#[test]
fn a_real_thread_that_decides_is_caught() {
    // What the real thread has done, and what the last run saw of it.
    static DONE: RealAtomicU64 = RealAtomicU64::new(0);
    static SEEN: RealAtomicU64 = RealAtomicU64::new(0);
    let goes_on = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let until = Arc::clone(&goes_on);
    let real = std::thread::spawn(move || {
        while until.load(Ordering::Relaxed) {
            DONE.fetch_add(1, Ordering::Relaxed);
        }
    });
    is_caught(|| {
        // The thread does something between two runs, however busy the machine is.
        let done = loop {
            let done = DONE.load(Ordering::Relaxed);
            if done > SEEN.load(Ordering::Relaxed) {
                break done;
            }
            std::hint::spin_loop();
        };
        SEEN.store(done, Ordering::Relaxed);
        AtomicU32::new(0).store(done as u32, Ordering::Relaxed);
    });
    goes_on.store(false, Ordering::Relaxed);
    real.join().unwrap();
}

#[test]
fn an_address_used_as_a_key_is_caught() {
    static KEPT: std::sync::Mutex<Vec<Vec<u32>>> = std::sync::Mutex::new(Vec::new());
    is_caught(|| {
        let mut kept = KEPT.lock().unwrap();
        let by_address: std::collections::BTreeMap<usize, u32> = (0..2)
            .map(|number| {
                // Kept, so that the second run cannot get the same blocks.
                kept.push(vec![number]);
                (kept[kept.len() - 1].as_ptr().addr(), number)
            })
            .collect();
        drop(kept);
        let word = AtomicU32::new(0);
        for (address, number) in by_address {
            word.store((address as u32) ^ number, Ordering::Relaxed);
        }
    });
}

#[test]
fn bytes_that_differ_are_caught_although_no_event_does() {
    static RUNS: RealAtomicU64 = RealAtomicU64::new(0);
    let failure = determinism(|| {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        volt_sim::observe(&run.to_le_bytes());
    });
    let failure = failure.expect_err("the number of the run was written");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert!(failure.message().contains("their hashes are"), "{failure}");
}

#[test]
fn a_second_run_that_fails_is_caught_although_no_other_does() {
    static RUNS: RealAtomicU64 = RealAtomicU64::new(0);
    // A strategy that measures a run first would make that the second.
    let sim = Sim::builder().strategy(Strategy::Random).check_determinism(true).build();
    let failure = sim.machine(|| {
        assert_ne!(RUNS.fetch_add(1, Ordering::Relaxed), 1, "the second run");
        AtomicU32::new(0).store(1, Ordering::Relaxed);
    });
    let failure = failure.expect_err("the second run fails");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert!(failure.message().contains("the second did not"), "{failure}");
}

#[test]
fn a_static_used_by_two_seeds_is_refused_by_name() {
    static SHARED: AtomicU32 = AtomicU32::new(0);
    let report = Sim::builder().sweep(0..2).check(|| {
        SHARED.fetch_add(1, Ordering::Relaxed);
    });
    // With a strategy that first measures a run, that run already was the static's first.
    let failure = report.failure().expect("two runs used the static");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert_eq!(failure.message().matches("replay.rs").count(), 2, "{failure}");
    assert!(failure.message().contains("isolate = \"process\""), "{failure}");
}

#[test]
fn an_unordered_access_of_a_cell_is_a_race_and_an_ordered_one_is_not() {
    struct Shared {
        cell: UnsafeCell<u32>,
        ready: AtomicU32,
    }
    // SAFETY: accesses are ordered by `ready`, or the simulation says so.
    unsafe impl Sync for Shared {}
    let publish = |order: Ordering| {
        move || {
            let shared = Arc::new(Shared { cell: UnsafeCell::new(0), ready: AtomicU32::new(0) });
            let other = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                // SAFETY: the simulation runs one thread at a time.
                other.cell.with_mut(|value| unsafe { *value = 1 });
                other.ready.store(1, order);
            });
            if shared.ready.load(Ordering::Acquire) == 1 {
                // SAFETY: as above.
                shared.cell.with(|value| assert_eq!(unsafe { *value }, 1));
            }
            writer.join().unwrap();
        }
    };
    let racy = Sim::builder().sweep(0..500).check(publish(Ordering::Relaxed));
    let failure = racy.failure().expect("a relaxed store publishes nothing");
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("data race"), "{failure}");
    let ordered = Sim::builder().sweep(0..500).check(publish(Ordering::Release));
    ordered.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}
