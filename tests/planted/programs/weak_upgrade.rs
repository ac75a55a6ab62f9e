//! A weak sender that is upgraded by adding to a count, and taking it back if it was zero.
//!
//! In the wild: async-channel issue 60. Between the addition and its undoing the count is one. A
//! second upgrade in that time takes it for a sender that lives, and has a sender of a channel
//! that is closed.
//!
//! The twin: an exchange that never leaves zero.
//!
//! Look for: a sender while the channel is closed.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use volt::sim::thread;

use super::{Version, join};

struct Channel {
    senders: AtomicU32,
    is_closed: AtomicBool,
}

impl Channel {
    fn upgrade(&self, version: Version) -> bool {
        if version.is_fixed() {
            let one_more = |count: u32| (count > 0).then_some(count + 1);
            let order = Ordering::SeqCst;
            return self.senders.fetch_update(order, order, one_more).is_ok();
        }
        if self.senders.fetch_add(1, Ordering::SeqCst) == 0 {
            self.senders.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        true
    }

    fn drop_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.is_closed.store(true, Ordering::SeqCst);
        }
    }
}

/// The only sender goes, while two weak ones are upgraded.
pub fn run(version: Version) {
    let channel =
        Arc::new(Channel { senders: AtomicU32::new(1), is_closed: AtomicBool::new(false) });
    let upgrades = [(); 2].map(|()| {
        let channel = Arc::clone(&channel);
        thread::spawn(move || {
            if channel.upgrade(version) {
                let is_closed = channel.is_closed.load(Ordering::SeqCst);
                assert!(!is_closed, "a sender of a closed channel");
                channel.drop_sender();
            }
        })
    });
    channel.drop_sender();
    for upgrade in upgrades {
        join(upgrade);
    }
}
