//! The platform's contract: each numbered clause has a test of its number, and each such test has
//! a clause.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn};

use crate::source::{assert_none, plain, read, root, rust_files};

const CONTRACT: &str = "src/platform/mod.rs";
const TESTS: &str = "tests/platform.rs";

/// The number and line of each clause: a doc line that starts with `C12.`.
fn clauses(text: &str) -> Vec<(u32, usize)> {
    let number = |line: &str| {
        let clause = line.trim_start().strip_prefix("///")?.trim_start();
        let (number, _) = clause.strip_prefix('C')?.split_once(". ")?;
        number.parse::<u32>().ok()
    };
    text.lines().enumerate().filter_map(|(index, line)| Some((number(line)?, index + 1))).collect()
}

/// The number at the front of a test's name, as in `c12_a_wake_is_not_lost`.
fn number_of(name: &str) -> Option<u32> {
    let (number, _) = name.strip_prefix('c')?.split_once('_')?;
    number.parse().ok()
}

/// The tests by number, each with its name and line. A suite that runs on two platforms lists its
/// tests in a macro, so the names in the tokens of macros count as well.
#[derive(Default)]
struct Tests {
    found: BTreeMap<u32, (String, usize)>,
}

impl Tests {
    fn push(&mut self, ident: &Ident) {
        let name = plain(ident);
        if let Some(number) = number_of(&name) {
            let line = ident.span().start().line;
            self.found.entry(number).or_insert((name, line));
        }
    }

    fn scan(&mut self, tokens: TokenStream) {
        for tree in tokens {
            match tree {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(ident) => self.push(&ident),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.push(&function.sig.ident);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.push(&function.sig.ident);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.scan(tokens.clone());
    }
}

fn breaches(contract: &str, suite: &[(String, String)]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut numbers = BTreeMap::new();
    for (number, line) in clauses(contract) {
        if let Some(first) = numbers.insert(number, line) {
            breaches
                .push(format!("{CONTRACT}:{line}: clause C{number} also stands on line {first}"));
        }
    }
    if numbers.is_empty() {
        breaches.push(format!("{CONTRACT}:1: no clause of the form `/// C1. text`"));
    }
    let mut tested = BTreeMap::new();
    for (path, text) in suite {
        let file = match syn::parse_file(text) {
            Ok(file) => file,
            Err(error) => {
                let line = error.span().start().line;
                breaches.push(format!("{path}:{line}: {error}"));
                continue;
            }
        };
        let mut tests = Tests::default();
        tests.visit_file(&file);
        for (number, (name, line)) in tests.found {
            if !numbers.contains_key(&number) {
                breaches.push(format!(
                    "{path}:{line}: `{name}` tests clause C{number}, which {CONTRACT} does not have"
                ));
            }
            tested.insert(number, name);
        }
    }
    for (number, line) in numbers {
        if !tested.contains_key(&number) {
            breaches.push(format!(
                "{CONTRACT}:{line}: clause C{number} has no test `c{number}_...` in {TESTS}"
            ));
        }
    }
    breaches
}

#[test]
fn every_clause_of_the_platform_has_its_test() {
    let (_, contract) = read(&root().join(CONTRACT));
    let mut suite = Vec::new();
    if root().join(TESTS).is_file() {
        suite.push(read(&root().join(TESTS)));
    }
    let modules = root().join("tests/platform");
    if modules.is_dir() {
        suite.extend(rust_files(&modules).iter().map(|path| read(path)));
    }
    assert_none(&breaches(&contract, &suite));
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAUSES: &str = "/// Text, C7. and more.\n///\n/// C1. One.\n///   wrapped\n\
                           trait Platform {\n    /// C12. Twelve.\n    fn f();\n}\n";

    fn found(contract: &str, suite: &str) -> Vec<String> {
        breaches(contract, &[(TESTS.to_owned(), suite.to_owned())])
    }

    #[test]
    fn a_test_for_each_clause_passes() {
        assert_eq!(clauses(CLAUSES), [(1, 3), (12, 6)]);
        assert_none(&found(CLAUSES, "fn c1_a() {} mod m { fn c12_b() {} }"));
        assert_none(&found(CLAUSES, "suite! { c1_a, c12_b } fn counted() {}"));
    }

    #[test]
    fn a_clause_without_a_test_is_reported() {
        let breaches = found(CLAUSES, "fn c1_a() {} fn c2() {} fn c120a() {}");
        assert_eq!(breaches.len(), 1, "{breaches:?}");
        assert!(breaches[0].starts_with("src/platform/mod.rs:6: clause C12 has no test"));
    }

    #[test]
    fn a_test_without_a_clause_is_reported() {
        for planted in ["fn c2_x() {}", "suite! { c2_x }"] {
            let breaches = found(CLAUSES, &format!("fn c1_a() {{}} fn c12_b() {{}}\n{planted}"));
            assert_eq!(breaches.len(), 1, "{breaches:?}");
            assert!(breaches[0].starts_with("tests/platform.rs:2: `c2_x` tests clause C2"));
        }
    }

    #[test]
    fn a_repeated_clause_and_a_contract_without_clauses_are_reported() {
        let twice = found("/// C1. A.\n/// C1. B.\n", "fn c1_a() {}");
        assert_eq!(twice.len(), 1, "{twice:?}");
        assert!(twice[0].starts_with("src/platform/mod.rs:2: "));
        assert_eq!(found("/// Nothing.\n", "").len(), 1);
    }
}
