//! What the expansions of `select!`, `join!` and `try_join!` name. No part of the API: it changes
//! without notice.

pub use crate::combinator::{MaybeDone, PollOrder, Rotation, select_order};
#[cfg(feature = "macros")]
pub use volt_macros::{join, select, try_join};
