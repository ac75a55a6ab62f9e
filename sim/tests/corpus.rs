//! A corpus leads a sweep to bugs that no single run is likely to meet; it outlives the sweep, and
//! depends on the number of threads as little as the report.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use volt_sim::sync::atomic::{AtomicU32, Ordering::SeqCst};
use volt_sim::{Builder, FailureKind, Sim, Strategy, thread};

/// Enough for the corpus to come through all gates, and far too few for a random walk.
const SEEDS: u64 = 40_000;

/// Eight gates, one behind the other: each is open between two stores of one thread, and the other
/// one comes to the next only if it looks just then. The bug is behind the gate of this number. A
/// random walk comes through one in eight, or so.
fn gates(bug: usize) {
    let words: Arc<[AtomicU32; 8]> = Arc::default();
    let opens = Arc::clone(&words);
    let opener = thread::spawn(move || {
        opens[0].store(1, SeqCst);
        opens[0].store(0, SeqCst);
        opens[1].store(1, SeqCst);
        opens[1].store(0, SeqCst);
        opens[2].store(1, SeqCst);
        opens[2].store(0, SeqCst);
        opens[3].store(1, SeqCst);
        opens[3].store(0, SeqCst);
        opens[4].store(1, SeqCst);
        opens[4].store(0, SeqCst);
        opens[5].store(1, SeqCst);
        opens[5].store(0, SeqCst);
        opens[6].store(1, SeqCst);
        opens[6].store(0, SeqCst);
        opens[7].store(1, SeqCst);
        opens[7].store(0, SeqCst);
    });
    let looker = thread::spawn(move || {
        let mut passed = 0;
        let mut pass = |value| {
            passed += usize::from(value == 1);
            assert!(passed < bug, "behind gate {bug}");
            value == 1
        };
        pass(words[0].load(SeqCst))
            && pass(words[1].load(SeqCst))
            && pass(words[2].load(SeqCst))
            && pass(words[3].load(SeqCst))
            && pass(words[4].load(SeqCst))
            && pass(words[5].load(SeqCst))
            && pass(words[6].load(SeqCst))
            && pass(words[7].load(SeqCst))
    });
    opener.join().unwrap();
    looker.join().unwrap();
}

/// A folder for the corpus of one test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("volt-sim-corpus-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    /// What is in it, by name.
    fn tapes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn random() -> Builder {
    Sim::builder().strategy(Strategy::Random)
}

fn with_corpus(folder: &Path) -> Builder {
    random().corpus(folder)
}

#[test]
fn a_bug_behind_ordered_hand_offs_is_found_and_replayed_by_its_tape() {
    let folder = Folder::new("gates");
    let report = with_corpus(&folder.0).name("gates").sweep(0..SEEDS).check(|| gates(8));
    let failure = report.failure().expect("the corpus comes through all gates");
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(failure.message().contains("behind gate 8"), "{failure}");
    assert!(failure.report().strategy().contains("of the corpus"), "{failure}");
    let alone = random().sweep(0..report.runs()).check(|| gates(8));
    assert!(alone.failure().is_none(), "a random walk is as fast");

    // The seed alone does something else.
    let path = failure.tape_path().expect("a saved tape").to_owned();
    let line = format!("VOLT_TAPE={} cargo test --features sim gates", path.display());
    assert_eq!(failure.replay_line(), line);
    let again = Sim::builder().strategy(Strategy::Tape(path.clone())).build();
    let again = again.check(|| gates(8)).expect_err("the same failure");
    assert_eq!(again.message(), failure.message());
    assert_eq!(again.report().hash(), failure.report().hash());
    fs::remove_file(path).unwrap();

    // What was kept shortens the way of other seeds.
    let kept = folder.tapes();
    let next = with_corpus(&folder.0).name("gates-2").sweep(SEEDS..2 * SEEDS).check(|| gates(8));
    let failure = next.failure().expect("they begin near the last gate");
    assert!(next.runs() < report.runs(), "{} and {}", next.runs(), report.runs());
    fs::remove_file(failure.tape_path().expect("a saved tape")).unwrap();
    let still = folder.tapes();
    assert!(kept.iter().all(|(name, tape)| still.get(name) == Some(tape)));
}

