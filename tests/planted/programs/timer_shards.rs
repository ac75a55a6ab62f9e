//! A timer wheel in shards, scanned one after another before the next wake-up is published.
//!
//! In the wild: tokio issue 6683. The driver scans each shard under the shard's lock, and stores
//! the earliest deadline when it is through. A timer that is inserted into a shard it has passed is
//! compared with the deadline of before, which is earlier, so nobody calls the driver; the driver
//! then publishes a deadline that knows nothing of it, and sleeps.
//!
//! The twin: one lock is held from the first shard to the publication, and by whoever inserts.
//!
//! Look for: a deadlock, the driver asleep and a timer in a shard.

use volt::sim::sync::atomic::{AtomicU64, Ordering};
use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread;

use super::{Version, join};

const NEVER: u64 = u64::MAX;
/// What the driver last published; that timer has just fired.
const BEFORE: u64 = 5;
const LATER: u64 = 10;

struct Timers {
    version: Version,
    shards: [Mutex<Vec<u64>>; 3],
    next_wake: AtomicU64,
    whole: Mutex<()>,
    is_called: Mutex<bool>,
    called: Condvar,
}

impl Timers {
    fn scan(&self) -> u64 {
        let _whole = self.version.is_fixed().then(|| self.whole.lock().unwrap());
        let earliest = |shard: &Mutex<Vec<u64>>| shard.lock().unwrap().iter().copied().min();
        let next = self.shards.iter().filter_map(earliest).min().unwrap_or(NEVER);
        self.next_wake.store(next, Ordering::SeqCst);
        next
    }

    /// Turns until there is a timer to sleep for.
    fn drive(&self) {
        while self.scan() == NEVER {
            let is_called = self.is_called.lock().unwrap();
            let mut is_called = self.called.wait_while(is_called, |called| !*called).unwrap();
            *is_called = false;
        }
    }

    fn insert(&self, shard: usize) {
        let _whole = self.version.is_fixed().then(|| self.whole.lock().unwrap());
        self.shards[shard].lock().unwrap().push(LATER);
        if LATER < self.next_wake.load(Ordering::SeqCst) {
            *self.is_called.lock().unwrap() = true;
            self.called.notify_one();
        }
    }
}

/// A driver, and a thread that inserts into the first shard.
pub fn run(version: Version) {
    let timers = Arc::new(Timers {
        version,
        shards: Default::default(),
        next_wake: AtomicU64::new(BEFORE),
        whole: Mutex::new(()),
        is_called: Mutex::new(false),
        called: Condvar::new(),
    });
    let driven = Arc::clone(&timers);
    let driver = thread::spawn(move || driven.drive());
    timers.insert(0);
    join(driver);
}
