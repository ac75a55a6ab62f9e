//! Models of [`Node`], with planted bugs that they must notice.

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::task::Wake;

use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;

struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.0.store(true, Ordering::Release);
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task(AtomicBool::new(false)));
    (Arc::clone(&task), Waker::from(task))
}

fn is_woken(task: &Task) -> bool {
    task.0.load(Ordering::Acquire)
}

/// What one does before it cancels, and another one looks at after.
struct Work(UnsafeCell<u32>);

// SAFETY: the cancellation orders the accesses.
unsafe impl Sync for Work {}
// SAFETY: as above.
unsafe impl Send for Work {}

/// One waits for a child while the parent is cancelled.
fn cancel_and_wait() {
    let root = Node::root();
    // Not dropped: a check that fails here may do so while the other thread has the tree's lock.
    let child = ManuallyDrop::new(root.child());
    let work = Arc::new(Work(UnsafeCell::new(0)));
    let done = Arc::clone(&work);
    let thread = loom::thread::spawn(move || {
        // SAFETY: it is not cancelled.
        done.0.with_mut(|done| unsafe { *done = 7 });
        root.cancel();
    });
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    let is_ready = child.poll_cancelled(waiter.as_mut(), &waker).is_ready();
    if is_ready {
        // SAFETY: it is cancelled.
        assert_eq!(work.0.with(|work| unsafe { *work }), 7);
    }
    thread.join().unwrap();
    assert!(is_ready || is_woken(&task), "the token is cancelled and the waiter sleeps");
    assert!(child.poll_cancelled(waiter.as_mut(), &waker).is_ready());
}

#[test]
fn a_cancellation_meets_a_waiter_that_comes() {
    model(cancel_and_wait);
}

#[test]
fn silent_cancellation_mutant_is_noticed() {
    assert!(is_noticed("token-cancels-silently", || model(cancel_and_wait)));
}

#[test]
fn one_look_mutant_is_noticed() {
    assert!(is_noticed("token-looks-once", || model(cancel_and_wait)));
}

#[test]
fn relaxed_mark_mutant_is_noticed() {
    assert!(is_noticed("token-marks-relaxed", || model(cancel_and_wait)));
}

#[test]
fn a_cancellation_meets_a_waiter_that_goes() {
    model(|| {
        let token = Node::root();
        let (task, waker) = task();
        let mut first = pin!(Waiter::of_future());
        let mut second = pin!(Waiter::of_future());
        assert!(token.poll_cancelled(first.as_mut(), Waker::noop()).is_pending());
        assert!(token.poll_cancelled(second.as_mut(), &waker).is_pending());
        let other = Arc::clone(&token);
        let thread = loom::thread::spawn(move || other.cancel());
        token.end_wait(first.as_mut());
        thread.join().unwrap();
        assert!(is_woken(&task), "the one that goes takes another one with it");
    });
}

/// A child is made while its parent is cancelled.
fn cancel_and_add() {
    let root = Node::root();
    let other = Arc::clone(&root);
    let thread = loom::thread::spawn(move || other.cancel());
    let child = root.child();
    thread.join().unwrap();
    assert!(child.is_cancelled(), "a child is missed");
}

#[test]
fn a_cancellation_meets_a_new_child() {
    model(cancel_and_add);
}

#[test]
fn ignored_parent_mutant_is_noticed() {
    assert!(is_noticed("token-ignores-its-parent", || model(cancel_and_add)));
}

#[test]
fn a_cancellation_meets_a_token_that_is_dropped() {
    model(|| {
        let root = Node::root();
        let child = root.child();
        let below = child.child();
        let thread = loom::thread::spawn(move || root.cancel());
        drop(child);
        thread.join().unwrap();
        assert!(below.is_cancelled(), "the token that is dropped takes its child with it");
    });
}

#[test]
fn two_cancellations_meet_in_one_branch() {
    model(|| {
        let root = Node::root();
        let child = root.child();
        let below = child.child();
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        assert!(below.poll_cancelled(waiter.as_mut(), &waker).is_pending());
        let thread = loom::thread::spawn(move || root.cancel());
        child.cancel();
        assert!(below.is_cancelled(), "it has returned before all are cancelled");
        thread.join().unwrap();
        assert!(is_woken(&task));
    });
}
