//! Turns: how the event loop of a JavaScript host runs the tasks. Whatever makes a task ready
//! arranges for a turn, and so does the end of each turn if there is more to do.

use std::cell::Cell;
use std::time::Duration;

use super::super::host;
use super::Executor;
use crate::platform::clock::Instant;
use crate::platform::event_loop::Call;

/// How many polls there are before the first look at the clock, and at most between two: a look may
/// cost more than a poll.
const FIRST: u32 = 8;
const MOST: u32 = 256;
/// Polls that took less than this together are followed by twice as many.
const SHORT: Duration = Duration::from_micros(200);

/// Says when a slice is over.
struct Clock {
    end: Instant,
    before: Cell<Instant>,
    /// The polls until the next look, and from there to the one after it.
    left: Cell<u32>,
    stride: Cell<u32>,
}

impl Clock {
    fn new(end: Instant) -> Clock {
        Clock {
            end,
            before: Cell::new(host::now()),
            left: Cell::new(FIRST),
            stride: Cell::new(FIRST),
        }
    }

    /// Whether another poll begins within the slice.
    fn goes_on(&self) -> bool {
        let left = self.left.get() - 1;
        if left > 0 {
            self.left.set(left);
            return true;
        }
        let now = host::now();
        let is_short = now - self.before.replace(now) < SHORT;
        let stride = self.stride.get();
        let stride = if is_short { MOST.min(stride * 2) } else { stride.div_ceil(2) };
        self.stride.set(stride);
        self.left.set(stride);
        now < self.end
    }
}

impl Executor {
    /// From now on the host calls it.
    pub(super) fn be_called(&self) {
        let this = self.this.get();
        self.inbox.host().begin(move |reason| {
            // SAFETY: nothing calls when the runtime has ended, and the memory is there until
            // then. A turn that ends it looks at `this` no more.
            let executor = unsafe { this.as_ref() };
            match reason {
                Call::Asked => {
                    if executor.turn() {
                        // SAFETY: nobody has a reference any more.
                        drop(unsafe { Box::from_raw(this.as_ptr()) });
                    }
                }
                Call::Deadline => executor.inbox.host().call(),
            }
        });
    }

    /// A task is ready: asks for a turn, unless the runtime runs.
    #[inline]
    pub(super) fn ask_for_turn(&self) {
        if !self.is_running.get() {
            self.inbox.host().call();
        }
    }

    /// Asks for a turn if there is something to do in one, and for a call when the next timer is
    /// over, unless the runtime runs: then both are settled when it has run.
    pub(in super::super) fn arrange_turn(&self) {
        if self.is_running.get() || self.has_ended.get() {
            return;
        }
        let host = self.inbox.host();
        if self.first.get().is_some() {
            host.call();
        } else {
            host.rest();
        }
        host.call_at(self.timers.next());
    }

    /// Polls what is ready, as long as the slice lasts. True if the runtime has ended, and the
    /// caller frees the memory.
    #[must_use]
    fn turn(&self) -> bool {
        let end = self.inbox.host().begin_turn();
        if self.is_running.get() {
            return false;
        }
        let running = self.enter();
        let clock = Clock::new(end);
        self.tick_while(None, || !self.has_ended.get() && clock.goes_on());
        drop(running);
        self.has_ended.get() && self.end()
    }

    /// Whether a turn is under way: then the runtime ends when that is over, and begins nothing
    /// meanwhile. A task may have the runtime and drop it.
    pub(in super::super) fn ends_after_turn(&self) -> bool {
        let is_running = self.is_running.get();
        if is_running {
            self.has_ended.set(true);
        }
        is_running
    }
}
