//! Volt: an async runtime for Rust whose production code runs, unchanged, inside a seeded
//! simulated machine.
//!
//! ```
//! let answer = volt::run(|io| async move {
//!     io.spawn(async { 6 * 7 }).await.unwrap()
//! });
//! assert_eq!(answer, 42);
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`run`], [`Runtime`], [`Io`] | starting, and the handle that says where a program runs |
//! | [`task`] | tasks: handles, errors, names |
//! | [`net`] | TCP |
//! | [`time`] | clocks, timers, time-outs |
//! | [`sim`] | the simulated machine, for tests (feature `sim`) |
//! | [`platform`] | the seam between Volt and the machine it runs on |

#[doc(hidden)]
pub mod platform;

mod coop;
mod driver;
mod runtime;

#[cfg(feature = "hyper")]
pub mod compat;
pub mod net;
pub mod sim;
pub mod task;
pub mod time;

pub use runtime::{
    Backend, Builder, DumpedTask, GlobalQueueInterval, Histogram, Io, Metrics, Runtime, TaskDump,
    WorkerMetrics, run,
};
#[cfg(all(feature = "macros", feature = "sim"))]
pub use volt_macros::sim_test;
#[cfg(feature = "macros")]
pub use volt_macros::{main, test};
