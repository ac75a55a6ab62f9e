//! The macros of Volt. Use them through the crate `volt`: the attributes `#[volt::main]`,
//! `#[volt::test]` and `#[volt::sim_test]`, which it re-exports, and `volt::select!`,
//! `volt::join!` and `volt::try_join!`, which it wraps, and which are documented there.
//!
//! Each attribute turns a function that a program cannot start by itself, an `async fn`, into an
//! ordinary `fn` that starts it. The function keeps its attributes, visibility, parameters, return
//! type and body: it becomes an item inside of the ordinary `fn` and is called from there, so `?`,
//! `return` and panics work in it as in any function.
//!
//! A mistake in the options, the signature or the branches is a compile error that says what to
//! write instead.

mod duration;
mod entry;
mod expansion;
mod function;
mod join;
mod options;
mod select;
mod sim_test;
#[cfg(test)]
mod testing;

use proc_macro::TokenStream;

/// Runs an `async fn` as the program's `main`, on a runtime of its own.
///
/// ```text
/// use volt::Io;
///
/// #[volt::main(workers = 4, backend = "io_uring")]
/// async fn main(io: Io) -> std::io::Result<()> {
///     let listener = volt::net::TcpListener::bind(&io, "127.0.0.1:8080").await?;
///     ..
/// }
/// ```
///
/// becomes
///
/// ```text
/// fn main() -> std::io::Result<()> {
///     async fn main(io: Io) -> std::io::Result<()> { .. }
///     ::volt::Runtime::builder()
///         .workers(4)
///         .backend(::volt::Backend::IoUring)
///         .build()
///         .expect("the Volt runtime could not be started")
///         .run(|io| main(io))
/// }
/// ```
///
/// The parameter is the runtime's `Io` handle; a function that does not use it may leave it out.
/// The runtime is shut down when the function returns.
///
/// # Options
///
/// Each is given at most once, as a literal. What is left out keeps the builder's default.
///
/// - `workers = 4`: the number of worker threads; 0 stands for the available parallelism.
/// - `backend = "io_uring"`: the I/O backend: `"auto"`, `"io_uring"`, `"epoll"`, `"kqueue"` or
///   `"iocp"`.
/// - `max_blocking_threads = 512`: the most threads that run blocking jobs at one time.
/// - `crate = "path"`: the path of the crate `volt`, where it has another name; `::volt` by
///   default.
///
/// # Panics
///
/// The expanded function panics if the runtime cannot be started: the operating system refuses a
/// thread, or the machine lacks the backend.
///
/// # Errors
///
/// It is a compile error if the item is no `async fn`, or is generic, `const`, `unsafe`, `extern`
/// or a method, or takes more than one parameter, and if an option is unknown, repeated, or has a
/// value of the wrong kind.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(&entry::MAIN, options.into(), item.into()).into_tokens().into()
}

/// Runs an `async fn` as an ordinary `#[test]`, on a runtime of its own.
///
/// ```text
/// #[volt::test]
/// #[should_panic(expected = "refused")]
/// async fn connects_to_nobody(io: volt::Io) {
///     volt::net::TcpStream::connect(&io, "127.0.0.1:1").await.expect("refused");
/// }
/// ```
///
/// becomes
///
/// ```text
/// #[test]
/// #[should_panic(expected = "refused")]
/// fn connects_to_nobody() {
///     async fn connects_to_nobody(io: volt::Io) { .. }
///     ::volt::Runtime::builder()
///         .workers(2)
///         .build()
///         .expect("the Volt runtime could not be started")
///         .run(|io| connects_to_nobody(io))
/// }
/// ```
///
/// The parameter is the runtime's `Io` handle; a test that does not use it may leave it out. Other
/// attributes, such as `#[should_panic]`, are kept. The return type is whatever
/// `#[test]` takes, so a test may return a `Result`.
///
/// # Options
///
/// Those of `#[volt::main]`:
///
/// - `workers = 4`: the number of worker threads, 2 by default; 0 stands for the available
///   parallelism.
/// - `backend = "epoll"`: the I/O backend: `"auto"`, `"io_uring"`, `"epoll"`, `"kqueue"` or
///   `"iocp"`.
/// - `max_blocking_threads = 16`: the most threads that run blocking jobs at one time.
/// - `crate = "path"`: the path of the crate `volt`, where it has another name; `::volt` by
///   default.
///
/// # Panics
///
/// The expanded function panics if the runtime cannot be started.
///
/// # Errors
///
/// The compile errors of `#[volt::main]`, and one for a second test attribute on the same function.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(&entry::TEST, options.into(), item.into()).into_tokens().into()
}

