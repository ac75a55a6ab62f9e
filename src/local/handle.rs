//! What a task has of its runtime.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::ptr::NonNull;

use super::executor::Executor;
use super::join::JoinHandle;

/// A counted reference to an executor; neither `Send` nor `Sync`.
pub(super) struct Reference(NonNull<Executor>);

impl Reference {
    /// # Safety
    /// The executor is there, and this is its thread.
    pub(super) unsafe fn new(executor: NonNull<Executor>) -> Reference {
        // SAFETY: as the caller says.
        unsafe { executor.as_ref() }.references().add();
        Reference(executor)
    }
}

impl Deref for Reference {
    type Target = Executor;

    #[inline]
    fn deref(&self) -> &Executor {
        // SAFETY: the reference is counted.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Reference {
    fn clone(&self) -> Reference {
        // SAFETY: this reference keeps it, and does not leave its thread.
        unsafe { Reference::new(self.0) }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if self.references().remove() {
            // SAFETY: it was the last reference, and the runtime has ended.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Spawns tasks of a local [`Runtime`](super::Runtime), from inside them too. It stays on its
/// thread, and does not keep the runtime running.
///
/// ```
/// let runtime = volt::local::Runtime::new();
/// let handle = runtime.handle();
/// let sum = runtime.run_until(async move {
///     let one = handle.spawn(async { 1 });
///     let two = handle.spawn(async { 2 });
///     one.await.unwrap() + two.await.unwrap()
/// });
/// assert_eq!(sum, 3);
/// ```
#[derive(Clone)]
pub struct Handle(pub(super) Reference);

impl Handle {
    /// As [`Runtime::spawn`](super::Runtime::spawn). When the runtime is gone the task does not
    /// begin, and its handle gives a cancelled error.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let slot = self.0.spawn(future);
        // SAFETY: the task is new, and gives that type.
        unsafe { JoinHandle::new(slot, self.0.clone()) }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::Handle").field("tasks", &self.0.tasks()).finish()
    }
}
