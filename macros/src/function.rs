//! The function below an attribute, and what its signature may be.

use crate::expansion::{Errors, Expansion};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Safety, Signature, Visibility};

/// What an attribute says about itself in its errors.
pub(crate) struct Macro {
    /// Its path, without `#[` and `]`.
    pub(crate) name: &'static str,
    /// The parameter that it passes to the function.
    pub(crate) parameter: &'static str,
}

impl Macro {
    /// The signature that `function` should have.
    fn signature(&self, function: &Ident) -> String {
        format!("async fn {function}({})", self.parameter)
    }
}

/// A function whose body is left unparsed: only the compiler needs to understand it.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let content;
        let brace = syn::braced!(content in input);
        let mut body = Group::new(Delimiter::Brace, content.parse()?);
        body.set_span(brace.span.join());
        Ok(Self { attributes, visibility, signature, body })
    }
}

impl Function {
    /// Parses the item below the attribute `of`. One that is no function stays as it is, with an
    /// error before it.
    pub(crate) fn parse(of: &Macro, item: TokenStream) -> Result<Self, Expansion> {
        syn::parse2(item.clone()).map_err(|error| {
            let example = of.signature(&Ident::new("f", Span::call_site()));
            let message = format!(
                "`#[{}]` goes on a function such as `{example} {{ .. }}`: {error}",
                of.name
            );
            let mut errors = Errors::default();
            errors.push(syn::Error::new(error.span(), message));
            Expansion { code: item, errors }
        })
    }

    /// Reports each part of the signature that no attribute of this crate takes.
    pub(crate) fn check_signature(&self, of: &Macro, errors: &mut Errors) {
        let signature = &self.signature;
        let name = of.name;
        let expected = of.signature(&signature.ident);
        if let Some(token) = &signature.constness {
            errors.push_at(token, format!("`#[{name}]` takes no `const fn`: write `{expected}`"));
        }
        if let Safety::Unsafe(token) = &signature.safety {
            errors.push_at(token, format!("`#[{name}]` takes no `unsafe fn`: write `{expected}`"));
        }
        if let Some(abi) = &signature.abi {
            errors.push_at(abi, format!("`#[{name}]` takes no `extern fn`: write `{expected}`"));
        }
        if !signature.generics.params.is_empty() {
            errors.push_at(
                &signature.generics,
                format!(
                    "`#[{name}]` takes no generic function, because it calls the function itself: \
                     write `{expected}`"
                ),
            );
        }
        if let Some(clause) = &signature.generics.where_clause {
            errors.push_at(
                clause,
                format!("`#[{name}]` takes no `where` clause: write `{expected}`"),
            );
        }
        if let Some(receiver) = signature.receiver() {
            errors.push_at(
                receiver,
                format!("`#[{name}]` takes no method: write `{expected}` outside of the `impl`"),
            );
        }
        if signature.inputs.len() > 1 {
            let mut surplus = TokenStream::new();
            for parameter in signature.inputs.pairs().skip(1) {
                parameter.to_tokens(&mut surplus);
            }
            errors.push_at(
                surplus,
                format!("`#[{name}]` passes one parameter only: write `{expected}`"),
            );
        }
    }

    /// Reports a function that is not `async`.
    pub(crate) fn check_async(&self, of: &Macro, errors: &mut Errors) {
        let signature = &self.signature;
        if signature.asyncness.is_none() {
            let keyword = &signature.fn_token;
            errors.push_at(
                keyword,
                format!(
                    "`#[{}]` goes on an `async fn`: write `{}`",
                    of.name,
                    of.signature(&signature.ident)
                ),
            );
        }
    }

    /// Reports and removes the attributes that would make a second test of the function.
    pub(crate) fn remove_test_attributes(&mut self, of: &Macro, errors: &mut Errors) {
        self.attributes.retain(|attribute| {
            let Some(last) = attribute.path().segments.last() else {
                return true;
            };
            let is_test = last.ident == "test" || last.ident == "sim_test";
            if is_test {
                errors.push_at(
                    attribute,
                    format!(
                        "remove this second test attribute: `#[{}]` makes the function a test",
                        of.name
                    ),
                );
            }
            !is_test
        });
    }

