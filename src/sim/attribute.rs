//! What `#[volt::sim_test]` expands to calls of. No part of the public API.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use super::World;

/// What the attribute says.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the attribute's options")]
pub struct Options {
    pub name: &'static str,
    pub seeds: u64,
    pub seed: Option<u64>,
    pub strategy: Option<&'static str>,
    pub step_limit: Option<u64>,
    pub virtual_time_limit: Option<Duration>,
    pub isolate_process: bool,
}

impl Options {
    fn test_options(&self) -> volt_sim::TestOptions {
        volt_sim::TestOptions {
            name: self.name,
            seeds: self.seeds,
            seed: self.seed,
            strategy: self.strategy,
            step_limit: self.step_limit,
            virtual_time_limit: self.virtual_time_limit,
            isolate_process: self.isolate_process,
        }
    }
}

/// Runs an async test in a simulated world, under each of its seeds.
pub fn run_sim_test<F, Fut>(options: Options, f: F)
where
    F: Fn(World) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    volt_sim::run_machine(&options.test_options(), move || {
        volt_sim::future::block_on(f(World::new()));
    });
}

/// Runs a plain test on simulated threads, under each of its seeds.
pub fn run_check_test<F>(options: Options, f: F)
where
    F: Fn() + Send + Sync + 'static,
{
    volt_sim::run_check(&options.test_options(), f);
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
