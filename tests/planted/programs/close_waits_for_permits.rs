//! A channel whose close waits for permits, and a permit that goes unused without a word.
//!
//! In the wild: tokio issue 2854. A receiver that closes a bounded channel goes on receiving until
//! no permit is out. A sender that drops its permit instead of sending gives it back, and did not
//! wake the receiver.
//!
//! The twin: whoever gives the last permit of a closed channel back wakes the receiver.
//!
//! Look for: a deadlock, the receiver asleep on a channel that is closed and empty.

use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread;

use super::{Version, join};

#[derive(Default)]
struct State {
    messages: u32,
    permits: u32,
    is_closed: bool,
}

#[derive(Default)]
struct Channel {
    state: Mutex<State>,
    changed: Condvar,
}

impl Channel {
    /// Whether there is a permit: not once the channel is closed.
    fn reserve(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.permits += u32::from(!state.is_closed);
        !state.is_closed
    }

    fn send(&self) {
        let mut state = self.state.lock().unwrap();
        state.permits -= 1;
        state.messages += 1;
        self.changed.notify_one();
    }

    fn drop_permit(&self, version: Version) {
        let mut state = self.state.lock().unwrap();
        state.permits -= 1;
        if version.is_fixed() && state.is_closed && state.permits == 0 {
            self.changed.notify_one();
        }
    }

    fn close_and_receive_all(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_closed = true;
        while state.permits > 0 || state.messages > 0 {
            if state.messages > 0 {
                state.messages -= 1;
            } else {
                state = self.changed.wait(state).unwrap();
            }
        }
    }
}

/// A sender that sends, one that thinks better of it, and a receiver that closes.
pub fn run(version: Version) {
    let channel = Arc::new(Channel::default());
    let senders = [true, false].map(|sends| {
        let channel = Arc::clone(&channel);
        thread::spawn(move || match channel.reserve() {
            true if sends => channel.send(),
            true => channel.drop_permit(version),
            false => {}
        })
    });
    channel.close_and_receive_all();
    for sender in senders {
        join(sender);
    }
}
