//! How interleavings are chosen: the names a user gives, and what a run draws from them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::bytes::Bytes;
use super::stream::Stream;
use super::tape::Tape;

/// How the interleavings of a run are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Drawn anew for each run from its seed: of twenty runs two are random walks, six PCT
    /// with zero to four change points, four POS and eight SURW.
    #[default]
    Mix,
    /// Each step, any runnable thread with the same probability. Broad, but weak where a bug
    /// needs one thread to stand still for long.
    Random,
    /// Random priorities and up to `depth - 1` change points, their number drawn per run
    /// (Burckhardt et al., ASPLOS 2010). `depth` is at least 1.
    Pct {
        /// The number of ordering constraints that the bug needs, at most.
        depth: u32,
    },
    /// Partial-order sampling: random priorities of pending operations, drawn anew for those that
    /// race with the one that runs (Yuan et al., CAV 2018). Strong where many steps have nothing
    /// to do with each other, and needs no depth.
    Pos,
    /// Selectively uniform random walk: all interleavings of the uses of one shared object, drawn
    /// per run, are equally likely (Zhao et al., ASPLOS 2025). Strong where one thread must do
    /// something before all of many others. A run of its own, before the first one, counts what
    /// threads do; where each seed has a process of its own, that cannot be, and the run is POS.
    Surw,
    /// Depth-first search: every schedule with at most so many pre-emptions, each once. For small
    /// programs of two to four threads, such as [`check`](crate::check) runs.
    ///
    /// The seeds of a sweep only count its runs, which all have the first seed; the sweep ends
    /// when there are no more schedules, see
    /// [`SweepReport::is_exhausted`](crate::SweepReport::is_exhausted). Waking spuriously, weak
    /// compare-and-exchanges that fail although the values are equal, and jumps of the clock
    /// ahead of threads that can run are left out. A failure is replayed by its tape.
    Dfs {
        /// How often a thread that could go on stands back for another, at most.
        preemptions: u32,
    },
    /// The decisions of a recorded run, read from this file.
    Tape(PathBuf),
    /// Every decision, entropy among them, is taken from these bytes, which a fuzzer makes up:
    /// the same bytes and the same seed are the same run, in any process. Each decision takes as
    /// few of them as can tell its answers apart, the low one first, modulo the number of answers.
    /// Of threads, 0 is the one that runs already, or the next one by number where that yields or
    /// blocks. When they end, a random walk under the seed goes on, so that no bytes make a thread
    /// wait for ever for another. A failure is replayed by its tape.
    ///
    /// ```
    /// use volt_sim::{Sim, Strategy, choose};
    ///
    /// let sim = Sim::builder().strategy(Strategy::Bytes([7_u8, 3].as_slice().into())).build();
    /// sim.check(|| assert_eq!((choose(10), choose(2)), (7, 1))).unwrap();
    /// ```
    Bytes(Arc<[u8]>),
}

/// What one run does.
pub(super) enum Walk {
    Random,
    Pct { points: u32 },
    Pos,
    Surw,
    Dfs { preemptions: u32 },
    Tape(Tape),
    Bytes(Bytes),
}

impl Strategy {
    /// What the run whose interleaving stream is `stream` does.
    pub(super) fn draw(&self, stream: &mut Stream) -> Walk {
        match self {
            Strategy::Random => Walk::Random,
            Strategy::Pct { depth } => Walk::Pct { points: stream.below((*depth).max(1)) },
            Strategy::Pos => Walk::Pos,
            Strategy::Surw => Walk::Surw,
            Strategy::Dfs { preemptions } => Walk::Dfs { preemptions: *preemptions },
            Strategy::Mix => match stream.below(20) {
                0..2 => Walk::Random,
                2..8 => Walk::Pct { points: stream.below(5) },
                8..12 => Walk::Pos,
                _ => Walk::Surw,
            },
            Strategy::Tape(path) => match Tape::load(path) {
                Ok(tape) => Walk::Tape(tape),
                // The runner has loaded the tape before; only a file that vanished meanwhile
                // comes here, and the first decision then says so.
                Err(error) => Walk::Tape(Tape::unreadable(error)),
            },
            Strategy::Bytes(bytes) => Walk::Bytes(Bytes::new(Arc::clone(bytes))),
        }
    }

