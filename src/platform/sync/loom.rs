//! The face under loom, for models of single state machines.

use std::sync::PoisonError;
use std::time::Instant;

pub use loom::cell::UnsafeCell;
pub use loom::hint::spin_loop;
pub use loom::sync::MutexGuard;

/// Declares a thread-local, in the one form that the engine uses.
macro_rules! face_thread_local {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty =
        const { $initial:expr };) => {
        loom::thread_local! {
            $(#[$attribute])* $visibility static $name: $type = $initial;
        }
    };
}
pub(crate) use face_thread_local as thread_local;

/// Atomics.
pub mod atomic {
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// The internal lock.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
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

/// A futex out of loom's lock and condition. There is no time: a wait ends by a wake-up
/// alone.
#[derive(Debug)]
pub struct Futex {
    word: atomic::AtomicU32,
    lock: loom::sync::Mutex<()>,
    changed: loom::sync::Condvar,
}

impl Futex {
    /// A futex whose word is `value`.
    pub fn new(value: u32) -> Futex {
        Futex {
            word: atomic::AtomicU32::new(value),
            lock: loom::sync::Mutex::new(()),
            changed: loom::sync::Condvar::new(),
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
