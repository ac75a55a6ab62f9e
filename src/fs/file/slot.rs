//! A place for one value that changes hands: between a task and a thread, or from one operation to
//! the next.
//!
//! ```text
//!            put                         take, by whoever comes first
//!   empty ────────► full, perhaps anew ───────────────────────────────► empty
//! ```
//!
//! The value goes to one taker. A job that begins takes its buffer out of the slot; a task whose
//! job never began takes it back.

use crate::platform::sync::Mutex;

/// See the module documentation.
pub(super) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    pub(super) fn new(value: Option<T>) -> Slot<T> {
        Slot(Mutex::new(value))
    }

    /// Leaves a value, in place of what is there.
    pub(super) fn put(&self, value: T) {
        let before = self.0.lock().replace(value);
        // Not under the lock: it may be anybody's code.
        drop(before);
    }

    /// Lends what is there; it stays where it is.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.lock().as_mut().map(f)
    }

    /// What is there.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_taken_once() {
        let slot = Slot::new(None);
        assert_eq!(slot.take(), None);
        slot.put(1);
        slot.put(2);
        assert_eq!((slot.take(), slot.take()), (Some(2), None));
        assert_eq!(Slot::new(Some(3)).take(), Some(3));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;

    #[test]
    fn one_of_two_takers_gets_the_value() {
        model(|| {
            let slot = Arc::new(Slot::new(Some(7)));
            let other = Arc::clone(&slot);
            let taker = loom::thread::spawn(move || other.take());
            let here = slot.take();
            let there = taker.join().unwrap();
            assert_eq!(here.xor(there), Some(7));
        });
    }
}
