//! `#[volt::sim_test]`: a function that runs in the simulated machine, once for each seed.

use crate::duration::{self, DurationError};
use crate::expansion::{Errors, Expansion};
use crate::function::{Function, Macro};
use crate::options::{self, Known, Setting};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Lit, LitStr, Path, ReturnType};

const DESCRIPTION: Macro = Macro { name: "volt::sim_test", parameter: "world: World" };

/// How many seeds a test runs that names no number.
const DEFAULT_SEEDS: u64 = 100;

#[derive(Default)]
struct SimOptions {
    seeds: Option<Literal>,
    seed: Option<Literal>,
    strategy: Option<LitStr>,
    step_limit: Option<Literal>,
    /// In milliseconds.
    virtual_time_limit: Option<Literal>,
    isolate_process: bool,
    volt: Option<Path>,
}

const OPTIONS: &[Known<SimOptions>] = &[
    Known {
        names: &["seeds"],
        example: "seeds = 200",
        set: |options, setting| {
            options.seeds = Some(setting.number_literal(1)?);
            Ok(())
        },
    },
    Known {
        names: &["seed"],
        example: "seed = 0x2a",
        set: |options, setting| {
            options.seed = Some(setting.number_literal(0)?);
            Ok(())
        },
    },
    Known {
        names: &["strategy"],
        example: "strategy = \"pct:3\"",
        set: |options, setting| {
            options.strategy = Some(setting.string()?);
            Ok(())
        },
    },
    Known {
        names: &["step_limit"],
        example: "step_limit = 100_000",
        set: |options, setting| {
            options.step_limit = Some(setting.number_literal(1)?);
            Ok(())
        },
    },
    Known {
        names: &["virtual_time_limit"],
        example: "virtual_time_limit = \"30s\"",
        set: |options, setting| {
            options.virtual_time_limit = Some(milliseconds(setting)?);
            Ok(())
        },
    },
    Known {
        names: &["isolation", "isolate"],
        example: "isolation = \"process\"",
        set: |options, setting| {
            options.isolate_process =
                setting.choice("isolation", &[("thread", false), ("process", true)])?;
            Ok(())
        },
    },
    Known {
        names: &["crate"],
        example: "crate = \"volt\"",
        set: |options, setting| {
            options.volt = Some(setting.path()?);
            Ok(())
        },
    },
];

/// Whole seconds, or a string with a unit, as milliseconds.
fn milliseconds(setting: &Setting) -> syn::Result<Literal> {
    const TAKES: &str = "whole seconds, or a string with the unit `ms`, `s`, `m` or `h`";
    let literal = setting.literal(TAKES)?;
    let milliseconds = match &literal {
        Lit::Str(text) => duration::parse_milliseconds(&text.value()),
        Lit::Int(_) => setting.number(0)?.checked_mul(1_000).ok_or(DurationError::TooLong),
        _ => Err(DurationError::Malformed),
    };
    match milliseconds {
        Ok(0) => Err(syn::Error::new(literal.span(), "`virtual_time_limit` is more than zero")),
        Ok(milliseconds) => Ok(Literal::u64_unsuffixed(milliseconds)),
        Err(DurationError::Malformed) => Err(setting.wrong_value(TAKES)),
        Err(DurationError::TooLong) => {
            let message = format!("`virtual_time_limit` is at most {} ms", u64::MAX);
            Err(syn::Error::new(literal.span(), message))
        }
    }
}

/// Expands `#[volt::sim_test(options)] item`.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Expansion {
    let mut function = match Function::parse(&DESCRIPTION, item) {
        Ok(function) => function,
        Err(expansion) => return expansion,
    };
    let mut errors = Errors::default();
    function.check_signature(&DESCRIPTION, &mut errors);
    if errors.is_empty() {
        check_plain_parameters(&function, &mut errors);
    }
    let is_callable = errors.is_empty();
    let options = options::read(DESCRIPTION.name, OPTIONS, options, &mut errors);
    function.remove_test_attributes(&DESCRIPTION, &mut errors);
    let code = if is_callable { run(&function, &options) } else { function.placeholder() };
    Expansion { code, errors }
}

/// Reports the parameter of a function that is not `async`: only an `async fn` has a world.
fn check_plain_parameters(function: &Function, errors: &mut Errors) {
    let signature = &function.signature;
    if signature.asyncness.is_none() && !signature.inputs.is_empty() {
        let name = &signature.ident;
        errors.push_at(
            &signature.inputs,
            format!(
                "`#[{}]` passes nothing to a plain `fn`: write `async fn {name}({})`, or \
                 `fn {name}()` for threads and atomics without hosts",
                DESCRIPTION.name, DESCRIPTION.parameter
            ),
        );
    }
}

