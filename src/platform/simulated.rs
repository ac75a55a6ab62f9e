//! The simulated machine on simulated threads, and the real one on all others: a thin adapter of
//! crate `volt-sim`.

use std::io;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use volt_sim::sync::atomic::Ordering;
use volt_sim::{clock, thread};

use super::{Joined, Platform, PlatformFutex, PlatformLock, Real};

/// The simulated machine, beside the real one.
#[derive(Debug)]
pub struct Simulated;

impl Platform for Simulated {
    type Futex = volt_sim::futex::Futex;
    type Lock = volt_sim::sync::Mutex<u64>;
    type Thread = thread::JoinHandle<()>;

    fn now() -> Instant {
        clock::now()
    }

    fn wall() -> SystemTime {
        clock::wall()
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
        thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    fn yield_now() {
        thread::yield_now();
    }

    fn below(n: u32) -> u32 {
        volt_sim::choose_task(n).unwrap_or_else(|| Real::below(n))
    }

    fn fill(buffer: &mut [u8]) {
        if !volt_sim::fill_entropy(buffer) {
            Real::fill(buffer);
        }
    }
}

impl PlatformFutex for volt_sim::futex::Futex {
    fn new(value: u32) -> Self {
        volt_sim::futex::Futex::new(value)
    }

    fn load(&self) -> u32 {
        self.word().load(Ordering::SeqCst)
    }

    fn store(&self, value: u32) {
        self.word().store(value, Ordering::SeqCst);
    }

    fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool {
        self.wait(expected, deadline)
    }

    fn wake(&self, count: u32) -> u32 {
        self.wake(count)
    }
}

impl PlatformLock for volt_sim::sync::Mutex<u64> {
    fn new(value: u64) -> Self {
        volt_sim::sync::Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn try_with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> Option<R> {
        match self.try_lock() {
            Ok(mut value) => Some(f(&mut value)),
            Err(volt_sim::sync::TryLockError::Poisoned(error)) => Some(f(&mut error.into_inner())),
            Err(volt_sim::sync::TryLockError::WouldBlock) => None,
        }
    }
}
