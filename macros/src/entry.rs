//! `#[volt::main]` and `#[volt::test]`: an `async fn` that runs on a runtime of its own.

use crate::expansion::{Errors, Expansion};
use crate::function::{Function, Macro};
use crate::options::{self, Known};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use syn::Path;

/// What sets the two attributes apart.
pub(crate) struct Entry {
    description: Macro,
    /// The workers of a runtime whose attribute names no number.
    default_workers: Option<u64>,
    is_test: bool,
}

/// `#[volt::main]`.
pub(crate) const MAIN: Entry = Entry {
    description: Macro { name: "volt::main", parameter: "io: Io" },
    default_workers: None,
    is_test: false,
};

/// `#[volt::test]`.
pub(crate) const TEST: Entry = Entry {
    description: Macro { name: "volt::test", parameter: "io: Io" },
    default_workers: Some(2),
    is_test: true,
};

#[derive(Default)]
struct RuntimeOptions {
    workers: Option<Literal>,
    backend: Option<&'static str>,
    max_blocking_threads: Option<Literal>,
    volt: Option<Path>,
}

/// The names of the backends, and the variants of `volt::Backend` that they stand for.
const BACKENDS: &[(&str, &str)] = &[
    ("auto", "Auto"),
    ("io_uring", "IoUring"),
    ("epoll", "Epoll"),
    ("kqueue", "Kqueue"),
    ("iocp", "Iocp"),
];

