//! The clocks.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use super::event_loop::Instant;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use std::time::Instant;
use std::time::SystemTime;

use super::{Current, Platform};

/// The monotonic clock; virtual on a simulated thread.
#[inline]
pub fn now() -> Instant {
    Current::now()
}

/// The wall clock; virtual on a simulated thread.
#[inline]
pub fn wall() -> SystemTime {
    Current::wall()
}
