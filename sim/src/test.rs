//! Simulations as tests: seeds from the environment, a panic with the report.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::decide::storage::left_behind;
use crate::decide::{Length, Strategy};
use crate::failure::tape_command;
use crate::runner;
use crate::sim::{Builder, Sim};
use crate::sweep::cause::{Cause, without_numbers};
use crate::sweep::{Ended, Sweep, SweepReport, interrupt};

/// Seeds that [`check`] runs unless the environment names others.
const CHECK_SEEDS: u64 = 1_000;
/// Tells the process of one seed that it is that, and how many choices a run has.
const ISOLATED: &str = "VOLT_ISOLATED";
/// What precedes the number of choices in the line about a single run.
const LENGTH: &str = "choices between threads/steps: ";

/// Runs `f` as plain simulated threads under many seeds, 1,000 unless `VOLT_SEEDS` says
/// otherwise, and panics with the report of the first failure.
///
/// # Panics
/// If a run fails, or an environment variable cannot be read.
///
/// ```
/// volt_sim::check(|| {
///     let thread = volt_sim::thread::spawn(|| 1);
///     assert_eq!(thread.join().unwrap(), 1);
/// });
/// ```
pub fn check(f: impl Fn() + Send + Sync + 'static) {
    let sweep = Sim::builder().from_environment(0..CHECK_SEEDS);
    let strategy = sweep.strategy().clone();
    let report = sweep.check(f);
    tell_of_search(&strategy, &report);
    runner::expect_success(report);
}

/// Says how far a depth-first search came: whether its success is a proof.
fn tell_of_search(strategy: &Strategy, report: &SweepReport) {
    if !matches!(strategy, Strategy::Dfs { .. }) || report.failure().is_some() {
        return;
    }
    let runs = report.runs;
    if report.exhausted {
        println!("{strategy}: exhausted, all {runs} schedules were run");
    } else {
        println!("{strategy}: {runs} schedules were run, there are more; VOLT_SEEDS sets how many");
    }
}

/// What a test attribute says.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// The path of the test function, with its crate.
    pub name: &'static str,
    /// How many seeds: `0..seeds`.
    pub seeds: u64,
    /// Only this seed.
    pub seed: Option<u64>,
    /// The name of a strategy.
    pub strategy: Option<&'static str>,
    /// See [`Builder::step_limit`].
    pub step_limit: Option<u64>,
    /// See [`Builder::virtual_time_limit`].
    pub virtual_time_limit: Option<Duration>,
    /// Whether each seed has a process of its own.
    pub isolate_process: bool,
}

