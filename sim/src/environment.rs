//! The environment variables that every simulated test reads. One that cannot be read is an
//! error that names it, never a silent default.

use std::env;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::decide::Strategy;
use crate::sweep::shard::{self, Shard};

/// What comes before a count of seeds from a base that the clock gives.
const RANDOM: &str = "random:";

/// What the environment asks of a simulated test.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `VOLT_SEED`: this seed only.
    pub(crate) seed: Option<u64>,
    /// `VOLT_SEEDS`: these instead of the test's own.
    pub(crate) seeds: Option<Range<u64>>,
    /// `VOLT_STRATEGY`.
    pub(crate) strategy: Option<Strategy>,
    /// `VOLT_TAPE`: replay this recording.
    pub(crate) tape: Option<PathBuf>,
    /// `VOLT_CHECK_DETERMINISM`: run each seed twice and compare.
    pub(crate) check_determinism: bool,
    /// `VOLT_SHARD`: this part of the seeds.
    pub(crate) shard: Option<Shard>,
    /// `VOLT_JOBS`: threads of a sweep.
    pub(crate) jobs: Option<usize>,
    /// `VOLT_KEEP_GOING`: go on after a failure.
    pub(crate) keep_going: bool,
    /// `VOLT_CORPUS`: where tapes are kept that later runs vary.
    pub(crate) corpus: Option<PathBuf>,
    /// `VOLT_SHRINK`: how long to look for the smallest schedule that fails.
    pub(crate) shrink: Option<Duration>,
}

/// A variable that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentError {
    variable: &'static str,
    value: String,
    expected: String,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EnvironmentError { variable, value, expected } = self;
        write!(f, "the environment variable {variable} is {value:?}; expected {expected}")
    }
}

