//! Tasks: what a program has of those it spawned.

mod abort_on_drop;
mod builder;
mod yield_now;

pub use crate::runtime::task::{AbortHandle, Cancel, Id, JoinError, JoinHandle};
pub use abort_on_drop::AbortOnDrop;
pub use builder::Builder;
pub use yield_now::{YieldNow, yield_now};
