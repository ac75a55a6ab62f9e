//! The face under shuttle, for randomised models of larger compositions.

use std::sync::PoisonError;
use std::time::Instant;

pub use shuttle::hint::spin_loop;
pub use shuttle::sync::MutexGuard;

/// Declares a thread-local, in the one form that the engine uses.
macro_rules! face_thread_local {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty =
        const { $initial:expr };) => {
        shuttle::thread_local! {
            $(#[$attribute])* $visibility static $name: $type = $initial;
        }
    };
}
pub(crate) use face_thread_local as thread_local;

/// Atomics.
pub mod atomic {
    pub use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// The internal lock.
#[derive(Debug, Default)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A futex out of shuttle's lock and condition. There is no time: a wait ends by a wake-up
/// alone.
#[derive(Debug)]
pub struct Futex {
    word: atomic::AtomicU32,
    lock: shuttle::sync::Mutex<()>,
    changed: shuttle::sync::Condvar,
}

impl Futex {
    /// A futex whose word is `value`.
    pub const fn new(value: u32) -> Futex {
        Futex {
            word: atomic::AtomicU32::new(value),
            lock: shuttle::sync::Mutex::new(()),
            changed: shuttle::sync::Condvar::new(),
        }
    }

    /// The word.
    pub fn word(&self) -> &atomic::AtomicU32 {
        &self.word
    }

    /// Waits while the word is `expected`, until a wake-up.
    pub fn wait(&self, expected: u32, _deadline: Option<Instant>) -> bool {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // SeqCst: the kernel's look at the word is ordered with the waker's lock, as here.
        if self.word.load(atomic::Ordering::SeqCst) == expected {
            drop(self.changed.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
        true
    }

    /// Wakes waiters.
    pub fn wake(&self, count: u32) -> u32 {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match count {
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
        0
    }
}
