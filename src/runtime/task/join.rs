//! The handles to a task that a user has.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Id, JoinError, TaskReference};

/// Waits for a task and gives its output. Dropping it lets the task run on.
///
/// Cancel safety: awaiting a `&mut JoinHandle` may stop at any time; the output stays.
pub struct JoinHandle<T> {
    task: TaskReference,
    taken: bool,
    output: PhantomData<T>,
}

// SAFETY: the handle gives out a `T`, which may move between threads if it is Send; everything
// else is the state word's.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` gives out no `T`.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// The handle of a new task.
    ///
    /// # Safety
    /// `task` is the reference that [`super::new`] gave for it, and `T` its output's type.
    pub(crate) unsafe fn new(task: TaskReference) -> JoinHandle<T> {
        JoinHandle { task, taken: false, output: PhantomData }
    }

    /// Asks the task to end: it is dropped at its next await point, on a worker, and the handle
    /// gives a cancelled [`JoinError`]. A task that has finished keeps its output.
    pub fn abort(&self) {
        self.task.cancel();
    }

    /// Asks the task to end and waits until its destructors have run. The result is `Ok` if the
    /// task had finished first.
    ///
    /// Cancel safety: once polled, the task ends even if the wait is dropped.
    pub fn cancel(self) -> Cancel<T> {
        Cancel { handle: self, asked: false }
    }

    /// Whether the task has ended, its destructors included.
    pub fn is_finished(&self) -> bool {
        self.task.is_complete()
    }

    /// The task's name; `None` if its runtime had shut down before it was spawned.
    pub fn id(&self) -> Option<Id> {
        self.task.id()
    }

    /// A handle that can abort the task and nothing else.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { task: self.task.clone() }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.taken, "a `JoinHandle` is polled after it gave its output");
        // SAFETY: `new`'s caller vouches for the reference and the type, `taken` for the rest.
        let output = unsafe { self.task.poll_output::<T>(context.waker()) };
        self.taken = output.is_ready();
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.task.leave(self.taken);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("task", &self.id()).finish()
    }
}

/// The future of [`JoinHandle::cancel`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Cancel<T> {
    handle: JoinHandle<T>,
    asked: bool,
}

impl<T> Future for Cancel<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.asked, true) {
            self.handle.abort();
        }
        Pin::new(&mut self.handle).poll(context)
    }
}

/// Can abort a task, from anywhere, any number of times.
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskReference,
}

impl AbortHandle {
    /// Asks the task to end, as [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.cancel();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_complete()
    }

    /// The task's name.
    pub fn id(&self) -> Option<Id> {
        self.task.id()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("task", &self.id()).finish()
    }
}
