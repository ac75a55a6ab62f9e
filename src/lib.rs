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
//! | [`task`] | tasks: handles, errors, names, groups, task-locals |
//! | [`sync`] | locks and coordination: [`Mutex`](sync::Mutex), [`CancellationToken`], .. |
//! | [`channel`] | messages: [`bounded`](channel::bounded), [`watch`](channel::watch()), .. |
//! | [`select!`], [`join!`], [`try_join!`] | several futures in one task |
//! | [`local`] | a runtime of one thread, for futures that are not `Send` |
//! | [`net`] | TCP, UDP |
//! | [`io`] | reading and writing: traits, standard streams, pipes in memory |
//! | [`fs`] | files and directories |
//! | [`process`] | processes, their pipes and their ends |
//! | [`signal`] | signals that the process is sent |
//! | [`shutdown`] | ending a program in good order |
//! | [`time`] | clocks, timers, time-outs |
//! | [`sim`] | the simulated machine, for tests (feature `sim`) |
//! | [`platform`] | the seam between Volt and the machine it runs on |

#[doc(hidden)]
pub mod platform;

#[doc(hidden)]
pub mod __private;
mod combinator;
mod coop;
#[cfg(feature = "real")]
mod driver;
#[cfg(feature = "real")]
mod runtime;
mod waiter;

pub mod channel;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
pub mod compat;
#[cfg(feature = "real")]
pub mod fs;
#[cfg(feature = "real")]
pub mod io;
pub mod local;
#[cfg(feature = "real")]
pub mod net;
#[cfg(feature = "real")]
pub mod process;
#[cfg(feature = "real")]
pub mod shutdown;
#[cfg(feature = "real")]
pub mod signal;
#[cfg(feature = "real")]
pub mod sim;
pub mod sync;
#[cfg(feature = "real")]
pub mod task;
#[cfg(feature = "real")]
pub mod time;

#[cfg(feature = "real")]
pub use runtime::{
    Backend, Builder, DumpedTask, GlobalQueueInterval, Histogram, Io, Metrics, Runtime, TaskDump,
    WorkerMetrics, run,
};
pub use sync::CancellationToken;
#[cfg(all(feature = "macros", feature = "sim"))]
pub use volt_macros::sim_test;
#[cfg(all(feature = "macros", feature = "real"))]
pub use volt_macros::{main, test};
