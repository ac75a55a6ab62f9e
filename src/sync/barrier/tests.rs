use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::{mem, thread};

use super::*;
use crate::coop;

/// More than are woken at once, here and in the original.
const MANY: usize = 70;

type Waiting<'a> = Pin<Box<BarrierWait<'a>>>;

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

/// Whether it leads, if all have come.
fn poll(waiting: &mut Waiting<'_>, waker: &Waker) -> Option<bool> {
    match waiting.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(result) => Some(result.is_leader()),
        Poll::Pending => None,
    }
}

fn arrived<'a>(barrier: &'a Barrier, waker: &Waker) -> Waiting<'a> {
    let mut waiting = Box::pin(barrier.wait());
    assert_eq!(poll(&mut waiting, waker), None);
    waiting
}

fn leads(barrier: &Barrier) -> bool {
    poll(&mut Box::pin(barrier.wait()), Waker::noop()) == Some(true)
}

fn follows(waiting: &mut Waiting<'_>) -> bool {
    poll(waiting, Waker::noop()) == Some(false)
}

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn a_barrier_for_none_is_refused() {
    let refused = catch_unwind(|| _ = Barrier::new(0)).unwrap_err();
    let message = refused.downcast_ref::<&str>().unwrap();
    assert!(message.contains("at least one"), "{message}");
}

#[test]
fn one_alone_leads_and_does_not_wait() {
    let barrier = Barrier::new(1);
    assert!((0..3).all(|_| leads(&barrier)));
}

#[test]
fn all_are_released_by_the_last_one_who_leads() {
    let barrier = Barrier::new(MANY + 1);
    assert_eq!((barrier.task_count(), barrier.arrived_count()), (MANY + 1, 0));
    for _ in 0..3 {
        let (count, waker) = task();
        let mut waiting: Vec<_> = (0..MANY).map(|_| arrived(&barrier, &waker)).collect();
        assert_eq!((count.get(), barrier.arrived_count()), (0, MANY));
        assert!(leads(&barrier));
        assert_eq!((count.get(), barrier.arrived_count()), (MANY, 0));
        assert_eq!(Arc::strong_count(&count), 2);
        assert!(waiting.iter_mut().all(follows));
    }
}

#[test]
fn a_future_that_was_not_polled_has_not_arrived() {
    let barrier = Barrier::new(2);
    let unpolled = barrier.wait();
    let mut waiting = arrived(&barrier, Waker::noop());
    drop(unpolled);
    assert!(leads(&barrier));
    assert!(follows(&mut waiting));
}

/// Defect 13 of the original: what was dropped stayed in the list.
#[test]
fn a_wait_that_is_dropped_takes_its_arrival_back_wherever_it_is() {
    for dropped in 0..3 {
        let barrier = Barrier::new(4);
        let (count, waker) = task();
        let mut waiting: Vec<_> = (0..3).map(|_| arrived(&barrier, &waker)).collect();
        drop(waiting.remove(dropped));
        // One is `count`, one is `waker`; each waiter has one.
        assert_eq!((barrier.arrived_count(), Arc::strong_count(&count)), (2, 4));
        waiting.push(arrived(&barrier, &waker));
        assert!(leads(&barrier));
        assert_eq!(count.get(), 3);
        assert!(waiting.iter_mut().all(follows));
    }
}

#[test]
fn a_wait_that_is_dropped_after_its_round_takes_nothing_back() {
    let barrier = Barrier::new(2);
    let waiting = arrived(&barrier, Waker::noop());
    assert!(leads(&barrier));
    let mut next = arrived(&barrier, Waker::noop());
    drop(waiting);
    assert_eq!(barrier.arrived_count(), 1);
    assert!(leads(&barrier));
    assert!(follows(&mut next));
}

/// The lock is free between two batches of wakers: then those of the last batch are in the list,
/// and are not of the next round.
#[test]
fn a_waker_may_drop_waits_that_are_due() {
    static BARRIER: Barrier = Barrier::new(MANY + 1);
    static WAITING: Mutex<Vec<Waiting<'static>>> = Mutex::new(Vec::new());
    let waker = waker_of(|| {
        let all = mem::take(&mut *WAITING.lock().unwrap());
        drop(all);
    });
    let waiting = (0..MANY).map(|_| arrived(&BARRIER, &waker)).collect();
    *WAITING.lock().unwrap() = waiting;
    assert!(leads(&BARRIER));
    assert!(WAITING.lock().unwrap().is_empty());
    assert_eq!(BARRIER.arrived_count(), 0);
    let mut waiting: Vec<_> = (0..MANY).map(|_| arrived(&BARRIER, Waker::noop())).collect();
    assert!(leads(&BARRIER));
    assert!(waiting.iter_mut().all(follows));
}

