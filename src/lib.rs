//! Volt: an async runtime for Rust whose production code runs, unchanged, inside a seeded
//! simulated machine.
//!
//! | module | what it is |
//! |---|---|
//! | [`sim`] | the simulated machine, for tests (feature `sim`) |
//! | [`platform`] | the seam between Volt and the machine it runs on |

#[doc(hidden)]
pub mod platform;

pub mod sim;
