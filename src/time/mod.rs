//! Clocks, timers, time-outs.
//!
//! | | what it is |
//! |---|---|
//! | [`Instant`] | a moment on the clock; in a simulation, on the virtual one |
//! | [`sleep`], [`sleep_until`] | waiting |
//! | [`timeout`], [`timeout_at`] | a limit for a future, which is interrupted |
//! | [`interval`] | a regular beat |
//! | [`Deadline`] | a limit for work that looks at the clock itself |
//!
//! Timers count milliseconds. None fires early; how late a task runs after its timer's deadline
//! depends on how busy the workers are, and is up to a millisecond when they are idle.
//!
//! A timer lives in the future that waits for it: it allocates nothing, and dropping the future
//! leaves nothing behind. One that is never polled, or that is polled for the first time after its
//! deadline, costs no more than reading the clock.

mod deadline;
mod error;
mod instant;
mod interval;
mod sleep;
mod timeout;

pub use deadline::Deadline;
pub use error::Elapsed;
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, Tick, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};
