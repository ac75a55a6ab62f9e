//! What a macro puts in the place of its item or input: code, and the errors found on the way.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors of one expansion, in the order in which they were found.
///
/// An expansion goes on after an error, so that one compilation reports all of them.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds `error`.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// Adds an error that points at `tokens`.
    pub(crate) fn push_at(&mut self, tokens: impl ToTokens, message: String) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors with their spans.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &syn::Error> {
        self.0.iter()
    }
}

/// The outcome of one macro.
pub(crate) struct Expansion {
    /// The code in the place of the item or the input.
    pub(crate) code: TokenStream,
    /// What is wrong with the item, the options or the input.
    pub(crate) errors: Errors,
}

impl Expansion {
    /// The outcome of a macro that is an expression. An error is all of that expression: it has
    /// whatever type is expected, so the compiler reports nothing else.
    pub(crate) fn expression(code: syn::Result<TokenStream>) -> Self {
        let mut errors = Errors::default();
        let code = code.unwrap_or_else(|error| {
            errors.push(error);
            TokenStream::new()
        });
        Self { code, errors }
    }

    /// The code, with one `compile_error!` before it for each error.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let mut tokens = TokenStream::new();
        for error in self.errors.0 {
            tokens.extend(error.into_compile_error());
        }
        tokens.extend(self.code);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_same;
    use proc_macro2::Span;
    use quote::quote;

    #[test]
    fn an_expression_is_code_or_an_error_alone() {
        assert_same(Expansion::expression(Ok(quote!(1 + 1))).into_tokens(), quote!(1 + 1));
        let error = syn::Error::new(Span::call_site(), "wrong");
        assert_same(
            Expansion::expression(Err(error)).into_tokens(),
            quote!(::core::compile_error! { "wrong" }),
        );
    }

    #[test]
    fn every_error_becomes_a_compile_error_before_the_code() {
        let mut errors = Errors::default();
        assert!(errors.is_empty());
        errors.push(syn::Error::new(Span::call_site(), "first"));
        errors.push_at(quote!(x), String::from("second"));
        assert!(!errors.is_empty());
        let expansion = Expansion {
            code: quote!(
                fn f() {}
            ),
            errors,
        };
        assert_same(
            expansion.into_tokens(),
            quote! {
                ::core::compile_error! { "first" }
                ::core::compile_error! { "second" }
                fn f() {}
            },
        );
    }
}
