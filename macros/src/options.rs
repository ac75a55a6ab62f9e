//! The options between an attribute's parentheses: `name = literal`, separated by commas.

use crate::expansion::Errors;
use proc_macro2::{Literal, TokenStream, TokenTree};
use syn::{Lit, LitStr, Path};

/// One option that an attribute takes.
pub(crate) struct Known<O> {
    /// Its name, then other spellings of it.
    pub(crate) names: &'static [&'static str],
    /// A correct use, for the messages.
    pub(crate) example: &'static str,
    /// Stores a value that a program gave.
    pub(crate) set: fn(&mut O, &Setting) -> syn::Result<()>,
}

/// One option as a program gave it.
pub(crate) struct Setting {
    name: String,
    example: &'static str,
    value: TokenStream,
}

impl Setting {
    /// An error at the value, with the option's example.
    pub(crate) fn wrong_value(&self, takes: &str) -> syn::Error {
        self.error(format!("`{}` takes {takes}: write `{}`", self.name, self.example))
    }

    fn error(&self, message: String) -> syn::Error {
        syn::Error::new_spanned(&self.value, message)
    }

    /// The value as a literal of any kind; `takes` says what it should have been.
    pub(crate) fn literal(&self, takes: &str) -> syn::Result<Lit> {
        syn::parse2(self.value.clone()).map_err(|_| self.wrong_value(takes))
    }

    /// The value as a number of at least `least`.
    pub(crate) fn number(&self, least: u64) -> syn::Result<u64> {
        const TAKES: &str = "a whole number without a sign or suffix";
        let Lit::Int(literal) = self.literal(TAKES)? else {
            return Err(self.wrong_value(TAKES));
        };
        let digits = literal.base10_digits();
        if digits.starts_with('-') || !literal.suffix().is_empty() {
            return Err(self.wrong_value(TAKES));
        }
        // The lexer has made sure of digits: only their number can be wrong.
        let number: u64 = digits
            .parse()
            .map_err(|_| self.error(format!("`{}` is at most {}", self.name, u64::MAX)))?;
        if number < least {
            return Err(self.error(format!("`{}` is at least {least}", self.name)));
        }
        Ok(number)
    }

    /// The value as a number literal for generated code, with the span of the value.
    pub(crate) fn number_literal(&self, least: u64) -> syn::Result<Literal> {
        let mut literal = Literal::u64_unsuffixed(self.number(least)?);
        literal.set_span(syn::spanned::Spanned::span(&self.value));
        Ok(literal)
    }

    /// The value as a string.
    pub(crate) fn string(&self) -> syn::Result<LitStr> {
        const TAKES: &str = "a string";
        match self.literal(TAKES)? {
            Lit::Str(string) => Ok(string),
            _ => Err(self.wrong_value(TAKES)),
        }
    }

    /// The value as one of `choices`; `what` names them in the message.
    pub(crate) fn choice<T: Copy>(&self, what: &str, choices: &[(&str, T)]) -> syn::Result<T> {
        let given = self.string()?.value();
        choices.iter().find(|(name, _)| *name == given).map(|(_, choice)| *choice).ok_or_else(
            || {
                let names: Vec<String> =
                    choices.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
                self.error(format!("unknown {what} `{given:?}`: write {}", list(&names, "or")))
            },
        )
    }

    /// The value as the path of a crate.
    pub(crate) fn path(&self) -> syn::Result<Path> {
        self.string()?
            .parse_with(Path::parse_mod_style)
            .map_err(|_| self.wrong_value("a path as a string"))
    }
}

/// Reads the options of the attribute `attribute` (its path, without `#[` and `]`).
///
/// An option with an error keeps its default, and the reading goes on behind it.
pub(crate) fn read<O: Default>(
    attribute: &str,
    known: &[Known<O>],
    options: TokenStream,
    errors: &mut Errors,
) -> O {
    let mut values = O::default();
    let mut given: Vec<(usize, String)> = Vec::new();
    let tokens: Vec<TokenTree> = options.into_iter().collect();
    for piece in tokens.split_inclusive(is_comma) {
        if let Err(error) = read_one(attribute, known, piece, &mut given, &mut values) {
            errors.push(error);
        }
    }
    values
}

