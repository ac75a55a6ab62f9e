//! The simulated machine, for tests of programs and of their parts.
//!
//! Without feature `sim` the modules are std's own, so that code which ships can import them.

#[cfg(not(feature = "sim"))]
pub use crate::platform::ordinary::*;

#[cfg(feature = "sim")]
pub use volt_sim::{
    Counters, CountingAllocator, Failure, FailureGroup, FailureKind, ParseStrategyError, Report,
    Schedule, ScheduleEvent, Strategy, SweepReport, cell, check, choose,
    fs::{Disk, DiskLatency},
    future, hint,
    net::{Link, Resources},
    observe, sync, thread, thread_local,
};

#[cfg(feature = "sim")]
#[doc(hidden)]
#[path = "attribute.rs"]
pub mod __private;
#[cfg(feature = "sim")]
mod host;
#[cfg(feature = "sim")]
mod network;
#[cfg(feature = "sim")]
mod simulation;
#[cfg(feature = "sim")]
mod world;

#[cfg(feature = "sim")]
pub use host::{Host, HostBuilder, HostError};
#[cfg(feature = "sim")]
pub use network::LinkHandle;
#[cfg(feature = "sim")]
pub use simulation::{Sim, SimBuilder, Sweep};
#[cfg(feature = "sim")]
pub use world::{Sleep, World};
