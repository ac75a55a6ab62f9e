use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::coop;

/// More than are woken at once.
const MANY: usize = 40;

type Waiting<'a> = Pin<Box<Notified<'a>>>;

struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn task() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

/// A waker that calls `f`.
struct Calls<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker_of(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Calls(f)))
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn queued<'a>(notify: &'a Notify, waker: &Waker) -> Waiting<'a> {
    let mut waiting = Box::pin(notify.notified());
    assert!(poll(waiting.as_mut(), waker).is_pending());
    waiting
}

fn is_notified(waiting: &mut Waiting<'_>) -> bool {
    poll(waiting.as_mut(), Waker::noop()).is_ready()
}

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn one_permit_is_stored_and_no_more() {
    let notify = Notify::new();
    assert!(!notify.has_permit());
    notify.notify_one();
    notify.notify_one();
    assert!(notify.has_permit());
    assert!(is_notified(&mut Box::pin(notify.notified())));
    assert!(!notify.has_permit());
    assert!(!is_notified(&mut Box::pin(notify.notified())));
}

#[test]
fn the_first_that_came_is_the_first_notified() {
    let notify = Notify::new();
    let tasks: Vec<_> = (0..4).map(|_| task()).collect();
    let mut waiting: Vec<_> = tasks.iter().map(|(_, waker)| queued(&notify, waker)).collect();
    assert_eq!(notify.waiter_count(), 4);
    for notified in 1..=4 {
        notify.notify_one();
        let woken: Vec<_> = tasks.iter().map(|(count, _)| count.get()).collect();
        let expected: Vec<_> = (0..4).map(|index| usize::from(index < notified)).collect();
        assert_eq!(woken, expected);
    }
    assert!(waiting.iter_mut().all(is_notified));
    assert!(!notify.has_permit());
}

#[test]
fn all_who_wait_are_notified_and_nobody_else() {
    let notify = Notify::new();
    notify.notify_all();
    assert!(!notify.has_permit());
    let (count, waker) = task();
    let mut waiting: Vec<_> = (0..MANY).map(|_| queued(&notify, &waker)).collect();
    notify.notify_all();
    assert_eq!((count.get(), notify.waiter_count()), (MANY, 0));
    assert!(waiting.iter_mut().all(is_notified));
    assert!(!notify.has_permit());
    assert!(!is_notified(&mut Box::pin(notify.notified())));
}

#[test]
fn a_wait_that_has_begun_is_notified_with_all_though_it_was_not_polled() {
    let notify = Notify::new();
    let mut begun = Box::pin(notify.notified());
    notify.notify_one();
    notify.notify_all();
    let mut later = Box::pin(notify.notified());
    assert!(is_notified(&mut begun));
    assert!(notify.has_permit(), "it took the permit though it was notified");
    assert!(is_notified(&mut later));
    assert!(!is_notified(&mut Box::pin(notify.notified())));
    // A wait that has begun in between is told of either call.
    let mut begun = Box::pin(notify.notified());
    let queued = queued(&notify, Waker::noop());
    notify.notify_all();
    drop(queued);
    assert!(is_notified(&mut begun));
}

/// Defect 12 of the original, and tokio's issue 3652.
#[test]
fn a_notification_of_one_that_is_dropped_goes_to_the_next() {
    let notify = Notify::new();
    let first = queued(&notify, Waker::noop());
    let (count, waker) = task();
    let mut second = queued(&notify, &waker);
    notify.notify_one();
    assert_eq!(count.get(), 0);
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(is_notified(&mut second));
    assert!(!notify.has_permit());
}

/// Defect 12 of the original.
#[test]
fn a_notification_of_the_last_one_that_is_dropped_is_stored() {
    let notify = Notify::new();
    let waiting = queued(&notify, Waker::noop());
    notify.notify_one();
    assert!(!notify.has_permit());
    drop(waiting);
    assert!(notify.has_permit());
}

