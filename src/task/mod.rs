//! Tasks: what a program has of those it spawned.

mod abort_on_drop;
mod builder;
mod group;
mod join_all;
mod local_key;
mod race;
mod select_all;
mod yield_now;

pub use crate::runtime::task::{AbortHandle, Cancel, Id, JoinError, JoinHandle};
pub use abort_on_drop::AbortOnDrop;
pub use builder::Builder;
pub use group::{CancelAll, Group, Next, Wait};
pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
#[doc(hidden)]
pub use local_key::LocalSlot;
pub use local_key::{AccessError, LocalKey, TaskLocalFuture};
pub use race::{Race, race};
pub use select_all::{SelectAll, select_all};
pub use yield_now::{YieldNow, yield_now};

/// The cooperative budget, for futures of one's own that never wait.
pub mod coop {
    pub use crate::coop::{has_budget_remaining, poll_proceed};
}
