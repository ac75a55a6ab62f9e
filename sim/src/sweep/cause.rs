//! What makes two failures one bug: kind, law, message, place, and what was interrupted where. The
//! numbers in a message, of threads, objects and values, follow the schedule and tell nothing.

use std::collections::BTreeSet;

use crate::failure::{Failure, FailureKind};

/// A way for a run to fail that others may share.
pub(crate) trait Cause: Send {
    /// Equal for failures of one cause.
    fn cause(&self) -> String;

    /// Another failure of the same cause is reported, this one is not.
    fn discard(self);
}

impl Cause for Failure {
    fn cause(&self) -> String {
        let mut cause = format!("{}: {}", self.kind(), without_numbers(self.message()));
        // The message of those is always the same: who waits where tells them apart.
        if matches!(self.kind(), FailureKind::Deadlock | FailureKind::Livelock) {
            let alive = self.0.threads.iter().chain(&self.0.tasks);
            let places: BTreeSet<&str> = alive.flat_map(|line| places(line)).collect();
            for place in places {
                cause.push_str("\n  ");
                cause.push_str(place);
            }
        }
        // Another await that cannot be left there is another bug.
        if let Some(interruption) = self.interruption() {
            cause.push_str("\n  ");
            cause.push_str(&without_numbers(interruption));
        }
        cause
    }

    fn discard(self) {
        if let Some(path) = self.tape_path() {
            // Where it cannot be removed, a file of a few bytes stays behind.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The `file.rs:line:column` in a line of a report.
fn places(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
        .map(|word| word.trim_matches(|it| matches!(it, ',' | ';' | '.' | '(' | ')')))
        .filter(|word| word.contains(".rs:"))
}

/// The text with `#` for each number, but for those of places.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|it: char| it.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        result.push_str(before);
        let length = length_of_number(number);
        if is_place(&result) {
            result.push_str(&number[..length]);
        } else {
            result.push('#');
        }
        rest = &number[length..];
    }
    result.push_str(rest);
    result
}

/// Whether a number that follows this text is a line or a column.
fn is_place(before: &str) -> bool {
    let Some(before) = before.strip_suffix(':') else { return false };
    before.trim_end_matches(|it: char| it.is_ascii_digit()).trim_end_matches(':').ends_with(".rs")
}

/// How many bytes of the text, which begins with a digit, are one number.
fn length_of_number(text: &str) -> usize {
    let (prefix, digits) = match text.strip_prefix("0x") {
        Some(digits) => (2, digits),
        None => (0, text),
    };
    let is_digit = |it: char| match prefix {
        2 => it.is_ascii_hexdigit(),
        _ => it.is_ascii_digit(),
    };
    let end = prefix + digits.find(|it: char| !is_digit(it)).unwrap_or(digits.len());
    // Its unit goes with it: what is 900 ms now is 1.1 s then.
    let unit = text[end..].find(|it: char| !it.is_alphabetic());
    unit.map_or(text.len(), |unit| end + unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_and_places_stay() {
        for (text, expected) in [
            ("left: 17, right: -4", "left: #, right: -#"),
            ("word 0xdeadBEEF at 12", "word # at #"),
            (
                "thread 3 \"worker-2\" at src/a.rs:10:5: no",
                "thread # \"worker-#\" at src/a.rs:10:5: no",
            ),
            ("src/a.rs:10:5, src/b.rs:7", "src/a.rs:10:5, src/b.rs:7"),
            ("after 5ms or 61.5s", "after # or #.#"),
            ("no number", "no number"),
            ("", ""),
            ("µ 5 µ", "µ # µ"),
        ] {
            assert_eq!(without_numbers(text), expected);
        }
    }

    #[test]
    fn places_are_found_among_words() {
        let line = "thread 1 waits on futex 3, at src/lock.rs:10:5, spawned at a.rs:1:2.";
        assert_eq!(places(line).collect::<Vec<_>>(), ["src/lock.rs:10:5", "a.rs:1:2"]);
    }
}