impl TestOptions {
    /// The name as the test harness knows it: without the crate.
    fn test_name(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(_, name)| name)
    }

    fn builder(&self) -> Builder {
        let mut builder = Sim::builder().name(self.test_name());
        if let Some(strategy) = self.strategy {
            match strategy.parse() {
                Ok(strategy) => builder = builder.strategy(strategy),
                Err(error) => panic!("{}: {error}", self.test_name()),
            }
        }
        if let Some(steps) = self.step_limit {
            builder = builder.step_limit(steps);
        }
        if let Some(limit) = self.virtual_time_limit {
            builder = builder.virtual_time_limit(limit);
        }
        builder
    }

    fn run(&self, run: impl FnOnce(Sweep) -> SweepReport) {
        let seeds = match self.seed {
            Some(seed) => seed..seed.saturating_add(1),
            None => 0..self.seeds,
        };
        let mut builder = self.builder();
        match std::env::var(ISOLATED) {
            // The process of one seed: its one run is the first of the process.
            Ok(length) => builder = builder.length(length.parse().unwrap_or_default()),
            Err(_) if self.isolate_process => {
                let sweep = builder.from_environment(seeds);
                assert!(
                    !matches!(sweep.strategy(), Strategy::Dfs { .. }),
                    "{}: a depth-first search goes from run to run, and `isolate = \"process\"` \
                     gives each a process of its own: use another strategy, or do not isolate",
                    self.test_name()
                );
                return self.run_in_processes(sweep);
            }
            Err(_) => {}
        }
        let sweep = builder.from_environment(seeds);
        let single = sweep.seeds() == 1;
        let strategy = sweep.strategy().clone();
        let report = run(sweep);
        tell_of_search(&strategy, &report);
        if single && let Some(last) = &report.last {
            println!(
                "seed {:#x}: {}; {:?} of virtual time, {LENGTH}{}, hash {:#018x}",
                last.seed(),
                last.strategy(),
                last.virtual_time(),
                Length { choices: last.counters().thread_choices, steps: last.steps() },
                last.hash()
            );
        }
        runner::expect_success(report);
    }

    /// Runs each seed in a process of its own, where statics begin anew; before them one run that
    /// measures how long runs are.
    fn run_in_processes(&self, sweep: Sweep) {
        if sweep.seeds() == 0 {
            return;
        }
        let measured = match self.run_in_a_process(0, Length::default(), Some("random")) {
            Ok(measured) => measured,
            Err(failure) => panic!("{failure}"),
        };
        let rest = measured.split_once(LENGTH).map_or("", |(_, rest)| rest);
        let length = rest.split(',').next().and_then(|length| length.parse().ok());
        let length = length.unwrap_or_default();
        let run_seed = |seed| self.run_in_a_process(seed, length, None).map(drop);
        expect_processes(&sweep.in_processes(self.test_name(), run_seed));
    }

    /// Runs this same test in a new process, for one seed; what it printed.
    fn run_in_a_process(
        &self,
        seed: u64,
        length: Length,
        strategy: Option<&str>,
    ) -> Result<String, ProcessFailure> {
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => panic!("the test program cannot be found to run it again: {error}"),
        };
        let mut command = Command::new(program);
        command
            .args(["--exact", self.test_name(), "--nocapture", "--test-threads=1"])
            .env("VOLT_SEED", format!("{seed:#x}"))
            .env(ISOLATED, length.to_string());
        if let Some(strategy) = strategy {
            command.env("VOLT_STRATEGY", strategy);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A terminal sends its signals to a group: Ctrl-C stops the sweep, and is no failure of
        // the seeds that run just then.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.spawn().map(|process| (process.id(), process.wait_with_output()));
        let (number, output) = match process {
            Ok((number, Ok(output))) => (number, output),
            Err(error) | Ok((_, Err(error))) => {
                let text = format!("no process for seed {seed:#x}: {error}");
                return Err(ProcessFailure { text, tapes: Vec::new() });
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            // A process that ended in the middle of a run has no report to name its tape in.
            let mut tapes = left_behind(number);
            let lines: String = tapes
                .iter()
                .map(|path| format!("\ntape: this run: {}", tape_command(path, self.test_name())))
                .collect();
            let text = format!(
                "the process of seed {seed:#x} ended with {}:\n{said}{}{lines}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
            tapes.push(runner::tape_path(Some(self.test_name()), seed, number, ""));
            return Err(ProcessFailure { text, tapes });
        }
        Ok(said.into_owned())
    }
}

/// How the process of one seed failed.
struct ProcessFailure {
    /// With what it printed.
    text: String,
    /// Where its tapes are: left behind in the middle of a run, or saved with a report.
    tapes: Vec<PathBuf>,
}

impl fmt::Display for ProcessFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cause for ProcessFailure {
    fn cause(&self) -> String {
        // The failure's kind and message are the first two lines of its report; a process that
        // was ended has none, and its status says how.
        let reported: Vec<&str> = self
            .text
            .lines()
            .skip_while(|line| !line.contains("simulation failed"))
            .take(2)
            .collect();
        match &reported[..] {
            [] => without_numbers(self.text.lines().next().unwrap_or_default()),
            lines => without_numbers(&lines.join("\n")),
        }
    }

    fn discard(self) {
        for tape in self.tapes {
            // Where one is not there or cannot be removed, nobody misses it.
            let _ = fs::remove_file(tape);
        }
    }
}

/// Panics with what the failed processes printed, that of the lowest seed last; ends the process
/// where a signal has stopped the sweep.
fn expect_processes(ended: &Ended<ProcessFailure>) {
    let Ended { outcome, seeds, stopped_by, .. } = ended;
    let (runs, failed) = (outcome.runs, outcome.failed);
    let mut text = String::new();
    if stopped_by.is_some() || failed > 1 {
        let causes = outcome.groups.len();
        text = format!("{runs} of {seeds} seeds run; {failed} failed, causes: {causes}\n");
    }
    for group in outcome.groups.iter().rev() {
        text.push_str(&group.failure.text);
    }
    if let Some(signal) = stopped_by {
        // The stream, not the macro: what the test harness keeps goes when the process does.
        let _ = writeln!(io::stderr(), "{text}");
        interrupt::end_process();
        panic!("the sweep was stopped by {signal}");
    }
    assert!(failed == 0, "{text}");
}

/// Runs a test of plain threads under its seeds and panics with the first failure.
#[doc(hidden)]
pub fn run_check(options: &TestOptions, f: impl Fn() + Send + Sync + 'static) {
    options.run(|sweep| sweep.check(f));
}

/// Runs a test of a whole machine under its seeds and panics with the first failure.
#[doc(hidden)]
pub fn run_machine(options: &TestOptions, f: impl Fn() + Send + Sync + 'static) {
    options.run(|sweep| sweep.machine(f));
}
