//! Models of the races that a notification meets.

use std::pin::pin;
use std::sync::Arc;
use std::task::Wake;

use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;
use crate::platform::sync::atomic::AtomicBool;

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

/// A notification, and a flag that is set before it. Relaxed: the notification must order it.
struct Shared {
    notify: RawNotify,
    flag: AtomicBool,
}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared { notify: RawNotify::new(), flag: AtomicBool::new(false) })
    }

    fn set_flag(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    fn has_flag(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Whether `waiter`, whose wait began at `calls`, is notified.
    fn poll<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, calls: Calls, waker: &Waker) -> bool {
        self.notify.poll_notified(waiter, calls, waker, Turn::Take).is_ready()
    }
}

/// One begins to wait while it is notified.
fn notify_one_and_wait() {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        other.set_flag();
        other.notify.notify_one();
    });
    let (task, waker) = task();
    let calls = shared.notify.calls();
    let mut waiter = pin!(Waiter::of_future());
    let is_notified = shared.poll(waiter.as_mut(), calls, &waker);
    if is_notified {
        assert!(shared.has_flag(), "it is notified of something that it does not see");
    }
    thread.join().unwrap();
    if !is_notified {
        assert!(is_woken(&task), "it is notified and sleeps");
        assert!(shared.poll(waiter, calls, &waker));
    }
    assert!(!shared.notify.has_permit());
}

#[test]
fn a_notification_meets_one_that_begins_to_wait() {
    model(notify_one_and_wait);
}

#[test]
fn relaxed_permit_mutant_is_noticed() {
    assert!(is_noticed("notify-stores-relaxed", || model(notify_one_and_wait)));
}

#[test]
fn no_second_look_mutant_is_noticed() {
    assert!(is_noticed("notify-no-second-look", || model(notify_one_and_wait)));
}

#[test]
fn silent_notification_mutant_is_noticed() {
    assert!(is_noticed("notify-wakes-nobody", || model(notify_one_and_wait)));
}

/// A notification comes while the permit of an older one is taken: who took that looks at what it
/// is about, and waits again.
fn notify_one_again() {
    let shared = Shared::new();
    shared.notify.notify_one();
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        other.set_flag();
        other.notify.notify_one();
    });
    let (task, waker) = task();
    let calls = shared.notify.calls();
    let mut waiter = pin!(Waiter::of_future());
    assert!(shared.poll(waiter.as_mut(), calls, &waker));
    if shared.has_flag() {
        thread.join().unwrap();
        return;
    }
    let is_notified = shared.poll(waiter.as_mut(), calls, &waker);
    thread.join().unwrap();
    assert!(is_notified || is_woken(&task), "the second notification is lost");
}

#[test]
fn a_notification_meets_the_permit_of_an_older_one() {
    model(notify_one_again);
}

#[test]
fn skipped_permit_mutant_is_noticed() {
    assert!(is_noticed("notify-skips-the-stored", || model(notify_one_again)));
}

/// The first of two is cancelled while one is notified: the second one gets it.
fn cancel_and_notify_one() {
    let shared = Shared::new();
    let ((_, first_waker), (second_task, second_waker)) = (task(), task());
    let calls = shared.notify.calls();
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(!shared.poll(first.as_mut(), calls, &first_waker));
    assert!(!shared.poll(second.as_mut(), calls, &second_waker));
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || other.notify.notify_one());
    first.cancel();
    thread.join().unwrap();
    assert!(is_woken(&second_task), "the notification went with the waiter that was cancelled");
    assert!(shared.poll(second, calls, &second_waker));
    assert!(!shared.notify.has_permit());
}

#[test]
fn a_cancelled_waiter_meets_its_notification() {
    model(cancel_and_notify_one);
}

#[test]
fn kept_notification_mutant_is_noticed() {
    assert!(is_noticed("notify-keeps-the-unwanted", || model(cancel_and_notify_one)));
}

