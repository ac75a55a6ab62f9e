use std::future::Future;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use super::*;
use crate::coop;

/// More than are woken at once.
const MANY: usize = 40;

type Waiting<'a> = Pin<Box<Acquire<'a>>>;

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

fn queued<'a>(semaphore: &'a Semaphore, permits: usize, waker: &Waker) -> Waiting<'a> {
    let mut waiting = Box::pin(semaphore.acquire(permits));
    assert!(poll(waiting.as_mut(), waker).is_pending());
    waiting
}

fn is_pending(waiting: &mut Waiting<'_>) -> bool {
    poll(waiting.as_mut(), Waker::noop()).is_pending()
}

fn permit_of<'a>(waiting: &mut Waiting<'a>) -> Permit<'a> {
    match poll(waiting.as_mut(), Waker::noop()) {
        Poll::Ready(result) => result.expect("it is not closed"),
        Poll::Pending => panic!("it is not served"),
    }
}

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn free_permits_are_had_at_once() {
    let semaphore = Semaphore::new(3);
    let held = permit_of(&mut Box::pin(semaphore.acquire(2)));
    assert_eq!((held.permits(), semaphore.available_permits()), (2, 1));
    assert!(semaphore.try_acquire(2).is_none());
    assert_eq!(permit_of(&mut Box::pin(semaphore.acquire(0))).permits(), 0);
    drop(held);
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn the_first_that_came_is_the_first_served() {
    let semaphore = Semaphore::new(0);
    let tasks: Vec<_> = (0..4).map(|_| task()).collect();
    let mut waiting: Vec<_> = tasks.iter().map(|(_, waker)| queued(&semaphore, 1, waker)).collect();
    assert_eq!(semaphore.waiter_count(), 4);
    for (served, waiter) in waiting.iter_mut().enumerate() {
        semaphore.add_permits(1);
        let woken: Vec<_> = tasks.iter().map(|(count, _)| count.get()).collect();
        let expected: Vec<_> = (0..4).map(|index| usize::from(index <= served)).collect();
        assert_eq!(woken, expected);
        permit_of(waiter).forget();
        assert_eq!(semaphore.available_permits(), 0);
    }
}

#[test]
fn one_that_comes_unasked_does_not_overtake_the_first() {
    let semaphore = Semaphore::new(0);
    let mut waiting = [(); 3].map(|()| queued(&semaphore, 1, Waker::noop()));
    semaphore.add_permits(1);
    assert!(waiting[1..].iter_mut().all(is_pending));
    permit_of(&mut waiting[0]).forget();
}

#[test]
fn a_large_request_is_not_starved() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(1).unwrap();
    let (large_task, large_waker) = task();
    let mut large = queued(&semaphore, 2, &large_waker);
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(iter::from_fn(|| semaphore.try_acquire(1)).take(99).count(), 16);
    assert_eq!(semaphore.available_permits(), 0);
    assert!(semaphore.try_acquire(0).is_some());
    let mut small = queued(&semaphore, 1, Waker::noop());
    drop(held);
    assert_eq!(large_task.get(), 1);
    assert!(is_pending(&mut small));
    drop(permit_of(&mut large));
    drop(permit_of(&mut small));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn each_one_wakes_the_next_and_what_is_left_is_free() {
    let semaphore = Semaphore::new(0);
    let (count, waker) = task();
    let mut waiting: Vec<_> = (0..MANY).map(|_| queued(&semaphore, 2, &waker)).collect();
    semaphore.add_permits(2 * MANY + 1);
    let permits: Vec<_> = (1..)
        .zip(&mut waiting)
        .map(|(woken, waiting)| {
            assert_eq!(count.get(), woken);
            permit_of(waiting)
        })
        .collect();
    assert_eq!((semaphore.waiter_count(), semaphore.available_permits()), (0, 1));
    drop(permits);
    assert_eq!(semaphore.available_permits(), 2 * MANY + 1);
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_wherever_it_is() {
    for dropped in 0..3 {
        let semaphore = Semaphore::new(0);
        let (count, waker) = task();
        let mut waiting: Vec<_> = (0..3).map(|_| queued(&semaphore, 1, &waker)).collect();
        drop(waiting.remove(dropped));
        // One is `count`, one is `waker`; each waiter has one.
        assert_eq!(Arc::strong_count(&count), 4);
        semaphore.add_permits(2);
        waiting.iter_mut().for_each(|waiting| permit_of(waiting).forget());
        assert_eq!((count.get(), Arc::strong_count(&count)), (2, 2));
        assert_eq!((semaphore.waiter_count(), semaphore.available_permits()), (0, 0));
    }
}

#[test]
fn a_future_that_was_not_polled_has_no_place() {
    let semaphore = Semaphore::new(0);
    let unpolled = semaphore.acquire(1);
    let mut waiting = queued(&semaphore, 1, Waker::noop());
    drop(unpolled);
    semaphore.add_permits(1);
    permit_of(&mut waiting).forget();
}

#[test]
fn what_was_gathered_for_a_cancelled_waiter_goes_to_the_next() {
    let semaphore = Semaphore::new(2);
    let first = queued(&semaphore, 3, Waker::noop());
    while semaphore.try_acquire(1).is_some() {}
    let (second_task, second_waker) = task();
    let mut second = queued(&semaphore, 1, &second_waker);
    drop(first);
    assert_eq!(second_task.get(), 1);
    let permit = permit_of(&mut second);
    assert_eq!(semaphore.available_permits(), 1);
    drop(permit);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn what_a_cancelled_waiter_was_woken_for_goes_to_the_next() {
    let semaphore = Semaphore::new(0);
    let first = queued(&semaphore, 2, Waker::noop());
    let mut others: Vec<_> = (0..2).map(|_| queued(&semaphore, 1, Waker::noop())).collect();
    semaphore.add_permits(2);
    assert!(others.iter_mut().all(is_pending));
    drop(first);
    others.iter_mut().for_each(|other| permit_of(other).forget());
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn a_close_is_told_to_all_and_no_permit_is_lost() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(1).unwrap();
    let (count, waker) = task();
    let waiting: Vec<_> = (0..MANY).map(|_| queued(&semaphore, 3, &waker)).collect();
    semaphore.close();
    assert_eq!(count.get(), MANY);
    for mut waiting in waiting {
        let polled = poll(waiting.as_mut(), Waker::noop());
        assert!(matches!(polled, Poll::Ready(Err(Closed {}))));
    }
    for permits in [0, 1] {
        assert!(semaphore.try_acquire(permits).is_none());
        let polled = poll(pin!(semaphore.acquire(permits)), Waker::noop());
        assert!(matches!(polled, Poll::Ready(Err(Closed {}))));
    }
    drop(held);
    semaphore.close();
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_waiter_that_is_told_of_the_close_has_nothing_to_hand_on() {
    let semaphore = Semaphore::new(0);
    let waiting = queued(&semaphore, 1, Waker::noop());
    semaphore.close();
    drop(waiting);
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    let semaphore = Semaphore::new(0);
    let nervous = waker_of(|| panic!("planned"));
    let mut waiting: Vec<_> = (0..2).map(|_| queued(&semaphore, 1, &nervous)).collect();
    let (count, waker) = task();
    waiting.extend((0..MANY).map(|_| queued(&semaphore, 1, &waker)));
    semaphore.add_permits(2);
    // It wakes the second one, and has its permit though that panics.
    permit_of(&mut waiting[0]).forget();
    drop(waiting.remove(0));
    drop(waiting.remove(0));
    assert_eq!(count.get(), 1);
    permit_of(&mut waiting[0]).forget();
    // Others are told though one of them panics.
    let last = queued(&semaphore, 1, &nervous);
    semaphore.close();
    assert_eq!(count.get(), MANY);
    drop((waiting, last));
}

/// Defect 3 of the original: from the 33rd on, wakers were called under the lock.
#[test]
fn a_waker_may_use_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(0));
    let inner = Arc::clone(&semaphore);
    let waker = waker_of(move || {
        // Each takes the lock of the queue.
        inner.add_permits(1);
        inner.waiter_count();
        drop(inner.try_acquire(1));
        drop(poll(pin!(inner.acquire(2 * MANY + 1)), Waker::noop()));
    });
    let mut waiting: Vec<_> = (0..MANY).map(|_| queued(&semaphore, 1, &waker)).collect();
    semaphore.add_permits(MANY);
    waiting.iter_mut().for_each(|waiting| permit_of(waiting).forget());
    assert_eq!(semaphore.available_permits(), MANY);
}

/// Defect 2 of the original: the waker was read after the waiter could be gone.
#[test]
fn a_waker_may_free_the_waiter_that_it_wakes() {
    static SEMAPHORE: Semaphore = Semaphore::new(0);
    static WAITING: Mutex<Vec<Waiting<'static>>> = Mutex::new(Vec::new());
    let free = || {
        let last = WAITING.lock().unwrap().pop();
        // Without the lock: the future hands its permit on, which calls other wakers.
        drop(last);
    };
    let waker = waker_of(free);
    let waiting = (0..MANY).map(|_| queued(&SEMAPHORE, 1, &waker)).collect();
    *WAITING.lock().unwrap() = waiting;
    SEMAPHORE.add_permits(MANY);
    // Those that were freed while they were queued have woken nobody.
    (0..MANY).for_each(|_| free());
    assert_eq!((SEMAPHORE.waiter_count(), SEMAPHORE.available_permits()), (0, MANY));
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let semaphore = Semaphore::new(0);
    let ((before, before_waker), (after, after_waker)) = (task(), task());
    let mut waiting = queued(&semaphore, 1, &before_waker);
    assert!(poll(waiting.as_mut(), &after_waker).is_pending());
    assert_eq!(Arc::strong_count(&before), 2);
    semaphore.add_permits(1);
    assert_eq!((before.get(), after.get()), (0, 1));
    permit_of(&mut waiting).forget();
}

#[test]
fn limits_are_panics_that_change_nothing() {
    const MOST: usize = Semaphore::MAX_PERMITS;
    assert!(panics(|| _ = Semaphore::new(MOST + 1)));
    let semaphore = Semaphore::new(MOST);
    for added in [1, MOST, usize::MAX] {
        assert!(panics(|| semaphore.add_permits(added)));
    }
    assert!(panics(|| drop(semaphore.acquire(MOST + 1))));
    assert!(semaphore.try_acquire(MOST + 1).is_none());
    assert!(semaphore.try_acquire(usize::MAX).is_none());
    assert_eq!(semaphore.available_permits(), MOST);
    assert_eq!(semaphore.forget_permits(usize::MAX), MOST);
    let waiting = queued(&semaphore, MOST, Waker::noop());
    semaphore.add_permits(MOST - 1);
    assert!(panics(|| semaphore.add_permits(2)));
    drop(waiting);
    assert_eq!(semaphore.available_permits(), MOST - 1);
}

#[test]
fn gathered_permits_are_not_forgotten() {
    let semaphore = Semaphore::new(2);
    let waiting = queued(&semaphore, 3, Waker::noop());
    assert_eq!(semaphore.forget_permits(1), 1);
    while semaphore.try_acquire(1).is_some() {}
    assert_eq!(semaphore.forget_permits(1), 0);
    drop(waiting);
    assert_eq!(semaphore.forget_permits(5), 1);
}

#[test]
fn a_task_without_budget_has_its_place_and_comes_again() {
    let semaphore = Semaphore::new(1);
    let (count, waker) = task();
    let mut waiting = Box::pin(semaphore.acquire(1));
    coop::with_budget(1, || {
        let spent = poll(pin!(semaphore.acquire(1)), &waker);
        assert!(matches!(spent, Poll::Ready(Ok(_))));
        drop(spent);
        assert_eq!(count.get(), 0);
        assert!(poll(waiting.as_mut(), &waker).is_pending());
        assert!(count.get() > 0, "it is not woken to come again");
        assert!(poll(pin!(semaphore.acquire(0)), &waker).is_pending());
    });
    assert_eq!(semaphore.waiter_count(), 1, "the place is lost");
    while semaphore.try_acquire(1).is_some() {}
    drop(permit_of(&mut waiting));
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_task_without_budget_stands_behind_those_who_came_before() {
    let semaphore = Semaphore::new(1);
    let mut first = queued(&semaphore, 2, Waker::noop());
    let mut second = Box::pin(semaphore.acquire(1));
    coop::with_budget(0, || assert!(is_pending(&mut second)));
    assert_eq!(semaphore.waiter_count(), 2);
    semaphore.add_permits(1);
    assert!(is_pending(&mut second));
    drop(permit_of(&mut first));
    drop(permit_of(&mut second));
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let (count, waker) = task();
    let mut waiter = pin!(Waiter::new(waker));
    semaphore.cancel_acquire(waiter.as_mut());
    assert!(semaphore.acquire_wait(2, waiter.as_mut()).is_none());
    assert!(semaphore.acquire_wait(2, waiter.as_mut()).is_none());
    assert_eq!((semaphore.waiter_count(), waiter.is_ready()), (1, false));
    semaphore.cancel_acquire(waiter.as_mut());
    assert_eq!(semaphore.waiter_count(), 0);
    assert!(semaphore.acquire_wait(1, waiter.as_mut()).is_none());
    drop(held);
    assert_eq!((count.get(), waiter.is_ready()), (1, false));
    let permit = semaphore.acquire_wait(1, waiter.as_mut()).unwrap().unwrap();
    assert_eq!((permit.permits(), semaphore.available_permits()), (1, 0));
    drop(permit);
    // Served, but cancelled before it has taken the permit.
    let held = semaphore.try_acquire(1).unwrap();
    assert!(semaphore.acquire_wait(1, waiter.as_mut()).is_none());
    drop(held);
    while semaphore.try_acquire(1).is_some() {}
    assert!(waiter.is_ready());
    assert_eq!(semaphore.available_permits(), 0);
    semaphore.cancel_acquire(waiter.as_mut());
    assert_eq!(semaphore.available_permits(), 1);
    semaphore.close();
    assert!(matches!(semaphore.acquire_wait(1, waiter.as_mut()), Some(Err(Closed {}))));
}

#[test]
fn a_waiter_waits_for_one_number_of_permits_of_one_semaphore() {
    let (semaphore, other) = (Semaphore::new(0), Semaphore::new(9));
    let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    assert!(semaphore.acquire_wait(1, waiter.as_mut()).is_none());
    assert!(panics(|| drop(semaphore.acquire_wait(2, waiter.as_mut()))));
    assert!(panics(|| drop(other.acquire_wait(1, waiter.as_mut()))));
    assert!(panics(|| other.cancel_acquire(waiter.as_mut())));
    semaphore.add_permits(1);
    assert!(panics(|| drop(semaphore.acquire_wait(2, waiter.as_mut()))));
    assert!(semaphore.acquire_wait(1, waiter.as_mut()).unwrap().is_ok());
}

#[test]
fn a_future_is_not_polled_after_it_was_ready() {
    let semaphore = Arc::new(Semaphore::new(2));
    let mut future = pin!(semaphore.acquire(1));
    assert!(poll(future.as_mut(), Waker::noop()).is_ready());
    assert!(panics(|| drop(poll(future.as_mut(), Waker::noop()))));
    let mut owned = pin!(Arc::clone(&semaphore).acquire_owned(1));
    assert!(poll(owned.as_mut(), Waker::noop()).is_ready());
    assert!(panics(|| drop(poll(owned.as_mut(), Waker::noop()))));
}

#[test]
fn an_owned_future_keeps_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(0));
    let mut first = Box::pin(Arc::clone(&semaphore).acquire_owned(1));
    let mut second = Box::pin(Arc::clone(&semaphore).acquire_owned(1));
    assert!(poll(first.as_mut(), Waker::noop()).is_pending());
    assert!(poll(second.as_mut(), Waker::noop()).is_pending());
    semaphore.add_permits(1);
    drop(first);
    let weak = Arc::downgrade(&semaphore);
    drop(semaphore);
    let Poll::Ready(Ok(permit)) = poll(second.as_mut(), Waker::noop()) else {
        panic!("it is not served");
    };
    drop(second);
    assert_eq!(weak.strong_count(), 1);
    drop(permit);
    assert_eq!(weak.strong_count(), 0);
}

#[test]
fn an_owned_future_that_waits_may_be_the_last_to_know_the_semaphore() {
    let mut future = Box::pin(Arc::new(Semaphore::new(0)).acquire_owned(1));
    assert!(poll(future.as_mut(), Waker::noop()).is_pending());
    drop(future);
}

#[test]
fn a_thread_waits() {
    let semaphore = Semaphore::new(0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| semaphore.blocking_acquire(2).unwrap().permits());
        semaphore.add_permits(1);
        semaphore.add_permits(1);
        assert_eq!(waiting.join().unwrap(), 2);
        let waiting = scope.spawn(|| semaphore.blocking_acquire(3).is_err());
        semaphore.close();
        assert!(waiting.join().unwrap());
    });
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_task_may_not_block() {
    let semaphore = Semaphore::new(1);
    let refused = panics(|| coop::with_budget(9, || drop(semaphore.blocking_acquire(1))));
    assert!(refused);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn no_more_hold_permits_than_there_are() {
    static SEMAPHORE: Semaphore = Semaphore::new(2);
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for permits in [1, 2, 1, 1, 2].repeat(40) {
                    let permit = SEMAPHORE.blocking_acquire(permits).unwrap();
                    let inside = INSIDE.fetch_add(permits, Ordering::Relaxed) + permits;
                    assert!(inside <= 2);
                    INSIDE.fetch_sub(permits, Ordering::Relaxed);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!((SEMAPHORE.available_permits(), SEMAPHORE.waiter_count()), (2, 0));
}

#[test]
fn everything_goes_between_threads() {
    fn assert_send_and_sync<T: Send + Sync + 'static>() {}
    assert_send_and_sync::<Semaphore>();
    assert_send_and_sync::<Acquire<'static>>();
    assert_send_and_sync::<AcquireOwned>();
    assert_send_and_sync::<Closed>();
}
