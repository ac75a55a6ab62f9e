//! The harness that Volt's benchmark packages share.
//!
//! A benchmark program hands its [`Row`]s to [`run`]. Each row names one operation and the
//! contenders that perform it: Volt (`volt`, or `volt-` and a back-end) and its peers. Every
//! iteration runs all contenders of a row one after the other, in the same process, so that
//! whatever disturbs the machine disturbs all of them; what is reported is the ratio of their
//! medians. Absolute times on a shared machine mean little.
//!
//! Everyone allocates from one counting allocator, which this crate installs in each program that
//! links it.

mod affinity;
mod allocator;
mod json;
mod measure;
mod options;
mod plot;
#[cfg(target_os = "linux")]
mod process;
mod row;
mod sample;
mod table;

pub use affinity::{Pinned, Placement, Spread, cpus, pin};
#[cfg(target_os = "linux")]
pub use process::{Process, Usage, absent, attend};
pub use row::{Effort, Row, Run};
pub use sample::{Sample, Stopwatch};

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use options::Options;
use table::Table;

/// Runs a benchmark program: reads the command line, measures the rows it asks for and prints
/// what it found.
///
/// The exit code is 0 when every chosen row was measured or left out with a reason, 2 for a
/// command line that cannot be understood or a row that does not exist, and 1 if the results
/// cannot be written.
///
/// # Panics
///
/// Whatever a contender panics with ends the program.
///
/// ```no_run
/// use std::process::ExitCode;
/// use volt_bench_harness::{Effort, Row, run};
///
/// fn rows(effort: Effort) -> Vec<Row> {
///     let ops = effort.ops(1_000_000, 100_000);
///     vec![Row::new("sum", ops).timed("volt", move || {
///         std::hint::black_box((0..ops).map(std::hint::black_box).sum::<u64>());
///     })]
/// }
///
/// fn main() -> ExitCode {
///     run("my-benches", rows)
/// }
/// ```
pub fn run(program: &'static str, rows: impl FnOnce(Effort) -> Vec<Row>) -> ExitCode {
    let options = Options::parse(program);
    // Recorded now: later this thread may be pinned, and would see one CPU only.
    cpus();
    let rows = match row::select(rows(options.effort), &options.rows) {
        Ok(rows) => rows,
        Err(unknown) => {
            eprintln!("error: {unknown}");
            return ExitCode::from(2);
        }
    };
    // Not locked: a contender's thread that prints must not wait for the benchmark to end.
    match report(&options, rows, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures the rows in order and writes each result as soon as it is there.
fn report(options: &Options, rows: Vec<Row>, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    if options.list {
        for row in &rows {
            writeln!(out, "{}", row.name())?;
        }
        return Ok(());
    }
    let table = Table::for_rows(&rows);
    if !options.json {
        write!(out, "{}", table.header())?;
    }
    let mut ratios = Vec::new();
    for row in rows {
        if let Some(reason) = row.left_out() {
            // Standard output carries nothing but objects under `--json`.
            if options.json {
                eprintln!("{}: left out: {reason}", row.name());
            } else {
                writeln!(out, "{}", table.left_out(row.name(), reason))?;
            }
            continue;
        }
        let result = measure::measure(row, options.effort);
        if options.json {
            for (contender, reason) in &result.absent {
                eprintln!("{}: {contender} is absent: {reason}", result.row);
            }
            write!(out, "{}", json::lines(&result))?;
        } else {
            writeln!(out, "{}", table.lines(&result))?;
        }
        ratios.extend(result.ratio_to_best().map(|ratio| (result.row, ratio)));
    }
    if let Some(path) = &options.plot {
        plot::draw(path, &ratios)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: bool, list: bool) -> Options {
        Options { rows: Vec::new(), effort: Effort::Quick, json, list, plot: None }
    }

    fn rows() -> Vec<Row> {
        let work = || std::thread::sleep(std::time::Duration::from_micros(50));
        vec![
            Row::new("sleep", 1).timed("volt", work).timed("tokio", work),
            Row::new("absent", 1).leave_out("nobody can run it"),
        ]
    }

    fn written(options: &Options) -> String {
        let mut out = Vec::new();
        report(options, rows(), &mut out).expect("a vector takes every write");
        String::from_utf8(out).expect("the report is text")
    }

    #[test]
    fn the_list_names_each_row_and_measures_none() {
        assert_eq!(written(&options(false, true)), "sleep\nabsent\n");
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let table = written(&options(false, false));
        assert!(table.lines().any(|line| line.starts_with("sleep ") && line.contains("tokio")));
        assert!(table.lines().any(|line| line.contains("left out: nobody can run it")));
    }

    #[test]
    fn json_has_a_line_for_each_contender_and_one_for_the_row() {
        let text = written(&options(true, false));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with(r#"{"row":"sleep","contender":"volt","#));
        assert!(lines[1].starts_with(r#"{"row":"sleep","contender":"tokio","#));
        assert!(lines[2].starts_with(r#"{"row":"sleep","ratio_to_tokio":"#));
    }
}
