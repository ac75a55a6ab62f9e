//! A one-shot channel whose sender says that a value is there, although the receiver has closed.
//!
//! In the wild: RUSTSEC-2021-0124, tokio issues 4225 and 4226. Two flags, "sent" and "closed",
//! guard one place. The sender set "sent" whether or not "closed" was there, and took the value
//! back afterwards; a receiver that looked in between took it too.
//!
//! The twin: "sent" is set by an exchange that "closed" makes fail.
//!
//! Look for: a value that neither side has, because both reached for it.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::thread;

use super::{Version, join};

const SENT: u32 = 1;
const CLOSED: u32 = 2;

#[derive(Default)]
struct Channel {
    flags: AtomicU32,
    /// 0 stands for none.
    value: AtomicU32,
}

impl Channel {
    fn take(&self) -> u32 {
        let value = self.value.swap(0, Ordering::SeqCst);
        assert_ne!(value, 0, "the value was taken twice");
        value
    }

    /// Whether "sent" is set, and nothing was closed before.
    fn announce(&self, version: Version) -> bool {
        if !version.is_fixed() {
            return self.flags.fetch_or(SENT, Ordering::SeqCst) & CLOSED == 0;
        }
        let open = |flags: u32| (flags & CLOSED == 0).then_some(flags | SENT);
        self.flags.fetch_update(Ordering::SeqCst, Ordering::SeqCst, open).is_ok()
    }

    fn send(&self, version: Version) -> Result<(), u32> {
        self.value.store(7, Ordering::SeqCst);
        if self.announce(version) { Ok(()) } else { Err(self.take()) }
    }

    fn close_and_receive(&self) -> Option<u32> {
        self.flags.fetch_or(CLOSED, Ordering::SeqCst);
        (self.flags.load(Ordering::SeqCst) & SENT != 0).then(|| self.take())
    }
}

/// A sender and a receiver that gives up.
pub fn run(version: Version) {
    let channel = Arc::new(Channel::default());
    let other = Arc::clone(&channel);
    let sender = thread::spawn(move || other.send(version));
    let received = channel.close_and_receive();
    let sent = join(sender);
    assert_eq!(received.is_some(), sent.is_ok(), "the value was taken twice");
}
