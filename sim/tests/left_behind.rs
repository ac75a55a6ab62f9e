//! A run that ends the process, by an abort or by a stack that overflows, leaves its tape behind,
//! and the tape replays it.

#![cfg(unix)]

use std::env;
use std::fs;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{Sim, Strategy, thread};

/// Tells a process of this test that it is the one to die; the value is a tape, or nothing.
const DIES: &str = "VOLT_TEST_DIES";

/// Ends the process where one thread sees what the other has done by halves.
fn race(die: fn()) {
    let word = Arc::new(AtomicU32::new(0));
    let other = Arc::clone(&word);
    let thread = thread::spawn(move || {
        for step in 1..20 {
            other.store(step, Ordering::SeqCst);
        }
    });
    if word.load(Ordering::SeqCst) == 7 {
        die();
    }
    thread.join().unwrap();
}

fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(depth) == u64::MAX { 0 } else { frame[1] ^ overflow(depth + 1) }
}

/// In the process that is to die: runs until it does.
fn run(tape: &str, die: fn()) {
    let builder = Sim::builder();
    let sweep = if tape.is_empty() {
        builder.strategy(Strategy::Random).sweep(0..10_000)
    } else {
        builder.strategy(Strategy::Tape(PathBuf::from(tape))).sweep(0..1)
    };
    // On one thread: each has a tape of its own, which it leaves behind.
    sweep.jobs(1).check(move || race(die));
}

/// Runs `test` in a process of its own, which dies; the signal that ended it, and the tape that it
/// left behind.
fn die_in_a_process(test: &str, tape: &Path) -> (Option<i32>, PathBuf) {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIES, tape)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let prefix = format!("volt-{}-", process.id());
    let status = process.wait().unwrap();
    let left = [PathBuf::from("/dev/shm"), env::temp_dir()].into_iter().find_map(|folder| {
        let mut entries = fs::read_dir(folder).ok()?.flatten();
        entries.find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
    });
    (status.signal(), left.expect("a tape is left behind").path())
}

/// The decisions of a tape file: after eight words of header, the last two of which count the words
/// that are written.
fn decisions(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let words = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
    assert!(words > 0, "no decisions on the tape");
    bytes.truncate(32 + 4 * words as usize);
    bytes.split_off(32)
}

fn assert_left_behind(test: &str, signals: &[i32], die: fn()) {
    if let Ok(tape) = env::var(DIES) {
        return run(&tape, die);
    }
    let (signal, tape) = die_in_a_process(test, Path::new(""));
    assert!(signal.is_some_and(|signal| signals.contains(&signal)), "{signal:?}");
    let (again, replayed) = die_in_a_process(test, &tape);
    assert_eq!(again, signal, "the tape replays the death of the process");
    assert_eq!(decisions(&replayed), decisions(&tape));
    for path in [tape, replayed] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn an_abort_leaves_its_tape_behind() {
    let test = "an_abort_leaves_its_tape_behind";
    assert_left_behind(test, &[libc::SIGABRT], || std::process::abort());
}

#[test]
fn a_stack_overflow_leaves_its_tape_behind() {
    let test = "a_stack_overflow_leaves_its_tape_behind";
    let signals = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT];
    assert_left_behind(test, &signals, || {
        black_box(overflow(0));
    });
}
