//! Running one future on the calling thread, and futures that a simulation interrupts.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::atomic::Ordering;
use crate::futex::Futex;

pub use crate::interruption::{Interrupted, interrupted};

/// Runs `future` to its end, waiting on the calling thread, simulated or not.
///
/// ```
/// assert_eq!(volt_sim::future::block_on(async { 1 + 2 }), 3);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal(Futex::new(IDLE)));
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // Acquire: pairs with the waker's release, so that what it did is seen by the poll.
        while signal.0.word().swap(IDLE, Ordering::Acquire) == IDLE {
            signal.0.wait(IDLE, None);
        }
    }
}

const IDLE: u32 = 0;
const WOKEN: u32 = 1;

/// `IDLE --wake--> WOKEN --the thread sees it--> IDLE`.
struct Signal(Futex);

impl Wake for Signal {
    fn wake(self: Arc<Signal>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Signal>) {
        if self.0.word().swap(WOKEN, Ordering::Release) == IDLE {
            self.0.wake(1);
        }
    }
}
