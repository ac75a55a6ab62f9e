//! What `#[volt::sim_test]` expands to calls of. No part of the public API.

use std::fmt::Debug;
use std::future::Future;

use super::world::{self, World};

/// What the attribute says.
pub use volt_sim::TestOptions as Options;

/// Runs an async test in a simulated world, under each of its seeds.
pub fn run_sim_test<F, Fut>(options: Options, f: F)
where
    F: Fn(World) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    volt_sim::run_machine(&options, move || world::run(&f));
}

/// Runs a plain test on simulated threads, under each of its seeds.
pub fn run_check_test<F>(options: Options, f: F)
where
    F: Fn() + Send + Sync + 'static,
{
    volt_sim::run_check(&options, f);
}

/// What a simulated test may return.
#[diagnostic::on_unimplemented(
    message = "a simulated test returns `()` or `Result<_, E>` with `E: Debug`, not `{Self}`"
)]
pub trait TestResult {
    /// Panics if the result is a failure.
    fn check(self);
}

impl TestResult for () {
    fn check(self) {}
}

impl<T, E: Debug> TestResult for Result<T, E> {
    #[track_caller]
    fn check(self) {
        if let Err(error) = self {
            panic!("the test returned an error: {error:?}");
        }
    }
}

/// Checks the result of a test.
#[track_caller]
pub fn finish(result: impl TestResult) {
    result.check();
}
