//! What a task holds of a semaphore.

use std::fmt;
use std::ptr;
use std::sync::Arc;

use super::raw_semaphore::MAX_PERMITS;
use super::semaphore::Semaphore;
use crate::platform::mutation::mutation;
use crate::platform::permits::Place;

/// Permits of a [`Semaphore`], which get them back when this is dropped: also when the task that
/// holds it panics.
///
/// ```
/// use volt::sync::Semaphore;
///
/// let semaphore = Semaphore::new(3);
/// let mut all = semaphore.try_acquire(3).unwrap();
/// let one = all.split(1).unwrap();
/// assert_eq!((all.permits(), one.permits()), (2, 1));
/// drop(one);
/// assert_eq!(semaphore.available_permits(), 1);
/// drop(all);
/// assert_eq!(semaphore.available_permits(), 3);
/// ```
#[doc(alias = "SemaphorePermit")]
#[clippy::has_significant_drop]
#[must_use = "permits are given back at once when this is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    place: Place,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, permits: usize, place: Place) -> Permit<'a> {
        semaphore.ledger.acquired(permits, place);
        Permit { semaphore, permits, place }
    }

    /// How many permits it holds.
    #[doc(alias = "num_permits")]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Drops it without giving the permits back: the semaphore has as many fewer from now on.
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// semaphore.try_acquire(1).unwrap().forget();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    pub fn forget(mut self) {
        self.semaphore.ledger.lost(self.permits, self.place);
        self.permits = 0;
    }

    /// Takes so many of its permits out, into one of their own; `None` if it has fewer.
    pub fn split(&mut self, permits: usize) -> Option<Permit<'a>> {
        self.permits = self.permits.checked_sub(permits)?;
        Some(Permit { semaphore: self.semaphore, permits, place: self.place })
    }

    /// Takes over the permits of `other`.
    ///
    /// # Panics
    /// If `other` is of another semaphore, or if together they are more than
    /// [`Semaphore::MAX_PERMITS`].
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let mut held = semaphore.try_acquire(1).unwrap();
    /// held.merge(semaphore.try_acquire(2).unwrap());
    /// assert_eq!(held.permits(), 3);
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Permit<'a>) {
        assert_same(self.semaphore, other.semaphore);
        self.permits = sum(self.permits, other.permits);
        other.permits = mutation!("permits-merged-stay", 0, other.permits);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.raw.release(self.permits);
            // Not before: permits that the semaphore refuses, with a panic, are held for ever.
            self.semaphore.ledger.given_back(self.permits, self.place);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// As [`Permit`], but it keeps the semaphore alive instead of borrowing it: for a task that
/// outlives the one that acquired it.
///
/// ```
/// use std::sync::Arc;
/// use volt::sync::Semaphore;
///
/// volt::run(|io| async move {
///     let semaphore = Arc::new(Semaphore::new(1));
///     let permit = Arc::clone(&semaphore).acquire_owned(1).await.unwrap();
///     let task = io.spawn(async move { permit.permits() });
///     assert_eq!(task.await.unwrap(), 1);
///     assert_eq!(semaphore.available_permits(), 1);
/// });
/// ```
#[doc(alias = "OwnedSemaphorePermit")]
#[clippy::has_significant_drop]
#[must_use = "permits are given back at once when this is dropped"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
    place: Place,
}

impl OwnedPermit {
    #[inline]
    pub(super) fn new(semaphore: Arc<Semaphore>, permits: usize, place: Place) -> OwnedPermit {
        semaphore.ledger.acquired(permits, place);
        OwnedPermit { semaphore, permits, place }
    }

    /// The semaphore.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// How many permits it holds.
    #[doc(alias = "num_permits")]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Drops it without giving the permits back: the semaphore has as many fewer from now on.
    pub fn forget(mut self) {
        self.semaphore.ledger.lost(self.permits, self.place);
        self.permits = 0;
    }

    /// Takes so many of its permits out, into one of their own; `None` if it has fewer.
    pub fn split(&mut self, permits: usize) -> Option<OwnedPermit> {
        self.permits = self.permits.checked_sub(permits)?;
        let semaphore = Arc::clone(&self.semaphore);
        Some(OwnedPermit { semaphore, permits, place: self.place })
    }

