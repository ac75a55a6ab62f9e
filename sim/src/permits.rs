//! Where the permits of a semaphore are: law 7 of the [laws](crate::laws).
//!
//! ```text
//!   free at the end = those at first + added - forgotten - held
//! ```
//!
//! The books are the semaphore's own part, not the run's: it may be moved while nobody borrows it,
//! and then has another address. They count what the program was given and gave back, and know
//! nothing of the word that the semaphore works with.

use std::panic::Location;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::failure::FailureKind;
use crate::kernel;
use crate::kernel::thread_table::show;

/// The books of one semaphore. What is found wrong fails the run of the calling thread; on ordinary
/// threads they only count.
#[derive(Debug)]
pub struct PermitLedger {
    made_at: &'static Location<'static>,
    at_first: usize,
    /// Sums wrap: only what they come to together counts.
    added: AtomicUsize,
    forgotten: AtomicUsize,
    held: AtomicUsize,
    /// Where permits were last asked for, and had; null before.
    last_acquired_at: AtomicPtr<Location<'static>>,
}

impl PermitLedger {
    /// For a semaphore with so many permits, made at `place`.
    pub const fn new(permits: usize, place: &'static Location<'static>) -> PermitLedger {
        PermitLedger {
            made_at: place,
            at_first: permits,
            added: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            last_acquired_at: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// There are so many more.
    pub fn added(&self, permits: usize) {
        // Relaxed, here and below: whoever adds up has the semaphore for itself, and simulated
        // threads are on one thread of the system.
        self.added.fetch_add(permits, Ordering::Relaxed);
    }

    /// So many that were free are there no more.
    pub fn forgotten(&self, permits: usize) {
        self.forgotten.fetch_add(permits, Ordering::Relaxed);
    }

    /// Somebody holds so many, and asked for them at `place`.
    pub fn acquired(&self, permits: usize, place: &'static Location<'static>) {
        self.held.fetch_add(permits, Ordering::Relaxed);
        let place = std::ptr::from_ref(place).cast_mut();
        self.last_acquired_at.store(place, Ordering::Relaxed);
    }

    /// Somebody who asked for permits at `place` has given so many back.
    pub fn given_back(&self, permits: usize, place: &'static Location<'static>) {
        let held = self.held.fetch_sub(permits, Ordering::Relaxed);
        if held < permits {
            broken(|| {
                format!(
                    "permits are not conserved: {permits} that were asked for at {} are given \
                     back to the semaphore made at {}, of which {held} were held",
                    show(place),
                    show(self.made_at)
                )
            });
        }
    }

    /// Somebody who holds so many never gives them back.
    pub fn lost(&self, permits: usize, place: &'static Location<'static>) {
        self.given_back(permits, place);
        self.forgotten(permits);
    }

    /// The semaphore is dropped, and so many are free. Those in permits that were leaked are held
    /// for ever.
    pub fn ended(&self, free: usize) {
        let added = self.added.load(Ordering::Relaxed);
        let forgotten = self.forgotten.load(Ordering::Relaxed);
        let held = self.held.load(Ordering::Relaxed);
        let all = self.at_first.wrapping_add(added);
        let expected = all.wrapping_sub(forgotten).wrapping_sub(held);
        if free == expected {
            return;
        }
        broken(|| {
            let last = self.last_acquired_at.load(Ordering::Relaxed);
            // SAFETY: null, or from a reference that lives for ever.
            let last = unsafe { last.as_ref() };
            let last = last.map_or("nobody had any".to_owned(), |place| {
                format!("some were last had at {}", show(place))
            });
            format!(
                "permits are not conserved: the semaphore made at {} is dropped with {free} of \
                 them free, and {expected} should be: {} at first, {added} added, {forgotten} \
                 forgotten, {held} held; {last}",
                show(self.made_at),
                self.at_first
            )
        });
    }
}

fn broken(message: impl FnOnce() -> String) {
    if let Some(world) = kernel::current() {
        world.fail(FailureKind::Law, message());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_an_ordinary_thread_books_are_kept_and_nothing_fails() {
        let place = Location::caller();
        let ledger = PermitLedger::new(2, place);
        ledger.acquired(2, place);
        ledger.given_back(3, place);
        assert_eq!(ledger.held.load(Ordering::Relaxed), usize::MAX);
        ledger.ended(0);
    }
}
