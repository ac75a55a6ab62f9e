//! Asking tasks to end.

mod futures;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use super::raw_cancellation::Node;
use crate::waiter::{Waiter, block_on};

pub use futures::{Cancelled, CancelledOwned, RunUntilCancelled, RunUntilCancelledOwned};

/// Asks tasks to end: once, for good, and all that hold the token or a child of it.
///
/// Clones are handles of one token. A [child](CancellationToken::child_token) is cancelled with its
/// parent, and can be cancelled without it. A parent that is dropped without being cancelled
/// cancels nobody: its children are those of its own parent then. Nothing is left of a child that
/// is dropped, so that a token may have any number of them in its life, and they may stand any
/// number of levels deep.
///
/// A task looks when it likes ([`is_cancelled`](CancellationToken::is_cancelled), one load), waits
/// ([`cancelled`](CancellationToken::cancelled)), or lets a future run until then
/// ([`run_until_cancelled`](CancellationToken::run_until_cancelled)).
///
/// ```
/// use volt::CancellationToken;
///
/// volt::run(|io| async move {
///     let token = CancellationToken::new();
///     let child = token.child_token();
///     let task = io.spawn(async move {
///         child.cancelled().await;
///         "cleaned up"
///     });
///     token.cancel();
///     assert_eq!(task.await.unwrap(), "cleaned up");
/// });
/// ```
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

// What a token is about changes in one step, whoever panics.
impl UnwindSafe for CancellationToken {}
impl RefUnwindSafe for CancellationToken {}

impl CancellationToken {
    /// A token that is not cancelled, and has no parent.
    pub fn new() -> CancellationToken {
        CancellationToken { node: Node::root() }
    }

    /// A token that is cancelled with this one, and now if this one is.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// let parent = CancellationToken::new();
    /// let (first, second) = (parent.child_token(), parent.child_token());
    /// first.cancel();
    /// assert!(!parent.is_cancelled() && !second.is_cancelled());
    /// parent.cancel();
    /// assert!(second.is_cancelled() && parent.child_token().is_cancelled());
    /// ```
    #[must_use = "nobody is asked to end by a token that is dropped"]
    pub fn child_token(&self) -> CancellationToken {
        CancellationToken { node: self.node.child() }
    }

    /// Cancels the token and all its descendants; those who wait for that are woken. When this
    /// returns, all of them are cancelled. To cancel a token again does nothing.
    ///
    /// What was done before is seen by whoever sees the cancellation.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// Whether the token, or one that it descends from, was cancelled: one load.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// volt::run(|io| async move {
    ///     let token = CancellationToken::new();
    ///     let other = token.clone();
    ///     io.spawn(async move { other.cancel() });
    ///     token.cancelled().await;
    ///     assert!(token.is_cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled::new(&self.node)
    }

    /// As [`cancelled`](CancellationToken::cancelled), with a future that holds the token.
    ///
    /// Cancel safety: nothing is lost.
    #[track_caller]
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned::new(self)
    }

    /// Runs `future` until the token is cancelled: its output, or `None` if that comes first. It is
    /// not polled once the token is cancelled, and is dropped with the future that is returned.
    ///
    /// Cancel safety: that of `future`.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// volt::run(|_io| async {
    ///     let token = CancellationToken::new();
    ///     assert_eq!(token.run_until_cancelled(async { 7 }).await, Some(7));
    ///     token.cancel();
    ///     assert_eq!(token.run_until_cancelled(async { 7 }).await, None);
    /// });
    /// ```
    #[track_caller]
    pub fn run_until_cancelled<F>(&self, future: F) -> RunUntilCancelled<'_, F::IntoFuture>
    where
        F: IntoFuture,
    {
        RunUntilCancelled::new(self.cancelled(), future.into_future())
    }

    /// As [`run_until_cancelled`](CancellationToken::run_until_cancelled), with a future that holds
    /// the token: to be spawned.
    ///
    /// Cancel safety: that of `future`.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// volt::run(|io| async move {
    ///     let token = CancellationToken::new();
    ///     let work = std::future::pending::<()>();
    ///     let task = io.spawn(token.clone().run_until_cancelled_owned(work));
    ///     token.cancel();
    ///     assert_eq!(task.await.unwrap(), None);
    /// });
    /// ```
    #[track_caller]
    pub fn run_until_cancelled_owned<F>(self, future: F) -> RunUntilCancelledOwned<F::IntoFuture>
    where
        F: IntoFuture,
    {
        RunUntilCancelledOwned::new(self.cancelled_owned(), future.into_future())
    }

    /// Cancels the token when the guard is dropped.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let kept = token.clone().drop_guard().disarm();
    /// assert!(!token.is_cancelled());
    /// drop(kept.drop_guard());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    /// Whether the token is cancelled; if not, the caller-owned waiter is queued, and woken when it
    /// is: then call this again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::CancellationToken;
    /// use volt::sync::Waiter;
    ///
    /// let token = CancellationToken::new();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(!token.cancelled_wait(waiter.as_mut()));
    /// token.cancel();
    /// assert!(waiter.is_ready());
    /// assert!(token.cancelled_wait(waiter.as_mut()));
    /// ```
    pub fn cancelled_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> bool {
        let waker = waiter.own_waker();
        self.node.poll_cancelled(waiter, &waker).is_ready()
    }

    /// Ends the wait of [`cancelled_wait`](CancellationToken::cancelled_wait).
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    pub fn cancel_cancelled(&self, waiter: Pin<&mut Waiter<'_>>) {
        self.node.end_wait(waiter);
    }

    /// As [`cancelled`](CancellationToken::cancelled) on a plain thread.
    ///
    /// # Panics
    /// Inside a task: the other tasks of its worker would wait, too.
    ///
    /// ```
    /// use volt::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let child = token.child_token();
    /// let thread = std::thread::spawn(move || child.blocking_cancelled());
    /// token.cancel();
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_cancelled(&self) {
        block_on("blocking_cancelled", "cancelled", self.cancelled());
    }
}

impl Default for CancellationToken {
    fn default() -> CancellationToken {
        CancellationToken::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut token = f.debug_struct("CancellationToken");
        token.field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Cancels its token when it is dropped; see [`CancellationToken::drop_guard`].
#[derive(Debug)]
#[must_use = "the token is cancelled as soon as the guard is dropped"]
pub struct DropGuard {
    /// `None` once it is disarmed.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// The token, which this guard does not cancel any more.
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("the token is there until `self` is gone")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}
