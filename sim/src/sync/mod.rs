//! The blocking primitives of `std::sync`, by the same names, for simulated and ordinary threads.
//!
//! On a simulated thread every atomic operation inside these types is a point where another
//! thread may run, and a thread that blocks does so in the simulated kernel: it costs no real
//! time, and a deadlock is found and reported. On an ordinary thread the same code blocks in the
//! operating system.
//!
//! Names, signatures and meaning are those of `std::sync`, poisoning and `const fn new` included,
//! so a program that imports its locks from here needs no other change. Where an operation has a
//! caller, reports name the caller's line; a guard that is dropped has none, so its release is
//! reported at the line in this module.
//!
//! ```
//! use volt_sim::sync::{Arc, Condvar, Mutex};
//!
//! let pair = Arc::new((Mutex::new(false), Condvar::new()));
//! let setter = std::thread::spawn({
//!     let pair = Arc::clone(&pair);
//!     move || {
//!         *pair.0.lock().unwrap() = true;
//!         pair.1.notify_one();
//!     }
//! });
//! let ready = pair.1.wait_while(pair.0.lock().unwrap(), |ready| !*ready).unwrap();
//! assert!(*ready);
//! drop(ready);
//! setter.join().unwrap();
//! ```

mod barrier;
mod condvar;
mod lazy_lock;
pub mod mpsc;
mod mutex;
mod once;
mod once_lock;
mod rwlock;

pub use self::barrier::{Barrier, BarrierWaitResult};
pub use self::condvar::{Condvar, WaitTimeoutResult};
pub use self::lazy_lock::LazyLock;
pub use self::mutex::{Mutex, MutexGuard};
pub use self::once::{Once, OnceState};
pub use self::once_lock::OnceLock;
pub use self::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use crate::atomic;
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};

/// Whether a panic interrupted an exclusive holder of a lock.
///
/// Holders of the lock read and write it, so the order in which they take the lock already
/// decides what they see. A plain `std` atomic suffices, and keeps the flag from costing every
/// acquisition a scheduling point.
struct Poison(std::sync::atomic::AtomicBool);

impl Poison {
    const fn new() -> Poison {
        Poison(std::sync::atomic::AtomicBool::new(false))
    }

    fn is_set(&self) -> bool {
        // Relaxed, here and below: the lock orders what its holders see.
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(false, std::sync::atomic::Ordering::Relaxed);
    }

    /// `access` as the result of a lock operation: an error that carries it once poisoned.
    fn wrap<A>(&self, access: A) -> LockResult<A> {
        if self.is_set() { Err(PoisonError::new(access)) } else { Ok(access) }
    }
}
