//! A value that all threads but one guard by the same lock.
//!
//! In the wild: `wronglock` of SCTBench, after a bug pattern of IBM's ConTest.
//!
//! The twin: the one takes the lock of the others.
//!
//! Look for: a value that changed under its lock.

use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

#[derive(Default)]
struct Shared {
    right: Mutex<()>,
    wrong: Mutex<()>,
    value: AtomicU32,
}

impl Shared {
    fn increment(&self, lock: &Mutex<()>) {
        let held = lock.lock().unwrap();
        let before = self.value.load(Ordering::SeqCst);
        self.value.store(before + 1, Ordering::SeqCst);
        let after = self.value.load(Ordering::SeqCst);
        // A panic must not poison the lock: the others would panic for that.
        drop(held);
        assert_eq!(after, before + 1, "the value changed under its lock");
    }
}

/// Three threads with the right lock, and one with the other.
pub fn run(version: Version) {
    let shared = Arc::new(Shared::default());
    let threads = [true, true, true, version.is_fixed()].map(|is_right| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.increment(if is_right { &shared.right } else { &shared.wrong });
        })
    });
    for thread in threads {
        join(thread);
    }
}