/// Defect 3 of the original: from the 65th on, wakers were called under the lock.
#[test]
fn a_waker_may_come_again_while_others_are_due() {
    static BARRIER: Barrier = Barrier::new(MANY + 1);
    static AGAIN: Mutex<Vec<Waiting<'static>>> = Mutex::new(Vec::new());
    let waker = waker_of(|| AGAIN.lock().unwrap().push(arrived(&BARRIER, Waker::noop())));
    let mut waiting: Vec<_> = (0..MANY).map(|_| arrived(&BARRIER, &waker)).collect();
    assert!(leads(&BARRIER));
    assert!(waiting.iter_mut().all(follows));
    assert_eq!(BARRIER.arrived_count(), MANY);
    assert!(leads(&BARRIER));
    let mut again = mem::take(&mut *AGAIN.lock().unwrap());
    assert!(again.iter_mut().all(follows));
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    let barrier = Barrier::new(MANY + 2);
    let nervous = waker_of(|| panic!("planned"));
    let mut first = arrived(&barrier, &nervous);
    let (count, waker) = task();
    let mut others: Vec<_> = (0..MANY).map(|_| arrived(&barrier, &waker)).collect();
    assert!(leads(&barrier));
    assert_eq!(count.get(), MANY);
    assert!(follows(&mut first) && others.iter_mut().all(follows));
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let barrier = Barrier::new(2);
    let ((before, before_waker), (after, after_waker)) = (task(), task());
    let mut waiting = arrived(&barrier, &before_waker);
    assert_eq!(poll(&mut waiting, &after_waker), None);
    assert_eq!((barrier.arrived_count(), Arc::strong_count(&before)), (1, 2));
    assert!(leads(&barrier));
    assert_eq!((before.get(), after.get()), (0, 1));
    assert!(follows(&mut waiting));
}

#[test]
fn a_task_without_budget_arrives_and_comes_again() {
    let barrier = Barrier::new(2);
    let (count, waker) = task();
    let mut first = Box::pin(barrier.wait());
    let mut last = Box::pin(barrier.wait());
    coop::with_budget(0, || {
        assert_eq!(poll(&mut first, &waker), None);
        assert_eq!(barrier.arrived_count(), 1);
        assert_eq!(poll(&mut last, &waker), None);
        assert_eq!(barrier.arrived_count(), 0);
        assert!(count.get() >= 2, "it is not woken to come again");
        // One whose round is complete goes on though the budget is spent.
        assert_eq!(poll(&mut first, &waker), Some(false));
    });
    assert_eq!(poll(&mut last, &waker), Some(true));
    let alone = Barrier::new(1);
    let mut waiting = Box::pin(alone.wait());
    coop::with_budget(0, || assert_eq!(poll(&mut waiting, &waker), None));
    assert_eq!(poll(&mut waiting, &waker), Some(true));
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let barrier = Barrier::new(2);
    let (count, waker) = task();
    let mut waiter = pin!(Waiter::new(waker));
    barrier.cancel_wait(waiter.as_mut());
    assert_eq!(barrier.barrier_wait(waiter.as_mut()), None);
    assert_eq!(barrier.barrier_wait(waiter.as_mut()), None);
    assert_eq!(barrier.arrived_count(), 1);
    barrier.cancel_wait(waiter.as_mut());
    assert_eq!(barrier.arrived_count(), 0);
    assert_eq!(barrier.barrier_wait(waiter.as_mut()), None);
    assert!(leads(&barrier));
    assert!(waiter.is_ready());
    assert!(!barrier.barrier_wait(waiter.as_mut()).unwrap().is_leader());
    let mut other = arrived(&barrier, Waker::noop());
    assert!(barrier.barrier_wait(waiter.as_mut()).unwrap().is_leader());
    assert!(follows(&mut other));
    assert_eq!(count.get(), 1);
}

#[test]
fn a_waiter_waits_in_one_place() {
    let (barrier, other) = (Barrier::new(2), Barrier::new(2));
    let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    assert_eq!(barrier.barrier_wait(waiter.as_mut()), None);
    assert!(panics(|| _ = other.barrier_wait(waiter.as_mut())));
    assert!(panics(|| other.cancel_wait(waiter.as_mut())));
    assert!(leads(&barrier));
    assert!(!barrier.barrier_wait(waiter.as_mut()).unwrap().is_leader());
}

#[test]
fn a_future_is_not_polled_after_it_was_ready() {
    let barrier = Barrier::new(1);
    let mut waiting = Box::pin(barrier.wait());
    assert_eq!(poll(&mut waiting, Waker::noop()), Some(true));
    assert!(panics(|| _ = poll(&mut waiting, Waker::noop())));
}

#[test]
fn threads_wait_for_each_other_and_one_leads_each_round() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 50;
    static BARRIER: Barrier = Barrier::new(THREADS);
    static LEADERS: AtomicUsize = AtomicUsize::new(0);
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    ARRIVED.fetch_add(1, Ordering::Relaxed);
                    let is_leader = BARRIER.blocking_wait().is_leader();
                    LEADERS.fetch_add(usize::from(is_leader), Ordering::Relaxed);
                    assert!(ARRIVED.load(Ordering::Relaxed) >= round * THREADS);
                }
            });
        }
    });
    assert_eq!(LEADERS.load(Ordering::Relaxed), ROUNDS);
    assert!(panics(|| coop::with_budget(9, || _ = BARRIER.blocking_wait())));
}

#[test]
fn everything_goes_between_threads() {
    fn assert_send_and_sync<T: Send + Sync + 'static>() {}
    assert_send_and_sync::<Barrier>();
    assert_send_and_sync::<BarrierWait<'static>>();
    assert_send_and_sync::<BarrierWaitResult>();
}
