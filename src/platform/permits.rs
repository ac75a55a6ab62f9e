//! The books of a semaphore, by which a simulation knows that its permits are conserved. Empty in
//! production.

use core::panic::Location;

use super::sync::atomic::AtomicUsize;

/// Where the permits of one semaphore are.
#[derive(Debug)]
pub struct Ledger {
    #[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
    books: volt_sim::laws::PermitLedger,
}

/// Where permits were asked for.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    #[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
    place: &'static Location<'static>,
}

#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
impl Place {
    /// This place.
    #[inline(always)]
    pub const fn new(place: &'static Location<'static>) -> Place {
        Place { place }
    }
}

#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
impl Ledger {
    /// For a semaphore with so many permits, made at `place`.
    #[inline(always)]
    pub const fn new(permits: usize, place: &'static Location<'static>) -> Ledger {
        Ledger { books: volt_sim::laws::PermitLedger::new(permits, place) }
    }

    /// There are so many more.
    #[inline(always)]
    pub fn added(&self, permits: usize) {
        self.books.added(permits);
    }

    /// So many that were free are there no more.
    #[inline(always)]
    pub fn forgotten(&self, permits: usize) {
        self.books.forgotten(permits);
    }

    /// Somebody holds so many.
    #[inline(always)]
    pub fn acquired(&self, permits: usize, place: Place) {
        self.books.acquired(permits, place.place);
    }

    /// Somebody has given so many back.
    #[inline(always)]
    pub fn given_back(&self, permits: usize, place: Place) {
        self.books.given_back(permits, place.place);
    }

    /// Somebody who holds so many never gives them back.
    #[inline(always)]
    pub fn lost(&self, permits: usize, place: Place) {
        self.books.lost(permits, place.place);
    }

    /// The semaphore is dropped; `word` has its free permits, in units of `permit`.
    #[inline(always)]
    pub fn ended(&self, word: &mut AtomicUsize, permit: usize) {
        self.books.ended(*word.get_mut() / permit);
    }
}

#[cfg(not(all(feature = "sim", not(any(volt_loom, volt_shuttle)))))]
impl Place {
    /// This place.
    #[inline(always)]
    pub const fn new(_place: &'static Location<'static>) -> Place {
        Place {}
    }
}

#[cfg(not(all(feature = "sim", not(any(volt_loom, volt_shuttle)))))]
impl Ledger {
    /// For a semaphore with so many permits, made at `place`.
    #[inline(always)]
    pub const fn new(_permits: usize, _place: &'static Location<'static>) -> Ledger {
        Ledger {}
    }

    /// There are so many more.
    #[inline(always)]
    pub fn added(&self, _permits: usize) {}

    /// So many that were free are there no more.
    #[inline(always)]
    pub fn forgotten(&self, _permits: usize) {}

    /// Somebody holds so many.
    #[inline(always)]
    pub fn acquired(&self, _permits: usize, _place: Place) {}

    /// Somebody has given so many back.
    #[inline(always)]
    pub fn given_back(&self, _permits: usize, _place: Place) {}

    /// Somebody who holds so many never gives them back.
    #[inline(always)]
    pub fn lost(&self, _permits: usize, _place: Place) {}

    /// The semaphore is dropped; `word` has its free permits, in units of `permit`.
    #[inline(always)]
    pub fn ended(&self, _word: &mut AtomicUsize, _permit: usize) {}
}

#[cfg(all(test, not(any(feature = "sim", volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn in_production_the_books_take_no_room() {
        assert_eq!((size_of::<Ledger>(), size_of::<Place>()), (0, 0));
    }
}
