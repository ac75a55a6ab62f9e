//! Puts one thread to sleep and wakes it.
//!
//! ```text
//!             park                      unpark
//!   EMPTY ───────────► PARKED     EMPTY, PARKED ───────────► NOTIFIED
//!     ▲                  │                                      │
//!     └── park times out ┘        park returns at once, or now: ┴──► EMPTY
//! ```
//!
//! A token that is left before the thread parks is not lost: `park` then returns at once. Only
//! `PARKED` costs a system call.

use crate::platform::clock::Instant;
use crate::platform::sync::atomic::Ordering;
use crate::platform::sync::{Futex, const_fn};

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// See the module documentation. One thread parks; any may unpark it.
#[derive(Debug)]
pub(crate) struct Parker(Futex);

impl Parker {
    const_fn! {
        /// A parker without a token.
        pub(crate) fn new() -> Parker {
            Parker(Futex::new(EMPTY))
        }
    }

    /// Waits for a token and takes it; false if the deadline came first.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        let word = self.0.word();
        // Acquire, here and below: pairs with the release of `unpark`: what its caller did is
        // seen by the thread that wakes.
        if word.compare_exchange(EMPTY, PARKED, Ordering::Acquire, Ordering::Acquire).is_err() {
            // A token was there: taking it is a swap, so that it orders what came before it.
            word.swap(EMPTY, Ordering::Acquire);
            return true;
        }
        loop {
            let in_time = self.0.wait(PARKED, deadline);
            if word.compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Acquire).is_ok()
            {
                return true;
            }
            if !in_time {
                // A token that comes between the look above and this swap counts.
                return word.swap(EMPTY, Ordering::Acquire) == NOTIFIED;
            }
        }
    }

    /// Whether there is a token.
    pub(crate) fn has_token(&self) -> bool {
        self.0.word().load(Ordering::Relaxed) == NOTIFIED
    }

    /// Takes the token, if there is one.
    pub(crate) fn take_token(&self) -> bool {
        self.has_token() && self.0.word().swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Leaves a token and wakes the thread if it sleeps.
    pub(crate) fn unpark(&self) {
        if self.0.word().swap(NOTIFIED, Ordering::Release) == PARKED {
            self.0.wake(1);
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::sync::atomic::AtomicBool;

    #[test]
    fn a_token_is_not_lost() {
        model(|| {
            let shared = Arc::new((Parker::new(), AtomicBool::new(false)));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                other.1.store(true, Ordering::Relaxed);
                other.0.unpark();
            });
            shared.0.park(None);
            assert!(shared.1.load(Ordering::Relaxed), "the token orders what came before it");
            thread.join().unwrap();
        });
    }

    #[test]
    fn two_tokens_are_one_or_two() {
        model(|| {
            let parker = Arc::new(Parker::new());
            let other = Arc::clone(&parker);
            let thread = loom::thread::spawn(move || other.unpark());
            parker.unpark();
            parker.park(None);
            thread.join().unwrap();
            // Whatever the order, a token that is left now is found now.
            parker.unpark();
            parker.park(None);
        });
    }
}
