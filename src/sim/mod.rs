//! The simulated machine, for tests of programs and of their parts.
//!
//! Without feature `sim` the modules are std's own, so that code which ships can import them.

#[cfg(not(feature = "sim"))]
pub use crate::platform::ordinary::*;

#[cfg(feature = "sim")]
pub use volt_sim::{
    Counters, Failure, FailureKind, ParseStrategyError, Report, Sim, Strategy, Sweep, SweepReport,
    cell, check, choose, future, hint, observe, sync, thread, thread_local,
};

#[cfg(feature = "sim")]
#[doc(hidden)]
#[path = "attribute.rs"]
pub mod __private;
#[cfg(feature = "sim")]
mod world;

#[cfg(feature = "sim")]
pub use world::{Sleep, World};
