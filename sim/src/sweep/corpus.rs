//! The tapes of runs that came to something new: kept in a folder, and varied by later runs.
//!
//! ```text
//!   folder ──► run again before the first seed ──► what is covered
//!   generation of places ──► each run: by its seed, or a variation of what was kept before
//!       ──► all have ended ──► those that go beyond what is covered, by place ──► kept
//! ```
//!
//! What a run varies follows from its seed and the tapes that were kept when its generation began;
//! what a generation adds is found out when all of it has ended, in the order of places. So neither
//! depends on how many threads ran it, or on which was faster.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::decide::tape::Tape;
use crate::decide::{HandOffs, Kept};

/// How many places are run before what they added is varied.
const GENERATION: u64 = 128;
/// The most places that a worker takes at once, so that all have their part of a generation.
pub(crate) const LARGEST_HAND: u64 = 8;
/// A longer tape is not kept, of which one decision in very many would be varied.
const LONGEST_TAPE: usize = 1 << 20;
/// How often a worker that waits for a generation looks whether the sweep is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const EXTENSION: &str = "tape";

/// The corpus of one sweep.
pub(crate) struct Corpus {
    folder: PathBuf,
    /// How many there are in the sweep.
    places: u64,
    keep_going: bool,
    state: Mutex<State>,
    turned: Condvar,
}

struct State {
    /// Those that were read, until they are run again.
    read: Vec<Arc<Kept>>,
    /// What the runs of this generation vary, the newest last.
    kept: Arc<Vec<Arc<Kept>>>,
    covered: HandOffs,
    generation: u64,
    /// How many places of the generation have ended.
    ended: u64,
    /// Of this generation, by place.
    candidates: BTreeMap<u64, Candidate>,
    /// What places from here on did does not count: one below it has failed.
    end: u64,
    error: Option<String>,
}

/// A run of this generation that goes beyond the ones before.
struct Candidate {
    hash: u64,
    hand_offs: HandOffs,
    tape: Vec<u8>,
}

/// A run that passed.
pub(crate) struct Passed<T> {
    pub(crate) hash: u64,
    pub(crate) hand_offs: HandOffs,
    /// Its tape, once that is asked for.
    pub(crate) tape: T,
}

