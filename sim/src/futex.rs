//! The futex: a word, and threads that wait for it to change.

use std::panic::Location;
use std::time::Instant;

use crate::atomic::{AtomicU32, Ordering};
use crate::clock;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::thread_table::{Resumed, WaitFor};
use crate::kernel::{self, World, external};

/// A futex that owns its word: simulated threads wait in the simulated kernel, ordinary ones in
/// the system's.
///
/// ```
/// use volt_sim::futex::Futex;
///
/// let futex = Futex::new(1);
/// assert!(futex.wait(0, None)); // the word differs: no wait
/// assert_eq!(futex.wake(1), 0); // nobody waits
/// ```
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
    /// deadline passed; true does not mean that the word changed: wake-ups can be spurious.
    #[track_caller]
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) -> bool {
        match kernel::current() {
            Some(world) => self.wait_simulated(world, expected, deadline, Location::caller()),
            None => real::wait(self.word.real(), expected, deadline),
        }
    }

    /// Wakes up to `count` of the threads that wait; how many it woke, as far as is known.
    #[track_caller]
    pub fn wake(&self, count: u32) -> u32 {
        let Some(world) = kernel::current() else {
            if let Some((world, object)) = self.word.identity().known() {
                external::wake_object(world, WaitFor::Futex(object), count);
            }
            return real::wake(self.word.real(), count);
        };
        let place = Location::caller();
        let object = self.word.identity().touch(world, place);
        let operation = Operation::new(OperationKind::FutexWake, object, place);
        world.point(operation);
        let woken = world.wake(WaitFor::Futex(object), count);
        world.count(0, u64::from(woken));
        world.complete(operation, u64::from(woken));
        woken
    }

    fn wait_simulated(
        &self,
        world: &World,
        expected: u32,
        deadline: Option<Instant>,
        place: &'static Location<'static>,
    ) -> bool {
        let object = self.word.identity().touch(world, place);
        let operation = Operation::new(OperationKind::FutexWait, object, place);
        world.point(operation);
        let unchanged = || self.word.real().load(Ordering::Relaxed) == expected;
        let answer =
            wait_if(world, unchanged, WaitFor::Futex(object), deadline.map(clock::virtual_time));
        world.complete(operation, answer as u64);
        answer != Answer::TimedOut
    }
}

/// How a simulated futex wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Woken = 0,
    Spurious = 1,
    Differs = 2,
    TimedOut = 3,
}

/// The wait of both kinds of futex: a value that owns its word, and an address of the system
/// call.
pub(crate) fn wait_if(
    world: &World,
    unchanged: impl FnOnce() -> bool,
    wait_for: WaitFor,
    deadline: Option<u64>,
) -> Answer {
    if !unchanged() {
        return Answer::Differs;
    }
    if deadline.is_some_and(|at| at <= world.now()) {
        return Answer::TimedOut;
    }
    if world.wakes_spuriously() {
        return Answer::Spurious;
    }
    world.count(1, 0);
    match world.block(wait_for, deadline) {
        Resumed::Woken => Answer::Woken,
        Resumed::TimedOut => Answer::TimedOut,
    }
}

#[cfg(target_os = "linux")]
mod real {
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use crate::interpose::system_call;

    pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            libc::timespec {
                tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let pointer = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        let arguments =
            [word.as_ptr() as usize, operation as usize, expected as usize, pointer as usize, 0, 0];
        // SAFETY: the word and the time-out live across the call, which only reads them.
        let result = unsafe { system_call(libc::SYS_futex, arguments) };
        result != -(libc::ETIMEDOUT as isize)
    }

    pub(super) fn wake(word: &AtomicU32, count: u32) -> u32 {
        if count == 0 {
            // The system call would wake one.
            return 0;
        }
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        let count = count.min(i32::MAX as u32);
        let arguments = [word.as_ptr() as usize, operation as usize, count as usize, 0, 0, 0];
        // SAFETY: the call uses the address as a key alone.
        let woken = unsafe { system_call(libc::SYS_futex, arguments) };
        u32::try_from(woken).unwrap_or(0)
    }
}

#[cfg(not(target_os = "linux"))]
mod real {
    //! A table of conditions by address: coarse, and enough for threads beside a simulation.

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Instant;

    struct Bucket {
        lock: Mutex<()>,
        changed: Condvar,
    }

    static BUCKETS: [Bucket; 64] =
        [const { Bucket { lock: Mutex::new(()), changed: Condvar::new() } }; 64];

    fn bucket(word: &AtomicU32) -> &'static Bucket {
        &BUCKETS[(word.as_ptr() as usize >> 4) % BUCKETS.len()]
    }

    pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
        let bucket = bucket(word);
        let held = bucket.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: whoever changes the word takes the bucket's lock before it wakes.
        if word.load(Ordering::Relaxed) != expected {
            return true;
        }
        match deadline {
            None => drop(bucket.changed.wait(held).unwrap_or_else(PoisonError::into_inner)),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let (_held, timeout) =
                    bucket.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner);
                return !timeout.timed_out();
            }
        }
        true
    }

    pub(super) fn wake(word: &AtomicU32, _count: u32) -> u32 {
        let bucket = bucket(word);
        drop(bucket.lock.lock().unwrap_or_else(PoisonError::into_inner));
        bucket.changed.notify_all();
        0
    }
}
