//! Futures that a scenario polls by hand, or stops before their end.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future, after a poll that leaves it pending: it has its place in a queue.
pub async fn queued<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "there is nothing to wait for");
        Poll::Ready(())
    })
    .await;
    future
}

/// When a future is stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// After so many polls,
    polls: usize,
    /// when it would be polled once more, since it was woken; else at the end of the last one.
    when_woken: bool,
}

/// The future, which is dropped when `stop` says so, unless it is ready before.
pub fn stopped<F: Future>(stop: Stop, future: F) -> Stopped<F> {
    Stopped { stop, future: Some(Box::pin(future)) }
}

/// The future of [`stopped`]: `None` if it was dropped.
pub struct Stopped<F> {
    stop: Stop,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Stopped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = &mut *self;
        if this.stop.polls > 0 {
            this.stop.polls -= 1;
            let future = this.future.as_mut().expect("it was not stopped yet");
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            if this.stop.polls > 0 || this.stop.when_woken {
                return Poll::Pending;
            }
        }
        this.future = None;
        Poll::Ready(None)
    }
}

/// Runs `round` with each stop that a future can come to, until the future comes to its end
/// instead, which is what `round` says.
pub async fn at_each_poll(round: impl AsyncFn(Stop) -> bool) {
    for when_woken in [false, true] {
        let mut polls = 0;
        while !round(Stop { polls, when_woken }).await {
            polls += 1;
            assert!(polls < 100, "it comes to no end");
        }
    }
}
