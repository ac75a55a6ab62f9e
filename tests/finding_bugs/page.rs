//! What `docs/finding-bugs.md` shows is what the programs beside this file are and print.
//!
//! Each program that the page shows is in one of the files, to the letter, and the lines of each
//! output are among those of a real run, in their order. Seeds, hashes and counts of runs may
//! change with the simulation; kinds, schedules and places may not, unless the page does too.

use std::path::Path;
use std::process::Command;
use std::{env, fs, process};

const PAGE: &str = include_str!("../../docs/finding-bugs.md");
const PROGRAMS: [&str; 3] =
    [include_str!("bank.rs"), include_str!("fixed.rs"), include_str!("tasks.rs")];

const BANK: &str = "bank::transfers_move_money_at_once";
const FIXED: &str = "fixed::transfers_move_money_at_once";
const TASKS: &str = "tasks::transfers_move_money_in_a_world";

/// The blocks of code on the page that are marked as `language`.
fn blocks(language: &str) -> Vec<String> {
    let begin = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == begin {
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            blocks.push(block.collect::<Vec<_>>().join("\n"));
        }
    }
    assert!(!blocks.is_empty(), "no block of {language} on the page");
    blocks
}

/// What one of the tests prints in a process of its own, under these variables alone. Its tapes
/// go to `folder`.
fn run(folder: &Path, test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    // With one thread the harness begins a line for the test to end.
    command.args(["--exact", test, "--nocapture", "--test-threads=2"]);
    let names = env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("VOLT_")) {
        command.env_remove(name);
    }
    command.env("TMPDIR", folder).env("RUST_BACKTRACE", "0").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// What stands between `before` and `after` on the only line that has both.
fn between<'a>(output: &'a str, before: &str, after: &str) -> &'a str {
    let found = output.lines().find_map(|line| line.strip_prefix(before)?.strip_suffix(after));
    found.unwrap_or_else(|| panic!("no line {before:?}..{after:?} in:\n{output}"))
}

fn hash(output: &str) -> &str {
    let run = between(output, "run: ", "");
    run.rsplit_once("hash ").expect("a hash ends the line").1
}

/// A line as it is compared: without its indentation, and if it tells of seeds and runs, without
/// numbers other than those of lines in the programs.
fn comparable(line: &str) -> String {
    let varies = ["seed", "run", "VOLT_"].iter().any(|needle| line.contains(needle));
    let words = line.split_whitespace().map(|word| {
        if word.starts_with("VOLT_TAPE=") {
            "VOLT_TAPE=#".to_owned()
        } else if varies && !word.contains("finding_bugs/") {
            without_numbers(word)
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `#` in place of each number, be it decimal or, after `0x`, hexadecimal.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        text.push_str(&rest[..at]);
        text.push('#');
        rest = &rest[at..];
        rest = match rest.strip_prefix("0x") {
            Some(digits) => digits.trim_start_matches(|c: char| c.is_ascii_hexdigit()),
            None => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        };
    }
    text + rest
}

/// The first line of `block` that `output` does not have after those before it. A line of `…`
/// alone stands for any others.
fn missing<'a>(block: &'a str, output: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(comparable);
    let mut shown = block.lines().filter(|line| line.trim() != "…");
    shown.find(|line| {
        let wanted = comparable(line);
        !lines.any(|line| line == wanted)
    })
}

#[test]
fn the_page_shows_the_programs() {
    for block in blocks("rust") {
        let is_there = PROGRAMS.iter().any(|program| program.contains(&block));
        assert!(is_there, "the page has a program that is in no file:\n{block}");
    }
}

#[test]
fn the_page_shows_what_the_programs_print() {
    let name = format!("finding-bugs-{}", process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let run = |test, variables: &[(&str, &str)]| run(&folder, test, variables);

    let sweep = run(BANK, &[]);
    let seed = between(&sweep, "replay: VOLT_SEED=", &format!(" cargo test --features sim {BANK}"));
    let seed_alone = run(BANK, &[("VOLT_SEED", seed)]);
    assert_eq!(hash(&seed_alone), hash(&sweep), "the seed replays the failure");
    let tape = between(
        &sweep,
        "tape: smallest schedule: VOLT_TAPE=",
        &format!(" cargo test --features sim {BANK}"),
    );
    let tape_alone = run(BANK, &[("VOLT_TAPE", tape)]);

    let outputs = [
        run(BANK, &[("VOLT_KEEP_GOING", "1")]),
        run(FIXED, &[("VOLT_SEED", seed)]),
        run(FIXED, &[("VOLT_TAPE", tape)]),
        run(FIXED, &[("VOLT_STRATEGY", "dfs:3"), ("VOLT_SEEDS", "100000")]),
        run(TASKS, &[]),
        sweep,
        seed_alone,
        tape_alone,
    ];
    for block in blocks("text") {
        let missing: Vec<Option<&str>> =
            outputs.iter().map(|output| missing(&block, output)).collect();
        if missing.iter().all(Option::is_some) {
            let outputs = outputs.join("\n\n");
            panic!("no run prints\n{block}\nwhat is missing: {missing:#?} in\n{outputs}");
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_line_that_nobody_prints_is_noticed() {
    let output = "run: pos; 3 steps\n  1 thread 0: start, at tests/finding_bugs/bank.rs:7:1\nend";
    assert_eq!(missing("run: pct; 4 steps", output), Some("run: pct; 4 steps"));
    assert_eq!(missing("run: pos; 4 steps\n…\nend", output), None);
    assert_eq!(missing("end\nrun: pos; 3 steps", output), Some("run: pos; 3 steps"));
    let elsewhere = "1 thread 0: start, at tests/finding_bugs/bank.rs:8:1";
    assert_eq!(missing(elsewhere, output), Some(elsewhere));
    assert_eq!(without_numbers("(0x2a,17ns)"), "(#,#ns)");
}