impl Environment {
    pub(crate) fn read() -> Result<Environment, EnvironmentError> {
        Environment::from_variables(|name| {
            env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Environment, EnvironmentError> {
        let mut environment = Environment::default();
        if let Some(value) = variable("VOLT_SEED") {
            let error = || wrong("VOLT_SEED", &value, "a number such as 42 or 0x2a");
            environment.seed = Some(parse_number(&value).ok_or_else(error)?);
        }
        if let Some(value) = variable("VOLT_SEEDS") {
            let expected = "a count such as 10000, a range such as 100..200, or random:10000";
            let error = || wrong("VOLT_SEEDS", &value, expected);
            environment.seeds = Some(parse_seeds(&value).ok_or_else(error)?);
        }
        if let Some(value) = variable("VOLT_STRATEGY") {
            let parsed = value.parse::<Strategy>();
            let parsed =
                parsed.map_err(|error| wrong("VOLT_STRATEGY", &value, &error.to_string()))?;
            if matches!(parsed, Strategy::Tape(_)) {
                let expected = "a strategy that makes decisions; VOLT_TAPE replays a tape";
                return Err(wrong("VOLT_STRATEGY", &value, expected));
            }
            environment.strategy = Some(parsed);
        }
        if let Some(value) = variable("VOLT_TAPE") {
            if value.is_empty() {
                return Err(wrong("VOLT_TAPE", &value, "the path of a tape"));
            }
            environment.tape = Some(PathBuf::from(value));
        }
        if let Some(value) = variable("VOLT_CHECK_DETERMINISM") {
            environment.check_determinism = parse_switch("VOLT_CHECK_DETERMINISM", &value)?;
        }
        if let Some(value) = variable("VOLT_KEEP_GOING") {
            environment.keep_going = parse_switch("VOLT_KEEP_GOING", &value)?;
        }
        if let Some(value) = variable("VOLT_JOBS") {
            let jobs = value.parse::<usize>().ok().filter(|jobs| *jobs > 0);
            let expected = "how many threads run seeds, at least 1";
            environment.jobs = Some(jobs.ok_or_else(|| wrong("VOLT_JOBS", &value, expected))?);
        }
        if let Some(value) = variable("VOLT_SHARD") {
            let parsed = value.parse::<Shard>();
            let shard = parsed.map_err(|()| wrong("VOLT_SHARD", &value, shard::EXPECTED))?;
            let random = variable("VOLT_SEEDS").is_some_and(|seeds| seeds.starts_with(RANDOM));
            if random && !shard.is_whole() {
                let expected = "seeds in VOLT_SEEDS that all shards agree on, a count or a range: \
                                random draws others on each machine";
                return Err(wrong("VOLT_SHARD", &value, expected));
            }
            environment.shard = Some(shard);
        }
        if let Some(value) = variable("VOLT_CORPUS") {
            if value.is_empty() {
                return Err(wrong("VOLT_CORPUS", &value, "the path of a folder for tapes"));
            }
            environment.corpus = Some(PathBuf::from(value));
        }
        if let Some(value) = variable("VOLT_SHRINK") {
            let seconds = value.parse().ok();
            let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let error = || wrong("VOLT_SHRINK", &value, "seconds such as 5 or 0.5; 0 is off");
            environment.shrink = Some(time.ok_or_else(error)?);
        }
        Ok(environment)
    }
}

fn wrong(variable: &'static str, value: &str, expected: &str) -> EnvironmentError {
    EnvironmentError { variable, value: value.to_owned(), expected: expected.to_owned() }
}

fn parse_switch(variable: &'static str, value: &str) -> Result<bool, EnvironmentError> {
    match value {
        "1" => Ok(true),
        "0" | "" => Ok(false),
        _ => Err(wrong(variable, value, "1 or 0")),
    }
}

/// The largest number is refused: ranges of seeds end before it.
fn parse_number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    let number = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => digits.parse().ok(),
    };
    number.filter(|number| *number < u64::MAX)
}

fn parse_seeds(text: &str) -> Option<Range<u64>> {
    if let Some(count) = text.strip_prefix(RANDOM) {
        let count = parse_number(count).filter(|count| *count > 0)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Any base will do: it is printed, and the failing seed with it.
        let base = (since.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
        println!("VOLT_SEEDS=random: seeds {base:#x}..{:#x}", base + count);
        return Some(base..base + count);
    }
    let range = match text.split_once("..") {
        Some((start, end)) => parse_number(start)?..parse_number(end)?,
        None => 0..parse_number(text)?,
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &'static str) -> Result<Environment, EnvironmentError> {
        Environment::from_variables(move |asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn good_values_are_read() {
        let seed = |value| read("VOLT_SEED", value).map(|environment| environment.seed);
        assert_eq!(seed("42"), Ok(Some(42)));
        assert_eq!(seed("0x2a"), Ok(Some(42)));
        let seeds = |value| read("VOLT_SEEDS", value).map(|environment| environment.seeds);
        assert_eq!(seeds("10000"), Ok(Some(0..10_000)));
        assert_eq!(seeds("100..200"), Ok(Some(100..200)));
        let random = seeds("random:50").expect("a range").expect("seeds");
        assert_eq!(random.end - random.start, 50);
        let strategy = read("VOLT_STRATEGY", "pct:3").map(|environment| environment.strategy);
        assert_eq!(strategy, Ok(Some(Strategy::Pct { depth: 3 })));
        assert!(read("VOLT_CHECK_DETERMINISM", "1").is_ok_and(|it| it.check_determinism));
        assert!(read("VOLT_KEEP_GOING", "1").is_ok_and(|it| it.keep_going));
        let jobs = read("VOLT_JOBS", "8").map(|environment| environment.jobs);
        assert_eq!(jobs, Ok(Some(8)));
        let shard = read("VOLT_SHARD", "3/16").map(|environment| environment.shard);
        assert_eq!(shard, Ok(Shard::new(3, 16)));
        let corpus = read("VOLT_CORPUS", "some/folder").map(|environment| environment.corpus);
        assert_eq!(corpus, Ok(Some(PathBuf::from("some/folder"))));
        let shrink = |value| read("VOLT_SHRINK", value).map(|environment| environment.shrink);
        assert_eq!(shrink("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(shrink("0.5"), Ok(Some(Duration::from_millis(500))));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        for (name, value) in [
            ("VOLT_SEED", "seven"),
            ("VOLT_SEED", "0xffffffffffffffff"),
            ("VOLT_SEEDS", "0"),
            ("VOLT_SEEDS", "9..3"),
            ("VOLT_SEEDS", "random:0"),
            ("VOLT_STRATEGY", "quick"),
            ("VOLT_STRATEGY", "tape:file"),
            ("VOLT_TAPE", ""),
            ("VOLT_CHECK_DETERMINISM", "yes"),
            ("VOLT_KEEP_GOING", "on"),
            ("VOLT_JOBS", "0"),
            ("VOLT_JOBS", "all"),
            ("VOLT_JOBS", ""),
            ("VOLT_SHARD", ""),
            ("VOLT_SHARD", "3"),
            ("VOLT_SHARD", "0/4"),
            ("VOLT_SHARD", "5/4"),
            ("VOLT_SHARD", "1/0"),
            ("VOLT_SHARD", "one/two"),
            ("VOLT_CORPUS", ""),
            ("VOLT_SHRINK", "-1"),
            ("VOLT_SHRINK", "soon"),
        ] {
            let error = read(name, value).expect_err("refused").to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn shards_of_random_seeds_are_refused() {
        let both = |shard: &'static str, seeds: &'static str| {
            Environment::from_variables(move |asked| match asked {
                "VOLT_SHARD" => Some(shard.to_owned()),
                "VOLT_SEEDS" => Some(seeds.to_owned()),
                _ => None,
            })
        };
        let error = both("2/3", "random:100").expect_err("three bases").to_string();
        assert!(error.contains("VOLT_SHARD") && error.contains("VOLT_SEEDS"), "{error}");
        assert!(both("1/1", "random:100").is_ok());
        assert!(both("2/3", "100").is_ok());
    }
}
