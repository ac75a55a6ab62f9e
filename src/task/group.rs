//! Tasks that end together.

pub(super) mod completions;
pub(super) mod members;

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use self::members::Members;
use super::{AbortHandle, JoinError};
use crate::runtime::Io;

/// A set of tasks with outputs of one type, that are waited for, or cancelled, together. After
/// [`wait`](Group::wait) or [`cancel`](Group::cancel) no task of it is left, and it can be used
/// again. Dropping it asks all its tasks to end and does not wait for them.
///
/// There is no limit on the number of tasks, and a task that ends costs the same however many
/// there are.
///
/// ```
/// use volt::task::Group;
///
/// let squares = volt::run(|io| async move {
///     let mut group = Group::new(&io);
///     for number in 0..4 {
///         group.spawn(async move { number * number });
///     }
///     group.wait().await.unwrap()
/// });
/// assert_eq!(squares, [0, 1, 4, 9]);
/// ```
pub struct Group<T> {
    io: Io,
    members: Members<T>,
}

impl<T> Group<T> {
    /// A group without tasks, whose tasks will run on this runtime.
    pub fn new(io: &Io) -> Group<T> {
        Group { io: io.clone(), members: Members::new() }
    }

    /// Starts a task that belongs to the group. The handle can end it before the others; a group
    /// that is [waited](Group::wait) for ends with it.
    ///
    /// If the runtime has shut down, the task is cancelled.
    ///
    /// ```
    /// use volt::task::Group;
    ///
    /// volt::run(|io| async move {
    ///     let mut group = Group::new(&io);
    ///     let task = group.spawn(std::future::pending::<()>());
    ///     task.abort();
    ///     assert!(group.next().await.unwrap().unwrap_err().is_cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.io.spawn(future);
        let abort = handle.abort_handle();
        self.members.insert(handle);
        abort
    }

    /// Waits for the next task to end and takes its result, in the order of completion; `None` if
    /// the group has no task left. Tasks that end at the same time, or while they are spawned,
    /// come in any order.
    ///
    /// Cancel safety: nothing is lost; the result stays in the group.
    ///
    /// ```
    /// use volt::task::Group;
    ///
    /// volt::run(|io| async move {
    ///     let mut group = Group::new(&io);
    ///     for number in [1, 2, 3] {
    ///         group.spawn(async move { number });
    ///     }
    ///     let mut sum = 0;
    ///     while let Some(result) = group.next().await {
    ///         sum += result.unwrap();
    ///     }
    ///     assert_eq!(sum, 6);
    /// });
    /// ```
    #[allow(clippy::should_implement_trait, reason = "it waits, and an iterator cannot")]
    #[track_caller]
    pub fn next(&mut self) -> Next<'_, T> {
        Next { group: self, place: Location::caller() }
    }

    /// Waits for all tasks to end and takes the outputs that were not taken, in the order of
    /// spawning.
    ///
    /// Cancel safety: nothing is lost; the results stay in the group, for
    /// [`next`](Group::next) or for another `wait`. If a task had failed, the others were asked
    /// to end.
    ///
    /// # Errors
    /// The error of the first task that panicked or was cancelled. The others are cancelled then,
    /// and have run their destructors when the error is returned; their outputs are dropped.
    ///
    /// ```
    /// use volt::task::Group;
    ///
    /// volt::run(|io| async move {
    ///     let mut group = Group::new(&io);
    ///     group.spawn(std::future::pending::<()>());
    ///     group.spawn(async { panic!("the end") });
    ///     assert!(group.wait().await.unwrap_err().is_panic());
    ///     assert!(group.is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&mut self) -> Wait<'_, T> {
        Wait { group: self, asked: false, place: Location::caller() }
    }

    /// Asks all tasks to end and waits until their destructors have run. Results that were not
    /// taken are dropped.
    ///
    /// Cancel safety: once polled, all tasks end even if the wait is dropped.
    ///
    /// ```
    /// use volt::task::Group;
    ///
    /// volt::run(|io| async move {
    ///     let mut group = Group::new(&io);
    ///     group.spawn(std::future::pending::<()>());
    ///     group.cancel().await;
    ///     assert!(group.is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn cancel(&mut self) -> CancelAll<'_, T> {
        CancelAll { group: self, asked: false, place: Location::caller() }
    }

    /// How many tasks the group has: those that run, and those that have ended and whose results
    /// were not taken.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the group has no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Group<T> {
    fn drop(&mut self) {
        self.members.abort();
    }
}

impl<T> fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The future of [`Group::next`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Next<'a, T> {
    group: &'a mut Group<T>,
    place: &'static Location<'static>,
}

impl<T> Future for Next<'_, T> {
    type Output = Option<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        let members = &mut self.group.members;
        if let Some(result) = members.pop() {
            return Poll::Ready(Some(result));
        }
        if members.running() == 0 {
            return Poll::Ready(None);
        }
        ready!(members.poll_end(context.waker(), place));
        Poll::Ready(members.pop())
    }
}

/// The future of [`Group::wait`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Wait<'a, T> {
    group: &'a mut Group<T>,
    asked: bool,
    place: &'static Location<'static>,
}

impl<T> Future for Wait<'_, T> {
    type Output = Result<Vec<T>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let members = &mut this.group.members;
        loop {
            if members.has_failed() && !std::mem::replace(&mut this.asked, true) {
                members.abort();
            }
            if members.running() == 0 {
                return Poll::Ready(members.take_outputs());
            }
            ready!(members.poll_end(context.waker(), this.place));
        }
    }
}

/// The future of [`Group::cancel`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct CancelAll<'a, T> {
    group: &'a mut Group<T>,
    asked: bool,
    place: &'static Location<'static>,
}

impl<T> Future for CancelAll<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let members = &mut this.group.members;
        if !std::mem::replace(&mut this.asked, true) {
            members.abort();
        }
        while members.running() > 0 {
            ready!(members.poll_end(context.waker(), this.place));
        }
        drop(members.take_outputs());
        Poll::Ready(())
    }
}