impl Corpus {
    /// Reads the folder, which is made where there is none.
    ///
    /// # Errors
    /// Which folder or tape cannot be read.
    pub(crate) fn open(folder: &Path, places: u64, keep_going: bool) -> Result<Corpus, String> {
        let unreadable =
            |error: io::Error| format!("the corpus {} cannot be read: {error}", folder.display());
        fs::create_dir_all(folder).map_err(unreadable)?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension() == Some(OsStr::new(EXTENSION)) {
                paths.push(path);
            }
        }
        // Folders have no order.
        paths.sort_unstable();
        let read = paths.iter().map(|path| load(path).map(Arc::new));
        let read: Vec<Arc<Kept>> = read.collect::<Result<_, String>>()?;
        let kept = Arc::new(read.clone());
        let state = State {
            read,
            kept,
            covered: HandOffs::default(),
            generation: 0,
            ended: 0,
            candidates: BTreeMap::new(),
            end: u64::MAX,
            error: None,
        };
        let folder = folder.to_owned();
        Ok(Corpus { folder, places, keep_going, state: Mutex::new(state), turned: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tapes that were read and not run again yet, by whoever asks first.
    pub(crate) fn take_read(&self) -> Vec<Arc<Kept>> {
        std::mem::take(&mut self.state().read)
    }

    /// A tape that was read has these.
    pub(crate) fn cover(&self, hand_offs: &HandOffs) {
        self.state().covered.add(hand_offs);
    }

    /// What the run at this place may vary, once all of the generations before have ended; `None`
    /// where the sweep is over before.
    pub(crate) fn begin(
        &self,
        place: u64,
        is_over: impl Fn() -> bool,
    ) -> Option<Arc<Vec<Arc<Kept>>>> {
        let mut state = self.state();
        loop {
            if is_over() {
                return None;
            }
            if state.generation == place / GENERATION {
                return Some(Arc::clone(&state.kept));
            }
            let waited = self.turned.wait_timeout(state, LOOK_EVERY);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The run at this place has passed or, without an argument, failed: what fails is not varied.
    /// False where a tape could not be kept, and the sweep is to end.
    pub(crate) fn ended(
        &self,
        place: u64,
        passed: Option<Passed<impl FnOnce() -> Vec<u8>>>,
    ) -> bool {
        let mut state = self.state();
        match passed {
            Some(Passed { hash, hand_offs, tape }) if hand_offs.go_beyond(&state.covered) => {
                let tape = tape();
                if tape.len() <= LONGEST_TAPE {
                    state.candidates.insert(place, Candidate { hash, hand_offs, tape });
                }
            }
            None if !self.keep_going => state.end = state.end.min(place),
            Some(_) | None => {}
        }
        state.ended += 1;
        let first = state.generation * GENERATION;
        if state.ended == GENERATION.min(self.places - first) {
            self.turn(&mut state);
        }
        state.error.is_none()
    }

    /// All workers have ended.
    ///
    /// # Errors
    /// Which tape could not be kept.
    pub(crate) fn finish(&self) -> Result<(), String> {
        let mut state = self.state();
        self.turn(&mut state);
        state.error.take().map_or(Ok(()), Err)
    }

    /// The generation has ended: keeps what is new in it.
    fn turn(&self, state: &mut State) {
        let mut kept = Vec::clone(&state.kept);
        for (place, candidate) in std::mem::take(&mut state.candidates) {
            let Candidate { hash, hand_offs, tape } = candidate;
            // Another one of the generation may have been first.
            if place >= state.end || !hand_offs.go_beyond(&state.covered) {
                continue;
            }
            state.covered.add(&hand_offs);
            if let Err(error) = self.save(hash, &tape) {
                state.error.get_or_insert(error);
            }
            if let Ok(tape) = Tape::parse(&tape) {
                kept.push(Arc::new(Kept { hash, tape }));
            }
        }
        state.kept = Arc::new(kept);
        state.generation += 1;
        state.ended = 0;
        self.turned.notify_all();
    }

    /// Writes a tape. Under another name first: a sweep of another process may be reading the
    /// folder.
    fn save(&self, hash: u64, tape: &[u8]) -> Result<(), String> {
        let path = self.folder.join(format!("{hash:016x}.{EXTENSION}"));
        let partial = self.folder.join(format!("{hash:016x}.{}", process::id()));
        let saved = fs::write(&partial, tape).and_then(|()| fs::rename(&partial, &path));
        saved.map_err(|error| format!("the tape {} cannot be kept: {error}", path.display()))
    }
}

fn load(path: &Path) -> Result<Kept, String> {
    let tape = Tape::load(path)?;
    let name = path.file_stem().and_then(OsStr::to_str);
    let hash = name.and_then(|name| u64::from_str_radix(name, 16).ok());
    let Some(hash) = hash else {
        return Err(format!(
            "the tape {} is not named by the hash of its run, as those of a corpus are",
            path.display()
        ));
    };
    Ok(Kept { hash, tape })
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::thread;

    use super::*;

    /// A folder of this test, empty.
    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("volt-corpus-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn open(folder: &Path, places: u64) -> Corpus {
        Corpus::open(folder, places, false).unwrap_or_else(|error| panic!("{error}"))
    }

    fn nothing_new(corpus: &Corpus, place: u64) {
        let passed = Passed { hash: place, hand_offs: HandOffs::default(), tape: Vec::new };
        assert!(corpus.ended(place, Some(passed)));
    }

    #[test]
    fn a_generation_begins_when_all_of_the_one_before_have_ended() {
        let folder = folder("generations");
        let corpus = open(&folder, GENERATION + 1);
        for place in 1..GENERATION {
            assert!(corpus.begin(place, || false).is_some());
            nothing_new(&corpus, place);
        }
        thread::scope(|scope| {
            let next = scope.spawn(|| corpus.begin(GENERATION, || false));
            thread::sleep(Duration::from_millis(50));
            assert!(!next.is_finished());
            nothing_new(&corpus, 0);
            assert!(next.join().expect("no panic").is_some());
        });
        nothing_new(&corpus, GENERATION);
        fs::remove_dir_all(folder).expect("the folder of the test");
    }

    #[test]
    fn who_waits_for_a_generation_hears_that_the_sweep_is_over() {
        let folder = folder("over");
        let corpus = open(&folder, 2 * GENERATION);
        let over = std::sync::atomic::AtomicBool::new(false);
        // Relaxed: the flag is all there is to know.
        let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);
        thread::scope(|scope| {
            let next = scope.spawn(|| corpus.begin(GENERATION, is_over));
            thread::sleep(Duration::from_millis(50));
            assert!(!next.is_finished());
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(next.join().expect("no panic").is_none());
        });
        fs::remove_dir_all(folder).expect("the folder of the test");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = folder("unreadable");
        let refused = |folder: &Path| Corpus::open(folder, 1, false).err().expect("refused");
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("0000000000000001.tape");
        fs::write(&file, "no tape").expect("a file");
        let error = refused(&folder);
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
        assert!(error.contains("is not a tape"), "{error}");
        // What is no folder has none in it.
        let error = refused(&file.join("below"));
        assert!(error.contains("below cannot be read"), "{error}");
        fs::remove_file(&file).expect("the file");
        // Other files are nobody's business.
        fs::write(folder.join("README.md"), "kept by CI").expect("a file");
        assert!(open(&folder, 1).take_read().is_empty());
        fs::remove_dir_all(folder).expect("the folder of the test");
    }
}
