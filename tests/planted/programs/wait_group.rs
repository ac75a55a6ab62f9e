//! A wait group to which the new thread adds itself.
//!
//! In the wild: etcd's peer, as told by Tu et al. ("Understanding Real-World Concurrency Bugs in
//! Go", ASPLOS 2019); the wait-group class of GoBench. Whoever stops the peer waits until the group
//! is empty. The thread that sends counts itself in when it begins, which may be after the wait.
//!
//! The twin: whoever starts the thread counts it in, under the lock of the status.
//!
//! Look for: a thread at work on a peer that is gone.

use volt::sim::sync::atomic::{AtomicBool, Ordering};
use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread::{self, JoinHandle};

use super::{Version, join};

#[derive(Default)]
struct Peer {
    has_stopped: Mutex<bool>,
    group: Mutex<u32>,
    done: Condvar,
    is_gone: AtomicBool,
}

impl Peer {
    fn add(&self) {
        *self.group.lock().unwrap() += 1;
    }

    fn work(&self) {
        assert!(!self.is_gone.load(Ordering::SeqCst), "the peer is gone");
        *self.group.lock().unwrap() -= 1;
        self.done.notify_all();
    }

    fn send(self: &Arc<Peer>, version: Version) -> Option<JoinHandle<()>> {
        let has_stopped = self.has_stopped.lock().unwrap();
        if *has_stopped {
            return None;
        }
        if version.is_fixed() {
            self.add();
        }
        let peer = Arc::clone(self);
        Some(thread::spawn(move || {
            if !version.is_fixed() {
                peer.add();
            }
            peer.work();
        }))
    }

    fn stop(&self) {
        *self.has_stopped.lock().unwrap() = true;
        let group = self.group.lock().unwrap();
        drop(self.done.wait_while(group, |count| *count > 0).unwrap());
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

/// One who sends, and one who stops.
pub fn run(version: Version) {
    let peer = Arc::new(Peer::default());
    let other = Arc::clone(&peer);
    let stopper = thread::spawn(move || other.stop());
    let sending = peer.send(version);
    join(stopper);
    if let Some(sending) = sending {
        join(sending);
    }
}
