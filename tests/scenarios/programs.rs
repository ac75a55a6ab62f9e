//! Scenarios as programs alone, for tests that run them in their own way.

#[path = "setup.rs"]
mod setup;

pub use setup::runtime;

/// Declares a scenario: a module with its program.
macro_rules! scenario {
    ($(#[$attribute:meta])* $name:ident, $program:expr) => {
        $(#[$attribute])*
        #[allow(dead_code)]
        pub mod $name {
            #[allow(unused_imports)]
            use super::*;

            pub fn program() {
                ($program)()
            }
        }
    };
}
pub(crate) use scenario;
