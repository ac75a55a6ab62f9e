//! A tour of Volt in three parts: a server on the real machine, the same server in a simulation
//! whose network breaks, and a race that a seed finds and replays.
//!
//! ```sh
//! cargo run --release --features "sim hyper" --example tour
//! ```

mod partition;
mod race;
mod serve;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a part did not show what it should.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What starts the tour; options come behind ` -- `.
pub const COMMAND: &str = "cargo run --release --features \"sim hyper\" --example tour";

const USAGE: &str = "usage: tour [--seed N] [--seconds N] [--only PART]
  --seed N     the first seed of the simulations, such as 42 or 0x2a; unless given, from the clock
  --seconds N  how long the real server is asked, 1 to 600; unless given, 5
  --only PART  one part alone: serve, partition or race
  --help       says this";

/// How long the real server is asked unless the arguments say otherwise.
const SECONDS: Duration = Duration::from_secs(5);
/// The parts run the seeds behind the first one too: so many must follow it.
const SEEDS_BEHIND: u64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Serve,
    Partition,
    Race,
}

impl Part {
    const ALL: [Part; 3] = [Part::Serve, Part::Partition, Part::Race];

    fn name(self) -> &'static str {
        match self {
            Part::Serve => "serve",
            Part::Partition => "partition",
            Part::Race => "race",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Part::Serve => "1. The real machine: an HTTP server under load",
            Part::Partition => {
                "2. The simulated machine: the same server, and a network that breaks"
            }
            Part::Race => "3. A race: found by a seed, replayed by it, and gone when it is fixed",
        }
    }

    fn show(self, options: &Options) -> Result<(), Error> {
        match self {
            Part::Serve => serve::show(options.length),
            Part::Partition => partition::show(options.seed),
            Part::Race => race::show(options.seed),
        }
    }
}

struct Options {
    seed: u64,
    length: Duration,
    only: Option<Part>,
}

/// What the arguments ask for.
enum Invocation {
    Help,
    Tour(Options),
}

impl Invocation {
    /// `Err` says what is wrong.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Invocation, String> {
        let mut seed = None;
        let mut options = Options { seed: 0, length: SECONDS, only: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("`{argument}` lacks its value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(Invocation::Help),
                "--seed" => seed = Some(parse_seed(&value()?)?),
                "--seconds" => options.length = parse_seconds(&value()?)?,
                "--only" => options.only = Some(parse_part(&value()?)?),
                _ => return Err(format!("`{argument}` is not expected")),
            }
        }
        options.seed = seed.unwrap_or_else(seed_from_clock);
        Ok(Invocation::Tour(options))
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|error| format!("`{text}` is not a seed: {error}"))?;
    match number.checked_add(SEEDS_BEHIND) {
        Some(_) => Ok(number),
        None => Err(format!("`{text}` is not a seed: more than {:#x}", u64::MAX - SEEDS_BEHIND)),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().filter(|seconds| (1..=600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(format!("`{text}` is not a number of seconds"))
}

fn parse_part(text: &str) -> Result<Part, String> {
    let part = Part::ALL.into_iter().find(|part| part.name() == text);
    part.ok_or(format!("`{text}` is not a part"))
}

fn seed_from_clock() -> u64 {
    // A clock before 1970 is as good a seed as any.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

/// Prints one thing that was seen.
pub fn fact(name: &str, value: impl Display) {
    println!("    {name:<44} {value}");
}

/// A number, its digits in threes.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn tour(options: &Options) -> Result<(), Error> {
    let began = Instant::now();
    let seed = options.seed;
    println!("Volt: an async runtime whose production code runs inside a simulated machine.");
    println!("First seed of the simulations: {seed:#x}. `--seed {seed:#x}` runs the same again.");
    for part in Part::ALL {
        if options.only.is_some_and(|only| only != part) {
            continue;
        }
        println!("\n{}\n", part.title());
        part.show(options).map_err(|error| format!("in part `{}`, {error}", part.name()))?;
    }
    println!("\nThat took {:.1} s. Where to go next\n", began.elapsed().as_secs_f64());
    println!("    README.md               a first program, a first simulated test, what exists");
    println!("    docs/architecture.md    how a task, a wake-up and a decision make their way");
    println!("    docs/testing.md         every check of this repository, and what it shows");
    println!("    examples/http.rs        the server alone, for load generators");
    println!("    cargo test --features sim");
    println!("                            Volt's own tests, on both machines");
    Ok(())
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let options = match Invocation::parse(arguments) {
        Ok(Invocation::Tour(options)) => options,
        Ok(Invocation::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match tour(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the tour ends here: {error}");
            ExitCode::FAILURE
        }
    }
}
