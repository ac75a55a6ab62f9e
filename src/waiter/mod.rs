//! Waiting without a heap: the queue that every lock, channel and notification is built on.
//!
//! | file | what it is |
//! |---|---|
//! | `list` | who waits, first come, first served: a list through the waiters themselves |
//! | `waiter` | one who waits: part of a future, or pinned by the caller |
//! | `wake_batch` | wakers that are called together, once no lock is held |
//! | `blocking` | waiting on a plain thread |
//! | `parker` | puts a thread to sleep |
//!
//! ```text
//!                 push                    serve(outcome)
//!   FREE ─────────────────► QUEUED ───────────────────────► SERVED(outcome)
//!    ▲ ▲                      │                                  │
//!    │ └───── withdraw ───────┘                                  │
//!    └─────── withdraw, which hands it on; or finish: it is had ─┘
//! ```
//!
//! A primitive has a [`WaitList`] behind its internal lock, and implements [`Place`], by which a
//! waiter that is dropped takes itself out. Whatever is done to a waiter in a list is done under
//! that lock. The last thing that a server does with a waiter is to publish the outcome: then the
//! waiter's owner may be gone. So its waker is moved out first, and called when the lock is free.

mod blocking;
mod list;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
#[cfg_attr(
    not(feature = "real"),
    allow(dead_code, reason = "a runtime of many workers needs more")
)]
pub(crate) mod parker;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
pub(crate) mod test_wakers;
#[expect(clippy::module_inception, reason = "the waiter is what this layer is named after")]
mod waiter;
mod wake_batch;

pub(crate) use blocking::block_on;
pub(crate) use list::WaitList;
pub use waiter::Waiter;
pub(crate) use waiter::{Outcome, Place, Turn};
#[cfg(feature = "real")]
pub(crate) use wake_batch::contain;
pub(crate) use wake_batch::{WakeBatch, discard, duplicate, wake};
