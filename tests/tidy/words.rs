//! Stray words, long lines and empty names, in every text file that git tracks.
//!
//! The needles are put together from halves, or this file would contain them.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use proc_macro2::{LineColumn, TokenStream, TokenTree};

use crate::source::{assert_none, root};

/// Marks of unfinished work, as whole words: a template of `mktemp` has longer ones.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Code that is not there yet, and tests that do not run.
const STUBS: [&str; 3] =
    [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ign", "ore")];

/// Folders that exist on one machine only.
const FOLDERS: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// The widest line of a Rust file, in characters.
const WIDTH: usize = 100;

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Whether `folder` starts a path on `line`, rather than standing in the middle of one.
fn has_absolute_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|character| character.is_alphanumeric() || "._-~*})".contains(character))
    })
}

fn stray_words(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let marks = MARKS.into_iter().filter(|mark| has_word(line, mark));
        let stubs = STUBS.into_iter().filter(|stub| line.contains(stub));
        let folders = FOLDERS.into_iter().filter(|folder| has_absolute_path(line, folder));
        for needle in marks.chain(stubs).chain(folders) {
            breaches.push(format!("{path}:{}: contains `{needle}`", index + 1));
        }
    }
    breaches
}

/// The extents of the string literals that nobody can split: raw ones, and those without a space.
fn unsplittable(tokens: TokenStream, found: &mut Vec<(LineColumn, LineColumn)>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => unsplittable(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let is_raw = ["r", "br", "cr"].iter().any(|prefix| text.starts_with(prefix));
                if text.contains('"') && (is_raw || !text.contains(char::is_whitespace)) {
                    found.push((literal.span().start(), literal.span().end()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn long_lines(path: &str, text: &str) -> Vec<String> {
    let is_long = |line: &str| line.chars().count() > WIDTH && !line.contains("://");
    if !text.lines().any(is_long) {
        return Vec::new();
    }
    let mut literals = Vec::new();
    if let Ok(tokens) = text.parse::<TokenStream>() {
        unsplittable(tokens, &mut literals);
    }
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let edge = LineColumn { line: index + 1, column: WIDTH };
        let is_held = |(start, end): &(LineColumn, LineColumn)| *start <= edge && edge < *end;
        if is_long(line) && !literals.iter().any(is_held) {
            let width = line.chars().count();
            breaches.push(format!("{path}:{}: {width} columns, more than {WIDTH}", edge.line));
        }
    }
    breaches
}

fn empty_name(path: &str) -> Option<String> {
    let mut parts = path.strip_suffix(".rs")?.split('/');
    let part = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("{path}:1: `{part}` says nothing about what the file holds"))
}

fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut breaches = stray_words(path, text);
    if path.ends_with(".rs") {
        breaches.extend(long_lines(path, text));
        breaches.extend(empty_name(path));
    }
    breaches
}

/// The files that git tracks below `directory`, or nothing where there is no git or no checkout.
fn tracked(directory: &Path) -> Option<Vec<String>> {
    let output =
        Command::new("git").args(["ls-files", "-z"]).current_dir(directory).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let list = String::from_utf8(output.stdout).expect("the names of tracked files are UTF-8");
    let names = list.split('\0').filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

#[test]
fn tracked_files_hold_no_stray_words() {
    let root = root();
    let Some(paths) = tracked(&root) else {
        println!("skipped: git lists no files here");
        return;
    };
    let mut found = Vec::new();
    for path in paths {
        // What the fuzzer found is bytes, whatever they look like.
        if path.starts_with("fuzz/corpus/") {
            continue;
        }
        match fs::read(root.join(&path)) {
            Ok(bytes) => {
                if let Ok(text) = String::from_utf8(bytes) {
                    found.extend(breaches(&path, &text));
                }
            }
            // Deleted but not yet committed, or a link to a folder.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) => {}
            Err(error) => found.push(format!("{path}:1: {error}")),
        }
    }
    assert_none(&found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_words_are_reported() {
        for needle in MARKS.into_iter().chain(STUBS).chain(FOLDERS) {
            let text = format!("first\nsecond \"{needle}\" end\n");
            let breaches = breaches("docs/a.md", &text);
            assert_eq!(breaches, [format!("docs/a.md:2: contains `{needle}`")]);
        }
    }

    #[test]
    fn longer_words_and_relative_folders_pass() {
        for mark in MARKS {
            assert_none(&breaches("a.sh", &format!("mktemp {mark}{mark} a_{mark}")));
        }
        for folder in FOLDERS {
            let text = format!("target{folder}x https://example.com{folder} $(pwd){folder}");
            assert_none(&breaches("a.sh", &text));
        }
    }

    #[test]
    fn planted_long_lines_are_reported() {
        let comment = format!("// {}", "word ".repeat(20));
        let literal = format!("const A: &str = \"{}\";", "word ".repeat(20));
        for line in [comment, literal] {
            let text = format!("fn a() {{}}\n{line}\n");
            let breaches = breaches("src/a.rs", &text);
            assert_eq!(breaches.len(), 1, "{breaches:?}");
            assert!(breaches[0].starts_with("src/a.rs:2: 1"), "{breaches:?}");
        }
    }

    #[test]
    fn lines_that_cannot_be_split_pass() {
        let address = format!("// https://example.com/{}", "x".repeat(100));
        let literal = format!("const A: &str = \"{}\";", "x".repeat(100));
        let raw = format!("const A: &str = r#\"\n{}\n\"#;", "word ".repeat(30));
        let full = "x".repeat(WIDTH);
        for line in [address, literal, raw, full] {
            assert_none(&breaches("src/a.rs", &line));
        }
        assert_none(&breaches("docs/a.md", &"word ".repeat(30)));
    }

    #[test]
    fn planted_empty_names_are_reported() {
        for path in ["src/utils.rs", "sim/src/misc.rs", "tests/common/mod.rs"] {
            assert_eq!(breaches(path, "").len(), 1, "{path}");
        }
        assert_none(&breaches("src/commons.rs", ""));
        assert_none(&breaches("docs/common.md", ""));
    }
}
