//! The first of several tasks, and the end of the others.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{JoinError, JoinHandle, SelectAll};

/// Waits for the first task to end, gives its result, and asks the others to end: their
/// destructors may still run when it returns. Of tasks that have ended before it is polled, the
/// first in order counts. A panic or a cancellation wins as an output does.
///
/// Cancel safety: if it is dropped before a task has won, nobody is asked to end: the tasks run
/// on, and their outputs are lost.
///
/// # Panics
/// If there is no handle.
///
/// ```
/// volt::run(|io| async move {
///     let tasks = [io.spawn(std::future::pending()), io.spawn(async { 2 })];
///     assert_eq!(volt::task::race(tasks).await.unwrap(), 2);
/// });
/// ```
#[track_caller]
pub fn race<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Race<T> {
    let handles: Vec<_> = handles.into_iter().collect();
    assert!(!handles.is_empty(), "`race` is called without a handle: none can be the first");
    Race { first: SelectAll::new(handles, Location::caller()) }
}

/// The future of [`race`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Race<T> {
    first: SelectAll<T>,
}

impl<T> Future for Race<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, _, others) = ready!(Pin::new(&mut self.first).poll(context));
        for other in &others {
            other.abort();
        }
        Poll::Ready(result)
    }
}