/// Reads one option, from its name to the comma behind it.
fn read_one<O>(
    attribute: &str,
    known: &[Known<O>],
    piece: &[TokenTree],
    given: &mut Vec<(usize, String)>,
    values: &mut O,
) -> syn::Result<()> {
    let takes = || {
        let names: Vec<String> =
            known.iter().map(|option| format!("`{}`", option.names[0])).collect();
        format!("`#[{attribute}]` takes {}", list(&names, "and"))
    };
    let TokenTree::Ident(name) = &piece[0] else {
        let message = format!("expected the name of an option: {}", takes());
        return Err(syn::Error::new(piece[0].span(), message));
    };
    let written = name.to_string();
    let Some(index) = known.iter().position(|option| option.names.contains(&&*written)) else {
        let message = format!("unknown option `{written}`: {}", takes());
        return Err(syn::Error::new(name.span(), message));
    };
    if let Some((_, first)) = given.iter().find(|(earlier, _)| *earlier == index) {
        let message = if *first == written {
            format!("`{written}` is given twice: keep one of them")
        } else {
            format!("`{first}` and `{written}` are the same option: keep one of them")
        };
        return Err(syn::Error::new(name.span(), message));
    }
    given.push((index, written.clone()));

    let option = &known[index];
    let end = piece.len() - usize::from(piece.last().is_some_and(is_comma));
    let value: TokenStream = match &piece[1..end] {
        [TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' && !value.is_empty() => {
            value.iter().cloned().collect()
        }
        _ => {
            let message = format!("`{written}` needs a value: write `{}`", option.example);
            return Err(syn::Error::new(name.span(), message));
        }
    };
    (option.set)(values, &Setting { name: written, example: option.example, value })
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[String], conjunction: &str) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_same, source};
    use quote::{ToTokens, quote};

    #[derive(Default)]
    struct Values {
        count: Option<u64>,
        text: Option<String>,
        colour: Option<u8>,
        path: Option<Path>,
    }

    const KNOWN: &[Known<Values>] = &[
        Known {
            names: &["count", "number"],
            example: "count = 3",
            set: |values, setting| {
                values.count = Some(setting.number(1)?);
                Ok(())
            },
        },
        Known {
            names: &["text"],
            example: "text = \"x\"",
            set: |values, setting| {
                values.text = Some(setting.string()?.value());
                Ok(())
            },
        },
        Known {
            names: &["colour"],
            example: "colour = \"red\"",
            set: |values, setting| {
                values.colour = Some(setting.choice("colour", &[("red", 1), ("blue", 2)])?);
                Ok(())
            },
        },
        Known {
            names: &["crate"],
            example: "crate = \"volt\"",
            set: |values, setting| {
                values.path = Some(setting.path()?);
                Ok(())
            },
        },
    ];

    fn read_text(text: &str) -> (Values, Errors) {
        let mut errors = Errors::default();
        let values = read("volt::paint", KNOWN, source(text), &mut errors);
        (values, errors)
    }

    #[track_caller]
    fn assert_refuses(text: &str, expected: &[(&str, &str)]) {
        assert_errors(&read_text(text).1, expected);
    }

    #[test]
    fn reads_every_kind_of_value() {
        let (values, errors) =
            read_text(r##"count = 0x1_0, text = r#"a"b"#, colour = "blue", crate = "::a::b","##);
        assert_errors(&errors, &[]);
        assert_eq!(values.count, Some(16));
        assert_eq!(values.text.as_deref(), Some("a\"b"));
        assert_eq!(values.colour, Some(2));
        assert_same(values.path.into_token_stream(), quote!(::a::b));
    }

    #[test]
    fn reads_no_options_as_the_defaults() {
        let (values, errors) = read_text("");
        assert_errors(&errors, &[]);
        assert!(values.count.is_none() && values.text.is_none() && values.path.is_none());
    }

    #[test]
    fn another_spelling_sets_the_same_option() {
        let (values, errors) = read_text("number = 7");
        assert_errors(&errors, &[]);
        assert_eq!(values.count, Some(7));
    }

    #[test]
    fn an_error_leaves_the_other_options_in_force() {
        let (values, errors) = read_text("count = \"x\", size = 1, text = \"y\"");
        assert_eq!(errors.iter().count(), 2);
        assert_eq!(values.count, None);
        assert_eq!(values.text.as_deref(), Some("y"));
    }

    #[test]
    fn refuses_unknown_options() {
        let takes = "`#[volt::paint]` takes `count`, `text`, `colour` and `crate`";
        assert_refuses("size = 1", &[("size", &format!("unknown option `size`: {takes}"))]);
        let expected = format!("expected the name of an option: {takes}");
        assert_refuses("3", &[("3", &expected)]);
        assert_refuses("count = 3,, text = \"x\"", &[(",", &expected)]);
        assert_refuses("= 3", &[("=", &expected)]);
    }

    #[test]
    fn refuses_repeated_options() {
        assert_refuses(
            "count = 1, count = 2",
            &[("count", "`count` is given twice: keep one of them")],
        );
        assert_refuses(
            "number = 1, count = 1",
            &[("count", "`number` and `count` are the same option: keep one of them")],
        );
    }

    #[test]
    fn refuses_options_without_a_value() {
        let expected = [("count", "`count` needs a value: write `count = 3`")];
        for text in ["count", "count,", "count =", "count(3)", "count: 3"] {
            assert_refuses(text, &expected);
        }
    }

    #[test]
    fn refuses_values_that_are_no_number_in_range() {
        let message = "`count` takes a whole number without a sign or suffix: write `count = 3`";
        for value in ["\"3\"", "3.0", "-3", "3u8", "true", "N", "2 + 1", "(3)"] {
            assert_refuses(&format!("count = {value}"), &[(value, message)]);
        }
        assert_refuses("count = 0", &[("0", "`count` is at least 1")]);
        assert_refuses(
            "count = 18446744073709551616",
            &[("18446744073709551616", "`count` is at most 18446744073709551615")],
        );
        assert_eq!(read_text("count = 18446744073709551615").0.count, Some(u64::MAX));
    }

    #[test]
    fn refuses_values_that_are_no_string() {
        let message = "`text` takes a string: write `text = \"x\"`";
        for value in ["3", "'x'", "b\"x\"", "x", "\"x\" \"y\""] {
            assert_refuses(&format!("text = {value}"), &[(value, message)]);
        }
    }

    #[test]
    fn refuses_unknown_choices() {
        assert_refuses(
            "colour = \"Red\"",
            &[("\"Red\"", "unknown colour `\"Red\"`: write `\"red\"` or `\"blue\"`")],
        );
    }

    #[test]
    fn refuses_paths_that_are_none() {
        let message = "`crate` takes a path as a string: write `crate = \"volt\"`";
        for value in ["\"\"", "\"a::\"", "\"a b\"", "\"a<b>\""] {
            assert_refuses(&format!("crate = {value}"), &[(value, message)]);
        }
    }

    #[test]
    fn lists_read_as_english() {
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&names[..0], "and"), "");
        assert_eq!(list(&names[..1], "and"), "a");
        assert_eq!(list(&names[..2], "or"), "a or b");
        assert_eq!(list(&names, "and"), "a, b and c");
    }
}
