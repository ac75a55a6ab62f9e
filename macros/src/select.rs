//! `volt::select!`: the first of several futures whose output matches its pattern.
//!
//! The expansion has two parts. In the first the conditions are evaluated, the futures are made
//! and pinned, and one function polls them all until an output matches; the futures are dropped at
//! its end. In the second that output goes to its handler. So the handlers are in no closure, and
//! `?`, `return`, `break`, `continue` and `.await` mean in them what they mean around the macro.
//!
//! A pattern is tried where its output stays in place: as the pattern of an arm whose guard notes
//! the match and refuses it. Bindings are moved only when a guard accepts. So any pattern can be
//! tried, whatever it binds.

use crate::expansion::Expansion;
use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Pat, Token, token};

mod keyword {
    syn::custom_keyword!(biased);
}

/// What is between the braces of the macro, behind the path of the crate in parentheses.
struct Select {
    volt: TokenStream,
    is_biased: bool,
    branches: Vec<Branch>,
    /// The handler behind `else`.
    otherwise: Option<TokenStream>,
}

/// `pattern = future, if condition => handler`
struct Branch {
    pattern: Pat,
    future: Expr,
    condition: Option<Expr>,
    handler: TokenStream,
}

/// Expands `volt::select! { .. }`.
pub(crate) fn expand(input: TokenStream) -> Expansion {
    Expansion::expression(syn::parse2::<Select>(input).map(|select| select.expand()))
}

impl Parse for Select {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let path;
        syn::parenthesized!(path in input);
        let volt = path.parse()?;
        if input.is_empty() {
            return Err(input.error(
                "`volt::select!` has no branch: write `pattern = future => handler`, or \
                 `else => handler`",
            ));
        }
        let is_biased = parse_biased(input)?;
        let mut branches = Vec::new();
        let mut otherwise = None;
        while !input.is_empty() {
            if input.peek(Token![else]) {
                otherwise = Some(parse_otherwise(input)?);
            } else {
                branches.push(input.parse()?);
            }
        }
        if branches.is_empty() && otherwise.is_none() {
            return Err(input.error(
                "`volt::select!` has no branch behind `biased;`: write \
                 `pattern = future => handler`",
            ));
        }
        Ok(Self { volt, is_biased, branches, otherwise })
    }
}

/// `biased;`, if that comes first. A pattern may have the same name.
fn parse_biased(input: ParseStream) -> syn::Result<bool> {
    let is_biased = input.peek(keyword::biased) && input.peek2(Token![;]);
    if is_biased {
        input.parse::<keyword::biased>()?;
        input.parse::<Token![;]>()?;
    } else if input.peek(keyword::biased) && input.peek2(Token![,]) {
        return Err(input.error("`biased` ends with a semicolon: write `biased;`"));
    }
    Ok(is_biased)
}

/// The handler of `else => handler`, with which the macro ends.
fn parse_otherwise(input: ParseStream) -> syn::Result<TokenStream> {
    let token: Token![else] = input.parse()?;
    if input.peek(Token![if]) || input.peek(Token![,]) {
        return Err(input.error(
            "`else` has no condition: it is what happens when no branch is left; write \
             `else => handler`",
        ));
    }
    parse_arrow(input, "`else`")?;
    let handler = parse_handler(input)?;
    if input.is_empty() {
        Ok(handler)
    } else {
        Err(syn::Error::new(token.span, "`else` comes last, and once: move it behind the others"))
    }
}

impl Parse for Branch {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if input.peek(keyword::biased) && input.peek2(Token![;]) {
            return Err(input.error("`biased;` comes first, before all branches, and once"));
        }
        let pattern = Pat::parse_multi_with_leading_vert(input).map_err(|error| {
            explained(error, "a branch begins with the pattern of `pattern = future => handler`")
        })?;
        if !input.peek(Token![=]) || input.peek(Token![=>]) || input.peek(Token![==]) {
            return Err(input.error(
                "expected `=` and a future behind the pattern: write \
                 `pattern = future => handler`",
            ));
        }
        input.parse::<Token![=]>()?;
        let future =
            input.parse().map_err(|error| explained(error, "expected a future behind `=`"))?;
        let condition = parse_condition(input)?;
        parse_arrow(input, if condition.is_some() { "the condition" } else { "the future" })?;
        Ok(Self { pattern, future, condition, handler: parse_handler(input)? })
    }
}

