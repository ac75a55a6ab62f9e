//! Where a worker sleeps: in the driver if nobody is there, else on its own parker.
//!
//! ```text
//!                  turns the driver            leaves it
//!   awake ─────────────────────────► in driver ─────────► awake
//!     │     somebody else is in there                       ▲
//!     └───────────────────────────► parked ─────────────────┘
//! ```
//!
//! A wake-up leaves the parker's token and then looks whether the worker is in the driver; the
//! worker says that it goes there and then looks for a token. Each writes first and looks second,
//! with a sequentially consistent fence between, so one of them sees the other.

use std::time::Duration;

use crate::platform::clock::{self, Instant};
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicBool, Ordering, fence};
use crate::platform::sync::const_fn;
use crate::waiter::parker::Parker;

/// What a worker can wait in beside its parker.
pub(crate) trait Waiting {
    /// Waits for at most `timeout`, unless `is_woken`; false at once if another thread waits
    /// there.
    fn wait_unless(&self, timeout: Option<Duration>, is_woken: impl FnOnce() -> bool) -> bool;
    /// Has whoever waits there come out.
    fn interrupt(&self);
}

pub(crate) struct Sleeper {
    parker: Parker,
    /// Whether the worker is in the driver, or about to be.
    in_driver: AtomicBool,
}

impl Sleeper {
    const_fn! {
        pub(crate) fn new() -> Sleeper {
            Sleeper { parker: Parker::new(), in_driver: AtomicBool::new(false) }
        }
    }

    /// Sleeps until it is woken, the deadline comes, or the driver had something to do. True if
    /// it was woken by name.
    pub(crate) fn sleep(&self, driver: &impl Waiting, deadline: Option<Instant>) -> bool {
        self.in_driver.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
        let turned = driver.wait_unless(timeout, || self.parker.has_token());
        self.in_driver.store(false, Ordering::Relaxed);
        if turned { self.parker.take_token() } else { self.parker.park(deadline) }
    }

    /// Wakes the worker.
    pub(crate) fn wake(&self, driver: &impl Waiting) {
        self.parker.unpark();
        fence(Ordering::SeqCst);
        let in_driver = self.in_driver.load(Ordering::Relaxed);
        if mutation!("sleeper-forgets-the-driver", in_driver, false) {
            driver.interrupt();
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::Mutex;

    /// Stands for the driver: one thread waits in it.
    struct Inside {
        lock: Mutex<()>,
        parker: Parker,
    }

    impl Waiting for Inside {
        fn wait_unless(&self, _: Option<Duration>, is_woken: impl FnOnce() -> bool) -> bool {
            let Some(_inside) = self.lock.try_lock() else { return false };
            if !is_woken() {
                self.parker.park(None);
            }
            true
        }

        fn interrupt(&self) {
            self.parker.unpark();
        }
    }

    fn wake_meets_a_worker_that_goes_to_sleep() {
        let inside = Inside { lock: Mutex::new(()), parker: Parker::new() };
        let shared = Arc::new((Sleeper::new(), inside));
        let other = Arc::clone(&shared);
        let waker = loom::thread::spawn(move || other.0.wake(&other.1));
        while !shared.0.sleep(&shared.1, None) {}
        waker.join().unwrap();
    }

    #[test]
    fn a_wake_up_meets_a_worker_that_goes_to_the_driver() {
        model(wake_meets_a_worker_that_goes_to_sleep);
    }

    #[test]
    fn forgetting_the_driver_is_noticed() {
        assert!(is_noticed("sleeper-forgets-the-driver", || {
            model(wake_meets_a_worker_that_goes_to_sleep);
        }));
    }
}
