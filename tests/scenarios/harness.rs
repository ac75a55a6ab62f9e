//! Runs a scenario on each platform.

#[path = "setup.rs"]
mod setup;

pub use setup::runtime;

/// Seeds that each scenario is simulated under.
#[cfg(feature = "sim")]
pub const SEEDS: std::ops::Range<u64> = 0..200;

/// Declares a scenario: a module with a test on the real platform and one in simulation, and the
/// program itself, which other tests run with planted bugs.
macro_rules! scenario {
    ($(#[$attribute:meta])* $name:ident, $program:expr) => {
        $(#[$attribute])*
        pub mod $name {
            #[allow(unused_imports)]
            use super::*;

            pub fn program() {
                ($program)()
            }

            #[test]
            fn real() {
                program();
            }

            #[cfg(feature = "sim")]
            #[test]
            fn simulated() {
                let sweep = volt::sim::Sim::builder().from_environment($crate::harness::SEEDS);
                let report = sweep.machine(program);
                report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
            }
        }
    };
}
pub(crate) use scenario;
