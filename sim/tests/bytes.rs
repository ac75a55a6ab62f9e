//! Bytes that decide a whole run: the same ones are the same run, others find a bug, and its tape
//! replays it.

use std::sync::Arc;
use std::time::Duration;

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{FailureKind, Report, Sim, Strategy, choose, fill_entropy, thread};

/// Two threads claim a slot each, by a load and a store.
fn claim_slots() {
    let next = Arc::new(AtomicU32::new(0));
    let threads = [(); 2].map(|()| {
        let next = Arc::clone(&next);
        thread::spawn(move || {
            let slot = next.load(Ordering::Acquire);
            next.store(slot + 1, Ordering::Release);
            slot
        })
    });
    let [first, second] = threads.map(|thread| thread.join().unwrap());
    assert_ne!(first, second, "two threads claimed one slot");
}

/// Contention, entropy, time and choices of the program's own.
fn busy() {
    let word = Arc::new(AtomicU32::new(0));
    let mut entropy = [0; 4];
    fill_entropy(&mut entropy);
    word.store(u32::from_le_bytes(entropy), Ordering::Relaxed);
    let threads = [1, 2, 3].map(|number| {
        let word = Arc::clone(&word);
        thread::spawn(move || {
            for _ in 0..5 {
                word.fetch_add(number, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(number.into()));
            word.fetch_xor(choose(300) as u32, Ordering::Relaxed);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

fn strategy(bytes: &[u8]) -> Strategy {
    Strategy::Bytes(bytes.into())
}

fn busy_run(seed: u64, bytes: &[u8]) -> Report {
    let sim = Sim::builder().seed(seed).strategy(strategy(bytes)).build();
    sim.check(busy).unwrap_or_else(|failure| panic!("{failure}"))
}

/// So many bytes that follow from `seed` alone.
fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn the_same_bytes_are_the_same_run() {
    for number in 0..20 {
        let bytes = random_bytes(number, 400);
        let run = busy_run(0, &bytes);
        assert_eq!(run.hash(), busy_run(0, &bytes).hash());
        assert!(run.strategy().starts_with("400 bytes"), "{}", run.strategy());
        // Long enough: nothing is left for the seed to decide.
        assert_eq!(run.hash(), busy_run(7, &bytes).hash());
        assert_ne!(run.hash(), busy_run(0, &random_bytes(number + 100, 400)).hash());
    }
}

#[test]
fn where_the_bytes_end_the_seed_goes_on() {
    let few: [&[u8]; 3] = [&[], &[0; 10], &[1, 0, 2]];
    for bytes in few {
        assert_eq!(busy_run(3, bytes).hash(), busy_run(3, bytes).hash());
        assert_ne!(busy_run(3, bytes).hash(), busy_run(4, bytes).hash());
    }
}

#[test]
fn a_thread_that_spins_for_another_does_not_spin_for_ever() {
    let program = || {
        let word = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&word);
        let writer = thread::spawn(move || other.store(1, Ordering::Release));
        while word.load(Ordering::Acquire) == 0 {}
        writer.join().unwrap();
    };
    // The first thread goes on and on, as long as there are bytes.
    let sim = Sim::builder().strategy(strategy(&[0; 1_000])).step_limit(10_000).build();
    let report = sim.check(program).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.steps() > 900, "{} steps", report.steps());
}

#[test]
fn some_bytes_find_a_bug_and_its_tape_replays_it() {
    let found = (0..200).find_map(|number| {
        let bytes = random_bytes(number, 40);
        Sim::builder().name("claims").strategy(strategy(&bytes)).build().check(claim_slots).err()
    });
    let failure = found.expect("the race is not rare");
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(failure.message().contains("two threads claimed one slot"), "{failure}");
    let path = failure.tape_path().expect("a saved tape").to_owned();
    let line = format!("VOLT_TAPE={} cargo test --features sim claims", path.display());
    assert_eq!(failure.replay_line(), line);
    let again = Sim::builder().strategy(Strategy::Tape(path.clone())).build();
    let again = again.check(claim_slots).expect_err("the same failure");
    assert_eq!(again.message(), failure.message());
    assert_eq!(again.report().hash(), failure.report().hash());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn bytes_are_made_smaller_as_any_other_failure() {
    let failure = (0..200).find_map(|number| {
        let builder = Sim::builder().strategy(strategy(&random_bytes(number, 40)));
        builder.shrink(Duration::from_secs(60)).build().check(claim_slots).err()
    });
    let failure = failure.expect("the race is not rare");
    let schedule = failure.schedule().expect("a smallest schedule");
    assert_eq!(schedule.preemptions(), 1, "{failure}");
    for path in [failure.tape_path(), schedule.tape_path()].into_iter().flatten() {
        std::fs::remove_file(path).unwrap();
    }
}
