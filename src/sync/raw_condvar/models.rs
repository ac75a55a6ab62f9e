//! Models of the races that notifications meet.
//!
//! A model that fails must fail where no thread waits: what is queued then is withdrawn under the
//! list's lock, which loom cannot grant to a thread that it holds for stuck. So they poll by hand.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake};

use super::super::{Condvar, CondvarWait, Mutex, MutexGuard};
use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;

struct Task(AtomicBool);

impl Task {
    fn is_woken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.0.store(true, Ordering::Release);
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task(AtomicBool::new(false)));
    (Arc::clone(&task), Waker::from(task))
}

/// A value that changes, and who is told so.
struct Machine {
    mutex: Mutex<u32>,
    condvar: Condvar,
}

type Wait<'a> = Pin<Box<CondvarWait<'a, u32>>>;

impl Machine {
    fn new() -> Arc<Machine> {
        Arc::new(Machine { mutex: Mutex::new(0), condvar: Condvar::new() })
    }

    /// One that waits for a notification. Nobody has the lock.
    fn queue(&self, waker: &Waker) -> Wait<'_> {
        let guard = self.mutex.try_lock().expect("nobody has the lock");
        let mut wait = Box::pin(self.condvar.wait(guard));
        assert!(poll(&mut wait, waker).is_pending());
        wait
    }

    /// Changes the value, unless another thread has the lock, and tells it.
    fn change(&self) -> bool {
        let Some(mut guard) = self.mutex.try_lock() else { return false };
        *guard += 1;
        drop(guard);
        self.condvar.notify_one();
        true
    }
}

fn poll<'a>(wait: &mut Wait<'a>, waker: &Waker) -> Poll<MutexGuard<'a, u32>> {
    wait.as_mut().poll(&mut Context::from_waker(waker))
}

/// The value changes while one begins to wait for that.
fn begin_and_change() {
    let machine = Machine::new();
    let (task, waker) = task();
    let guard = machine.mutex.try_lock().unwrap();
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || other.change());
    let mut wait = Box::pin(machine.condvar.wait(guard));
    assert!(poll(&mut wait, &waker).is_pending());
    if thread.join().unwrap() {
        assert!(task.is_woken(), "the change is missed");
        let Poll::Ready(guard) = poll(&mut wait, &waker) else { panic!("the lock is free") };
        assert_eq!(*guard, 1);
    }
}

#[test]
fn a_change_meets_one_that_begins_to_wait() {
    model(begin_and_change);
}

#[test]
fn lock_freed_first_mutant_is_noticed() {
    assert!(is_noticed("condvar-frees-the-lock-first", || model(begin_and_change)));
}

#[test]
fn silent_notification_mutant_is_noticed() {
    assert!(is_noticed("condvar-notifies-silently", || model(begin_and_change)));
}

/// Two notify, and two wait.
fn two_notifications() {
    let machine = Machine::new();
    let ((first, first_waker), (second, second_waker)) = (task(), task());
    let waits = [machine.queue(&first_waker), machine.queue(&second_waker)];
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || other.condvar.notify_one());
    machine.condvar.notify_one();
    thread.join().unwrap();
    assert!(first.is_woken() && second.is_woken(), "a notification is lost");
    drop(waits);
}

#[test]
fn two_notifications_wake_two() {
    model(two_notifications);
}

#[test]
fn forgotten_waiter_mutant_is_noticed() {
    assert!(is_noticed("condvar-forgets-the-others", || model(two_notifications)));
}

/// One is notified while the first of two waits is dropped.
fn notify_and_drop(notify: fn(&Condvar)) {
    let machine = Machine::new();
    let (task, waker) = task();
    let first = machine.queue(Waker::noop());
    let mut second = machine.queue(&waker);
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || notify(&other.condvar));
    drop(first);
    thread.join().unwrap();
    assert!(task.is_woken(), "the wait that is dropped takes the notification along");
    assert!(poll(&mut second, &waker).is_ready());
}

#[test]
fn a_notification_meets_a_wait_that_is_dropped() {
    model(|| notify_and_drop(Condvar::notify_one));
}

#[test]
fn kept_notification_mutant_is_noticed() {
    assert!(is_noticed("condvar-keeps-the-unwanted", || {
        model(|| notify_and_drop(Condvar::notify_one));
    }));
}

#[test]
fn a_notification_to_all_meets_a_wait_that_is_dropped() {
    model(|| notify_and_drop(Condvar::notify_all));
}

/// A wait that was notified is dropped while the lock that it waits for is freed.
fn free_and_drop() {
    let machine = Machine::new();
    let (task, waker) = task();
    let mut first = machine.queue(Waker::noop());
    let mut second = machine.queue(&waker);
    let guard = machine.mutex.try_lock().unwrap();
    machine.condvar.notify_one();
    assert!(poll(&mut first, Waker::noop()).is_pending());
    // The other thread has the lock from now on.
    mem::forget(guard);
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || other.mutex.raw.unlock());
    drop(first);
    thread.join().unwrap();
    assert!(task.is_woken(), "the wait that is dropped takes the notification along");
    assert!(poll(&mut second, &waker).is_ready());
}

#[test]
fn a_notified_wait_is_dropped_while_the_lock_is_freed() {
    model(free_and_drop);
}

#[test]
fn kept_notification_of_the_notified_mutant_is_noticed() {
    assert!(is_noticed("condvar-keeps-the-unwanted", || model(free_and_drop)));
}
