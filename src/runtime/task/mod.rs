//! The task: one allocation that holds the state word, the future or its output, and what links
//! it to its runtime.
//!
//! | reference type | counts | who has it |
//! |---|---|---|
//! | [`Notified`] | yes | a queue, then the worker that polls the task |
//! | [`TaskReference`] | yes | the registry, an abort handle |
//! | [`JoinHandle`] | yes | the user |
//! | `Waker` | yes | whatever the task waits for |
//!
//! [`state`] draws the life of a task and numbers the rules that the rest cites.

mod cell;
mod error;
mod id;
mod join;
pub(crate) mod registry;
pub(crate) mod state;
mod waker;

pub(crate) use cell::{Header, Notified, TaskReference, new};
pub use error::JoinError;
pub use id::Id;
pub use join::{AbortHandle, Cancel, JoinHandle};
