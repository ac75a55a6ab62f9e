//! Turns: how the event loop of a JavaScript host runs the tasks. Whatever makes a task ready
//! arranges for a turn, and so does the end of each turn if there is more to do.

use std::cell::Cell;

use super::super::host;
use super::Executor;
use crate::platform::event_loop::Call;

/// How many tasks are polled between two looks at the clock.
const POLLS: u32 = 8;

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
        let polls = Cell::new(0_u32);
        self.tick_while(None, || {
            polls.set(polls.get() + 1);
            !self.has_ended.get() && (!polls.get().is_multiple_of(POLLS) || host::now() < end)
        });
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
