//! A simulated machine: an operating system in miniature, in which every nondeterministic
//! decision follows one seed.
//!
//! A program's threads are coroutines that give way at every atomic and lock operation; time is
//! virtual; entropy, spurious wake-ups and scheduling come from one *decision source*. The same
//! seed gives the same run, in any process.
//!
//! ```
//! use std::sync::Arc;
//! use volt_sim::sync::atomic::{AtomicU32, Ordering};
//! use volt_sim::thread;
//!
//! // Two threads increment without synchronization: some seed loses an increment.
//! let racy = || {
//!     let count = Arc::new(AtomicU32::new(0));
//!     let threads = [(); 2].map(|()| {
//!         let count = Arc::clone(&count);
//!         thread::spawn(move || {
//!             let seen = count.load(Ordering::SeqCst);
//!             count.store(seen + 1, Ordering::SeqCst);
//!         })
//!     });
//!     for thread in threads {
//!         thread.join().unwrap();
//!     }
//!     assert_eq!(count.load(Ordering::SeqCst), 2);
//! };
//! let report = volt_sim::Sim::builder().sweep(0..1_000).check(racy);
//! let failure = report.failure().expect("the race is found");
//! assert!(failure.replay_line().starts_with("VOLT_SEED=0x"));
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`Sim`], [`check`] | runs a program under seeds |
//! | [`Sweep`] | many seeds, on every processor |
//! | [`thread`], [`sync`], [`atomic`], [`cell`], [`futex`] | what programs are written against |
//! | [`clock`], [`choose`], [`fill_entropy`] | virtual time, decisions and entropy |
//! | [`net`] | hosts, sockets, pollers, and what goes wrong between hosts |
//! | [`fs`] | files and directories, and what goes wrong with the disk below them |
//! | [`ring`] | a completion queue for files, that reorders, delays, shortens and refuses |
//! | [`laws`] | what must always hold of a runtime |
//! | `kernel` | simulated threads, scheduling points, the clock |
//! | `network` | the state machine behind [`net`] |
//! | `disk` | the state machine behind [`fs`] |
//! | `decide` | the decision source: strategies, search, tape |
//! | `shrink` | the smallest schedule that fails, and why it does |
//! | [`future`] | running futures, and interrupting them at each point |
//! | `interpose` | system calls that simulated threads must not make |

pub mod atomic;
pub mod cell;
pub mod clock;
pub mod fs;
pub mod futex;
pub mod future;
pub mod hint;
pub mod laws;
pub mod net;
pub mod ring;
pub mod sync;
pub mod thread;

mod allocator;
mod cells;
mod choice;
mod decide;
mod descriptors;
mod disk;
mod environment;
mod failure;
mod fairness;
mod interpose;
mod interruption;
mod kernel;
mod local;
mod network;
mod patience;
mod permits;
mod runner;
mod shrink;
mod sim;
mod sweep;
mod test;
mod timeliness;

pub use allocator::CountingAllocator;
pub use choice::{choose, choose_knob, choose_task, fill_entropy, is_planted, observe, seed};
pub use decide::{ParseStrategyError, Strategy};
pub use failure::{Failure, FailureKind, Report};
pub use kernel::Counters;
pub use shrink::{Schedule, ScheduleEvent};
pub use sim::{Builder, Sim};
pub use sweep::{FailureGroup, Sweep, SweepReport};
pub use test::{TestOptions, check, run_check, run_machine};
