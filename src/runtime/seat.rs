//! The seat of worker 0: its own thread has it, until a thread that calls `run` asks for it.
//!
//! ```text
//!             caretaker enters              guest asks
//!   FREE ───────────────────────► TAKEN ──────────────────► WANTED
//!    ▲                               │ leaves                  │ caretaker leaves
//!    │                               ▼                         ▼
//!    └────────────────────────────  FREE  ◄───────────────────-┘  the first guest enters
//! ```
//!
//! A guest that finds the seat taken does not wait for it: a task that is stuck on the caretaker
//! may wait for what the guest is about to do. It runs its future alone and tries again when it
//! is woken.

use std::sync::Arc;

use super::parker::Parker;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Seat {
    inner: Mutex<Inner>,
    /// A guest waits: the hint that the caretaker looks at between two tasks.
    wanted: AtomicBool,
    /// Where the caretaker waits for the seat.
    caretaker: Parker,
}

struct Inner {
    taken: bool,
    /// Guests that wait, first come first.
    guests: Vec<Arc<Parker>>,
}

impl Seat {
    pub(crate) fn new() -> Seat {
        Seat {
            inner: Mutex::new(Inner { taken: false, guests: Vec::new() }),
            wanted: AtomicBool::new(false),
            caretaker: Parker::new(),
        }
    }

    /// A guest asks; true if it has the seat now. Else `parker` is unparked when it should ask
    /// again.
    pub(crate) fn ask(&self, parker: &Arc<Parker>) -> bool {
        let mut inner = self.inner.lock();
        let waits = inner.guests.iter().position(|guest| Arc::ptr_eq(guest, parker));
        if inner.taken {
            if waits.is_none() {
                inner.guests.push(Arc::clone(parker));
                // Relaxed: a hint; the seat itself changes hands under the lock.
                self.wanted.store(true, Ordering::Relaxed);
            }
            return false;
        }
        if let Some(place) = waits {
            inner.guests.remove(place);
        }
        self.wanted.store(!inner.guests.is_empty(), Ordering::Relaxed);
        inner.taken = true;
        true
    }

    /// A guest that has not got the seat goes.
    pub(crate) fn withdraw(&self, parker: &Arc<Parker>) {
        let mut inner = self.inner.lock();
        inner.guests.retain(|guest| !Arc::ptr_eq(guest, parker));
        self.wanted.store(!inner.guests.is_empty(), Ordering::Relaxed);
        // It may have been told that the seat is free.
        self.pass_on(inner);
    }

    /// The caretaker waits until it has the seat.
    pub(crate) fn take_care(&self) {
        loop {
            let mut inner = self.inner.lock();
            if !inner.taken && inner.guests.is_empty() {
                inner.taken = true;
                return;
            }
            drop(inner);
            self.caretaker.park(None);
        }
    }

    /// Whether a guest waits for the seat.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whoever has the seat leaves it.
    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.taken = false;
        self.pass_on(inner);
    }

    /// Tells whoever comes next that the seat is free.
    fn pass_on(&self, inner: crate::platform::sync::MutexGuard<'_, Inner>) {
        if inner.taken {
            return;
        }
        let guest = inner.guests.first().cloned();
        drop(inner);
        match guest {
            Some(guest) => guest.unpark(),
            None => self.caretaker.unpark(),
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::sync::atomic::AtomicUsize;

    /// A guest and the caretaker: one at a time sits, and both get their turn.
    #[test]
    fn a_guest_and_the_caretaker_take_turns() {
        model(|| {
            let shared = Arc::new((Seat::new(), AtomicUsize::new(0)));
            let other = Arc::clone(&shared);
            let sit = |shared: &(Seat, AtomicUsize)| {
                assert_eq!(shared.1.fetch_add(1, Ordering::Relaxed), 0, "two on one seat");
                shared.1.fetch_sub(1, Ordering::Relaxed);
                shared.0.leave();
            };
            let guest = loom::thread::spawn(move || {
                let parker = Arc::new(Parker::new());
                while !other.0.ask(&parker) {
                    parker.park(None);
                }
                sit(&other);
            });
            shared.0.take_care();
            sit(&shared);
            guest.join().unwrap();
        });
    }

    /// A guest that goes without the seat leaves it to whoever waits behind.
    #[test]
    fn a_guest_that_withdraws_passes_the_seat_on() {
        model(|| {
            let seat = Arc::new(Seat::new());
            let first = Arc::new(Parker::new());
            assert!(seat.ask(&first));
            let impatient = Arc::new(Parker::new());
            assert!(!seat.ask(&impatient));
            let other = Arc::clone(&seat);
            let thread = loom::thread::spawn(move || other.withdraw(&impatient));
            seat.leave();
            seat.take_care();
            thread.join().unwrap();
        });
    }
}