    /// The function as it was written, without its attributes and visibility, to be an item inside
    /// of the function that calls it.
    ///
    /// A nested function, unlike an `async` block, keeps the return type for `?` and for coercions.
    pub(crate) fn nested(&self) -> TokenStream {
        let Self { signature, body, .. } = self;
        quote!(#signature #body)
    }

    /// The parameter of a closure, and a call of the nested function that passes it on.
    ///
    /// The argument has the location of the written type, where an error about that type belongs.
    pub(crate) fn call(&self, parameter: &str) -> (TokenStream, TokenStream) {
        let name = &self.signature.ident;
        match self.signature.inputs.first() {
            Some(FnArg::Typed(written)) => {
                let span = Span::mixed_site().located_at(written.ty.span());
                let argument = Ident::new(parameter, span);
                (quote!(#argument), quote!(#name(#argument)))
            }
            Some(FnArg::Receiver(_)) | None => (quote!(_), quote!(#name())),
        }
    }

    /// An empty function of the same name, for a signature that cannot be called. Without it, the
    /// compiler would report the missing function as well.
    pub(crate) fn placeholder(&self) -> TokenStream {
        let Self { visibility, signature, .. } = self;
        let name = &signature.ident;
        quote! {
            #[allow(dead_code)]
            #visibility fn #name() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_same, source};

    const OF: Macro = Macro { name: "volt::main", parameter: "io: Io" };

    fn parse(item: &str) -> Function {
        match Function::parse(&OF, source(item)) {
            Ok(function) => function,
            Err(expansion) => panic!("{item}: {}", expansion.into_tokens()),
        }
    }

    #[track_caller]
    fn assert_refuses(item: &str, expected: &[(&str, &str)]) {
        let mut errors = Errors::default();
        parse(item).check_signature(&OF, &mut errors);
        assert_errors(&errors, expected);
    }

    #[test]
    fn nested_function_keeps_signature_and_body() {
        let function = parse("#[inline] pub async fn f(mut io: Io) -> u8 { #![allow(x)] 1 } ");
        assert_same(
            function.nested(),
            quote!(
                async fn f(mut io: Io) -> u8 {
                    #![allow(x)]
                    1
                }
            ),
        );
    }

    #[test]
    fn the_body_need_not_be_rust_that_this_crate_knows() {
        assert_same(
            parse("async fn f() { a ~~ b; c @ }").nested(),
            quote!(async fn f() { a ~~ b; c @ }),
        );
    }

    #[test]
    fn accepts_none_or_one_parameter_of_any_pattern() {
        for item in ["async fn f() {}", "async fn f(io: Io) {}", "fn f(Wrap(x): &'_ Io,) {}"] {
            assert_refuses(item, &[]);
        }
    }

    #[test]
    fn refuses_what_is_no_function() {
        for (item, at, reason) in [
            ("struct S;", "struct", "expected `fn`"),
            ("async fn f(io: Io);", ";", "expected curly braces"),
            ("pub mod m {}", "mod", "expected `fn`"),
        ] {
            let Err(expansion) = Function::parse(&OF, source(item)) else {
                panic!("{item} was accepted");
            };
            let message = format!(
                "`#[volt::main]` goes on a function such as `async fn f(io: Io) {{ .. }}`: {reason}"
            );
            assert_errors(&expansion.errors, &[(at, &message)]);
            assert_same(expansion.code, source(item));
        }
    }

    #[test]
    fn refuses_qualifiers() {
        assert_refuses(
            "const unsafe extern \"C\" fn f() {}",
            &[
                ("const", "`#[volt::main]` takes no `const fn`: write `async fn f(io: Io)`"),
                ("unsafe", "`#[volt::main]` takes no `unsafe fn`: write `async fn f(io: Io)`"),
                (
                    "extern \"C\"",
                    "`#[volt::main]` takes no `extern fn`: write `async fn f(io: Io)`",
                ),
            ],
        );
    }

    #[test]
    fn refuses_generics() {
        assert_refuses(
            "async fn f<'a, T: Copy>(io: Io) where T: Send {}",
            &[
                (
                    "<'a, T: Copy>",
                    "`#[volt::main]` takes no generic function, because it calls the function \
                     itself: write `async fn f(io: Io)`",
                ),
                (
                    "where T: Send",
                    "`#[volt::main]` takes no `where` clause: write `async fn f(io: Io)`",
                ),
            ],
        );
    }

    #[test]
    fn refuses_methods() {
        for receiver in ["self", "&mut self", "self: Box<Self>"] {
            assert_refuses(
                &format!("async fn f({receiver}) {{}}"),
                &[(
                    receiver,
                    "`#[volt::main]` takes no method: write `async fn f(io: Io)` outside of the \
                     `impl`",
                )],
            );
        }
    }

    #[test]
    fn refuses_more_than_one_parameter() {
        assert_refuses(
            "async fn f(io: Io, a: u8, b: u8) {}",
            &[(
                "a: u8, b: u8",
                "`#[volt::main]` passes one parameter only: write `async fn f(io: Io)`",
            )],
        );
    }

    #[test]
    fn refuses_a_function_that_is_not_async() {
        let mut errors = Errors::default();
        parse("async fn f() {}").check_async(&OF, &mut errors);
        assert_errors(&errors, &[]);
        parse("fn f() {}").check_async(&OF, &mut errors);
        assert_errors(
            &errors,
            &[("fn", "`#[volt::main]` goes on an `async fn`: write `async fn f(io: Io)`")],
        );
    }

    #[test]
    fn placeholder_has_the_name_and_visibility() {
        assert_same(
            parse("#[inline] pub(super) const fn f<T>(t: T) -> T { t }").placeholder(),
            quote!(
                #[allow(dead_code)]
                pub(super) fn f() {}
            ),
        );
    }
}