    /// Whether the seed alone decides what a run does: then others can be varied instead.
    pub(crate) fn draws_from_seed(&self) -> bool {
        match self {
            Strategy::Mix
            | Strategy::Random
            | Strategy::Pct { .. }
            | Strategy::Pos
            | Strategy::Surw => true,
            Strategy::Dfs { .. } | Strategy::Tape(_) | Strategy::Bytes(_) => false,
        }
    }

    /// Whether a run under this strategy needs to know how long runs are.
    pub(crate) fn needs_length(&self) -> bool {
        matches!(self, Strategy::Mix | Strategy::Pct { .. })
    }

    /// Whether a run under this strategy needs to know what each thread does.
    pub(crate) fn needs_profile(&self) -> bool {
        matches!(self, Strategy::Mix | Strategy::Surw)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Mix => f.write_str("mix"),
            Strategy::Random => f.write_str("random"),
            Strategy::Pct { depth } => write!(f, "pct:{depth}"),
            Strategy::Pos => f.write_str("pos"),
            Strategy::Surw => f.write_str("surw"),
            Strategy::Dfs { preemptions } => write!(f, "dfs:{preemptions}"),
            Strategy::Tape(path) => write!(f, "tape:{}", path.display()),
            Strategy::Bytes(bytes) => {
                f.write_str("bytes:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A strategy's name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseStrategyError(String);

impl fmt::Display for ParseStrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0;
        write!(
            f,
            "no strategy is called {name:?}; there are: mix, random, pct:DEPTH, pos, surw, \
             dfs:PREEMPTIONS, tape:FILE, bytes:HEXADECIMAL"
        )
    }
}

impl std::error::Error for ParseStrategyError {}

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(name: &str) -> Result<Strategy, ParseStrategyError> {
        let unknown = || ParseStrategyError(name.to_owned());
        match name.split_once(':') {
            None if name == "mix" => Ok(Strategy::Mix),
            None if name == "random" => Ok(Strategy::Random),
            None if name == "pos" => Ok(Strategy::Pos),
            None if name == "surw" => Ok(Strategy::Surw),
            Some(("dfs", preemptions)) => match preemptions.parse() {
                Ok(preemptions) => Ok(Strategy::Dfs { preemptions }),
                Err(_) => Err(unknown()),
            },
            Some(("pct", depth)) => match depth.parse() {
                Ok(depth) if depth >= 1 => Ok(Strategy::Pct { depth }),
                _ => Err(unknown()),
            },
            Some(("tape", path)) if !path.is_empty() => Ok(Strategy::Tape(path.into())),
            Some(("bytes", digits)) => match parse_bytes(digits) {
                Some(bytes) => Ok(Strategy::Bytes(bytes)),
                None => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

fn parse_bytes(digits: &str) -> Option<Arc<[u8]>> {
    let digits: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let (pairs, []) = digits.as_ref()?.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_written() {
        for name in [
            "mix",
            "random",
            "pct:3",
            "pos",
            "surw",
            "dfs:0",
            "dfs:2",
            "tape:some/file",
            "bytes:",
            "bytes:00ff5a",
        ] {
            let strategy: Strategy = name.parse().expect("a known name");
            assert_eq!(strategy.to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for name in [
            "", "Mix", "pct", "pct:0", "pct:x", "tape:", "dfs", "dfs:x", "pos:1", "bytes",
            "bytes:0", "bytes:0x", "bytes:é",
        ] {
            let error = name.parse::<Strategy>().expect_err("not a strategy");
            assert!(error.to_string().contains("pct:DEPTH"), "{error}");
        }
    }

    #[test]
    fn the_mix_gives_each_walk_its_share() {
        let mut shares = [0; 4];
        for seed in 0..2_000 {
            match Strategy::Mix.draw(&mut Stream::new(seed, 0)) {
                Walk::Random => shares[0] += 1,
                Walk::Pct { points } => {
                    assert!(points < 5);
                    shares[1] += 1;
                }
                Walk::Pos => shares[2] += 1,
                Walk::Surw => shares[3] += 1,
                Walk::Dfs { .. } | Walk::Tape(_) | Walk::Bytes(_) => panic!("not in the mix"),
            }
        }
        // Six standard deviations are at most 132.
        for (share, expected) in shares.into_iter().zip([200_i32, 600, 400, 800]) {
            assert!((share - expected).abs() < 132, "{shares:?}");
        }
    }
}
