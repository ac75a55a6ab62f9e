//! Waiting for a while.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::handle::{Handle, Reference};
use super::host;
use crate::platform::clock::Instant;

/// What the clock cannot express is taken for this: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Waits for a while, at least; from [`new`](Delay::new) on, not from the first poll. The runtime
/// sleeps meanwhile if it has nothing else to do.
///
/// Once ready it stays so. Cancel safety: dropping it ends the wait and leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// use volt::local::{Delay, Runtime};
///
/// let runtime = Runtime::new();
/// let before = std::time::Instant::now();
/// runtime.run_until(Delay::new(&runtime.handle(), Duration::from_millis(2)));
/// assert!(before.elapsed() >= Duration::from_millis(2));
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Delay {
    executor: Reference,
    deadline: Instant,
    /// Its timer, once it was armed.
    sequence: Option<u64>,
}

impl Delay {
    /// A wait of `duration` that begins now, with the timers of that runtime; a task of another
    /// runtime may wait for it too, as long as this one runs.
    pub fn new(handle: &Handle, duration: Duration) -> Delay {
        let now = host::now();
        let deadline = now.checked_add(duration).unwrap_or_else(|| now + FAR);
        Delay { executor: handle.0.clone(), deadline, sequence: None }
    }

    fn disarm(&mut self) {
        if let Some(sequence) = self.sequence.take() {
            self.executor.timers().disarm(self.deadline, sequence);
            // The host would keep the program alive for it.
            #[cfg(all(target_family = "wasm", target_os = "unknown"))]
            self.executor.arrange_turn();
        }
    }
}

impl Future for Delay {
    type Output = ();

    /// # Panics
    /// If it has to wait and its runtime is gone.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if host::now() >= self.deadline {
            self.disarm();
            return Poll::Ready(());
        }
        assert!(!self.executor.has_ended(), "a `Delay` waits for a runtime that is gone");
        let sequence = self.executor.timers().arm(self.deadline, self.sequence, context.waker());
        self.sequence = Some(sequence);
        // Another executor may poll it.
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        self.executor.arrange_turn();
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