#[test]
fn the_number_of_threads_changes_neither_corpus_nor_report() {
    // Of two sweeps the second begins with what the first has left.
    let runs = [1, 2, 5].map(|jobs| {
        let folder = Folder::new(&format!("jobs-{jobs}"));
        let passing = with_corpus(&folder.0).sweep(0..500).jobs(jobs).check(|| gates(9));
        assert_eq!((passing.runs(), passing.failed_runs()), (500, 0));
        let tapes = folder.tapes();
        assert!(tapes.len() > 5, "{} tapes", tapes.len());
        let failing = with_corpus(&folder.0).sweep(500..SEEDS).jobs(jobs).check(|| gates(4));
        let failure = failing.failure().expect("the bug behind the fourth gate");
        let told = (failing.runs(), failure.seed(), failure.tape().to_vec());
        let of_failure = (failure.report().hash(), failure.report().strategy().to_owned());
        fs::remove_file(failure.tape_path().expect("a saved tape")).unwrap();
        (tapes, folder.tapes(), told, of_failure)
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn runs_that_vary_nothing_are_those_of_their_seeds() {
    let folder = Folder::new("seeds");
    for strategy in [Strategy::Mix, Strategy::Pct { depth: 3 }, Strategy::Pos, Strategy::Surw] {
        let mut same = 0;
        for seeds in 1..40 {
            let builder = || Sim::builder().strategy(strategy.clone());
            let noted = builder().corpus(&folder.0).sweep(0..seeds + 1).check(|| gates(9));
            let noted = noted.into_result().unwrap_or_else(|failure| panic!("{failure}"));
            if noted.strategy().contains("of the corpus") {
                continue;
            }
            let alone = builder().seed(seeds).build().check(|| gates(9)).unwrap();
            assert_eq!((noted.hash(), noted.strategy()), (alone.hash(), alone.strategy()));
            same += 1;
        }
        assert!((5..39).contains(&same), "{strategy}: {same}");
    }
}

#[test]
fn a_kept_tape_that_fails_now_ends_the_sweep() {
    let folder = Folder::new("regression");
    let report = with_corpus(&folder.0).sweep(0..2_000).check(|| gates(9));
    assert!(report.failure().is_none());
    // The bug comes into the program.
    let report = with_corpus(&folder.0).sweep(0..2_000).check(|| gates(1));
    let failure = report.failure().expect("some tape comes through the first gate");
    assert_eq!(report.runs(), 1);
    assert!(failure.message().contains("behind gate 1"), "{failure}");
    assert!(failure.report().strategy().ends_with("of the corpus again"), "{failure}");
    assert!(failure.replay_line().starts_with("VOLT_TAPE="), "{}", failure.replay_line());
    fs::remove_file(failure.tape_path().expect("a saved tape")).unwrap();
}

#[test]
fn a_run_that_is_repeated_varies_the_same_again() {
    let folder = Folder::new("determinism");
    let sweep = with_corpus(&folder.0).check_determinism(true).sweep(0..400);
    let report = sweep.check(|| gates(9));
    assert_eq!((report.runs(), report.failed_runs()), (400, 0), "{report}");
}

#[test]
fn what_cannot_be_read_ends_the_sweep_by_name() {
    let folder = Folder::new("broken");
    fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("00000000000000ff.tape");
    fs::write(&path, b"volttape").unwrap();
    let sweep = with_corpus(&folder.0).sweep(0..10);
    let panic = catch_unwind(AssertUnwindSafe(|| sweep.check(|| ()))).expect_err("no tape");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains(&*path.to_string_lossy()), "{message}");
}
