//! What a local runtime asks of its host, the event loop of JavaScript: the time, and to be called.
//! The thread cannot sleep there.
//!
//! The host calls the runtime when a task is ready or a timer is over. The runtime has a slice of
//! time then. Within it there is a microtask between two ticks, so that promises go on; when it is
//! spent the runtime asks for a task of the host, so that timers, events and frames do.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::platform::clock::{self, Instant};
use crate::platform::event_loop::{Call, Caller};

/// How long the runtime polls tasks while the host waits: a third of a frame at 60 in a second.
const SLICE: Duration = Duration::from_millis(5);

/// The event loop under one runtime.
#[derive(Debug)]
pub(super) struct Host {
    caller: RefCell<Option<Caller>>,
    /// Whether a call is under way that was asked for.
    is_called: Cell<bool>,
    /// The end of the slice that has begun.
    slice: Cell<Option<Instant>>,
}

impl Host {
    pub(super) fn new() -> Host {
        Host { caller: RefCell::new(None), is_called: Cell::new(false), slice: Cell::new(None) }
    }

    /// From now on `f` is called.
    pub(super) fn begin(&self, f: impl Fn(Call) + 'static) {
        self.caller.replace(Some(Caller::new(f)));
    }

    /// Nothing is called any more.
    pub(super) fn end(&self) {
        self.caller.replace(None);
    }

    /// Asks for a turn; once only until that begins.
    pub(super) fn call(&self) {
        if self.is_called.replace(true) {
            return;
        }
        let caller = self.caller.borrow();
        let Some(caller) = &*caller else { return };
        if self.slice.get().is_some_and(|end| now() >= end) {
            self.slice.set(None);
            caller.later();
        } else {
            caller.soon();
        }
    }

    /// Asks for a call with [`Call::Deadline`], instead of what was asked for before.
    pub(super) fn call_at(&self, deadline: Option<Instant>) {
        if let Some(caller) = &*self.caller.borrow() {
            caller.at(deadline);
        }
    }

    /// A turn begins: the end of its slice.
    pub(super) fn begin_turn(&self) -> Instant {
        self.is_called.set(false);
        let end = self.slice.get().unwrap_or_else(|| now() + SLICE);
        self.slice.set(Some(end));
        end
    }

    /// There is nothing to poll: what comes next has a slice of its own.
    pub(super) fn rest(&self) {
        self.slice.set(None);
    }

    /// Refuses to sleep.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub(super) fn sleep(&self, _: Option<Instant>) {
        panic!(
            "every task waits, and a thread that sleeps would stop the host's event loop: return \
             to it instead of calling `run` or `run_until`, and it runs the tasks"
        );
    }

    /// Another thread has filled the inbox. It has an event loop of its own and cannot call this
    /// one's: the runtime looks into the inbox in its next turn.
    pub(super) fn notify(&self) {}
}

/// The monotonic clock.
pub(super) fn now() -> Instant {
    clock::now()
}