#[test]
fn the_only_waiter_is_cancelled_and_its_notification_is_stored() {
    model(|| {
        let shared = Shared::new();
        let calls = shared.notify.calls();
        let mut waiter = pin!(Waiter::of_future());
        assert!(!shared.poll(waiter.as_mut(), calls, Waker::noop()));
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.notify.notify_one());
        waiter.cancel();
        thread.join().unwrap();
        assert!(shared.notify.has_permit(), "the notification is lost");
    });
}

/// All are notified while one comes whose wait began before.
fn notify_all_and_wait() {
    let shared = Shared::new();
    let (task, waker) = task();
    let calls = shared.notify.calls();
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        other.set_flag();
        other.notify.notify_all();
    });
    let mut waiter = pin!(Waiter::of_future());
    let is_notified = shared.poll(waiter.as_mut(), calls, &waker);
    if is_notified {
        assert!(shared.has_flag(), "it is notified of something that it does not see");
    }
    thread.join().unwrap();
    if !is_notified {
        assert!(is_woken(&task), "all are notified and one sleeps");
        assert!(shared.poll(waiter, calls, &waker));
    }
    assert!(!shared.notify.has_permit());
}

#[test]
fn a_call_to_all_meets_one_that_begins_to_wait() {
    model(notify_all_and_wait);
}

#[test]
fn forgotten_call_mutant_is_noticed() {
    assert!(is_noticed("notify-forgets-the-call", || model(notify_all_and_wait)));
}

#[test]
fn missed_waiter_mutant_is_noticed() {
    assert!(is_noticed("notify-misses-the-announced", || model(notify_all_and_wait)));
}

/// The flag is set, then all are notified; a task begins a wait, then looks at the flag, then
/// waits if it is not set.
fn begin_and_look() {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        other.set_flag();
        other.notify.notify_all();
    });
    let (task, waker) = task();
    let calls = shared.notify.calls();
    if shared.has_flag() {
        thread.join().unwrap();
        return;
    }
    let mut waiter = pin!(Waiter::of_future());
    let is_notified = shared.poll(waiter.as_mut(), calls, &waker);
    thread.join().unwrap();
    assert!(is_notified || is_woken(&task), "the flag is set and the task sleeps");
}

#[test]
fn a_wait_that_begins_before_a_look_misses_nothing() {
    model(begin_and_look);
}

#[test]
fn relaxed_beginning_mutant_is_noticed() {
    assert!(is_noticed("notify-begins-relaxed", || model(begin_and_look)));
}

/// The only waiter is cancelled while all are notified: no permit is left.
fn cancel_and_notify_all() {
    let shared = Shared::new();
    let calls = shared.notify.calls();
    let mut waiter = pin!(Waiter::of_future());
    assert!(!shared.poll(waiter.as_mut(), calls, Waker::noop()));
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || other.notify.notify_all());
    waiter.cancel();
    thread.join().unwrap();
    assert!(!shared.notify.has_permit(), "a call to all is handed on");
}

#[test]
fn a_cancelled_waiter_meets_a_call_to_all() {
    model(cancel_and_notify_all);
}

#[test]
fn handed_on_call_mutant_is_noticed() {
    assert!(is_noticed("notify-hands-on-a-call", || model(cancel_and_notify_all)));
}

#[test]
fn a_call_to_all_meets_a_notification_of_one() {
    model(|| {
        let shared = Shared::new();
        let tasks = [(); 2].map(|()| task());
        let calls = shared.notify.calls();
        let mut first = pin!(Waiter::of_future());
        let mut second = pin!(Waiter::of_future());
        assert!(!shared.poll(first.as_mut(), calls, &tasks[0].1));
        assert!(!shared.poll(second.as_mut(), calls, &tasks[1].1));
        let (all, one) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = [
            loom::thread::spawn(move || all.notify.notify_all()),
            loom::thread::spawn(move || one.notify.notify_one()),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(tasks.iter().all(|(task, _)| is_woken(task)));
        assert!(shared.poll(first, calls, &tasks[0].1));
        assert!(shared.poll(second, calls, &tasks[1].1));
    });
}
