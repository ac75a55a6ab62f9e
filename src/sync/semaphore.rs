//! A number of permits, for which tasks wait.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::acquire::{Acquire, AcquireOwned};
use super::permit::{OwnedPermit, Permit};
use super::raw_semaphore::{MAX_PERMITS, PERMIT, RawSemaphore};
use crate::platform::permits::{Ledger, Place};
use crate::platform::sync::const_fn;
use crate::waiter::{Turn, Waiter, block_on};

/// A number of permits: whoever wants some that are not there waits.
///
/// Those who wait are served first come, first served: small requests wait behind a large one. A
/// task that runs and asks for permits that are free just then, also by [`try_acquire`], may
/// overtake the first of them, at most 16 times. Then permits that are given back are gathered for
/// that, and nobody else gets one before it: so a large request is not starved by small ones.
///
/// A wait allocates nothing.
///
/// ```
/// use volt::sync::Semaphore;
///
/// static CONNECTIONS: Semaphore = Semaphore::new(2);
///
/// volt::run(|_io| async {
///     let one = CONNECTIONS.acquire(1).await.unwrap();
///     let other = CONNECTIONS.acquire(1).await.unwrap();
///     assert!(CONNECTIONS.try_acquire(1).is_none());
///     drop((one, other));
///     assert_eq!(CONNECTIONS.available_permits(), 2);
/// });
/// ```
///
/// [`try_acquire`]: Semaphore::try_acquire
pub struct Semaphore {
    pub(super) raw: RawSemaphore,
    pub(super) ledger: Ledger,
}

impl Semaphore {
    /// The most permits that can be free at one time.
    pub const MAX_PERMITS: usize = MAX_PERMITS;

    const_fn! {
        /// A semaphore with so many free permits; none is fine.
        ///
        /// # Panics
        /// If they are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
        #[track_caller]
        pub fn new(permits: usize) -> Semaphore {
            let ledger = Ledger::new(permits, Location::caller());
            Semaphore { raw: RawSemaphore::new(permits), ledger }
        }
    }

