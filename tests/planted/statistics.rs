//! How many runs each strategy takes to find each planted bug, from many base seeds, and that no
//! twin raises an alarm. `ci/planted` builds and runs it; `--write` keeps the table in
//! `docs/planted.md`.
//!
//! It fails if the default strategy misses what the documentation promises, or a twin fails.

mod programs;

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, thread};

use programs::{ALL, Program, Version, WITHIN};
use volt::sim::{Sim, Strategy, SweepReport};

const USAGE: &str = "usage: planted [--quick] [--write] [--twins RUNS] [PROGRAM...]";
/// What stands around the table in the page.
const BEGIN: &str = "<!-- ci/planted --write: begin -->";
const END: &str = "<!-- ci/planted --write: end -->";
/// The most that the median of the default strategy may be, long programs apart.
const MEDIAN: u64 = 500;
/// Base seeds of a long program.
const LONG_BASE_SEEDS: u64 = 4;
/// Between the first seeds of two sweeps; more than any sweep has.
const SPACING: u64 = 1 << 32;

/// What is measured.
struct Plan {
    base_seeds: u64,
    /// Runs after which a strategy gives up, long programs apart.
    within: u64,
    twins: u64,
    with_long: bool,
    writes: bool,
    programs: Vec<&'static Program>,
}

impl Plan {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
        let mut plan = Plan {
            base_seeds: 20,
            within: WITHIN,
            twins: 100_000,
            with_long: true,
            writes: false,
            programs: Vec::new(),
        };
        let mut twins = None;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    plan = Plan {
                        base_seeds: 4,
                        within: 2_000,
                        twins: 1_000,
                        with_long: false,
                        ..plan
                    }
                }
                "--write" => plan.writes = true,
                "--twins" => {
                    let count = arguments.next().and_then(|count| count.parse::<u64>().ok());
                    twins = Some(count.filter(|count| *count > 0).ok_or(USAGE)?);
                }
                name => {
                    let program = ALL.iter().find(|program| program.name == name);
                    plan.programs.push(program.ok_or_else(|| format!("no {name}; {USAGE}"))?);
                }
            }
        }
        plan.twins = twins.unwrap_or(plan.twins);
        if plan.writes && (!plan.with_long || !plan.programs.is_empty()) {
            return Err("--write keeps the complete table: leave --quick and programs out".into());
        }
        if plan.programs.is_empty() {
            plan.programs = ALL.iter().filter(|it| plan.with_long || !it.is_long()).collect();
        }
        Ok(plan)
    }
}

/// The default first: it alone must keep the bounds.
fn strategies() -> [Strategy; 5] {
    [Strategy::Mix, Strategy::Random, Strategy::Pct { depth: 3 }, Strategy::Pos, Strategy::Surw]
}

/// The runs that each base seed took, fewest first; none where the bug was not found.
struct Finds {
    runs: Vec<Option<u64>>,
    /// Some were found by the run that only measures, and looked for again.
    by_measuring: bool,
}

fn sweep(program: &Program, strategy: &Strategy, seeds: Range<u64>) -> SweepReport {
    let run = program.run;
    let sweep = Sim::builder().strategy(strategy.clone()).name(program.name).sweep(seeds);
    sweep.check(move || run(Version::Buggy))
}

/// As `sweep`, but the run that measures, which comes first, is of the twin.
fn sweep_measured_by_twin(
    program: &Program,
    strategy: &Strategy,
    seeds: Range<u64>,
) -> SweepReport {
    let run = program.run;
    let is_measured = AtomicBool::new(false);
    let sweep = Sim::builder().strategy(strategy.clone()).name(program.name).sweep(seeds);
    sweep.check(move || {
        let before = is_measured.swap(true, Ordering::Relaxed);
        run(if before { Version::Buggy } else { Version::Fixed });
    })
}

