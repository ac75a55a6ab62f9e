//! How interleavings are chosen: the names a user gives, and what a run draws from them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::stream::Stream;
use super::tape::Tape;

/// How the interleavings of a run are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Drawn anew for each run from its seed: one run in five a random walk, the others PCT with
    /// zero to four change points.
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
    /// The decisions of a recorded run, read from this file.
    Tape(PathBuf),
}

/// What one run does.
pub(super) enum Walk {
    Random,
    Pct { points: u32 },
    Tape(Tape),
}

impl Strategy {
    /// What the run whose interleaving stream is `stream` does.
    pub(super) fn draw(&self, stream: &mut Stream) -> Walk {
        match self {
            Strategy::Random => Walk::Random,
            Strategy::Pct { depth } => Walk::Pct { points: stream.below((*depth).max(1)) },
            Strategy::Mix => match stream.below(5) {
                0 => Walk::Random,
                _ => Walk::Pct { points: stream.below(5) },
            },
            Strategy::Tape(path) => match Tape::load(path) {
                Ok(tape) => Walk::Tape(tape),
                // The runner has loaded the tape before; only a file that vanished meanwhile
                // comes here, and the first decision then says so.
                Err(error) => Walk::Tape(Tape::unreadable(error)),
            },
        }
    }

    /// Whether a run under this strategy needs to know how long runs are.
    pub(crate) fn needs_length(&self) -> bool {
        matches!(self, Strategy::Mix | Strategy::Pct { .. })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Mix => f.write_str("mix"),
            Strategy::Random => f.write_str("random"),
            Strategy::Pct { depth } => write!(f, "pct:{depth}"),
            Strategy::Tape(path) => write!(f, "tape:{}", path.display()),
        }
    }
}

/// A strategy's name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseStrategyError(String);

impl fmt::Display for ParseStrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0;
        write!(f, "no strategy is called {name:?}; there are: mix, random, pct:DEPTH, tape:FILE")
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
            Some(("pct", depth)) => match depth.parse() {
                Ok(depth) if depth >= 1 => Ok(Strategy::Pct { depth }),
                _ => Err(unknown()),
            },
            Some(("tape", path)) if !path.is_empty() => Ok(Strategy::Tape(path.into())),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_written() {
        for name in ["mix", "random", "pct:3", "tape:some/file"] {
            let strategy: Strategy = name.parse().expect("a known name");
            assert_eq!(strategy.to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for name in ["", "Mix", "pct", "pct:0", "pct:x", "tape:", "dfs"] {
            let error = name.parse::<Strategy>().expect_err("not a strategy");
            assert!(error.to_string().contains("pct:DEPTH"), "{error}");
        }
    }
}