    /// Takes so many permits, all at once or none: `None` if they are not free, or if the semaphore
    /// is closed, which [`is_closed`](Semaphore::is_closed) tells. It may overtake those who wait,
    /// as often as [the type](Semaphore) says.
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// assert!(semaphore.try_acquire(3).is_none());
    /// let permit = semaphore.try_acquire(2).unwrap();
    /// assert!(semaphore.try_acquire(1).is_none());
    /// drop(permit);
    /// assert!(semaphore.try_acquire(1).is_some());
    /// ```
    #[doc(alias = "try_acquire_many")]
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self, permits: usize) -> Option<Permit<'_>> {
        let place = Place::new(Location::caller());
        self.raw.try_acquire(permits).then(|| Permit::new(self, permits, place))
    }

    /// As [`try_acquire`](Semaphore::try_acquire), with a permit that keeps the semaphore alive.
    #[doc(alias = "try_acquire_many_owned")]
    #[track_caller]
    pub fn try_acquire_owned(self: Arc<Self>, permits: usize) -> Option<OwnedPermit> {
        let place = Place::new(Location::caller());
        self.raw.try_acquire(permits).then(|| OwnedPermit::new(self, permits, place))
    }

    /// Waits for so many permits. None is ready at once; more than there are wait until enough are
    /// [added](Semaphore::add_permits).
    ///
    /// Cancel safety: a future that is dropped leaves the queue, and what was gathered for it or
    /// handed to it goes to the next ones. One that is created again waits at the end of the queue.
    ///
    /// # Errors
    /// [`Closed`], when the semaphore is closed before the permits are there.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// volt::run(|_io| async {
    ///     let semaphore = Semaphore::new(3);
    ///     let permit = semaphore.acquire(2).await.unwrap();
    ///     assert_eq!(permit.permits(), 2);
    ///     assert_eq!(semaphore.available_permits(), 1);
    /// });
    /// ```
    #[doc(alias = "acquire_many")]
    #[inline]
    #[track_caller]
    pub fn acquire(&self, permits: usize) -> Acquire<'_> {
        assert_possible(permits);
        Acquire::new(self, permits, Location::caller())
    }

    /// As [`acquire`](Semaphore::acquire), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    #[doc(alias = "acquire_many_owned")]
    #[inline]
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>, permits: usize) -> AcquireOwned {
        assert_possible(permits);
        AcquireOwned::new(self, permits, Location::caller())
    }

    /// As [`acquire`](Semaphore::acquire), for a waiter that the caller has pinned: the permits, or
    /// `None`; then the waiter's waker is called when this is to be called again, for as many
    /// permits. Somebody may have overtaken the waiter meanwhile: then it is `None` again.
    ///
    /// # Panics
    /// If the permits are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), or if the waiter waits
    /// for another number of them, or somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Semaphore, Waiter};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let held = semaphore.try_acquire(1).unwrap();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(semaphore.acquire_wait(1, waiter.as_mut()).is_none());
    /// drop(held);
    /// let permit = semaphore.acquire_wait(1, waiter.as_mut()).unwrap().unwrap();
    /// assert_eq!(permit.permits(), 1);
    /// ```
    #[track_caller]
    pub fn acquire_wait<'a>(
        &'a self,
        permits: usize,
        waiter: Pin<&mut Waiter<'a>>,
    ) -> Option<Result<Permit<'a>, Closed>> {
        assert_possible(permits);
        if waiter.is_in(&self.raw) {
            let wanted = self.raw.wanted_by(&waiter);
            assert!(permits == wanted, "the waiter waits for {wanted} permits, not for {permits}");
        }
        let waker = waiter.own_waker();
        let place = Place::new(Location::caller());
        match self.raw.poll_acquire(waiter, permits, &waker, Turn::Take) {
            Poll::Ready(result) => Some(result.map(|()| Permit::new(self, permits, place))),
            Poll::Pending => None,
        }
    }

    /// Ends the wait of a waiter that was passed to [`acquire_wait`](Semaphore::acquire_wait). What
    /// was gathered for it goes to the next ones. If it does not wait, nothing happens.
    ///
    /// # Panics
    /// If it waits somewhere else.
    #[track_caller]
    pub fn cancel_acquire<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// As [`acquire`](Semaphore::acquire), on a plain thread, which is blocked meanwhile.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire); and when it is called by a task.
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// assert_eq!(semaphore.blocking_acquire(1).unwrap().permits(), 1);
    /// ```
    #[track_caller]
    pub fn blocking_acquire(&self, permits: usize) -> Result<Permit<'_>, Closed> {
        block_on("blocking_acquire", "acquire", self.acquire(permits))
    }

    /// Adds new permits: for those who wait, and what is left is free.
    ///
    /// # Panics
    /// If more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) would be free. For the same reason a
    /// permit panics when it is dropped, if so many were added while it was held.
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        self.raw.release(permits);
        self.ledger.added(permits);
    }

    /// Takes up to so many free permits away for good, and returns how many. What is gathered for a
    /// waiter, which was overtaken too often, is not free.
    ///
    /// ```
    /// use volt::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// assert_eq!(semaphore.forget_permits(2), 2);
    /// assert_eq!(semaphore.forget_permits(2), 1);
    /// ```
    pub fn forget_permits(&self, permits: usize) -> usize {
        let forgotten = self.raw.forget(permits);
        self.ledger.forgotten(forgotten);
        forgotten
    }

    /// How many permits are free. None is while they are gathered for a waiter.
    pub fn available_permits(&self) -> usize {
        self.raw.available()
    }

    /// How many wait.
    pub fn waiter_count(&self) -> usize {
        self.raw.waiter_count()
    }

    /// Closes it, for good: whoever waits, or comes later, gets [`Closed`]. Permits that are held
    /// stay valid.
    ///
    /// ```
    /// use volt::sync::{Closed, Semaphore};
    ///
    /// volt::run(|_io| async {
    ///     let semaphore = Semaphore::new(1);
    ///     semaphore.close();
    ///     assert!(semaphore.is_closed());
    ///     assert!(matches!(semaphore.acquire(1).await, Err(Closed { .. })));
    ///     assert!(semaphore.try_acquire(1).is_none());
    /// });
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

#[inline]
#[track_caller]
fn assert_possible(permits: usize) {
    assert!(
        permits <= MAX_PERMITS,
        "{permits} permits are never there: a semaphore has at most {MAX_PERMITS}"
    );
}

impl Drop for Semaphore {
    #[inline]
    fn drop(&mut self) {
        self.ledger.ended(self.raw.word(), PERMIT);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The semaphore is closed: there will be no permits.
#[doc(alias = "AcquireError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {}

impl Closed {
    pub(super) fn new() -> Closed {
        Closed {}
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl Error for Closed {}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
