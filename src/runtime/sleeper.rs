//! Where a worker sleeps: in the driver if nobody is there, else in its ring if operations are in
//! flight there, else on its own parker.
//!
//! ```text
//!                  turns the driver             leaves it
//!   awake ─────────────────────────► in driver ──────────► awake
//!     │     somebody else is in there                        ▲
//!     ├──── its ring is busy ──────► in ring ────────────────┤
//!     └───────────────────────────► parked ──────────────────┘
//! ```
//!
//! A wake-up leaves the parker's token and then looks where the worker is; the worker says where it
//! goes and then looks for a token. Each writes first and looks second, with a sequentially
//! consistent fence between, so one of them sees the other. A worker that goes on from the driver
//! to its ring says so and looks again: a wake-up that found the old place left its token before.

use std::time::Duration;

use crate::platform::clock::Instant;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicU32, Ordering, fence};
use crate::platform::sync::const_fn;
use crate::waiter::parker::Parker;

/// Nowhere but, perhaps, on its parker.
const ELSEWHERE: u32 = 0;
const IN_DRIVER: u32 = 1;
const IN_RING: u32 = 2;

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
    /// Where the worker is, or is about to be.
    place: AtomicU32,
}

impl Sleeper {
    const_fn! {
        pub(crate) fn new() -> Sleeper {
            Sleeper { parker: Parker::new(), place: AtomicU32::new(ELSEWHERE) }
        }
    }

    /// Sleeps until it is woken, the deadline comes, or the driver, or `ring`, had something to do.
    /// True if it was woken by name. With a `ring`, the worker does not sleep on its parker.
    /// `timeout` is what is left until the deadline, for the driver and the ring: the caller has
    /// read the clock.
    pub(crate) fn sleep(
        &self,
        driver: &impl Waiting,
        ring: Option<&impl Waiting>,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
    ) -> bool {
        if self.wait(IN_DRIVER, driver, timeout) {
            return self.parker.take_token();
        }
        match ring {
            Some(ring) => {
                self.wait(IN_RING, ring, timeout);
                self.parker.take_token()
            }
            None => self.parker.park(deadline),
        }
    }

    /// Waits at `place`; false if another thread does.
    fn wait(&self, place: u32, waiting: &impl Waiting, timeout: Option<Duration>) -> bool {
        self.place.store(place, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let waited = waiting.wait_unless(timeout, || self.parker.has_token());
        self.place.store(ELSEWHERE, Ordering::Relaxed);
        waited
    }

    /// Wakes the worker.
    pub(crate) fn wake(&self, driver: &impl Waiting, ring: &impl Waiting) {
        self.parker.unpark();
        fence(Ordering::SeqCst);
        let place = self.place.load(Ordering::Relaxed);
        if mutation!("sleeper-forgets-the-driver", place == IN_DRIVER, false) {
            driver.interrupt();
        }
        if mutation!("sleeper-forgets-the-ring", place == IN_RING, false) {
            ring.interrupt();
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

    /// Stands for the driver or a ring: one thread waits in it.
    struct Inside {
        lock: Mutex<()>,
        parker: Parker,
    }

    impl Inside {
        fn new() -> Inside {
            Inside { lock: Mutex::new(()), parker: Parker::new() }
        }
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

    /// Stands for the driver when another thread is inside.
    struct Occupied;

    impl Waiting for Occupied {
        fn wait_unless(&self, _: Option<Duration>, _: impl FnOnce() -> bool) -> bool {
            false
        }

        fn interrupt(&self) {}
    }

    fn wake_meets_a_worker_that_goes_to_sleep() {
        let shared = Arc::new((Sleeper::new(), Inside::new()));
        let other = Arc::clone(&shared);
        let waker = loom::thread::spawn(move || other.0.wake(&other.1, &Occupied));
        while !shared.0.sleep(&shared.1, None::<&Occupied>, None, None) {}
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

    fn wake_meets_a_worker_that_goes_to_its_ring() {
        let shared = Arc::new((Sleeper::new(), Inside::new()));
        let other = Arc::clone(&shared);
        let waker = loom::thread::spawn(move || other.0.wake(&Occupied, &other.1));
        while !shared.0.sleep(&Occupied, Some(&shared.1), None, None) {}
        waker.join().unwrap();
    }

    #[test]
    fn a_wake_up_meets_a_worker_that_goes_from_the_driver_to_its_ring() {
        model(wake_meets_a_worker_that_goes_to_its_ring);
    }

    #[test]
    fn forgetting_the_ring_is_noticed() {
        assert!(is_noticed("sleeper-forgets-the-ring", || {
            model(wake_meets_a_worker_that_goes_to_its_ring);
        }));
    }
}