/// The condition of `, if condition`, if there is one.
fn parse_condition(input: ParseStream) -> syn::Result<Option<Expr>> {
    if input.peek(Token![if]) {
        return Err(input.error(
            "expected a comma before the condition: write \
             `pattern = future, if condition => handler`",
        ));
    }
    if !input.peek(Token![,]) {
        return Ok(None);
    }
    if !input.peek2(Token![if]) {
        return Err(
            input.error("expected `=> handler` behind the future, or `, if condition => handler`")
        );
    }
    input.parse::<Token![,]>()?;
    input.parse::<Token![if]>()?;
    if input.peek(Token![let]) {
        return Err(input.error(
            "a condition is a `bool`: it cannot bind with `let`, since all conditions are \
             evaluated before the futures",
        ));
    }
    input.parse().map(Some).map_err(|error| explained(error, "expected a condition behind `if`"))
}

fn parse_arrow(input: ParseStream, behind: &str) -> syn::Result<()> {
    if !input.peek(Token![=>]) {
        return Err(input.error(format!("expected `=> handler` behind {behind}")));
    }
    input.parse::<Token![=>]>()?;
    Ok(())
}

/// A handler, and the comma behind it. As in a `match`, a block needs none. A block is left
/// unparsed: only the compiler needs to understand it.
fn parse_handler(input: ParseStream) -> syn::Result<TokenStream> {
    let (handler, needs_comma) = if input.peek(token::Brace) {
        (TokenStream::from(input.parse::<TokenTree>()?), false)
    } else {
        let handler = Expr::parse_with_earlier_boundary_rule(input)
            .map_err(|error| explained(error, "expected a handler behind `=>`"))?;
        let needs_comma = !matches!(
            handler,
            Expr::Block(_)
                | Expr::ForLoop(_)
                | Expr::If(_)
                | Expr::Loop(_)
                | Expr::Match(_)
                | Expr::Unsafe(_)
                | Expr::While(_)
        );
        (handler.into_token_stream(), needs_comma)
    };
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if needs_comma && !input.is_empty() {
        return Err(input.error("expected a comma behind the handler"));
    }
    Ok(handler)
}

/// `error`, with what was expected before it.
fn explained(error: syn::Error, expected: &str) -> syn::Error {
    syn::Error::new(error.span(), format!("{expected}: {error}"))
}

impl Select {
    fn expand(&self) -> TokenStream {
        let span = Span::mixed_site();
        if self.branches.is_empty() {
            let otherwise = &self.otherwise;
            return quote_spanned!(span=> { #otherwise });
        }
        let volt = &self.volt;
        let count = Literal::usize_unsuffixed(self.branches.len());
        let order = if self.is_biased || self.branches.len() == 1 {
            quote_spanned!(span=> 0..#count)
        } else {
            quote_spanned!(span=> #volt::__private::select_order(#count))
        };
        let named = |name: &str| -> Vec<Ident> {
            let numbers = 0..self.branches.len();
            numbers.map(|number| format_ident!("{}{}", name, number, span = span)).collect()
        };
        let (outputs, variants) = (named("Output"), named("Branch"));
        let (conditions, futures) = (named("condition_"), named("future_"));
        let evaluated = self.branches.iter().zip(&conditions).filter_map(|(branch, name)| {
            let condition = branch.condition.as_ref()?;
            Some(quote_spanned!(span=> let #name: bool = #condition;))
        });
        let pinned = self.branches.iter().zip(&futures).zip(&conditions);
        let pinned = pinned.map(|((branch, future), condition)| branch.pin(future, condition));
        let polled = self.branches.iter().zip(&futures).zip(&variants).enumerate();
        let polled = polled
            .map(|(number, ((branch, future), variant))| branch.poll(number, future, variant));
        let patterns = self.branches.iter().map(|branch| &branch.pattern);
        let handlers = self.branches.iter().map(|branch| &branch.handler);
        let otherwise = match &self.otherwise {
            Some(handler) => handler.clone(),
            None => quote_spanned! {span=>
                ::core::panic!(
                    "all branches of `select!` are disabled, and it has no `else` branch"
                )
            },
        };
        quote_spanned! {span=>
            {
                enum __VoltSelected<#(#outputs),*> {
                    #(#variants(#outputs),)*
                    Disabled,
                }
                let selected = {
                    #(#evaluated)*
                    #(#pinned)*
                    #[allow(
                        unreachable_code,
                        unreachable_patterns,
                        unused_assignments,
                        unused_mut,
                        unused_variables
                    )]
                    let selected = ::core::future::poll_fn(move |context| {
                        let mut is_pending = false;
                        for branch in #order {
                            match branch {
                                #(#polled)*
                                _ => ::core::unreachable!(),
                            }
                        }
                        if is_pending {
                            ::core::task::Poll::Pending
                        } else {
                            ::core::task::Poll::Ready(__VoltSelected::Disabled)
                        }
                    })
                    .await;
                    selected
                };
                #[allow(unused_mut)]
                let mut selected = selected;
                match selected {
                    #(__VoltSelected::#variants(#patterns) => #handlers,)*
                    __VoltSelected::Disabled => #otherwise,
                    #[allow(unreachable_patterns)]
                    _ => ::core::unreachable!(),
                }
            }
        }
    }
}

impl Branch {
    /// Makes the future and pins it. A disabled branch has none, now or later.
    fn pin(&self, future: &Ident, condition: &Ident) -> TokenStream {
        let made = &self.future;
        // Bound before it is converted, so that a temporary that it borrows lives as long.
        if self.condition.is_some() {
            quote_spanned! {Span::mixed_site()=>
                let #future = if #condition {
                    ::core::option::Option::Some(#made)
                } else {
                    ::core::option::Option::None
                };
                let mut #future = ::core::pin::pin!(
                    #future.map(::core::future::IntoFuture::into_future)
                );
            }
        } else {
            quote_spanned! {Span::mixed_site()=>
                let #future = #made;
                let mut #future = ::core::pin::pin!(::core::option::Option::Some(
                    ::core::future::IntoFuture::into_future(#future)
                ));
            }
        }
    }

