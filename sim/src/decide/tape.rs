//! The tape: every decision of a run, in order, written before it is acted on.
//!
//! ```text
//!   header   8 bytes magic, 4 version, 4 spare, 8 seed, 8 number of words
//!   word     kind 8 | n 12 | answer 12          n in 2..4096
//!   word     kind 8 | 0      | 0, then n and answer, two words each, low half first
//! ```
//!
//! The recorder writes into a shared file mapping where the system has one, so that the tape of a
//! run that aborts the process is left behind in the file.

use std::fs;
use std::io;
use std::iter;
use std::path::Path;

use super::Kind;
use super::storage::Storage;
use super::variation::Decision;

const MAGIC: [u8; 8] = *b"volttape";
const VERSION: u32 = 1;
pub(super) const HEADER_WORDS: usize = 8;
/// The most words that one decision takes.
const DECISION_WORDS: usize = 5;
const SMALL: u64 = 1 << 12;

/// Writes the tape of one run after another into the same storage.
pub(crate) struct Recorder {
    storage: Storage,
    used: usize,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder { storage: Storage::new(), used: HEADER_WORDS }
    }

    /// Forgets the last run's tape and starts that of `seed`.
    pub(crate) fn start(&mut self, seed: u64) {
        self.used = HEADER_WORDS;
        let words = self.storage.words();
        words[0] = u32::from_le_bytes([MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]]);
        words[1] = u32::from_le_bytes([MAGIC[4], MAGIC[5], MAGIC[6], MAGIC[7]]);
        words[2] = VERSION;
        words[3] = 0;
        words[4] = seed as u32;
        words[5] = (seed >> 32) as u32;
        words[6] = 0;
        words[7] = 0;
    }

    #[inline]
    pub(super) fn record(&mut self, kind: Kind, n: u64, answer: u64) {
        if self.used + DECISION_WORDS > self.storage.words().len() {
            self.storage.grow();
        }
        let words = self.storage.words();
        let kind = (kind as u32) << 24;
        if n < SMALL {
            words[self.used] = kind | ((n as u32) << 12) | answer as u32;
            self.used += 1;
        } else {
            words[self.used] = kind;
            words[self.used + 1] = n as u32;
            words[self.used + 2] = (n >> 32) as u32;
            words[self.used + 3] = answer as u32;
            words[self.used + 4] = (answer >> 32) as u32;
            self.used += DECISION_WORDS;
        }
        words[6] = (self.used - HEADER_WORDS) as u32;
        words[7] = ((self.used - HEADER_WORDS) >> 32) as u32;
    }

    /// The tape so far, in the form that [`Tape::parse`] reads.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let used = self.used;
        self.storage.words()[..used].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The file that holds the tape while the process lives, where there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.storage.path()
    }
}

/// A recorded run, to be replayed.
pub(crate) struct Tape {
    seed: u64,
    words: Vec<u32>,
    next: usize,
    decision: u64,
    broken: Option<String>,
}

impl Tape {
    /// Reads a tape file.
    pub(crate) fn load(path: &Path) -> Result<Tape, String> {
        let bytes = fs::read(path).map_err(|error: io::Error| {
            format!("the tape {} cannot be read: {error}", path.display())
        })?;
        Tape::parse(&bytes).map_err(|error| format!("the tape {} {error}", path.display()))
    }

