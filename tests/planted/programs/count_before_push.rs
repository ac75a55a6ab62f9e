//! A queue whose senders raise the count of messages before they push.
//!
//! In the wild: futures-channel pull request 2304. A receiver that is dropped closes the channel
//! and drops the messages until it finds none. A sender that has raised the count, and not pushed
//! yet, looks like no message. It pushes afterwards, into a queue that nobody empties: the message
//! lives as long as any sender, and whoever waits for its drop waits.
//!
//! The twin: the receiver goes on until the count is zero.
//!
//! Look for: a message in the queue of a receiver that is gone.

use std::collections::VecDeque;

use volt::sim::hint;
use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

const CLOSED: u32 = 1;
const ONE: u32 = 2;

#[derive(Default)]
struct Channel {
    /// Messages, times `ONE`, and whether the receiver is gone.
    state: AtomicU32,
    messages: Mutex<VecDeque<u32>>,
}

impl Channel {
    fn send(&self, message: u32) {
        let one_more = |state: u32| (state & CLOSED == 0).then_some(state + ONE);
        if self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok() {
            self.messages.lock().unwrap().push_back(message);
        }
    }

    fn receive(&self) -> Option<u32> {
        let message = self.messages.lock().unwrap().pop_front();
        if message.is_some() {
            self.state.fetch_sub(ONE, Ordering::SeqCst);
        }
        message
    }

    fn drop_receiver(&self, version: Version) {
        self.state.fetch_or(CLOSED, Ordering::SeqCst);
        loop {
            if self.receive().is_some() {
                continue;
            }
            if !version.is_fixed() || self.state.load(Ordering::SeqCst) == CLOSED {
                return;
            }
            hint::spin_loop();
        }
    }
}

/// Two senders, and a receiver that takes one message at most and goes.
pub fn run(version: Version) {
    let channel = Arc::new(Channel::default());
    let senders = [1, 2].map(|message| {
        let channel = Arc::clone(&channel);
        thread::spawn(move || channel.send(message))
    });
    channel.receive();
    channel.drop_receiver(version);
    for sender in senders {
        join(sender);
    }
    assert!(channel.messages.lock().unwrap().is_empty(), "a message outlives its receiver");
}