/// Looks for the bug from each base seed.
fn find(program: &Program, strategy: &Strategy, plan: &Plan) -> Finds {
    let within = if program.is_long() { program.within } else { plan.within };
    let base_seeds = if program.is_long() { LONG_BASE_SEEDS } else { plan.base_seeds };
    let mut finds = Finds { runs: Vec::new(), by_measuring: false };
    for base in 1..=base_seeds {
        let seeds = base * SPACING..base * SPACING + within;
        let mut report = sweep(program, strategy, seeds.clone());
        // The seed of the run that measures is the same for all: it says nothing of these seeds.
        if let Some(failure) = report.failure()
            && !seeds.contains(&failure.seed())
        {
            program.expect_symptom(failure);
            finds.by_measuring = true;
            report = sweep_measured_by_twin(program, strategy, seeds);
        }
        let found = report.failure().map(|failure| {
            program.expect_symptom(failure);
            report.runs()
        });
        finds.runs.push(found);
    }
    // None comes last.
    finds.runs.sort_unstable_by_key(|runs| runs.unwrap_or(u64::MAX));
    finds
}

impl Finds {
    fn found(&self) -> usize {
        self.runs.iter().flatten().count()
    }

    /// The upper median; none if half of the base seeds did not find it.
    fn median(&self) -> Option<u64> {
        self.runs[self.runs.len() / 2]
    }

    /// The median and the most, or how many base seeds found it.
    fn cell(&self) -> String {
        let mark = if self.by_measuring { "*" } else { "" };
        let (found, all) = (self.found(), self.runs.len());
        match (self.median(), self.runs[all - 1]) {
            (Some(median), Some(most)) => format!("{median} / {most}{mark}"),
            (Some(median), None) => format!("{median} / {found} of {all}{mark}"),
            (None, _) => format!("{found} of {all}{mark}"),
        }
    }

    /// What is promised of the default strategy and not kept.
    fn objection(&self, program: &Program) -> Option<String> {
        let (found, all) = (self.found(), self.runs.len());
        if program.is_long() {
            return None;
        }
        // Nineteen of twenty.
        if found * 20 < all * 19 {
            return Some(format!("{}: found from {found} of {all} base seeds", program.name));
        }
        let median = self.median().unwrap_or(u64::MAX);
        (median > MEDIAN).then(|| format!("{}: the median is {median} runs", program.name))
    }
}

/// One row of the table, and what is wrong in it.
fn row(program: &Program, plan: &Plan) -> (String, Vec<String>) {
    let mut row = format!("| `{}` |", program.name);
    let mut objections = Vec::new();
    for strategy in strategies() {
        let finds = find(program, &strategy, plan);
        write!(row, " {} |", finds.cell()).expect("a string takes all");
        if strategy == Strategy::default() {
            objections.extend(finds.objection(program));
        }
    }
    let twin = program.sweep_twin(&Strategy::default(), 0, plan.twins);
    write!(row, " {} |", twin.runs()).expect("a string takes all");
    if let Some(failure) = twin.failure() {
        objections.push(format!("{}, the twin: {failure}", program.name));
    }
    (row, objections)
}

/// All rows, on as many threads as the machine runs at once.
fn rows(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(program) = plan.programs.get(number) else { return };
                    let row = row(program, plan);
                    eprintln!("{}", row.0);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, row));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, row)| row).collect()
}

fn table(plan: &Plan, rows: &[(String, Vec<String>)]) -> String {
    let mut table = format!(
        "{} base seeds, at most {} runs each, and {} runs of each twin.\n\n| Program |",
        plan.base_seeds, plan.within, plan.twins
    );
    for strategy in strategies() {
        write!(table, " {strategy} |").expect("a string takes all");
    }
    table.push_str(" Twin without alarm |\n|---|---|---|---|---|---|---|\n");
    for (row, _) in rows {
        writeln!(table, "{row}").expect("a string takes all");
    }
    table
}

/// Puts the table between the marks of the page.
fn keep(table: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/planted.md");
    let shown = path.display();
    let page = fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("{shown}: the marks are missing"))?;
    let page = format!("{before}{BEGIN}\n\n{table}\n{END}{after}");
    fs::write(&path, page).map_err(|error| format!("{shown}: {error}"))
}

fn main() -> ExitCode {
    let plan = match Plan::read(env::args().skip(1)) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let rows = rows(&plan);
    let table = table(&plan, &rows);
    print!("{table}");
    let mut objections: Vec<&str> =
        rows.iter().flat_map(|(_, objections)| objections).map(String::as_str).collect();
    let kept = if plan.writes && objections.is_empty() { keep(&table) } else { Ok(()) };
    if let Err(error) = &kept {
        objections.push(error);
    }
    for objection in &objections {
        eprintln!("planted: FAILED, {objection}");
    }
    if objections.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
