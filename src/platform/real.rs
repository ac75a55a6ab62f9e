//! The real machine: OS threads, clocks and futexes.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{Joined, Platform, PlatformFutex, PlatformLock};

/// The real machine.
#[derive(Debug)]
pub struct Real;

impl Platform for Real {
    type Futex = Futex;
    type Lock = parking_lot::Mutex<u64>;
    type Thread = thread::JoinHandle<()>;

    #[inline]
    fn now() -> Instant {
        Instant::now()
    }

    #[inline]
    fn wall() -> SystemTime {
        SystemTime::now()
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

    #[inline]
    fn below(n: u32) -> u32 {
        ((u64::from(next_word() as u32) * u64::from(n)) >> 32) as u32
    }

    fn fill(buffer: &mut [u8]) {
        fill_from_system(buffer);
    }
}

thread_local! {
    /// The state of the thread's generator; 0 = not seeded yet.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Marsaglia's xorshift64 (Journal of Statistical Software, 2003), its upper half mixed into the
/// lower, which alone is used.
#[inline]
fn next_word() -> u64 {
    let mut state = STATE.get();
    if state == 0 {
        state = seed() | 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    state ^ (state >> 32)
}

/// A seed that differs between threads and runs: std's hash keys come from the system.
#[cold]
fn seed() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u8(0);
    hasher.finish()
}

#[cfg(target_os = "linux")]
fn fill_from_system(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty())
        {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            // The call exists since Linux 3.17; without it std's keys serve.
            Err(_) => return fill_from_keys(&mut buffer[filled..]),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn fill_from_system(buffer: &mut [u8]) {
    fill_from_keys(buffer);
}

/// Bytes from std's hash keys, which the system's generator makes.
fn fill_from_keys(buffer: &mut [u8]) {
    for part in buffer.chunks_mut(8) {
        part.copy_from_slice(&seed().to_le_bytes()[..part.len()]);
    }
}

/// A futex that owns its word, on the system's own waiting.
#[derive(Debug)]
pub struct Futex {
    word: AtomicU32,
}

impl Futex {
    /// A futex whose word is `value`.
    pub const fn new(value: u32) -> Futex {
        Futex { word: AtomicU32::new(value) }
    }

    /// The word.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Waits while the word is `expected`, until a wake-up or the deadline. False only when the
    /// deadline passed; true does not mean that the word changed.
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool {
        waiting::wait(&self.word, expected, deadline)
    }

    /// Wakes up to `count` waiters; how many are known to be woken.
    pub fn wake(&self, count: u32) -> u32 {
        // The system call wakes one thread even when asked for none.
        if count == 0 { 0 } else { waiting::wake(&self.word, count) }
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

impl PlatformLock for parking_lot::Mutex<u64> {
    fn new(value: u64) -> Self {
        parking_lot::Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock())
    }

    fn try_with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> Option<R> {
        self.try_lock().map(|mut value| f(&mut value))
    }
}

/// Waiting on a word by the futex system call.
#[cfg(target_os = "linux")]
mod waiting {
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

    pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        !matches!(
            futex::wait(word, Flags::PRIVATE, expected, timeout.as_ref()),
            Err(Errno::TIMEDOUT)
        )
    }

    pub(super) fn wake(word: &AtomicU32, count: u32) -> u32 {
        let woken = futex::wake(word, Flags::PRIVATE, count.min(i32::MAX as u32));
        woken.map_or(0, |woken| woken as u32)
    }
}

/// Waiting on a word through a table of waiters, where the system offers no public futex.
#[cfg(not(target_os = "linux"))]
mod waiting {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use parking_lot_core::{
        DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, FilterOp, ParkResult, park, unpark_filter,
    };

    pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
        let key = word.as_ptr() as usize;
        // Relaxed: the table's lock orders this look with the waker, which changes the word
        // before it takes that lock.
        let unchanged = || word.load(Ordering::Relaxed) == expected;
        // SAFETY: the key is the address of a word of ours; the closures neither panic nor call
        // into the table.
        let result =
            unsafe { park(key, unchanged, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, deadline) };
        result != ParkResult::TimedOut
    }

    pub(super) fn wake(word: &AtomicU32, count: u32) -> u32 {
        let mut left = count;
        let filter = |_| match left {
            0 => FilterOp::Stop,
            _ => {
                left -= 1;
                FilterOp::Unpark
            }
        };
        // SAFETY: as above.
        let result =
            unsafe { unpark_filter(word.as_ptr() as usize, filter, |_| DEFAULT_UNPARK_TOKEN) };
        result.unparked_threads as u32
    }
}
