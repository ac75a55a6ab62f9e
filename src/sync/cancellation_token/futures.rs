//! The futures of a token.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::super::raw_cancellation::Node;
use super::CancellationToken;
use crate::platform::probe;
use crate::waiter::Waiter;

const WAITS_FOR: &str = "the cancellation of a token";

pin_project! {
    /// The future of [`CancellationToken::cancelled`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Cancelled<'a> {
        // First, so that it is dropped first: it takes itself out of the token's list.
        #[pin]
        waiter: Waiter<'a>,
        node: &'a Node,
        place: &'static Location<'static>,
    }
}

impl<'a> Cancelled<'a> {
    #[track_caller]
    pub(super) fn new(node: &'a Node) -> Cancelled<'a> {
        Cancelled { waiter: Waiter::of_future(), node, place: Location::caller() }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = this.node.poll_cancelled(this.waiter, context.waker());
        if polled.is_pending() {
            probe::task_waits(WAITS_FOR, this.place);
        }
        polled
    }
}

pin_project! {
    /// The future of [`CancellationToken::cancelled_owned`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CancelledOwned {
        // First, so that it is dropped first: it waits in what `token` holds.
        #[pin]
        waiter: Waiter<'static>,
        token: CancellationToken,
        place: &'static Location<'static>,
    }
}

impl CancelledOwned {
    #[track_caller]
    pub(super) fn new(token: CancellationToken) -> CancelledOwned {
        CancelledOwned { waiter: Waiter::of_future(), token, place: Location::caller() }
    }
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // SAFETY: the node stays where it is as long as the token is there, which this future holds
        // and does not give away, and the waiter is dropped before that.
        let node: &'static Node = unsafe { &*Arc::as_ptr(&this.token.node) };
        let polled = node.poll_cancelled(this.waiter, context.waker());
        if polled.is_pending() {
            probe::task_waits(WAITS_FOR, this.place);
        }
        polled
    }
}

pin_project! {
    /// The future of [`CancellationToken::run_until_cancelled`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct RunUntilCancelled<'a, F> {
        #[pin]
        cancelled: Cancelled<'a>,
        #[pin]
        future: F,
    }
}

impl<'a, F> RunUntilCancelled<'a, F> {
    pub(super) fn new(cancelled: Cancelled<'a>, future: F) -> RunUntilCancelled<'a, F> {
        RunUntilCancelled { cancelled, future }
    }
}

impl<F: Future> Future for RunUntilCancelled<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        run_until(this.cancelled, this.future, context)
    }
}

pin_project! {
    /// The future of [`CancellationToken::run_until_cancelled_owned`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct RunUntilCancelledOwned<F> {
        #[pin]
        cancelled: CancelledOwned,
        #[pin]
        future: F,
    }
}

impl<F> RunUntilCancelledOwned<F> {
    pub(super) fn new(cancelled: CancelledOwned, future: F) -> RunUntilCancelledOwned<F> {
        RunUntilCancelledOwned { cancelled, future }
    }
}

impl<F: Future> Future for RunUntilCancelledOwned<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        run_until(this.cancelled, this.future, context)
    }
}

/// The cancellation first: whoever is cancelled does nothing more.
fn run_until<C: Future, F: Future>(
    cancelled: Pin<&mut C>,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    if cancelled.poll(context).is_ready() {
        return Poll::Ready(None);
    }
    future.poll(context).map(Some)
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelledOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledOwned").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for RunUntilCancelled<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntilCancelled").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for RunUntilCancelledOwned<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntilCancelledOwned").finish_non_exhaustive()
    }
}
