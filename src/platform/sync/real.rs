//! The face of production: no more than what it re-exports.

pub use super::super::real::Futex;
pub use parking_lot::{Mutex, MutexGuard};

/// Atomics.
pub mod atomic {
    pub use core::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Tells the processor that the thread spins.
#[inline]
pub fn spin_loop() {
    core::hint::spin_loop();
}

/// Thread-locals: one value for each thread.
pub use std::thread_local;
