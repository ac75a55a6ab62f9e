//! The futures of a cell.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::super::raw_once::{Right, Role};
use super::OnceCell;
use crate::coop;
use crate::platform::probe;
use crate::waiter::Waiter;

pin_project! {
    // Waits for the value, or makes it. Three phases: without `right` and with `init` it waits;
    // with both it may begin; with `right` alone it makes the value. With neither it is over.
    struct Initialize<'a, T, F, Fut> {
        // First, so that it is dropped first: it takes itself out of the cell's queue.
        #[pin]
        waiter: Waiter<'a>,
        cell: &'a OnceCell<T>,
        init: Option<F>,
        // Before `right`: it is gone when the next one begins.
        #[pin]
        future: Option<Fut>,
        right: Option<Right<'a>>,
        place: &'static Location<'static>,
    }
}

impl<'a, T, F, Fut> Initialize<'a, T, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    #[track_caller]
    fn new(cell: &'a OnceCell<T>, init: F) -> Initialize<'a, T, F, Fut> {
        Initialize {
            waiter: Waiter::of_future(),
            cell,
            init: Some(init),
            future: None,
            right: None,
            place: Location::caller(),
        }
    }

    fn poll_value<E>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into_result: impl FnOnce(Fut::Output) -> Result<T, E>,
    ) -> Poll<Result<&'a T, E>> {
        let mut this = self.project();
        let cell: &'a OnceCell<T> = this.cell;
        // Out of its field: a panic below drops it, and so lets the next one try.
        let right = match this.right.take() {
            Some(right) => right,
            None => {
                assert!(
                    this.init.is_some(),
                    "a future of `OnceCell` polled after it was ready, or had panicked"
                );
                match cell.once.poll_begin(this.waiter.as_mut(), context.waker()) {
                    Poll::Ready(Role::Initializer(right)) => right,
                    Poll::Ready(Role::Reader) => {
                        *this.init = None;
                        // SAFETY: it is set.
                        return Poll::Ready(Ok(unsafe { cell.value() }));
                    }
                    Poll::Pending => {
                        probe::task_waits("the value of a cell", this.place);
                        return Poll::Pending;
                    }
                }
            }
        };
        if this.init.is_some() {
            // What is failing again and again must not keep the worker. The right is had before
            // the budget is spent, so that the budget does not decide the order.
            if coop::poll_proceed(context).is_pending() {
                *this.right = Some(right);
                return Poll::Pending;
            }
            let future = this.init.take().map(|init| init());
            this.future.set(future);
        }
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("whoever has begun and is not ready has a future");
        let Poll::Ready(output) = future.poll(context) else {
            *this.right = Some(right);
            return Poll::Pending;
        };
        // It is gone before the value is there, or the next one begins.
        this.future.set(None);
        Poll::Ready(into_result(output).map(|value| cell.put(right, value)))
    }
}

pin_project! {
    /// The future of [`OnceCell::get_or_init`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct GetOrInit<'a, T, F, Fut> {
        #[pin]
        inner: Initialize<'a, T, F, Fut>,
    }
}

impl<'a, T, F, Fut> GetOrInit<'a, T, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = T>,
{
    #[track_caller]
    pub(super) fn new(cell: &'a OnceCell<T>, init: F) -> GetOrInit<'a, T, F, Fut> {
        GetOrInit { inner: Initialize::new(cell, init) }
    }
}

impl<'a, T, F, Fut> Future for GetOrInit<'a, T, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = T>,
{
    type Output = &'a T;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'a T> {
        let polled = self.project().inner.poll_value(context, Ok::<T, Infallible>);
        polled.map(|Ok(value)| value)
    }
}

pin_project! {
    /// The future of [`OnceCell::get_or_try_init`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct GetOrTryInit<'a, T, F, Fut> {
        #[pin]
        inner: Initialize<'a, T, F, Fut>,
    }
}

impl<'a, T, F, Fut, E> GetOrTryInit<'a, T, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    #[track_caller]
    pub(super) fn new(cell: &'a OnceCell<T>, init: F) -> GetOrTryInit<'a, T, F, Fut> {
        GetOrTryInit { inner: Initialize::new(cell, init) }
    }
}

impl<'a, T, F, Fut, E> Future for GetOrTryInit<'a, T, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<&'a T, E>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<&'a T, E>> {
        self.project().inner.poll_value(context, |result| result)
    }
}

pin_project! {
    /// The future of [`OnceCell::wait`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WaitInitialized<'a, T> {
        // First, so that it is dropped first: it takes itself out of the cell's queue.
        #[pin]
        waiter: Waiter<'a>,
        cell: &'a OnceCell<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> WaitInitialized<'a, T> {
    #[track_caller]
    pub(super) fn new(cell: &'a OnceCell<T>) -> WaitInitialized<'a, T> {
        WaitInitialized { waiter: Waiter::of_future(), cell, place: Location::caller() }
    }
}

impl<'a, T> Future for WaitInitialized<'a, T> {
    type Output = &'a T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'a T> {
        let this = self.project();
        let cell: &'a OnceCell<T> = this.cell;
        if cell.once.poll_set(this.waiter, context.waker()).is_pending() {
            probe::task_waits("the value of a cell", this.place);
            return Poll::Pending;
        }
        // SAFETY: it is set.
        Poll::Ready(unsafe { cell.value() })
    }
}

impl<T, F, Fut> fmt::Debug for GetOrInit<'_, T, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrInit").finish_non_exhaustive()
    }
}

impl<T, F, Fut> fmt::Debug for GetOrTryInit<'_, T, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrTryInit").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for WaitInitialized<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitInitialized").finish_non_exhaustive()
    }
}