    /// The arm that polls the future.
    fn poll(&self, number: usize, future: &Ident, variant: &Ident) -> TokenStream {
        let number = Literal::usize_unsuffixed(number);
        let pattern = &self.pattern;
        quote_spanned! {Span::mixed_site()=>
            #number => {
                let ::core::option::Option::Some(polled) = #future.as_mut().as_pin_mut() else {
                    continue;
                };
                let ::core::task::Poll::Ready(mut output) =
                    ::core::future::Future::poll(polled, context)
                else {
                    is_pending = true;
                    continue;
                };
                let mut is_match = false;
                match output {
                    #pattern if {
                        is_match = true;
                        false
                    } => ::core::unreachable!(),
                    _ => {}
                }
                if is_match {
                    return ::core::task::Poll::Ready(__VoltSelected::#variant(output));
                }
                #future.set(::core::option::Option::None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_expands, assert_same, source};
    use quote::quote;

    fn select(branches: &str) -> Expansion {
        expand(source(&format!("(::volt) {branches}")))
    }

    #[track_caller]
    fn code(branches: &str) -> String {
        let expansion = select(branches);
        assert_errors(&expansion.errors, &[]);
        expansion.code.to_string().replace([' ', '\n'], "")
    }

    #[track_caller]
    fn assert_refuses(branches: &str, at: &str, message: &str) {
        let expansion = select(branches);
        assert_errors(&expansion.errors, &[(at, message)]);
        assert!(expansion.code.is_empty(), "{}", expansion.code);
    }

    #[test]
    fn a_branch_with_a_condition_and_one_without() {
        assert_expands(
            select("Some(x) = a.next(), if ready => x, _ = b => { c? } else => return 1"),
            quote! {
                {
                    enum __VoltSelected<Output0, Output1> {
                        Branch0(Output0),
                        Branch1(Output1),
                        Disabled,
                    }
                    let selected = {
                        let condition_0: bool = ready;
                        let future_0 = if condition_0 {
                            ::core::option::Option::Some(a.next())
                        } else {
                            ::core::option::Option::None
                        };
                        let mut future_0 = ::core::pin::pin!(
                            future_0.map(::core::future::IntoFuture::into_future)
                        );
                        let future_1 = b;
                        let mut future_1 = ::core::pin::pin!(::core::option::Option::Some(
                            ::core::future::IntoFuture::into_future(future_1)
                        ));
                        #[allow(
                            unreachable_code,
                            unreachable_patterns,
                            unused_assignments,
                            unused_mut,
                            unused_variables
                        )]
                        let selected = ::core::future::poll_fn(move |context| {
                            let mut is_pending = false;
                            for branch in ::volt::__private::select_order(2) {
                                match branch {
                                    0 => {
                                        let ::core::option::Option::Some(polled) =
                                            future_0.as_mut().as_pin_mut()
                                        else {
                                            continue;
                                        };
                                        let ::core::task::Poll::Ready(mut output) =
                                            ::core::future::Future::poll(polled, context)
                                        else {
                                            is_pending = true;
                                            continue;
                                        };
                                        let mut is_match = false;
                                        match output {
                                            Some(x) if {
                                                is_match = true;
                                                false
                                            } => ::core::unreachable!(),
                                            _ => {}
                                        }
                                        if is_match {
                                            return ::core::task::Poll::Ready(
                                                __VoltSelected::Branch0(output)
                                            );
                                        }
                                        future_0.set(::core::option::Option::None);
                                    }
                                    1 => {
                                        let ::core::option::Option::Some(polled) =
                                            future_1.as_mut().as_pin_mut()
                                        else {
                                            continue;
                                        };
                                        let ::core::task::Poll::Ready(mut output) =
                                            ::core::future::Future::poll(polled, context)
                                        else {
                                            is_pending = true;
                                            continue;
                                        };
                                        let mut is_match = false;
                                        match output {
                                            _ if {
                                                is_match = true;
                                                false
                                            } => ::core::unreachable!(),
                                            _ => {}
                                        }
                                        if is_match {
                                            return ::core::task::Poll::Ready(
                                                __VoltSelected::Branch1(output)
                                            );
                                        }
                                        future_1.set(::core::option::Option::None);
                                    }
                                    _ => ::core::unreachable!(),
                                }
                            }
                            if is_pending {
                                ::core::task::Poll::Pending
                            } else {
                                ::core::task::Poll::Ready(__VoltSelected::Disabled)
                            }
                        })
                        .await;
                        selected
                    };
                    #[allow(unused_mut)]
                    let mut selected = selected;
                    match selected {
                        __VoltSelected::Branch0(Some(x)) => x,
                        __VoltSelected::Branch1(_) => { c? },
                        __VoltSelected::Disabled => return 1,
                        #[allow(unreachable_patterns)]
                        _ => ::core::unreachable!(),
                    }
                }
            },
        );
    }

    #[test]
    fn the_order_is_drawn_unless_it_is_biased_or_there_is_one_branch() {
        assert!(code("a = b => c, d = e => f").contains("in::volt::__private::select_order(2)"));
        assert!(code("biased; a = b => c, d = e => f").contains("forbranchin0..2"));
        assert!(code("a = b => c").contains("forbranchin0..1"));
        assert!(code("biased = b => c").contains("Branch0(biased)=>c"));
    }

    #[test]
    fn without_else_it_panics_when_all_branches_are_disabled() {
        assert!(code("a = b => c").contains(
            "Disabled=>::core::panic!(\"allbranchesof`select!`aredisabled,andithasno`else`branch\")"
        ));
        assert!(!code("a = b => c, else => d").contains("panic"));
    }

    #[test]
    fn else_alone_is_its_handler() {
        assert_expands(select("else => f(),"), quote!({ f() }));
        assert_expands(select("biased; else => { 1 }"), quote!({ { 1 } }));
    }

    #[test]
    fn a_block_needs_no_comma_behind_it() {
        for branches in [
            "a = b => { c } d = e => { f }",
            "a = b => { c }, d = e => { f },",
            "a = b => if c { d } else { e } f = g => match h {} else => loop {}",
            "a = async { b; c } => unsafe { d } e = f::<G, H>() => i",
            "A(a) | B(a) = b, if c => d(), | e @ 1..=2 = S { f: g } => break 'l (1, 2)",
        ] {
            code(branches);
        }
    }

    #[test]
    fn the_body_of_a_handler_need_not_be_rust_that_this_crate_knows() {
        assert!(code("a = b => { c ~~ d; } e = f => g").contains("=>{c~~d;},"));
    }

    #[test]
    fn takes_any_number_of_branches() {
        let branches: String = (0..1_000).map(|n| format!("x = f({n}) => g(x), ")).collect();
        let code = code(&branches);
        assert!(code.contains("select_order(1000)"));
        assert!(code.contains("__VoltSelected::Branch999(x)=>g(x),"));
    }

    #[test]
    fn names_the_crate_by_the_path_in_front() {
        let expansion = expand(source("(renamed::inner) a = b => c, d = e => f"));
        let code = expansion.code.to_string().replace(' ', "");
        assert!(code.contains("inrenamed::inner::__private::select_order(2)"), "{code}");
    }

    #[test]
    fn an_error_is_the_whole_expression() {
        let refused = select("a = b");
        let message = "unexpected end of input, expected `=> handler` behind the future";
        assert_same(refused.into_tokens(), quote!(::core::compile_error! { #message }));
    }

    #[test]
    fn refuses_input_without_a_branch() {
        assert_refuses(
            "",
            "",
            "unexpected end of input, `volt::select!` has no branch: write \
             `pattern = future => handler`, or `else => handler`",
        );
        assert_refuses(
            "biased;",
            "",
            "unexpected end of input, `volt::select!` has no branch behind `biased;`: write \
             `pattern = future => handler`",
        );
    }

    #[test]
    fn refuses_biased_in_the_wrong_place_or_form() {
        let message = "`biased;` comes first, before all branches, and once";
        assert_refuses("a = b => c, biased; d = e => f", "biased", message);
        assert_refuses("biased; biased; a = b => c", "biased", message);
        assert_refuses(
            "biased, a = b => c",
            "biased",
            "`biased` ends with a semicolon: write `biased;`",
        );
    }

    #[test]
    fn refuses_an_else_that_is_not_last() {
        let message = "`else` comes last, and once: move it behind the others";
        assert_refuses("else => a, b = c => d", "else", message);
        assert_refuses("a = b => c, else => d, else => e", "else", message);
    }

    #[test]
    fn refuses_an_else_of_another_form() {
        let message = "`else` has no condition: it is what happens when no branch is left; write \
                       `else => handler`";
        assert_refuses("a = b => c, else if d => e", "if", message);
        assert_refuses("a = b => c, else, if d => e", ",", message);
        assert_refuses("a = b => c, else = d", "=", "expected `=> handler` behind `else`");
        assert_refuses("else", "", "unexpected end of input, expected `=> handler` behind `else`");
    }

    #[test]
    fn refuses_a_branch_without_a_pattern() {
        let message =
            "expected `=` and a future behind the pattern: write `pattern = future => handler`";
        assert_refuses("future => handler", "=", message);
        assert_refuses("x == future => handler", "=", message);
        assert_refuses("receiver.recv() => handler", ".", message);
        assert_refuses("x: u8 = future => handler", ":", message);
        let expansion = select("= future => handler");
        let messages: Vec<String> = expansion.errors.iter().map(ToString::to_string).collect();
        let beginning = "a branch begins with the pattern of `pattern = future => handler`: ";
        assert_eq!(messages.len(), 1);
        assert!(messages[0].starts_with(beginning), "{messages:?}");
    }

    #[test]
    fn refuses_a_branch_without_a_future() {
        assert_refuses(
            "x = , if y => z",
            ",",
            "expected a future behind `=`: expected an expression",
        );
    }

    #[test]
    fn refuses_a_condition_of_another_form() {
        assert_refuses(
            "x = f if y => z",
            "if",
            "expected a comma before the condition: write \
             `pattern = future, if condition => handler`",
        );
        assert_refuses(
            "x = f, y => z",
            ",",
            "expected `=> handler` behind the future, or `, if condition => handler`",
        );
        assert_refuses(
            "x = f, if let Some(y) = z => w",
            "let",
            "a condition is a `bool`: it cannot bind with `let`, since all conditions are \
             evaluated before the futures",
        );
        assert_refuses(
            "x = f, if y",
            "",
            "unexpected end of input, expected `=> handler` behind the condition",
        );
    }

    #[test]
    fn refuses_a_branch_without_a_handler() {
        assert_refuses(
            "x = f",
            "",
            "unexpected end of input, expected `=> handler` behind the future",
        );
        assert_refuses(
            "x = f => , y = g => h",
            ",",
            "expected a handler behind `=>`: expected an expression",
        );
    }

    #[test]
    fn refuses_a_missing_comma() {
        assert_refuses("x = f => a y = g => b", "y", "expected a comma behind the handler");
    }
}
