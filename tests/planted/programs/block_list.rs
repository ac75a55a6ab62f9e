//! A list of blocks whose first sender installs the tail block and then the head block.
//!
//! In the wild: crossbeam-channel, issues 971 and 972. As soon as the tail block is there, a second
//! sender can send, although the head block is not. A receiver that is dropped in the gap finds
//! messages by the tail, and no block to free them from.
//!
//! The twin: a receiver that finds messages waits for the head block.
//!
//! Look for: a head block that is null while there are messages.

use volt::sim::hint;
use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::thread;

use super::{Version, join};

const CLOSED: u32 = 1;
const ONE: u32 = 2;
/// Stands for the address of the one block that there is.
const BLOCK: u32 = 1;

#[derive(Default)]
struct List {
    /// How many messages were sent, times `ONE`, and whether the receiver is gone.
    tail: AtomicU32,
    tail_block: AtomicU32,
    head_block: AtomicU32,
    messages: [AtomicU32; 2],
}

impl List {
    fn send(&self) {
        let order = Ordering::SeqCst;
        loop {
            let tail = self.tail.load(order);
            if tail & CLOSED != 0 {
                return;
            }
            if self.tail_block.load(order) == 0 {
                if self.tail_block.compare_exchange(0, BLOCK, order, order).is_ok() {
                    self.head_block.store(BLOCK, order);
                }
                continue;
            }
            if self.tail.compare_exchange(tail, tail + ONE, order, order).is_ok() {
                self.messages[(tail / ONE) as usize].store(7, order);
                return;
            }
        }
    }

    fn drop_receiver(&self, version: Version) {
        let order = Ordering::SeqCst;
        let sent = (self.tail.fetch_or(CLOSED, order) / ONE) as usize;
        if sent == 0 {
            return;
        }
        while version.is_fixed() && self.head_block.load(order) == 0 {
            hint::spin_loop();
        }
        assert_ne!(self.head_block.load(order), 0, "the head block is null");
        for message in &self.messages[..sent] {
            while message.swap(0, order) == 0 {
                hint::spin_loop();
            }
        }
    }
}

/// Two senders, and a receiver that goes.
pub fn run(version: Version) {
    let list = Arc::new(List::default());
    let senders = [(); 2].map(|()| {
        let list = Arc::clone(&list);
        thread::spawn(move || list.send())
    });
    list.drop_receiver(version);
    for sender in senders {
        join(sender);
    }
}
