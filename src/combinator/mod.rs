//! Several futures in one task: the macros, and what they expand to beside plain code.
//!
//! | file | what it is |
//! |---|---|
//! | `macros` | `select!`, `join!` and `try_join!`, as a program calls them |
//! | `order` | whom a poll looks at first |
//! | `maybe_done` | a future, then its output |

#[cfg(feature = "macros")]
mod macros;
mod maybe_done;
mod order;

pub use maybe_done::MaybeDone;
pub use order::{PollOrder, Rotation, select_order};
