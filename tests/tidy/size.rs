//! Large files: a file over the limit may hold a second idea. Reported, never failed: whether it
//! does is a judgement.

use std::io::{self, Write};

use crate::source::{read, root, rust_files};

/// Lines of code from which a file is worth a second look.
const LIMIT: usize = 600;

/// The lines that are neither blank nor a comment.
fn lines_of_code(text: &str) -> usize {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn report(path: &str, text: &str) -> Option<String> {
    let lines = lines_of_code(text);
    (lines > LIMIT).then(|| format!("{path}: {lines} lines of code, more than {LIMIT}"))
}

#[test]
fn large_files_are_reported() {
    for directory in ["src", "sim/src"] {
        let directory = root().join(directory);
        if !directory.is_dir() {
            continue;
        }
        for file in rust_files(&directory) {
            let (path, text) = read(&file);
            if let Some(report) = report(&path, &text) {
                // Straight to the stream: the harness hides what a passing test prints.
                writeln!(io::stderr(), "{report}").expect("standard error is writable");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_code_count() {
        let text = "//! a\n\nfn a() {\n    // b\n    c();\n}\n";
        assert_eq!(lines_of_code(text), 3);
    }

    #[test]
    fn a_planted_large_file_is_reported() {
        let line = "fn a() {}\n";
        assert_eq!(report("src/a.rs", &line.repeat(LIMIT)), None);
        let found = report("src/a.rs", &line.repeat(LIMIT + 1)).expect("the file is too large");
        assert_eq!(found, "src/a.rs: 601 lines of code, more than 600");
    }
}