#[test]
fn a_notification_of_all_is_not_handed_on() {
    let notify = Notify::new();
    let waiting = queued(&notify, Waker::noop());
    notify.notify_all();
    let mut later = queued(&notify, Waker::noop());
    drop(waiting);
    assert!(!is_notified(&mut later));
    assert!(!notify.has_permit());
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_wherever_it_is() {
    for dropped in 0..3 {
        let notify = Notify::new();
        let (count, waker) = task();
        let mut waiting: Vec<_> = (0..3).map(|_| queued(&notify, &waker)).collect();
        drop(waiting.remove(dropped));
        // One is `count`, one is `waker`; each waiter has one.
        assert_eq!(Arc::strong_count(&count), 4);
        notify.notify_one();
        notify.notify_one();
        assert!(waiting.iter_mut().all(is_notified));
        assert_eq!((count.get(), Arc::strong_count(&count)), (2, 2));
        drop(queued(&notify, &waker));
        notify.notify_one();
        assert!(notify.has_permit());
    }
}

#[test]
fn an_enabled_future_has_its_place() {
    let notify = Notify::new();
    let mut first = Box::pin(notify.notified());
    assert!(!first.as_mut().enable());
    assert!(!first.as_mut().enable());
    let mut second = queued(&notify, Waker::noop());
    notify.notify_one();
    assert!(!is_notified(&mut second));
    assert!(first.as_mut().enable() && first.as_mut().enable());
    assert!(is_notified(&mut first));
    assert!(first.as_mut().enable());
    notify.notify_all();
    assert!(is_notified(&mut second));
    notify.notify_one();
    let mut third = Box::pin(notify.notified());
    assert!(third.as_mut().enable());
    assert!(!notify.has_permit());
    drop(third);
    assert!(!notify.has_permit(), "it has said that it was notified");
}

#[test]
fn enabling_a_future_that_was_polled_keeps_its_waker() {
    let notify = Notify::new();
    let (count, waker) = task();
    let mut waiting = queued(&notify, &waker);
    assert!(!waiting.as_mut().enable());
    notify.notify_one();
    assert_eq!(count.get(), 1);
    assert!(is_notified(&mut waiting));
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let notify = Notify::new();
    let ((before, before_waker), (after, after_waker)) = (task(), task());
    let mut waiting = queued(&notify, &before_waker);
    assert!(poll(waiting.as_mut(), &after_waker).is_pending());
    assert_eq!(Arc::strong_count(&before), 2);
    notify.notify_all();
    assert_eq!((before.get(), after.get()), (0, 1));
    assert!(is_notified(&mut waiting));
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    let notify = Notify::new();
    let nervous = waker_of(|| panic!("planned"));
    let mut first = queued(&notify, &nervous);
    let (count, waker) = task();
    let mut others: Vec<_> = (0..MANY).map(|_| queued(&notify, &waker)).collect();
    notify.notify_all();
    assert_eq!(count.get(), MANY);
    assert!(is_notified(&mut first) && others.iter_mut().all(is_notified));
    let mut alone = queued(&notify, &nervous);
    notify.notify_one();
    assert!(is_notified(&mut alone));
}

/// Those who are not woken yet have their notification from the call to all: one that a waker
/// makes meanwhile is not for them. And defect 3 of the original: from the 33rd on, wakers were
/// called under the lock.
#[test]
fn a_waker_may_notify_while_others_are_due() {
    let notify = Arc::new(Notify::new());
    let inner = Arc::clone(&notify);
    let waker = waker_of(move || inner.notify_one());
    let mut waiting: Vec<_> = (0..MANY).map(|_| queued(&notify, &waker)).collect();
    notify.notify_all();
    assert_eq!(notify.waiter_count(), 0);
    assert!(notify.has_permit());
    drop(waiting.pop());
    assert!(waiting.iter_mut().all(is_notified));
    assert!(notify.has_permit());
}

#[test]
fn a_waker_may_wait_again_while_others_are_due() {
    static NOTIFY: Notify = Notify::new();
    static AGAIN: Mutex<Vec<Waiting<'static>>> = Mutex::new(Vec::new());
    let waker = waker_of(|| AGAIN.lock().unwrap().push(queued(&NOTIFY, Waker::noop())));
    let mut waiting: Vec<_> = (0..MANY).map(|_| queued(&NOTIFY, &waker)).collect();
    NOTIFY.notify_all();
    assert!(waiting.iter_mut().all(is_notified));
    assert_eq!(NOTIFY.waiter_count(), MANY);
    let mut again = std::mem::take(&mut *AGAIN.lock().unwrap());
    assert!(!again.iter_mut().any(is_notified));
    drop(again);
    assert_eq!(NOTIFY.waiter_count(), 0);
}

/// Defect 2 of the original: the waker was read after the waiter could be gone.
#[test]
fn a_waker_may_free_the_waiters() {
    static NOTIFY: Notify = Notify::new();
    static WAITING: Mutex<Vec<Waiting<'static>>> = Mutex::new(Vec::new());
    let waker = waker_of(|| {
        let all = std::mem::take(&mut *WAITING.lock().unwrap());
        // Without the lock: a future that is dropped may call another one's waker.
        drop(all);
    });
    let waiting = (0..MANY).map(|_| queued(&NOTIFY, &waker)).collect();
    *WAITING.lock().unwrap() = waiting;
    NOTIFY.notify_all();
    assert!(WAITING.lock().unwrap().is_empty());
    assert!(NOTIFY.waiter_count() == 0 && !NOTIFY.has_permit());
}

#[test]
fn a_task_without_budget_has_its_place_and_comes_again() {
    let notify = Notify::new();
    notify.notify_one();
    let (count, waker) = task();
    let mut waiting = Box::pin(notify.notified());
    coop::with_budget(1, || {
        assert!(poll(pin!(notify.notified()), &waker).is_ready());
        notify.notify_one();
        assert!(poll(waiting.as_mut(), &waker).is_pending());
        assert_eq!(count.get(), 1);
    });
    assert!(!notify.has_permit());
    assert!(is_notified(&mut waiting));
    // A call to all waits until it comes again.
    let mut begun = Box::pin(notify.notified());
    notify.notify_all();
    coop::with_budget(0, || assert!(poll(begun.as_mut(), &waker).is_pending()));
    assert_eq!(count.get(), 2);
    assert!(is_notified(&mut begun));
    // And one who waits for others is queued.
    let mut waiting = Box::pin(notify.notified());
    coop::with_budget(0, || assert!(poll(waiting.as_mut(), &waker).is_pending()));
    assert_eq!(notify.waiter_count(), 1);
    notify.notify_one();
    assert!(is_notified(&mut waiting));
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let notify = Notify::new();
    let (count, waker) = task();
    let mut waiter = pin!(Waiter::new(waker));
    notify.cancel_notified(waiter.as_mut());
    assert!(!notify.notified_wait(waiter.as_mut()));
    notify.cancel_notified(waiter.as_mut());
    assert_eq!(notify.waiter_count(), 0);
    notify.notify_one();
    assert!(notify.notified_wait(waiter.as_mut()));
    assert!(!notify.notified_wait(waiter.as_mut()));
    assert!(!notify.notified_wait(waiter.as_mut()));
    notify.notify_all();
    assert!(waiter.is_ready() && notify.notified_wait(waiter.as_mut()));
    assert!(!notify.notified_wait(waiter.as_mut()));
    notify.notify_one();
    notify.cancel_notified(waiter.as_mut());
    assert!(notify.has_permit());
    assert_eq!(count.get(), 2);
}

#[test]
fn a_waiter_waits_in_one_place() {
    let (notify, other) = (Notify::new(), Notify::new());
    let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    assert!(!notify.notified_wait(waiter.as_mut()));
    assert!(panics(|| _ = other.notified_wait(waiter.as_mut())));
    assert!(panics(|| other.cancel_notified(waiter.as_mut())));
    notify.notify_one();
    assert!(notify.notified_wait(waiter.as_mut()));
}

#[test]
fn a_future_is_not_polled_after_it_was_ready() {
    let notify = Arc::new(Notify::new());
    notify.notify_one();
    let mut future = Box::pin(notify.notified());
    assert!(is_notified(&mut future));
    assert!(panics(|| _ = is_notified(&mut future)));
    notify.notify_one();
    let mut owned = pin!(Arc::clone(&notify).notified_owned());
    assert!(poll(owned.as_mut(), Waker::noop()).is_ready());
    assert!(panics(|| _ = poll(owned.as_mut(), Waker::noop())));
}

#[test]
fn an_owned_future_keeps_the_notification() {
    let notify = Arc::new(Notify::new());
    let mut first = Box::pin(Arc::clone(&notify).notified_owned());
    let mut second = Box::pin(Arc::clone(&notify).notified_owned());
    assert!(!first.as_mut().enable());
    let (count, waker) = task();
    assert!(poll(second.as_mut(), &waker).is_pending());
    notify.notify_one();
    drop(notify);
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(second.as_mut().enable());
    assert!(poll(second.as_mut(), &waker).is_ready());
    let mut last = Box::pin(Arc::new(Notify::new()).notified_owned());
    assert!(poll(last.as_mut(), &waker).is_pending());
    drop(last);
}

#[test]
fn a_thread_waits() {
    static NOTIFY: Notify = Notify::new();
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    let thread = thread::spawn(|| {
        while ROUNDS.load(Ordering::Relaxed) < 100 {
            NOTIFY.blocking_wait();
        }
    });
    for _ in 0..100 {
        ROUNDS.fetch_add(1, Ordering::Relaxed);
        NOTIFY.notify_one();
    }
    thread.join().unwrap();
    let refused = panics(|| coop::with_budget(9, || NOTIFY.blocking_wait()));
    assert!(refused);
}

#[test]
fn everything_goes_between_threads() {
    fn assert_send_and_sync<T: Send + Sync + 'static>() {}
    assert_send_and_sync::<Notify>();
    assert_send_and_sync::<Notified<'static>>();
    assert_send_and_sync::<NotifiedOwned>();
}