    /// Takes over the permits of `other`.
    ///
    /// # Panics
    /// If `other` is of another semaphore, or if together they are more than
    /// [`Semaphore::MAX_PERMITS`].
    #[track_caller]
    pub fn merge(&mut self, mut other: OwnedPermit) {
        assert_same(&self.semaphore, &other.semaphore);
        self.permits = sum(self.permits, other.permits);
        other.permits = mutation!("permits-merged-stay", 0, other.permits);
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.raw.release(self.permits);
            // Not before: permits that the semaphore refuses, with a panic, are held for ever.
            self.semaphore.ledger.given_back(self.permits, self.place);
        }
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

#[track_caller]
fn assert_same(one: &Semaphore, other: &Semaphore) {
    assert!(ptr::eq(one, other), "permits of two semaphores cannot be merged");
}

#[track_caller]
fn sum(one: usize, other: usize) -> usize {
    let sum = one.saturating_add(other);
    assert!(sum <= MAX_PERMITS, "a permit holds at most {MAX_PERMITS} permits");
    sum
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_dropped_permit_is_given_back_and_a_forgotten_one_is_not() {
        let semaphore = Semaphore::new(4);
        drop(semaphore.try_acquire(2));
        assert_eq!(semaphore.available_permits(), 4);
        semaphore.try_acquire(1).unwrap().forget();
        assert_eq!(semaphore.available_permits(), 3);
    }

    #[test]
    fn a_permit_is_split_as_far_as_it_reaches() {
        let semaphore = Semaphore::new(3);
        let mut held = semaphore.try_acquire(3).unwrap();
        assert!(held.split(4).is_none());
        assert_eq!(held.permits(), 3);
        let all = held.split(3).unwrap();
        assert_eq!((held.permits(), all.permits()), (0, 3));
        drop(held);
        assert_eq!(semaphore.available_permits(), 0);
        drop(all);
        assert_eq!(semaphore.available_permits(), 3);
    }

    #[test]
    fn permits_are_merged_and_counted_once() {
        let semaphore = Semaphore::new(3);
        let mut held = semaphore.try_acquire(1).unwrap();
        held.merge(semaphore.try_acquire(2).unwrap());
        assert_eq!(semaphore.available_permits(), 0);
        drop(held);
        assert_eq!(semaphore.available_permits(), 3);
    }

    #[test]
    fn permits_of_two_semaphores_are_not_merged_and_none_is_lost() {
        let (one, other) = (Semaphore::new(1), Semaphore::new(1));
        let mut held = one.try_acquire(1).unwrap();
        let foreign = other.try_acquire(1).unwrap();
        let merged = catch_unwind(AssertUnwindSafe(|| held.merge(foreign)));
        assert!(merged.is_err());
        assert_eq!((held.permits(), other.available_permits()), (1, 1));
    }

    #[test]
    fn a_permit_of_too_many_is_refused_and_none_is_lost() {
        let semaphore = Semaphore::new(MAX_PERMITS);
        let mut held = semaphore.try_acquire(MAX_PERMITS).unwrap();
        semaphore.add_permits(1);
        let other = semaphore.try_acquire(1).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| held.merge(other))).is_err());
        assert_eq!((held.permits(), semaphore.available_permits()), (MAX_PERMITS, 1));
        held.forget();
    }

    #[test]
    fn an_owned_permit_keeps_the_semaphore() {
        let semaphore = Arc::new(Semaphore::new(3));
        let mut held = Arc::clone(&semaphore).try_acquire_owned(3).unwrap();
        assert!(Arc::ptr_eq(held.semaphore(), &semaphore));
        let one = held.split(1).unwrap();
        let mut two = held.split(2).unwrap();
        assert!(held.split(1).is_none());
        drop(held);
        assert_eq!(semaphore.available_permits(), 0);
        two.merge(one);
        assert_eq!(Arc::strong_count(&semaphore), 2);
        drop(two.split(1));
        assert_eq!(semaphore.available_permits(), 1);
        two.forget();
        assert_eq!(semaphore.available_permits(), 1);
        assert_eq!(Arc::strong_count(&semaphore), 1);
    }

    #[test]
    fn a_holder_that_panics_gives_its_permits_back() {
        let semaphore = Semaphore::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _permit = semaphore.try_acquire(1);
            panic!("planned");
        }));
        assert!(panicked.is_err());
        assert_eq!(semaphore.available_permits(), 1);
    }

    #[test]
    fn permits_go_between_threads() {
        fn assert_send_and_sync<T: Send + Sync + 'static>() {}
        assert_send_and_sync::<Permit<'static>>();
        assert_send_and_sync::<OwnedPermit>();
    }
}
