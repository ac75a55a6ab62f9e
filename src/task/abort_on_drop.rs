//! A join handle whose drop aborts the task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{JoinError, JoinHandle};

/// Waits for a task, as its [`JoinHandle`], and aborts the task when dropped.
///
/// ```
/// use volt::task::AbortOnDrop;
///
/// volt::run(|io| async move {
///     let task = AbortOnDrop::new(io.spawn(std::future::pending::<()>()));
///     drop(task); // the task is cancelled
/// });
/// ```
#[derive(Debug)]
pub struct AbortOnDrop<T> {
    handle: Option<JoinHandle<T>>,
}

impl<T> AbortOnDrop<T> {
    /// Takes over the handle.
    pub fn new(handle: JoinHandle<T>) -> AbortOnDrop<T> {
        AbortOnDrop { handle: Some(handle) }
    }

    /// Gives the handle back; the task runs on.
    pub fn detach(mut self) -> JoinHandle<T> {
        self.handle.take().expect("the handle is there until `self` is gone")
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let handle = self.handle.as_mut().expect("the handle is there until `self` is gone");
        Pin::new(handle).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}
