//! The command line of a benchmark program.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::row::Effort;

/// What the command line asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rows: Vec<String>,
    pub(crate) effort: Effort,
    pub(crate) json: bool,
    pub(crate) list: bool,
    pub(crate) plot: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; ends the process with a message and code 2 if it makes no sense.
    pub(crate) fn parse(program: &'static str) -> Self {
        Self::from_matches(&command(program).get_matches())
    }

    fn from_matches(matches: &ArgMatches) -> Self {
        Self {
            rows: matches.get_many::<String>("row").unwrap_or_default().cloned().collect(),
            effort: if matches.get_flag("quick") { Effort::Quick } else { Effort::Full },
            json: matches.get_flag("json"),
            list: matches.get_flag("list"),
            plot: matches.get_one::<PathBuf>("plot").cloned(),
        }
    }
}

fn command(program: &'static str) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new(program)
        .about("Runs Volt and its peers in turn and reports the ratio of their medians")
        .arg(
            Arg::new("row").num_args(0..).action(ArgAction::Append).help(
                "The rows to measure, by name or without their variant; all if none is named",
            ),
        )
        .arg(flag("json", "Print one JSON object a line instead of the table"))
        .arg(flag("quick", "Measure fewer iterations"))
        .arg(flag("list", "Print the names of the rows and measure nothing"))
        .arg(
            Arg::new("plot")
                .long("plot")
                .value_name("out.svg")
                .value_parser(value_parser!(PathBuf))
                .help("Draw the ratios as a bar chart into this file"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("benches").chain(line.split_whitespace());
        Ok(Options::from_matches(&command("benches").try_get_matches_from(words)?))
    }

    #[test]
    fn an_empty_line_asks_for_every_row_in_full() {
        let options = parsed("").expect("an empty line is fine");
        assert!(options.rows.is_empty() && !options.json && !options.list);
        assert_eq!(options.effort, Effort::Full);
        assert_eq!(options.plot, None);
    }

    #[test]
    fn rows_and_flags_mix() {
        let options = parsed("spawn --quick --json --plot out.svg wake").expect("it is valid");
        assert_eq!(options.rows, ["spawn", "wake"]);
        assert!(options.json);
        assert_eq!(options.effort, Effort::Quick);
        assert_eq!(options.plot.as_deref(), Some(Path::new("out.svg")));
    }

    #[test]
    fn an_unknown_flag_exits_with_2() {
        assert_eq!(parsed("--fast").expect_err("there is no such flag").exit_code(), 2);
    }

    #[test]
    fn the_command_is_well_formed() {
        command("benches").debug_assert();
    }
}