/// Runs a function as an ordinary `#[test]` in the simulated machine, once for each of many seeds.
///
/// On an `async fn` with a `World` parameter, the function sets up hosts and directs them:
///
/// ```text
/// use volt::sim::World;
///
/// #[volt::sim_test(seeds = 200, virtual_time_limit = "10m")]
/// async fn survives_a_partition(world: World) -> Result<(), volt::sim::HostError> {
///     let server = world.host("server").start(|io| server(io, "0.0.0.0:80"));
///     let client = world.host("client").start(|io| client(io, "server:80"));
///     world.partition(["server"], ["client"]);
///     ..
/// }
/// ```
///
/// On a plain `fn` without a parameter, the function is checked as plain threads and atomics, like
/// the closure of `volt::sim::check`:
///
/// ```text
/// #[volt::sim_test(strategy = "pct:3")]
/// fn counts_to_two() {
///     let count = volt::sim::sync::Arc::new(volt::sim::sync::atomic::AtomicU32::new(0));
///     ..
/// }
/// ```
///
/// Other attributes, such as `#[should_panic]`, are kept. A function that returns a
/// `Result` fails the run with the `Debug` text of its `Err`.
///
/// # Options
///
/// Each is given at most once, as a literal. The environment (`VOLT_SEED`, `VOLT_SEEDS`,
/// `VOLT_STRATEGY` and others) goes before them.
///
/// - `seeds = 200`: how many seeds to run, from 0 on; 100 by default.
/// - `seed = 0x2a`: the only seed to run, whatever `seeds` says.
/// - `strategy = "pct:3"`: how interleavings are chosen: `"mix"`, `"random"`, `"pct:DEPTH"`,
///   `"pos"`, `"surw"` or `"dfs:PREEMPTIONS"`. Read when the test runs.
/// - `step_limit = 100_000`: the most scheduling steps of one run.
/// - `virtual_time_limit = "30s"`: the most virtual time of one run: whole seconds, or a string
///   with the unit `ms`, `s`, `m` or `h`.
/// - `isolation = "process"`: where a run happens: `"thread"` (the default), or `"process"` for
///   code that keeps state in statics. Also spelt `isolate`.
/// - `crate = "path"`: the path of the crate `volt`, where it has another name; `::volt` by
///   default.
///
/// # Panics
///
/// The expanded function panics with the report of the first seed that fails, and if `strategy`
/// cannot be read.
///
/// # Errors
///
/// It is a compile error if the item is no function, or is generic, `const`, `unsafe`, `extern` or
/// a method, if an `async fn` takes more than one parameter or a plain `fn` takes any, if there is
/// a second test attribute, and if an option is unknown, repeated, or has a value of the wrong
/// kind.
#[proc_macro_attribute]
pub fn sim_test(options: TokenStream, item: TokenStream) -> TokenStream {
    sim_test::expand(options.into(), item.into()).into_tokens().into()
}

/// What `volt::select!` stands for: the path of the crate `volt` in parentheses, then the branches.
#[doc(hidden)]
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into_tokens().into()
}

/// What `volt::join!` stands for: the path of the crate `volt` in parentheses, then the futures.
#[doc(hidden)]
#[proc_macro]
pub fn join(input: TokenStream) -> TokenStream {
    join::expand(&join::JOIN, input.into()).into_tokens().into()
}

/// What `volt::try_join!` stands for: the path of the crate `volt` in parentheses, then the
/// futures.
#[doc(hidden)]
#[proc_macro]
pub fn try_join(input: TokenStream) -> TokenStream {
    join::expand(&join::TRY_JOIN, input.into()).into_tokens().into()
}
