//! The seam: everything that differs between the real machine and a simulated one.
//!
//! Above this module nothing names a thread, an atomic, a clock, a random source or a system
//! call: it names [`crate::platform`]. Which implementation that is, is settled when the crate is
//! built:
//!
//! | built with | `platform` is |
//! |---|---|
//! | `real` alone | [`Real`], without a branch or a field more |
//! | not even `real` | `Bare`: std's threads and clocks, or a JavaScript host, for `local` |
//! | `sim` too | `Simulated`: simulated on simulated threads, real on all others |
//! | `--cfg volt_loom`, `--cfg volt_shuttle` | as above, with `sync` that of the model checker |
//!
//! [`Platform`] is the contract in writing. The engine carries no type parameter for it: it calls
//! the functions of [`clock`], [`entropy`] and [`thread`] and uses the types of [`sync`], which
//! resolve statically. The conformance test (`tests/platform.rs`) is generic over the trait and
//! runs against each implementation, a test for each clause.

use std::any::Any;
use std::io;
use std::time::{Duration, SystemTime};

pub mod clock;
pub mod entropy;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub mod event_loop;
#[cfg(feature = "real")]
pub mod fs;
#[cfg(feature = "real")]
pub mod knob;
#[cfg(all(test, volt_loom))]
pub mod model;
pub mod mutation;
#[cfg(feature = "real")]
pub mod net;
pub mod permits;
pub mod probe;
#[cfg(feature = "real")]
pub mod process;
#[cfg(feature = "real")]
pub mod ring;
#[cfg(feature = "real")]
pub mod signal;
#[cfg(feature = "real")]
pub mod standard;
pub mod sync;
pub mod thread;

#[cfg(not(feature = "real"))]
mod bare;
mod counter;
#[cfg(all(feature = "real", not(feature = "sim")))]
pub(crate) mod ordinary;
#[cfg(feature = "real")]
mod real;
#[cfg(feature = "sim")]
mod simulated;

#[cfg(not(feature = "real"))]
pub use bare::Bare;
use clock::Instant;
pub use counter::Counter;
#[cfg(feature = "real")]
pub use real::Real;
#[cfg(feature = "sim")]
pub use simulated::Simulated;

/// The platform of this build.
#[cfg(not(feature = "real"))]
pub type Current = Bare;
/// The platform of this build.
#[cfg(all(feature = "real", not(feature = "sim")))]
pub type Current = Real;
/// The platform of this build.
#[cfg(feature = "sim")]
pub type Current = Simulated;

/// Whether this build contains the simulated machine. Figures of such a build are not those of
/// production.
pub const SIMULATED_BUILD: bool = cfg!(feature = "sim");

/// What a thread left when it ended: nothing, or the payload of its panic.
pub type Joined = Result<(), Box<dyn Any + Send>>;

/// The contract of the seam. Each clause has a test of its number in `tests/platform.rs`.
///
/// Clock
/// C1. `now` never goes backwards: not on one thread, not along any order between threads.
/// C2. `wall` moves on with `now`.
/// C3. `sleep` lasts at least as long as asked.
///
/// Threads
/// C4. `spawn` runs the closure once, on a thread of its own; `join` returns after it has ended.
/// C5. A panic ends its thread alone, and its payload reaches `join`.
/// C6. A thread has the name it was given.
/// C7. Threads do not share thread-locals; those of a thread are destroyed before it is joined.
/// C8. `parallelism` is at least one.
/// C9. `yield_now` returns, and a loop of them lets every other thread go on.
///
/// Futex
/// C10. `wait` returns true at once when the word is not the expected one.
/// C11. A wake-up is not lost: whoever changes the word and wakes, wakes every waiter that saw the
/// old word, as far as `count` reaches.
/// C12. `wake` reports at most `count`, and nobody without waiters.
/// C13. `wait` with a deadline returns false after the deadline, and never before it.
/// C14. `wait` may return true without a wake-up: callers look again.
///
/// Lock
/// C15. One thread at a time is inside; `try_lock` fails while one is.
/// C16. A panic inside releases the lock and leaves no mark on it.
/// C17. Whoever waits for the lock gets it once it is free.
///
/// Entropy
/// C18. `below(n)` is less than `n` and reaches every number below it.
/// C19. `fill` fills the whole buffer, and not twice with the same bytes.
pub trait Platform {
    /// A futex that owns its word.
    type Futex: PlatformFutex;
    /// The internal lock.
    type Lock: PlatformLock;
    /// The right to join a thread.
    type Thread: Send;

    /// The monotonic clock.
    fn now() -> Instant;
    /// The wall clock.
    fn wall() -> SystemTime;
    /// Stops the calling thread for a while.
    fn sleep(duration: Duration);

    /// Starts a thread; `stack_size` is in bytes.
    ///
    /// # Errors
    /// If no thread can be had.
    fn spawn(
        name: &str,
        stack_size: Option<usize>,
        body: Box<dyn FnOnce() + Send>,
    ) -> io::Result<Self::Thread>;
    /// Waits for a thread to end.
    fn join(thread: Self::Thread) -> Joined;
    /// The name of the calling thread.
    fn thread_name() -> Option<String>;
    /// How many threads can run at once.
    fn parallelism() -> usize;
    /// Lets other threads run.
    fn yield_now();

    /// A number below `n`, which is at least 1.
    fn below(n: u32) -> u32;
    /// Fills `buffer` with bytes that nobody can foresee, in production.
    fn fill(buffer: &mut [u8]);
}

/// A futex, as the contract speaks of it; see [`sync::Futex`].
pub trait PlatformFutex: Send + Sync + 'static {
    /// A futex whose word is `value`.
    fn new(value: u32) -> Self;
    /// Reads the word.
    fn load(&self) -> u32;
    /// Writes the word.
    fn store(&self, value: u32);
    /// Waits while the word is `expected`; false only after the deadline.
    fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool;
    /// Wakes up to `count` waiters and reports how many are known to be woken.
    fn wake(&self, count: u32) -> u32;
}

/// The internal lock, as the contract speaks of it; see [`sync::Mutex`].
pub trait PlatformLock: Send + Sync + 'static {
    /// A free lock around `value`.
    fn new(value: u64) -> Self;
    /// Waits for the lock and lends the value to `f`.
    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R;
    /// Lends the value to `f` if the lock is free.
    fn try_with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> Option<R>;
}
