//! The handle to a local task.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::arena::SlotRef;
use super::error::JoinError;
use super::executor::Executor;
use super::handle::Reference;

/// Waits for a local task and gives its output. Dropping it lets the task run on.
///
/// Cancel safety: awaiting a `&mut JoinHandle` may stop at any time; the output stays.
pub struct JoinHandle<T> {
    /// `None` when the output was given.
    slot: Option<SlotRef>,
    executor: Reference,
    output: PhantomData<T>,
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    /// The task is new and gives a `T`; nobody else has a handle.
    pub(super) unsafe fn new(slot: SlotRef, executor: Reference) -> JoinHandle<T> {
        JoinHandle { slot: Some(slot), executor, output: PhantomData }
    }

    /// Asks the task to end: its future is dropped when its turn comes, and the handle gives a
    /// cancelled [`JoinError`]. A task that has finished keeps its output.
    pub fn abort(&self) {
        if let Some(slot) = self.slot {
            self.executor.abort(slot);
        }
    }

    /// Asks the task to end, at once, and waits until its destructors have run. The result is
    /// `Ok` if the task had finished first.
    ///
    /// Cancel safety: the task ends even if the wait is dropped.
    ///
    /// ```
    /// let runtime = volt::local::Runtime::new();
    /// let task = runtime.spawn(std::future::pending::<()>());
    /// let error = runtime.run_until(task.cancel()).unwrap_err();
    /// assert!(error.is_cancelled());
    /// ```
    pub fn cancel(self) -> Cancel<T> {
        self.abort();
        Cancel(self)
    }

    /// Whether the task has ended, its destructors included.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.slot.is_none_or(Executor::is_finished)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = self.slot.expect("a `JoinHandle` is not polled after it gave its output");
        // SAFETY: the task has this handle, and gives a `T`.
        let output = unsafe { self.executor.poll_output(slot, context) };
        if output.is_ready() {
            self.slot = None;
        }
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            // SAFETY: the task had this handle, and gives a `T`.
            unsafe { self.executor.detach::<T>(slot) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::JoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// The future of [`JoinHandle::cancel`].
#[derive(Debug)]
pub struct Cancel<T>(JoinHandle<T>);

impl<T> Future for Cancel<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}
