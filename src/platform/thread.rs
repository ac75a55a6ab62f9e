//! Threads.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::sync::thread_local;
use super::{Current, Joined, Platform};

thread_local! {
    /// Every thread has one of its own: its address tells threads apart.
    static HERE: Cell<u8> = const { Cell::new(0) };
}

/// A number that no other living thread has. A later thread may have the number of one that has
/// ended; `None` while the thread's locals are destroyed.
///
/// On a simulated thread it counts the threads of the world: it is the same whenever the seed is,
/// as it has to be where an atomic holds it, whose values are part of the run's hash. On all
/// others it differs between runs: a program may compare it and nothing else.
#[inline]
pub fn token() -> Option<NonZeroUsize> {
    // No thread-local of an ordinary thread has an address that small.
    #[cfg(feature = "sim")]
    if let Some(number) = volt_sim::thread::number() {
        return NonZeroUsize::MIN.checked_add(number as usize);
    }
    HERE.try_with(|here| NonZeroUsize::new(std::ptr::from_ref(here).addr())).ok().flatten()
}

/// The right to join a thread; dropping it lets the thread run on.
pub struct Thread(<Current as Platform>::Thread);

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

impl Thread {
    /// Waits for the thread to end.
    ///
    /// # Errors
    /// The payload of the panic that ended it.
    pub fn join(self) -> Joined {
        Current::join(self.0)
    }
}

/// Starts a thread; `stack_size` is in bytes.
///
/// # Errors
/// If no thread can be had.
pub fn spawn(
    name: &str,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    Current::spawn(name, stack_size, Box::new(body)).map(Thread)
}

/// The name of the calling thread.
pub fn name() -> Option<String> {
    Current::thread_name()
}

/// How many threads can run at once; at least 1.
pub fn parallelism() -> usize {
    Current::parallelism()
}

/// Lets other threads run.
#[inline]
pub fn yield_now() {
    Current::yield_now();
}

/// Stops the calling thread for at least `duration`.
pub fn sleep(duration: Duration) {
    Current::sleep(duration);
}

/// Whether the calling thread unwinds from a panic.
#[inline]
pub fn panicking() -> bool {
    std::thread::panicking()
}

/// Whether the calling thread is a simulated one.
#[inline]
pub fn is_simulated() -> bool {
    #[cfg(feature = "sim")]
    return volt_sim::thread::is_simulated();
    #[cfg(not(feature = "sim"))]
    false
}

/// Ends the process at once, where going on would be unsound.
pub fn abort_process() -> ! {
    std::process::abort()
}
