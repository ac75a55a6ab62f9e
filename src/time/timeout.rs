//! A limit for a future.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::{Elapsed, Instant, Sleep};
use crate::runtime::Io;

/// Waits for `future`, but for `duration` at most, from now on. Interrupting a future means
/// dropping it, when the [`Timeout`] is dropped.
///
/// The future is polled before the clock is looked at: one that is ready wins, even when its time
/// is over.
///
/// Cancel safety: that of `future`, which is dropped with the `Timeout`.
///
/// # Errors
/// [`Elapsed`] if the time is over and the future is not ready.
///
/// ```
/// use std::time::Duration;
/// use volt::time::timeout;
///
/// volt::run(|io| async move {
///     let limit = Duration::from_millis(2);
///     assert_eq!(timeout(&io, limit, async { 7 }).await, Ok(7));
///     assert!(timeout(&io, limit, std::future::pending::<()>()).await.is_err());
/// });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(io: &Io, duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    let sleep = Sleep::new(io, Instant::now().later(duration), Location::caller());
    Timeout { future: future.into_future(), sleep }
}

/// Waits for `future`, but until `deadline` at most; otherwise as [`timeout`].
///
/// Cancel safety: that of `future`, which is dropped with the `Timeout`.
///
/// # Errors
/// [`Elapsed`] if the deadline has passed and the future is not ready.
///
/// ```
/// use std::time::Duration;
/// use volt::time::{Deadline, timeout_at};
///
/// volt::run(|io| async move {
///     let deadline = Deadline::new(Duration::from_secs(5));
///     for number in 0..3 {
///         let step = async move { number };
///         assert_eq!(timeout_at(&io, deadline.expires_at(), step).await, Ok(number));
///     }
/// });
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(io: &Io, deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let sleep = Sleep::new(io, deadline, Location::caller());
    Timeout { future: future.into_future(), sleep }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// # Panics
    /// As [`Sleep`], when its runtime has shut down.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// The future that is limited.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future that is limited.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future, without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }

    /// When the time is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.sleep.deadline()
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        // Whatever the future has left of the budget: one that always uses it up would have no
        // limit otherwise.
        this.sleep.poll_elapsed(context).map(|()| Err(Elapsed::new()))
    }
}
