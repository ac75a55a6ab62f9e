//! What a local runtime asks of its host: the time, and sleep until something happens. Another
//! host, one with an event loop of its own, is another file with these functions.

use crate::platform::clock::{self, Instant};
use crate::waiter::parker::Parker;

/// The operating system, or the simulated machine, under one thread.
#[derive(Debug)]
pub(super) struct Host(Parker);

impl Host {
    pub(super) fn new() -> Host {
        Host(Parker::new())
    }

    /// Sleeps until [`notify`](Host::notify) is called, or was since the last sleep, or until the
    /// deadline. The runtime's thread alone calls it.
    pub(super) fn sleep(&self, deadline: Option<Instant>) {
        self.0.park(deadline);
    }

    /// Ends the sleep; any thread may.
    pub(super) fn notify(&self) {
        self.0.unpark();
    }
}

/// The monotonic clock.
pub(super) fn now() -> Instant {
    clock::now()
}
