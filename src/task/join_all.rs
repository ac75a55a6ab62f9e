//! Waiting for several tasks.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::group::members::Members;
use super::{JoinError, JoinHandle};

/// Waits for all tasks and gives their results, in the order of the handles.
///
/// Cancel safety: if it is dropped, the tasks run on, and results are lost.
///
/// ```
/// volt::run(|io| async move {
///     let tasks: Vec<_> = (0..3).map(|number| io.spawn(async move { number })).collect();
///     let results = volt::task::join_all(tasks).await;
///     let outputs: Vec<i32> = results.into_iter().map(Result::unwrap).collect();
///     assert_eq!(outputs, [0, 1, 2]);
/// });
/// ```
#[track_caller]
pub fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> JoinAll<T> {
    let handles: Vec<_> = handles.into_iter().collect();
    let results = Some(Vec::with_capacity(handles.len()));
    JoinAll { handles: handles.into_iter(), results }
}

/// The future of [`join_all`].
///
/// The tasks run whether they are polled or not, so it waits for one after the other.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct JoinAll<T> {
    /// Those that are still waited for.
    handles: std::vec::IntoIter<JoinHandle<T>>,
    /// `None` when they were given out.
    results: Option<Vec<Result<T, JoinError>>>,
}

// No output is ever pinned.
impl<T> Unpin for JoinAll<T> {}

impl<T> Future for JoinAll<T> {
    type Output = Vec<Result<T, JoinError>>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a `JoinAll` is polled after it gave its output";
        let this = &mut *self;
        while let Some(handle) = this.handles.as_mut_slice().first_mut() {
            let result = ready!(Pin::new(handle).poll(context));
            drop(this.handles.next());
            this.results.as_mut().expect(AGAIN).push(result);
        }
        Poll::Ready(this.results.take().expect(AGAIN))
    }
}

/// Waits for all tasks and gives their outputs, in the order of the handles; ends with the first
/// task that fails, and lets the others run on. A [`Group`](super::Group) cancels them instead.
///
/// Cancel safety: if it is dropped, the tasks run on, and outputs are lost.
///
/// # Errors
/// The error of the first task that panicked or was cancelled, as soon as it has ended.
///
/// ```
/// volt::run(|io| async move {
///     let tasks = [io.spawn(async { 1 }), io.spawn(async { 2 })];
///     assert_eq!(volt::task::try_join_all(tasks).await.unwrap(), [1, 2]);
///
///     let tasks = [io.spawn(std::future::pending()), io.spawn(async { panic!("the end") })];
///     let failed: Result<Vec<()>, _> = volt::task::try_join_all(tasks).await;
///     assert!(failed.unwrap_err().is_panic());
/// });
/// ```
#[track_caller]
pub fn try_join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> TryJoinAll<T> {
    let mut members = Members::new();
    for handle in handles {
        members.insert(handle);
    }
    TryJoinAll { members: Some(members), place: Location::caller() }
}

/// The future of [`try_join_all`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct TryJoinAll<T> {
    /// `None` when the output was given out.
    members: Option<Members<T>>,
    place: &'static Location<'static>,
}

impl<T> Future for TryJoinAll<T> {
    type Output = Result<Vec<T>, JoinError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let members = this.members.as_mut();
        let members = members.expect("a `TryJoinAll` is polled after it gave its output");
        while members.running() > 0 && !members.has_failed() {
            ready!(members.poll_end(context.waker(), this.place));
        }
        let outputs = members.take_outputs();
        this.members = None;
        Poll::Ready(outputs)
    }
}