    /// Reads a tape from memory.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Tape, String> {
        if bytes.len() < HEADER_WORDS * 4 || bytes[..8] != MAGIC {
            return Err("is not a tape: it does not begin with \"volttape\"".to_owned());
        }
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        if words[2] != VERSION {
            let found = words[2];
            return Err(format!("has format {found}; this version reads format {VERSION}"));
        }
        let seed = wide(words[4], words[5]);
        let length = wide(words[6], words[7]);
        let held = (words.len() - HEADER_WORDS) as u64;
        if length > held {
            return Err(format!("is cut short: it names {length} words and holds {held}"));
        }
        let words = words[HEADER_WORDS..HEADER_WORDS + length as usize].to_vec();
        Ok(Tape { seed, words, next: 0, decision: 0, broken: None })
    }

    /// A tape whose first decision reports `why`.
    pub(super) fn unreadable(why: String) -> Tape {
        Tape { seed: 0, words: Vec::new(), next: 0, decision: 0, broken: Some(why) }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Back to the first decision.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
        self.decision = 0;
    }

    /// The recorded answer to the next decision, which must be of this kind and size.
    pub(super) fn next(&mut self, kind: Kind, n: u64) -> Result<u64, String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        let decision = self.decision;
        self.decision += 1;
        let asked = kind.label();
        let Some((found, size, answer)) = self.read() else {
            return Err(format!(
                "the tape ends after {decision} decisions; the program asks for one more, a \
                 {asked} among {n}"
            ));
        };
        if found != kind as u8 || size != n {
            let found = Kind::from_number(found).map_or("unknown", Kind::label);
            return Err(format!(
                "decision {decision} is a {asked} among {n} in the program and a {found} among \
                 {size} on the tape: it was recorded by another program, or another build of it"
            ));
        }
        Ok(answer)
    }

    /// Whether there is more on the tape than was asked for.
    pub(super) fn left(&self) -> Option<String> {
        (self.next < self.words.len()).then(|| {
            format!(
                "the program ended after {} decisions, and the tape goes on: it was recorded by \
                 another program, or another build of it",
                self.decision
            )
        })
    }

    /// All decisions, up to one of a kind that this version does not know.
    pub(super) fn decisions(&self) -> impl Iterator<Item = Decision> {
        let mut next = 0;
        iter::from_fn(move || {
            let ((kind, n, answer), words) = self.read_at(next)?;
            next += words;
            Some(Decision { kind: Kind::from_number(kind)?, n, answer })
        })
    }

    fn read(&mut self) -> Option<(u8, u64, u64)> {
        let (decision, words) = self.read_at(self.next)?;
        self.next += words;
        Some(decision)
    }

    /// The decision whose first word is this one, and how many words it takes.
    fn read_at(&self, first: usize) -> Option<((u8, u64, u64), usize)> {
        let word = *self.words.get(first)?;
        let kind = (word >> 24) as u8;
        let small = u64::from(word >> 12) & (SMALL - 1);
        if small != 0 {
            return Some(((kind, small, u64::from(word) & (SMALL - 1)), 1));
        }
        let rest = self.words.get(first + 1..first + DECISION_WORDS)?;
        Some(((kind, wide(rest[0], rest[1]), wide(rest[2], rest[3])), DECISION_WORDS))
    }
}

fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(decisions: &[(Kind, u64, u64)]) -> Vec<u8> {
        let mut recorder = Recorder::new();
        recorder.start(0x1234_5678_9abc_def0);
        for &(kind, n, answer) in decisions {
            recorder.record(kind, n, answer);
        }
        recorder.bytes()
    }

    #[test]
    fn what_was_recorded_is_replayed() {
        let decisions = [
            (Kind::Thread, 2, 1),
            (Kind::Entropy, u64::MAX, 0xdead_beef_0000_0001),
            (Kind::Program, 4096, 4095),
            (Kind::Waiter, 4095, 4094),
        ];
        let mut tape = Tape::parse(&recorded(&decisions)).expect("a tape");
        assert_eq!(tape.seed(), 0x1234_5678_9abc_def0);
        for (kind, n, answer) in decisions {
            assert_eq!(tape.next(kind, n), Ok(answer));
        }
        let end = tape.next(Kind::Thread, 2).expect_err("the end");
        assert!(end.contains("ends after 4 decisions"), "{end}");
    }

    #[test]
    fn a_decision_of_another_kind_or_size_is_named() {
        let bytes = recorded(&[(Kind::Thread, 3, 2)]);
        let mut tape = Tape::parse(&bytes).expect("a tape");
        let error = tape.next(Kind::Waiter, 3).expect_err("another kind");
        assert!(error.contains("a waiter among 3"), "{error}");
        assert!(error.contains("a thread among 3"), "{error}");
    }

    #[test]
    fn files_that_are_no_tape_are_refused() {
        let refused = |bytes: &[u8]| Tape::parse(bytes).err().expect("refused");
        assert!(refused(b"hello").contains("not a tape"));
        let mut bytes = recorded(&[(Kind::Thread, 3, 2)]);
        bytes[8] = 9;
        assert!(refused(&bytes).contains("format 9"));
        let mut bytes = recorded(&[(Kind::Thread, 3, 2)]);
        bytes.truncate(bytes.len() - 4);
        assert!(refused(&bytes).contains("cut short"));
    }

    #[test]
    fn storage_grows_and_keeps_what_it_holds() {
        let mut recorder = Recorder::new();
        recorder.start(1);
        let count = 600_000;
        for index in 0..count {
            recorder.record(Kind::Thread, 2, index & 1);
        }
        let mut tape = Tape::parse(&recorder.bytes()).expect("a tape");
        assert!((0..count).all(|index| tape.next(Kind::Thread, 2) == Ok(index & 1)));
    }
}
