//! The futures that wait for permits.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::permit::{OwnedPermit, Permit};
use super::raw_semaphore::RawSemaphore;
use super::semaphore::{Closed, Semaphore};
use crate::platform::permits::Place;
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

pin_project! {
    /// The future of [`Semaphore::acquire`].
    ///
    /// Cancel safety: a future that is dropped leaves the queue, and what was gathered for it or
    /// handed to it goes to the next ones.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Acquire<'a> {
        #[pin]
        waiter: Waiter<'a>,
        // `None` once it was ready.
        semaphore: Option<&'a Semaphore>,
        permits: usize,
        place: &'static Location<'static>,
    }
}

impl<'a> Acquire<'a> {
    #[inline]
    pub(super) fn new(
        semaphore: &'a Semaphore,
        permits: usize,
        place: &'static Location<'static>,
    ) -> Acquire<'a> {
        Acquire { waiter: Waiter::of_future(), semaphore: Some(semaphore), permits, place }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let semaphore = this.semaphore.expect("`Acquire` polled after it was ready");
        let permits = *this.permits;
        let turn = Turn::of_task();
        let polled = poll(&semaphore.raw, this.waiter, permits, context, turn, this.place);
        let polled = polled.map(|result| {
            *this.semaphore = None;
            result.map(|()| Permit::new(semaphore, permits, Place::new(this.place)))
        });
        turn.end(context, polled)
    }
}

pin_project! {
    /// The future of [`Semaphore::acquire_owned`].
    ///
    /// Cancel safety: as [`Acquire`].
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct AcquireOwned {
        // Before the semaphore, which it may be queued in: fields are dropped in this order.
        #[pin]
        waiter: Waiter<'static>,
        // `None` once it was ready.
        semaphore: Option<Arc<Semaphore>>,
        permits: usize,
        place: &'static Location<'static>,
    }
}

impl AcquireOwned {
    #[inline]
    pub(super) fn new(
        semaphore: Arc<Semaphore>,
        permits: usize,
        place: &'static Location<'static>,
    ) -> AcquireOwned {
        AcquireOwned { waiter: Waiter::of_future(), semaphore: Some(semaphore), permits, place }
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedPermit, Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let semaphore = this.semaphore.as_ref().expect("`AcquireOwned` polled after it was ready");
        // SAFETY: the waiter, which keeps the reference, is dropped before the `Arc`; and that is
        // taken out of the future only when the waiter waits no longer, and keeps none.
        let raw: &'static RawSemaphore = unsafe { &*ptr::from_ref(&semaphore.raw) };
        let permits = *this.permits;
        let turn = Turn::of_task();
        let polled = poll(raw, this.waiter, permits, context, turn, this.place);
        let polled = polled.map(|result| {
            let semaphore = this.semaphore.take().expect("it was there at the beginning");
            result.map(|()| OwnedPermit::new(semaphore, permits, Place::new(this.place)))
        });
        turn.end(context, polled)
    }
}

/// The caller makes a permit of what it gets before it ends its turn: that calls a waker, which may
/// panic.
#[inline]
fn poll<'a>(
    semaphore: &'a RawSemaphore,
    waiter: Pin<&mut Waiter<'a>>,
    permits: usize,
    context: &Context<'_>,
    turn: Turn,
    place: &'static Location<'static>,
) -> Poll<Result<(), Closed>> {
    let polled = semaphore.poll_acquire(waiter, permits, context.waker(), turn);
    if polled.is_pending() {
        probe::task_waits("permits of a semaphore", place);
    }
    polled
}
