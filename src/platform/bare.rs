//! The machine of a build without feature `real`: what std has everywhere, and on
//! `wasm32-unknown-unknown` the clocks and the entropy of the JavaScript host. No driver, no
//! files, no sockets.

use std::cell::Cell;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::clock::Instant;
use super::{Joined, Platform, PlatformFutex, PlatformLock};

/// The machine without an operating system that Volt knows.
#[derive(Debug)]
pub struct Bare;

impl Platform for Bare {
    type Futex = Futex;
    type Lock = std::sync::Mutex<u64>;
    type Thread = thread::JoinHandle<()>;

    #[inline]
    fn now() -> Instant {
        host::now()
    }

    #[inline]
    fn wall() -> SystemTime {
        host::wall()
    }

    fn sleep(duration: Duration) {
        thread::sleep(duration);
    }

    fn spawn(
        name: &str,
        stack_size: Option<usize>,
        body: Box<dyn FnOnce() + Send>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let mut builder = thread::Builder::new().name(name.to_owned());
        if let Some(size) = stack_size {
            builder = builder.stack_size(size);
        }
        builder.spawn(body)
    }

    fn join(thread: thread::JoinHandle<()>) -> Joined {
        thread.join()
    }

    fn thread_name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    fn parallelism() -> usize {
        thread::available_parallelism().map_or(1, Into::into)
    }

    #[inline]
    fn yield_now() {
        thread::yield_now();
    }

    /// Numbers in turn: fair, and the same in every run.
    #[inline]
    fn below(n: u32) -> u32 {
        let count = COUNT.get();
        COUNT.set(count.wrapping_add(1));
        count % n
    }

    fn fill(buffer: &mut [u8]) {
        host::fill(buffer);
    }
}

thread_local! {
    /// How many numbers the thread has asked for.
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use super::event_loop as host;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod host {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::time::{Instant, SystemTime};

    pub(super) fn now() -> Instant {
        Instant::now()
    }

    pub(super) fn wall() -> SystemTime {
        SystemTime::now()
    }

    /// Bytes from std's hash keys, which the system's generator makes.
    pub(super) fn fill(buffer: &mut [u8]) {
        for part in buffer.chunks_mut(8) {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u8(0);
            part.copy_from_slice(&hasher.finish().to_le_bytes()[..part.len()]);
        }
    }
}

/// A futex out of std's lock and condition.
#[derive(Debug)]
pub struct Futex {
    word: AtomicU32,
    lock: std::sync::Mutex<()>,
    changed: std::sync::Condvar,
}

impl Futex {
    /// A futex whose word is `value`.
    pub const fn new(value: u32) -> Futex {
        Futex {
            word: AtomicU32::new(value),
            lock: std::sync::Mutex::new(()),
            changed: std::sync::Condvar::new(),
        }
    }

    /// The word.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Waits while the word is `expected`, until a wake-up or the deadline. False only when the
    /// deadline passed; true does not mean that the word changed.
    ///
    /// # Panics
    /// If it has to wait on the thread of a JavaScript event loop, which would stand still.
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the lock orders this look with the waker, which changes the word before it
        // takes the lock.
        if self.word.load(Ordering::Relaxed) != expected {
            return true;
        }
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            panic!("a thread that waits would stop the host's event loop: await instead");
        }
        let Some(deadline) = deadline else {
            drop(self.changed.wait(held).unwrap_or_else(PoisonError::into_inner));
            return true;
        };
        let left = deadline.saturating_duration_since(host::now());
        let (_held, result) =
            self.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }

    /// Wakes up to `count` waiters; how many are known to be woken.
    pub fn wake(&self, count: u32) -> u32 {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match count {
            0 => {}
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
        0
    }
}

impl PlatformFutex for Futex {
    fn new(value: u32) -> Futex {
        Futex::new(value)
    }

    fn load(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    fn store(&self, value: u32) {
        self.word.store(value, Ordering::SeqCst);
    }

    fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool {
        self.wait(expected, deadline)
    }

    fn wake(&self, count: u32) -> u32 {
        self.wake(count)
    }
}

impl PlatformLock for std::sync::Mutex<u64> {
    fn new(value: u64) -> Self {
        std::sync::Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn try_with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> Option<R> {
        match self.try_lock() {
            Ok(mut value) => Some(f(&mut value)),
            Err(std::sync::TryLockError::Poisoned(error)) => Some(f(&mut error.into_inner())),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}
