//! Comparisons of token streams and errors, for this crate's unit tests.

use crate::expansion::{Errors, Expansion};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Asserts that both streams hold the same tokens. Spans and the spacing of punctuation, which
/// parsed and quoted tokens set differently, do not count.
#[track_caller]
pub(crate) fn assert_same(actual: TokenStream, expected: TokenStream) {
    assert_eq!(flatten(actual), flatten(expected));
}

fn flatten(stream: TokenStream) -> Vec<String> {
    let mut tokens = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(String::from(open));
                tokens.extend(flatten(group.stream()));
                tokens.push(String::from(close));
            }
            other => tokens.push(other.to_string()),
        }
    }
    tokens
}

/// Asserts that `errors` are exactly these: the source text that each points at, and its message.
#[track_caller]
pub(crate) fn assert_errors(errors: &Errors, expected: &[(&str, &str)]) {
    let found: Vec<(String, String)> = errors
        .iter()
        .map(|error| (error.span().source_text().unwrap_or_default(), error.to_string()))
        .collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(at, message)| (String::from(*at), String::from(*message))).collect();
    assert_eq!(found, expected);
}

/// Asserts that the expansion is `expected`, without an error.
#[track_caller]
pub(crate) fn assert_expands(expansion: Expansion, expected: TokenStream) {
    assert_errors(&expansion.errors, &[]);
    assert_same(expansion.code, expected);
}

/// Source text as tokens whose spans know that text.
#[track_caller]
pub(crate) fn source(text: &str) -> TokenStream {
    text.parse().expect("the test's source text has balanced delimiters")
}
