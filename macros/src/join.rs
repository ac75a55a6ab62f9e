//! `volt::join!` and `volt::try_join!`: several futures, polled together by one task.

use crate::expansion::Expansion;
use proc_macro2::{Literal, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

/// What sets the two macros apart.
pub(crate) struct Join {
    /// The path, without `!`.
    name: &'static str,
    /// Whether the first error ends it.
    is_fallible: bool,
}

/// `volt::join!`.
pub(crate) const JOIN: Join = Join { name: "volt::join", is_fallible: false };

/// `volt::try_join!`.
pub(crate) const TRY_JOIN: Join = Join { name: "volt::try_join", is_fallible: true };

/// What is between the parentheses of the macro, behind the path of the crate in parentheses.
struct Input {
    volt: TokenStream,
    futures: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let path;
        syn::parenthesized!(path in input);
        Ok(Self { volt: path.parse()?, futures: input.parse()? })
    }
}

/// Expands `volt::join!(..)` or `volt::try_join!(..)`.
pub(crate) fn expand(join: &Join, input: TokenStream) -> Expansion {
    Expansion::expression(join.expand(input))
}

impl Join {
    fn expand(&self, input: TokenStream) -> syn::Result<TokenStream> {
        let span = Span::mixed_site();
        let Input { volt, futures } = syn::parse2(input)?;
        let futures = self.parse(futures)?;
        let count = Literal::usize_unsuffixed(futures.len());
        let names: Vec<_> = (0..futures.len())
            .map(|number| format_ident!("future_{}", number, span = span))
            .collect();
        let polled = names.iter().enumerate().map(|(number, future)| {
            let number = Literal::usize_unsuffixed(number);
            if self.is_fallible {
                quote_spanned! {span=>
                    #number => match #future.as_mut().poll_ok(context) {
                        ::core::task::Poll::Ready(::core::result::Result::Ok(())) => {}
                        ::core::task::Poll::Ready(::core::result::Result::Err(error)) => {
                            return ::core::task::Poll::Ready(::core::result::Result::Err(error));
                        }
                        ::core::task::Poll::Pending => is_pending = true,
                    },
                }
            } else {
                quote_spanned! {span=>
                    #number => is_pending |= #future.as_mut().poll(context).is_pending(),
                }
            }
        });
        let outputs = if self.is_fallible {
            quote_spanned!(span=> ::core::result::Result::Ok((#(#names.as_mut().take_ok(),)*)))
        } else {
            quote_spanned!(span=> (#(#names.as_mut().take(),)*))
        };
        if futures.is_empty() {
            return Ok(quote_spanned!(span=> ::core::future::ready(#outputs).await));
        }
        let futures = futures.iter();
        Ok(quote_spanned! {span=>
            {
                #(
                    let mut #names =
                        ::core::pin::pin!(#volt::__private::MaybeDone::new(#futures));
                )*
                let mut rotation = #volt::__private::Rotation::new(#count);
                let outputs = ::core::future::poll_fn(move |context| {
                    let mut is_pending = false;
                    for turn in rotation.next_order() {
                        match turn {
                            #(#polled)*
                            _ => ::core::unreachable!(),
                        }
                    }
                    if is_pending {
                        ::core::task::Poll::Pending
                    } else {
                        ::core::task::Poll::Ready(#outputs)
                    }
                })
                .await;
                outputs
            }
        })
    }

    /// The futures, separated by commas.
    fn parse(&self, futures: TokenStream) -> syn::Result<Vec<Expr>> {
        let parse = Punctuated::<Expr, Token![,]>::parse_terminated;
        match syn::parse::Parser::parse2(parse, futures) {
            Ok(futures) => Ok(futures.into_iter().collect()),
            Err(error) => {
                let name = self.name;
                let message =
                    format!("`{name}!` takes futures: write `{name}!(first, second)`: {error}");
                Err(syn::Error::new(error.span(), message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_expands, source};
    use quote::quote;

    fn join(futures: &str) -> Expansion {
        expand(&JOIN, source(&format!("(::volt) {futures}")))
    }

    fn try_join(futures: &str) -> Expansion {
        expand(&TRY_JOIN, source(&format!("(::volt) {futures}")))
    }

    #[test]
    fn join_polls_each_and_takes_all_outputs() {
        assert_expands(
            join("a.read(), b,"),
            quote! {
                {
                    let mut future_0 =
                        ::core::pin::pin!(::volt::__private::MaybeDone::new(a.read()));
                    let mut future_1 = ::core::pin::pin!(::volt::__private::MaybeDone::new(b));
                    let mut rotation = ::volt::__private::Rotation::new(2);
                    let outputs = ::core::future::poll_fn(move |context| {
                        let mut is_pending = false;
                        for turn in rotation.next_order() {
                            match turn {
                                0 => is_pending |= future_0.as_mut().poll(context).is_pending(),
                                1 => is_pending |= future_1.as_mut().poll(context).is_pending(),
                                _ => ::core::unreachable!(),
                            }
                        }
                        if is_pending {
                            ::core::task::Poll::Pending
                        } else {
                            ::core::task::Poll::Ready((
                                future_0.as_mut().take(),
                                future_1.as_mut().take(),
                            ))
                        }
                    })
                    .await;
                    outputs
                }
            },
        );
    }

    #[test]
    fn try_join_ends_with_the_first_error() {
        assert_expands(
            try_join("a"),
            quote! {
                {
                    let mut future_0 = ::core::pin::pin!(::volt::__private::MaybeDone::new(a));
                    let mut rotation = ::volt::__private::Rotation::new(1);
                    let outputs = ::core::future::poll_fn(move |context| {
                        let mut is_pending = false;
                        for turn in rotation.next_order() {
                            match turn {
                                0 => match future_0.as_mut().poll_ok(context) {
                                    ::core::task::Poll::Ready(::core::result::Result::Ok(())) => {}
                                    ::core::task::Poll::Ready(
                                        ::core::result::Result::Err(error)
                                    ) => {
                                        return ::core::task::Poll::Ready(
                                            ::core::result::Result::Err(error)
                                        );
                                    }
                                    ::core::task::Poll::Pending => is_pending = true,
                                },
                                _ => ::core::unreachable!(),
                            }
                        }
                        if is_pending {
                            ::core::task::Poll::Pending
                        } else {
                            ::core::task::Poll::Ready(::core::result::Result::Ok((
                                future_0.as_mut().take_ok(),
                            )))
                        }
                    })
                    .await;
                    outputs
                }
            },
        );
    }

    #[test]
    fn without_futures_there_is_nothing_to_wait_for() {
        assert_expands(join(""), quote!(::core::future::ready(()).await));
        assert_expands(
            try_join(""),
            quote!(::core::future::ready(::core::result::Result::Ok(())).await),
        );
    }

    #[test]
    fn refuses_what_is_no_list_of_futures() {
        assert_errors(
            &join("a b").errors,
            &[(
                "b",
                "`volt::join!` takes futures: write `volt::join!(first, second)`: expected `,`",
            )],
        );
        assert_errors(
            &try_join("a, , b").errors,
            &[(
                ",",
                "`volt::try_join!` takes futures: write `volt::try_join!(first, second)`: \
                 expected an expression",
            )],
        );
    }
}