const OPTIONS: &[Known<RuntimeOptions>] = &[
    Known {
        names: &["workers"],
        example: "workers = 4",
        set: |options, setting| {
            options.workers = Some(setting.number_literal(0)?);
            Ok(())
        },
    },
    Known {
        names: &["backend"],
        example: "backend = \"io_uring\"",
        set: |options, setting| {
            options.backend = Some(setting.choice("backend", BACKENDS)?);
            Ok(())
        },
    },
    Known {
        names: &["max_blocking_threads"],
        example: "max_blocking_threads = 512",
        set: |options, setting| {
            options.max_blocking_threads = Some(setting.number_literal(0)?);
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

/// Expands `#[volt::main(options)] item` or `#[volt::test(options)] item`.
pub(crate) fn expand(entry: &Entry, options: TokenStream, item: TokenStream) -> Expansion {
    let description = &entry.description;
    let mut function = match Function::parse(description, item) {
        Ok(function) => function,
        Err(expansion) => return expansion,
    };
    let mut errors = Errors::default();
    function.check_async(description, &mut errors);
    function.check_signature(description, &mut errors);
    let is_callable = errors.is_empty();
    let options = options::read(description.name, OPTIONS, options, &mut errors);
    if entry.is_test {
        function.remove_test_attributes(description, &mut errors);
    }
    let code = if is_callable { start(entry, &function, &options) } else { function.placeholder() };
    Expansion { code, errors }
}

/// The ordinary function that starts the runtime and runs `function` on it.
fn start(entry: &Entry, function: &Function, options: &RuntimeOptions) -> TokenStream {
    let volt = match &options.volt {
        Some(path) => quote!(#path),
        None => quote!(::volt),
    };
    let default_workers = entry.default_workers.map(Literal::u64_unsuffixed);
    let workers = options.workers.clone().or(default_workers).map(|n| quote!(.workers(#n)));
    let backend = options.backend.map(|variant| {
        let variant = Ident::new(variant, Span::call_site());
        quote!(.backend(#volt::Backend::#variant))
    });
    let max_blocking_threads =
        options.max_blocking_threads.as_ref().map(|n| quote!(.max_blocking_threads(#n)));

    let test = entry.is_test.then(|| quote!(#[::core::prelude::v1::test]));
    let Function { attributes, visibility, signature, .. } = function;
    let (name, output) = (&signature.ident, &signature.output);
    let nested = function.nested();
    let (parameter, call) = function.call("io");
    quote! {
        #test
        #(#attributes)*
        #visibility fn #name() #output {
            #nested
            #volt::Runtime::builder()
                #workers
                #backend
                #max_blocking_threads
                .build()
                .expect("the Volt runtime could not be started")
                .run(|#parameter| #call)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_errors, assert_expands, assert_same, source};

    fn main(options: &str, item: &str) -> Expansion {
        expand(&MAIN, source(options), source(item))
    }

    fn test(options: &str, item: &str) -> Expansion {
        expand(&TEST, source(options), source(item))
    }

    #[test]
    fn main_with_defaults() {
        assert_expands(
            main("", "async fn main(io: Io) { serve(io).await; }"),
            quote! {
                fn main() {
                    async fn main(io: Io) { serve(io).await; }
                    ::volt::Runtime::builder()
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|io| main(io))
                }
            },
        );
    }

    #[test]
    fn main_with_every_option() {
        assert_expands(
            main(
                r#"workers = 0x10, backend = "io_uring", max_blocking_threads = 1_000,
                   crate = "crate::runtime""#,
                "async fn main(io: Io) {}",
            ),
            quote! {
                fn main() {
                    async fn main(io: Io) {}
                    crate::runtime::Runtime::builder()
                        .workers(16)
                        .backend(crate::runtime::Backend::IoUring)
                        .max_blocking_threads(1000)
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|io| main(io))
                }
            },
        );
    }

    #[test]
    fn main_keeps_attributes_visibility_parameter_and_return_type() {
        assert_expands(
            main(
                "",
                "/// Starts.
                 #[allow(unused)]
                 pub(crate) async fn start(#[cfg(unix)] mut handle: volt::Io) -> Result<(), E> {
                     #![allow(dead_code)]
                     Ok(())
                 }",
            ),
            quote! {
                #[doc = " Starts."]
                #[allow(unused)]
                pub(crate) fn start() -> Result<(), E> {
                    async fn start(#[cfg(unix)] mut handle: volt::Io) -> Result<(), E> {
                        #![allow(dead_code)]
                        Ok(())
                    }
                    ::volt::Runtime::builder()
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|io| start(io))
                }
            },
        );
    }

    #[test]
    fn main_without_a_parameter() {
        assert_expands(
            main("workers = 0", "async fn main() {}"),
            quote! {
                fn main() {
                    async fn main() {}
                    ::volt::Runtime::builder()
                        .workers(0)
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|_| main())
                }
            },
        );
    }

    #[test]
    fn test_has_two_workers_and_keeps_its_attributes() {
        assert_expands(
            test("", "#[should_panic(expected = \"x\")] async fn t(io: Io) { panic!(\"x\") }"),
            quote! {
                #[::core::prelude::v1::test]
                #[should_panic(expected = "x")]
                fn t() {
                    async fn t(io: Io) { panic!("x") }
                    ::volt::Runtime::builder()
                        .workers(2)
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|io| t(io))
                }
            },
        );
    }

    #[test]
    fn test_takes_the_options_of_main() {
        assert_expands(
            test("workers = 1, backend = \"epoll\"", "async fn t() -> io::Result<()> { Ok(()) }"),
            quote! {
                #[::core::prelude::v1::test]
                fn t() -> io::Result<()> {
                    async fn t() -> io::Result<()> { Ok(()) }
                    ::volt::Runtime::builder()
                        .workers(1)
                        .backend(::volt::Backend::Epoll)
                        .build()
                        .expect("the Volt runtime could not be started")
                        .run(|_| t())
                }
            },
        );
    }

    #[test]
    fn every_backend_has_its_variant() {
        for (name, variant) in BACKENDS {
            let expansion = main(&format!("backend = \"{name}\""), "async fn main() {}");
            assert_errors(&expansion.errors, &[]);
            let code = expansion.code.to_string().replace(' ', "");
            assert!(code.contains(&format!(".backend(::volt::Backend::{variant})")), "{code}");
        }
    }

    #[test]
    fn the_examples_in_the_messages_are_correct() {
        for option in OPTIONS {
            assert_errors(&main(option.example, "async fn main() {}").errors, &[]);
        }
    }

    #[test]
    fn refuses_an_unknown_backend() {
        assert_errors(
            &main("backend = \"uring\"", "async fn main() {}").errors,
            &[(
                "\"uring\"",
                "unknown backend `\"uring\"`: write `\"auto\"`, `\"io_uring\"`, `\"epoll\"`, \
                 `\"kqueue\"` or `\"iocp\"`",
            )],
        );
    }

    #[test]
    fn refuses_an_unknown_option_by_the_name_of_the_attribute() {
        for (expansion, name) in [
            (main("threads = 4", "async fn f() {}"), "volt::main"),
            (test("threads = 4", "async fn f() {}"), "volt::test"),
        ] {
            let message = format!(
                "unknown option `threads`: `#[{name}]` takes `workers`, `backend`, \
                 `max_blocking_threads` and `crate`"
            );
            assert_errors(&expansion.errors, &[("threads", &message)]);
        }
    }

    #[test]
    fn an_error_in_the_options_still_runs_the_function() {
        let wrong = main("workers = \"4\"", "async fn main(io: Io) {}");
        assert_errors(
            &wrong.errors,
            &[(
                "\"4\"",
                "`workers` takes a whole number without a sign or suffix: write `workers = 4`",
            )],
        );
        assert_same(wrong.code, main("", "async fn main(io: Io) {}").code);
    }

    #[test]
    fn refuses_a_function_that_is_not_async() {
        let expansion = main("", "pub fn main(io: Io) { f(io) }");
        assert_errors(
            &expansion.errors,
            &[("fn", "`#[volt::main]` goes on an `async fn`: write `async fn main(io: Io)`")],
        );
        assert_same(
            expansion.code,
            quote!(
                #[allow(dead_code)]
                pub fn main() {}
            ),
        );
    }

    #[test]
    fn refuses_a_second_test_attribute_and_removes_it() {
        let message =
            "remove this second test attribute: `#[volt::test]` makes the function a test";
        for attribute in ["#[test]", "#[::core::prelude::v1::test]", "#[volt::sim_test(seeds = 3)]"]
        {
            let expansion = test("", &format!("{attribute} #[should_panic] async fn t() {{}}"));
            assert_errors(&expansion.errors, &[(attribute, message)]);
            assert_same(expansion.code, test("", "#[should_panic] async fn t() {}").code);
        }
        assert_errors(&main("", "#[cfg(test)] async fn main() {}").errors, &[]);
    }

    #[test]
    fn reports_errors_in_the_signature_and_the_options_together() {
        assert_errors(
            &main("threads = 1, workers", "fn main() {}").errors,
            &[
                ("fn", "`#[volt::main]` goes on an `async fn`: write `async fn main(io: Io)`"),
                (
                    "threads",
                    "unknown option `threads`: `#[volt::main]` takes `workers`, `backend`, \
                     `max_blocking_threads` and `crate`",
                ),
                ("workers", "`workers` needs a value: write `workers = 4`"),
            ],
        );
    }
}
