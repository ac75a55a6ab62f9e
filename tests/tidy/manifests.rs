//! The manifests: each dependency has its reason in a comment on the line above it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{assert_none, read, root};

/// The tables that hold dependencies, below whichever others.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The parts of a dotted key, quotes removed.
fn key_parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for character in key.trim().chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '.') => parts.push(String::new()),
            (None, ' ' | '\t') => {}
            _ => parts.last_mut().expect("there is always a last part").push(character),
        }
    }
    parts
}

/// How many brackets and braces a line leaves open, strings and comments aside.
fn depth_of(line: &str) -> isize {
    let mut depth = 0;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') => break,
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, _) => {}
        }
    }
    depth
}

fn is_reason(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|reason| !reason.trim_matches(['#', ' ']).is_empty())
}

/// The dependencies of a manifest as its parser sees them.
fn declared(table: &toml::Table, found: &mut Vec<String>) {
    for (key, value) in table.iter() {
        let Some(inner) = value.as_table() else {
            continue;
        };
        if KINDS.contains(&key.as_str()) {
            found.extend(inner.keys().cloned());
        } else {
            declared(inner, found);
        }
    }
}

fn breaches(path: &str, text: &str) -> Vec<String> {
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => return vec![format!("{path}:1: {error}")],
    };
    let mut breaches = Vec::new();
    let mut seen = Vec::new();
    let mut in_dependencies = false;
    let mut depth = 0;
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let mut name = None;
        if depth > 0 {
            depth += depth_of(line);
        } else if let Some(header) = line.strip_prefix('[') {
            let end = header.rfind(']').unwrap_or(header.len());
            let parts = key_parts(&header[..end]);
            let is_kind = |part: &String| KINDS.contains(&part.as_str());
            in_dependencies = parts.last().is_some_and(is_kind);
            if let [.., kind, last] = parts.as_slice()
                && is_kind(kind)
            {
                name = Some(last.clone());
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            depth += depth_of(line);
            if in_dependencies {
                let (key, _) = line.split_once('=').unwrap_or((line, ""));
                name = key_parts(key).into_iter().next();
            }
        }
        if let Some(name) = name {
            if !is_reason(previous) {
                breaches.push(format!(
                    "{path}:{}: dependency `{name}` has no comment above it that gives its reason",
                    index + 1
                ));
            }
            seen.push(name);
        }
        previous = line;
    }

    // A form that the lines above do not show would otherwise pass unseen.
    let mut expected = Vec::new();
    declared(&table, &mut expected);
    expected.sort();
    seen.sort();
    if expected != seen {
        breaches.push(format!(
            "{path}:1: each dependency takes one line of its own: declared {expected:?}, \
             found {seen:?}"
        ));
    }
    breaches
}

/// Every manifest of the repository, those outside the workspace included. Hidden folders and
/// cargo's output, which carries a marker, are passed over.
fn manifests(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        if directory.join("CACHEDIR.TAG").exists() {
            continue;
        }
        let entries = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for entry in entries {
            let entry = entry.expect("a folder's entry can be read");
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && !name.starts_with('.') && name != "target" {
                pending.push(entry.path());
            } else if name == "Cargo.toml" {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_dependency_has_its_reason() {
    let manifests = manifests(&root());
    assert!(!manifests.is_empty(), "no manifest found");
    let mut found = Vec::new();
    for manifest in manifests {
        let (path, text) = read(&manifest);
        found.extend(breaches(&path, &text));
    }
    assert_none(&found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_above_each_dependency_passes() {
        let text = r#"
[package]
name = "x" # not a dependency

[dependencies]
# Reads manifests.
toml = { version = "1", features = [
    "parse",
] }
# The simulated machine.
sim.workspace = true

[target.'cfg(target_os = "linux")'.dependencies]
# System calls.
rustix = "1"

# Models.
[dev-dependencies.loom]
version = "0.7"
"#;
        assert_none(&breaches("Cargo.toml", text));
    }

    #[test]
    fn a_planted_dependency_without_a_reason_is_reported() {
        for (text, line) in [
            ("[dependencies]\na = \"1\"", 2),
            ("[dependencies]\n# Reason.\n\na = \"1\"", 4),
            ("[dependencies]\n# Reason.\na = \"1\"\nb = \"1\"", 4),
            ("[dependencies]\n#\na.workspace = true", 3),
            ("[dev-dependencies]\n# Reason.\na = [\n]\nb = \"1\"", 5),
            ("[target.'cfg(unix)'.build-dependencies]\na = \"1\"", 2),
            ("[workspace.dependencies]\n\"a\" = { version = \"1\" }", 2),
            ("[x]\n[dependencies.a]\nversion = \"1\"", 2),
        ] {
            let breaches = breaches("sim/Cargo.toml", text);
            assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
            let place = format!("sim/Cargo.toml:{line}: ");
            assert!(breaches[0].starts_with(&place), "{breaches:?}");
        }
    }

    #[test]
    fn a_planted_dependency_in_a_hidden_form_is_reported() {
        for text in ["# Reason.\ndependencies = { a = \"1\" }", "# Reason.\ndependencies.a = \"1\""]
        {
            let breaches = breaches("Cargo.toml", text);
            assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
        }
    }
}
