//! A bounded buffer with one condition for producers and consumers, of whom one is told.
//!
//! In the wild: Cargill's bounded buffer, the "extreme programming challenge fourteen", a classic
//! of monitors. With room for one, a producer's word may reach another producer, which sleeps again
//! and passes nothing on.
//!
//! The twin: everybody is told.
//!
//! Look for: a deadlock, all threads asleep on the condition.

use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread;

use super::{Version, join};

const ROUNDS: u32 = 2;

#[derive(Default)]
struct Buffer {
    is_full: Mutex<bool>,
    changed: Condvar,
}

impl Buffer {
    /// Fills the buffer, or empties it.
    fn turn(&self, to_full: bool, version: Version) {
        let is_full = self.is_full.lock().unwrap();
        let mut is_full = self.changed.wait_while(is_full, |full| *full == to_full).unwrap();
        *is_full = to_full;
        if version.is_fixed() {
            self.changed.notify_all();
        } else {
            self.changed.notify_one();
        }
    }
}

/// Two producers and two consumers.
pub fn run(version: Version) {
    let buffer = Arc::new(Buffer::default());
    let threads = [true, true, false, false].map(|to_full| {
        let buffer = Arc::clone(&buffer);
        thread::spawn(move || {
            for _ in 0..ROUNDS {
                buffer.turn(to_full, version);
            }
        })
    });
    for thread in threads {
        join(thread);
    }
}