/// The ordinary test that hands `function` to the simulator.
fn run(function: &Function, options: &SimOptions) -> TokenStream {
    let volt = match &options.volt {
        Some(path) => quote!(#path),
        None => quote!(::volt),
    };
    let Function { attributes, visibility, signature, .. } = function;
    let name = &signature.ident;
    let options = options_value(&volt, name.to_token_stream(), options);
    let nested = function.nested();
    let (parameter, call) = function.call("world");
    // A return type that `finish` does not take is then an error at that type.
    let outcome_span = match &signature.output {
        ReturnType::Type(_, written) => Span::mixed_site().located_at(written.span()),
        ReturnType::Default => Span::mixed_site(),
    };
    let outcome = Ident::new("outcome", outcome_span);
    let run = if signature.asyncness.is_some() {
        quote! {
            #volt::sim::__private::run_sim_test(
                #options,
                |#parameter| async move {
                    let #outcome = #call.await;
                    #volt::sim::__private::finish(#outcome)
                },
            )
        }
    } else {
        quote! {
            #volt::sim::__private::run_check_test(
                #options,
                || {
                    let #outcome = #call;
                    #volt::sim::__private::finish(#outcome)
                },
            )
        }
    };
    quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            #nested
            #run
        }
    }
}

/// The value of the simulator's `Options`.
fn options_value(volt: &TokenStream, name: TokenStream, options: &SimOptions) -> TokenStream {
    let SimOptions { strategy, seed, step_limit, isolate_process, .. } = options;
    let seeds = options.seeds.clone().unwrap_or_else(|| Literal::u64_unsuffixed(DEFAULT_SEEDS));
    let virtual_time_limit = options
        .virtual_time_limit
        .as_ref()
        .map(|n| quote!(::core::time::Duration::from_millis(#n)));
    let (seed, strategy) = (optional(seed), optional(strategy));
    let (step_limit, virtual_time_limit) = (optional(step_limit), optional(&virtual_time_limit));
    quote! {
        #volt::sim::__private::Options {
            name: ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
            seeds: #seeds,
            seed: #seed,
            strategy: #strategy,
            step_limit: #step_limit,
            virtual_time_limit: #virtual_time_limit,
            isolate_process: #isolate_process,
        }
    }
}

/// The expression of an `Option`.
fn optional(value: &Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_expands, assert_same, source};

    fn sim_test(options: &str, item: &str) -> Expansion {
        expand(source(options), source(item))
    }

    #[test]
    fn async_function_with_defaults() {
        assert_expands(
            sim_test("", "async fn t(world: World) { world.heal(); }"),
            quote! {
                #[::core::prelude::v1::test]
                fn t() {
                    async fn t(world: World) { world.heal(); }
                    ::volt::sim::__private::run_sim_test(
                        ::volt::sim::__private::Options {
                            name: ::core::concat!(
                                ::core::module_path!(), "::", ::core::stringify!(t)
                            ),
                            seeds: 100,
                            seed: ::core::option::Option::None,
                            strategy: ::core::option::Option::None,
                            step_limit: ::core::option::Option::None,
                            virtual_time_limit: ::core::option::Option::None,
                            isolate_process: false,
                        },
                        |world| async move {
                            let outcome = t(world).await;
                            ::volt::sim::__private::finish(outcome)
                        },
                    )
                }
            },
        );
    }

    #[test]
    fn plain_function_with_every_option() {
        assert_expands(
            sim_test(
                r#"seeds = 200, seed = 0x2a, strategy = "pct:3", step_limit = 1_000,
                   virtual_time_limit = "30s", isolation = "process", crate = "renamed""#,
                "#[should_panic] pub fn t() -> Result<(), E> { Ok(()) }",
            ),
            quote! {
                #[::core::prelude::v1::test]
                #[should_panic]
                pub fn t() {
                    fn t() -> Result<(), E> { Ok(()) }
                    renamed::sim::__private::run_check_test(
                        renamed::sim::__private::Options {
                            name: ::core::concat!(
                                ::core::module_path!(), "::", ::core::stringify!(t)
                            ),
                            seeds: 200,
                            seed: ::core::option::Option::Some(42),
                            strategy: ::core::option::Option::Some("pct:3"),
                            step_limit: ::core::option::Option::Some(1000),
                            virtual_time_limit: ::core::option::Option::Some(
                                ::core::time::Duration::from_millis(30000)
                            ),
                            isolate_process: true,
                        },
                        || {
                            let outcome = t();
                            renamed::sim::__private::finish(outcome)
                        },
                    )
                }
            },
        );
    }

    #[test]
    fn async_function_without_a_world() {
        let expansion = sim_test("", "async fn t() {}");
        assert_errors(&expansion.errors, &[]);
        let code = expansion.code.to_string().replace(' ', "");
        assert!(code.contains("|_|asyncmove{letoutcome=t().await;"), "{code}");
    }

    #[test]
    fn virtual_time_limit_takes_seconds_or_a_unit() {
        for (value, expected) in [
            ("30", 30_000),
            ("\"30s\"", 30_000),
            ("\"250ms\"", 250),
            ("\"10m\"", 600_000),
            ("\"1h\"", 3_600_000),
        ] {
            let expansion = sim_test(&format!("virtual_time_limit = {value}"), "fn t() {}");
            assert_errors(&expansion.errors, &[]);
            let code = expansion.code.to_string().replace(' ', "");
            assert!(code.contains(&format!("Duration::from_millis({expected})")), "{code}");
        }
    }

    #[test]
    fn refuses_a_virtual_time_limit_that_is_none() {
        let message = "`virtual_time_limit` takes whole seconds, or a string with the unit `ms`, \
                       `s`, `m` or `h`: write `virtual_time_limit = \"30s\"`";
        for value in ["\"30\"", "\"30 s\"", "\"1.5s\"", "1.5", "true", "LIMIT"] {
            let errors = sim_test(&format!("virtual_time_limit = {value}"), "fn t() {}").errors;
            assert_errors(&errors, &[(value, message)]);
        }
        for value in ["0", "\"0ms\""] {
            let errors = sim_test(&format!("virtual_time_limit = {value}"), "fn t() {}").errors;
            assert_errors(&errors, &[(value, "`virtual_time_limit` is more than zero")]);
        }
        for value in ["18446744073709552", "\"18446744073709552s\""] {
            let errors = sim_test(&format!("virtual_time_limit = {value}"), "fn t() {}").errors;
            let message = "`virtual_time_limit` is at most 18446744073709551615 ms";
            assert_errors(&errors, &[(value, message)]);
        }
    }

    #[test]
    fn isolation_has_two_spellings() {
        for option in ["isolation", "isolate"] {
            for (value, expected) in [("thread", false), ("process", true)] {
                let expansion = sim_test(&format!("{option} = \"{value}\""), "fn t() {}");
                assert_errors(&expansion.errors, &[]);
                let code = expansion.code.to_string().replace(' ', "");
                assert!(code.contains(&format!("isolate_process:{expected}")), "{code}");
            }
        }
        assert_errors(
            &sim_test("isolation = \"thread\", isolate = \"process\"", "fn t() {}").errors,
            &[("isolate", "`isolation` and `isolate` are the same option: keep one of them")],
        );
        assert_errors(
            &sim_test("isolation = \"vm\"", "fn t() {}").errors,
            &[("\"vm\"", "unknown isolation `\"vm\"`: write `\"thread\"` or `\"process\"`")],
        );
    }

    #[test]
    fn the_examples_in_the_messages_are_correct() {
        for option in OPTIONS {
            assert_errors(&sim_test(option.example, "fn t() {}").errors, &[]);
        }
    }

    #[test]
    fn refuses_numbers_that_would_test_nothing() {
        assert_errors(
            &sim_test("seeds = 0, step_limit = 0", "fn t() {}").errors,
            &[("0", "`seeds` is at least 1"), ("0", "`step_limit` is at least 1")],
        );
    }

    #[test]
    fn refuses_an_unknown_option() {
        assert_errors(
            &sim_test("workers = 4", "fn t() {}").errors,
            &[(
                "workers",
                "unknown option `workers`: `#[volt::sim_test]` takes `seeds`, `seed`, `strategy`, \
                 `step_limit`, `virtual_time_limit`, `isolation` and `crate`",
            )],
        );
    }

    #[test]
    fn refuses_a_parameter_of_a_plain_function() {
        let expansion = sim_test("", "fn t(world: World) {}");
        assert_errors(
            &expansion.errors,
            &[(
                "world: World",
                "`#[volt::sim_test]` passes nothing to a plain `fn`: write \
                 `async fn t(world: World)`, or `fn t()` for threads and atomics without hosts",
            )],
        );
        assert_same(
            expansion.code,
            quote!(
                #[allow(dead_code)]
                fn t() {}
            ),
        );
    }

    #[test]
    fn refuses_a_second_parameter() {
        assert_errors(
            &sim_test("", "async fn t(world: World, io: Io) {}").errors,
            &[(
                "io: Io",
                "`#[volt::sim_test]` passes one parameter only: write `async fn t(world: World)`",
            )],
        );
    }

    #[test]
    fn refuses_a_second_test_attribute() {
        assert_errors(
            &sim_test("", "#[test] fn t() {}").errors,
            &[(
                "#[test]",
                "remove this second test attribute: `#[volt::sim_test]` makes the function a test",
            )],
        );
    }
}
