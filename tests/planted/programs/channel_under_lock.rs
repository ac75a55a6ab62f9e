//! A thread that sends on a full channel while it holds the lock that the receiver needs.
//!
//! In the wild: the "mixed" class of GoBench's blocking half (Yuan et al., CGO 2021), channels
//! together with locks; `kubernetes#10182` is one.
//!
//! The twin: the lock is freed before the message is sent.
//!
//! Look for: a deadlock, one thread waiting for room and the other for the lock.

use volt::sim::sync::mpsc::sync_channel;
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

const MESSAGES: u32 = 3;

/// A sender and a receiver that count messages under one lock.
pub fn run(version: Version) {
    let counts = Arc::new(Mutex::new((0, 0)));
    let (sender, receiver) = sync_channel(1);
    let sent = Arc::clone(&counts);
    let producer = thread::spawn(move || {
        for message in 0..MESSAGES {
            let mut counts = sent.lock().unwrap();
            counts.0 += 1;
            if version.is_fixed() {
                drop(counts);
                sender.send(message).unwrap();
            } else {
                sender.send(message).unwrap();
            }
        }
    });
    for expected in 0..MESSAGES {
        counts.lock().unwrap().1 += 1;
        assert_eq!(receiver.recv().unwrap(), expected);
    }
    join(producer);
    assert_eq!(*counts.lock().unwrap(), (MESSAGES, MESSAGES));
}
