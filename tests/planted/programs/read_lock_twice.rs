//! A thread that takes a lock for reading twice, and a writer that comes in between.
//!
//! In the wild: the reader-writer class of GoBench's blocking half (Yuan et al., CGO 2021). Where a
//! waiting writer holds up new readers, a reader that comes back for a second guard waits for the
//! writer, which waits for the first guard.
//!
//! The twin: the first guard is used again.
//!
//! Look for: a deadlock, a thread waiting for a lock that it has.

use volt::sim::sync::{Arc, RwLock};
use volt::sim::thread;

use super::{Version, join};

/// Two readers and a writer.
pub fn run(version: Version) {
    let lock = Arc::new(RwLock::new(0));
    let readers = [(); 2].map(|()| {
        let lock = Arc::clone(&lock);
        thread::spawn(move || {
            let first = lock.read().unwrap();
            let again = if version.is_fixed() { *first } else { *lock.read().unwrap() };
            assert_eq!(*first, again);
        })
    });
    *lock.write().unwrap() += 1;
    for reader in readers {
        join(reader);
    }
}
