//! The face of `sim` builds: scheduling points on simulated threads, the real operation on all
//! others.

use std::sync::PoisonError;

pub use volt_sim::futex::Futex;
pub use volt_sim::hint::spin_loop;
pub use volt_sim::sync::MutexGuard;
pub use volt_sim::thread_local;

/// Atomics.
pub mod atomic {
    pub use volt_sim::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// The internal lock. A panic inside leaves no mark on it.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(volt_sim::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(volt_sim::sync::Mutex::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(volt_sim::sync::TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(volt_sim::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
