//! Hints to the scheduler.

use std::panic::Location;

use crate::{kernel, thread};

/// Says that the thread spins until another one has done something: on a simulated thread the
/// others go first.
#[track_caller]
pub fn spin_loop() {
    match kernel::current() {
        Some(world) => thread::yield_at(world, Location::caller()),
        None => std::hint::spin_loop(),
    }
}
