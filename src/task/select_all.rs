//! Waiting for the first of several tasks.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::group::completions::{Completions, result_of};
use super::{JoinError, JoinHandle};
use crate::platform::probe;

/// Waits for the first task to end; gives its result, the place of its handle among `handles`,
/// and the other handles in their order, whose tasks run on. Of tasks that have ended before it
/// is polled, the first in order counts.
///
/// Cancel safety: if it is dropped, the tasks run on, and their handles are lost. To go on after
/// that, use a [`Group`](super::Group) and its [`next`](super::Group::next).
///
/// # Panics
/// If there is no handle.
///
/// ```
/// volt::run(|io| async move {
///     let tasks = [io.spawn(std::future::pending()), io.spawn(async { 2 })];
///     let (result, index, others) = volt::task::select_all(tasks).await;
///     assert_eq!((result.unwrap(), index, others.len()), (2, 1, 1));
/// });
/// ```
#[track_caller]
pub fn select_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> SelectAll<T> {
    let handles: Vec<_> = handles.into_iter().collect();
    assert!(!handles.is_empty(), "`select_all` is called without a handle: none can be the first");
    SelectAll::new(handles, Location::caller())
}

/// The future of [`select_all`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct SelectAll<T> {
    /// Empty when the output was given out.
    handles: Vec<JoinHandle<T>>,
    completions: Arc<Completions>,
    /// Whether all tasks tell `completions` of their ends.
    registered: bool,
    place: &'static Location<'static>,
}

impl<T> SelectAll<T> {
    /// Waits for the first of `handles`, of which there is one at least, for the caller at
    /// `place`.
    pub(super) fn new(
        handles: Vec<JoinHandle<T>>,
        place: &'static Location<'static>,
    ) -> SelectAll<T> {
        let completions = Arc::new(Completions::new());
        SelectAll { handles, completions, registered: false, place }
    }

    /// The index and the result of the first task that is seen to have ended.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<(usize, Result<T, JoinError>)> {
        if !std::mem::replace(&mut self.registered, true) {
            for (index, handle) in self.handles.iter_mut().enumerate() {
                if let Poll::Ready(result) = self.completions.register(index, handle) {
                    return Poll::Ready((index, result));
                }
            }
        }
        let mut ended = VecDeque::new();
        if !self.completions.take_or_wait(&mut ended, context.waker()) {
            probe::task_waits("the end of one of several tasks", self.place);
            return Poll::Pending;
        }
        let index = ended[0];
        Poll::Ready((index, result_of(&mut self.handles[index])))
    }
}

impl<T> Future for SelectAll<T> {
    type Output = (Result<T, JoinError>, usize, Vec<JoinHandle<T>>);

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.handles.is_empty(), "the first task is asked for after it was given out");
        self.poll_first(context).map(|(index, result)| {
            let mut others = std::mem::take(&mut self.handles);
            drop(others.remove(index));
            (result, index, others)
        })
    }
}

impl<T> std::fmt::Debug for SelectAll<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelectAll").field("handles", &self.handles).finish_non_exhaustive()
    }
}
