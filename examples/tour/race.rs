//! Part 3: a program of plain threads with a race in it, the seed that finds it, and the same
//! program without the race.

use std::time::Instant;

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::{FailureKind, Sim, SimBuilder, Strategy, thread};

use crate::{COMMAND, Error, fact, grouped};

/// How many seeds are run, from the first one on.
const SEEDS: u64 = 1_000;
/// How often the program runs on the real machine, for comparison.
const REAL_RUNS: usize = 1_000;
const TICKETS: u32 = 1;
const BUYERS: usize = 2;

/// Takes a ticket if one is left; whether it did.
type Take = fn(&AtomicU32) -> bool;

/// The planted race.
fn look_then_take(left: &AtomicU32) -> bool {
    let seen = left.load(Ordering::SeqCst);
    if seen == 0 {
        return false;
    }
    // The other buyer may have looked too, and sees the same ticket.
    left.store(seen - 1, Ordering::SeqCst);
    true
}

/// The same without the race: looking and taking are one operation.
fn take_at_once(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |seen| seen.checked_sub(1)).is_ok()
}

/// Lets every buyer try to take a ticket; how many did.
fn sell(take: Take) -> u32 {
    let left = Arc::new(AtomicU32::new(TICKETS));
    let buyers = [(); BUYERS].map(|()| {
        let left = Arc::clone(&left);
        thread::spawn(move || take(&left))
    });
    let bought = |buyer: thread::JoinHandle<bool>| buyer.join().expect("buyers do not panic");
    buyers.map(bought).into_iter().map(u32::from).sum()
}

/// The program that is simulated.
fn program(take: Take) -> impl Fn() + Send + Sync + 'static {
    move || {
        let sold = sell(take);
        assert!(sold <= TICKETS, "{sold} tickets were sold, and there was {TICKETS}");
    }
}

fn simulation() -> SimBuilder {
    // A random walk finds a race this small at once.
    Sim::builder().strategy(Strategy::Random)
}

/// Shows the race, under seeds from `first` on.
///
/// # Errors
/// If the race is not found, does not replay, or is still there when it is fixed.
pub fn show(first: u64) -> Result<(), Error> {
    println!("  {BUYERS} threads want {TICKETS} ticket. Each looks whether one is left, then");
    println!("  takes it: two steps, and both threads may look before either takes.\n");
    let oversold = (0..REAL_RUNS).filter(|_| sell(look_then_take) > TICKETS).count();
    fact("runs on real threads", grouped(REAL_RUNS as u64));
    fact("of them sold too many tickets", oversold);
    println!("\n  Luck decides there, and no failure comes again at will. Now simulated threads,");
    println!("  each operation a point where the seed may let the other thread go on:\n");

    let began = Instant::now();
    let report = simulation().sweep(first..first + SEEDS).check(program(look_then_take));
    let Some(failure) = report.failure() else {
        return Err(format!("none of {SEEDS} seeds from {first:#x} on finds the race").into());
    };
    let text = failure.to_string();
    fact("runs until one failed", report.runs());
    fact("time that they took", format!("{:.1?}", began.elapsed()));
    println!();
    for line in text.lines().filter(|line| !line.starts_with("tape: ")) {
        println!("    | {line}");
    }
    if failure.kind() != FailureKind::Panic {
        return Err(format!("a run failed otherwise than with a panic\n{text}").into());
    }

    println!("\n  In a test, the report's last line is the one to paste. Here the seed goes to");
    println!("  the tour, whose search then begins with it:\n");
    println!("    {COMMAND} -- --only race --seed {:#x}\n", failure.seed());
    let replayed = simulation().seed(failure.seed()).build().check(program(look_then_take));
    // The tour replays by seed: it leaves no recording behind.
    if let Some(path) = failure.tape_path() {
        let _ = std::fs::remove_file(path);
    }
    let Err(replayed) = replayed else {
        return Err(format!("seed {:#x} does not fail a second time", failure.seed()).into());
    };
    if replayed.to_string() != text {
        return Err(format!("a seed gave two failures\n{text}\n{replayed}").into());
    }
    fact("the seed alone, run again", format!("{}, the same report", replayed.kind()));
    fact("hash, both times", format!("{:#018x}", replayed.report().hash()));

    let fixed = simulation().sweep(first..first + SEEDS).check(program(take_at_once));
    if let Some(failure) = fixed.failure() {
        return Err(format!("the program without the race fails\n{failure}").into());
    }
    fact("looking and taking made one operation", format!("{} runs pass", grouped(fixed.runs())));
    Ok(())
}
