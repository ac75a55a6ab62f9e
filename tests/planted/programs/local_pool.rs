//! An executor that clears its "woken" flag after the poll.
//!
//! In the wild: futures issue 2608, the waker of `LocalPool`: a flag beside the thread's park
//! token. A wake-up that comes between the poll and the park sets the flag and leaves the token;
//! clearing the flag then forgets it, and the token makes for one more turn of the wait, not for
//! one more poll. (The same change also strengthened an ordering; that half is loom's to find.)
//!
//! The twin: the flag is cleared before the poll.
//!
//! Look for: a deadlock, the executor parked although it was woken.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use volt::sim::thread::{self, Thread};

use super::{Version, join};

const EVENTS: u32 = 2;

struct Notify {
    executor: Thread,
    is_woken: AtomicBool,
    events: AtomicU32,
}

impl Notify {
    fn wake(&self) {
        if !self.is_woken.swap(true, Ordering::SeqCst) {
            self.executor.unpark();
        }
    }

    fn poll(&self) -> bool {
        self.events.load(Ordering::SeqCst) == EVENTS
    }

    fn block_on(&self, version: Version) {
        loop {
            if version.is_fixed() {
                self.is_woken.store(false, Ordering::SeqCst);
            }
            if self.poll() {
                return;
            }
            if !version.is_fixed() {
                self.is_woken.store(false, Ordering::SeqCst);
            }
            while !self.is_woken.load(Ordering::SeqCst) {
                thread::park();
            }
        }
    }
}

/// An executor, and a thread that wakes it after each event.
pub fn run(version: Version) {
    let notify = Arc::new(Notify {
        executor: thread::current(),
        is_woken: AtomicBool::new(false),
        events: AtomicU32::new(0),
    });
    let other = Arc::clone(&notify);
    let source = thread::spawn(move || {
        for _ in 0..EVENTS {
            other.events.fetch_add(1, Ordering::SeqCst);
            other.wake();
        }
    });
    notify.block_on(version);
    join(source);
}
