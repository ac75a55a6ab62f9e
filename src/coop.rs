//! The cooperative budget: a task may do so many operations on Volt's resources in one poll; then
//! they answer `Pending` and the task goes to the end of its queue, so that a channel that is
//! always full or a socket that is always readable cannot keep a worker for itself.
//!
//! Outside a task there is no budget, and every operation proceeds.

use std::cell::Cell;
use std::task::{Context, Poll};

use crate::platform::sync::thread_local;

/// What a task may do in one poll unless its runtime was built with another budget.
pub(crate) const BUDGET: u32 = 128;

thread_local! {
    /// What the task that this thread polls may still do; `u32::MAX` outside a task.
    static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Gives the task that is polled by `f` its budget.
#[inline]
pub(crate) fn with_budget<R>(budget: u32, f: impl FnOnce() -> R) -> R {
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            let before = self.0;
            LEFT.with(|left| left.set(before));
        }
    }
    let _restore = Restore(LEFT.with(|left| left.replace(budget)));
    f()
}

/// Spends one operation of the running task's budget. `Pending` when there is none left: the
/// task is woken already, and the caller must answer `Pending` without having done anything.
///
/// A future that waits in a queue takes its place there before it spends: the budget must not
/// decide the order.
#[inline]
pub fn poll_proceed(context: &mut Context<'_>) -> Poll<()> {
    LEFT.with(|left| match left.get() {
        u32::MAX => Poll::Ready(()),
        0 => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        some => {
            left.set(some - 1);
            Poll::Ready(())
        }
    })
}

/// Whether the running task has operations left.
#[inline]
pub fn has_budget_remaining() -> bool {
    LEFT.with(|left| left.get() > 0)
}

/// Whether this thread polls a task.
pub(crate) fn is_in_task() -> bool {
    LEFT.with(|left| left.get() != u32::MAX)
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_budget_ends_and_the_one_around_it_goes_on() {
        let mut context = Context::from_waker(Waker::noop());
        with_budget(2, || {
            assert!(poll_proceed(&mut context).is_ready());
            with_budget(1, || {
                assert!(poll_proceed(&mut context).is_ready());
                assert!(poll_proceed(&mut context).is_pending());
            });
            assert!(poll_proceed(&mut context).is_ready());
            assert!(!has_budget_remaining());
            assert!(poll_proceed(&mut context).is_pending());
        });
        assert!((0..1_000).all(|_| poll_proceed(&mut context).is_ready()));
    }
}
