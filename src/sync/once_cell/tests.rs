//! Tests of the cell and its futures.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use super::*;
use crate::coop;

#[derive(Default)]
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
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    poll_by(future, Waker::noop())
}

fn poll_by<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn the_types_go_where_the_value_may() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let cell = OnceCell::new();
    is_send_and_sync(&cell);
    is_send_and_sync(&cell.wait());
    is_send_and_sync(&cell.get_or_init(|| ready(7)));
    is_send_and_sync(&cell.get_or_try_init(|| ready(Ok::<u32, ()>(7))));
}

#[test]
fn a_value_is_set_once() {
    static CELL: OnceCell<u32> = OnceCell::new();
    assert_eq!((CELL.get(), CELL.is_initialized()), (None, false));
    assert_eq!(CELL.set(7), Ok(()));
    assert_eq!(CELL.set(8), Err(8));
    assert_eq!((CELL.get(), CELL.is_initialized()), (Some(&7), true));
    assert_eq!(poll(pin!(CELL.get_or_init(pending))), Poll::Ready(&7));
    assert_eq!(poll(pin!(CELL.wait())), Poll::Ready(&7));
}

#[test]
fn cells_are_made_of_values_and_values_of_cells() {
    static SET: OnceCell<u32> = OnceCell::new_with(Some(7));
    static EMPTY: OnceCell<u32> = OnceCell::new_with(None);
    assert_eq!((SET.get(), EMPTY.get()), (Some(&7), None));
    let mut cell = OnceCell::from(7);
    assert_eq!(cell, SET.clone());
    assert_ne!(cell, EMPTY.clone());
    assert_eq!(OnceCell::default(), EMPTY.clone());
    assert_eq!(format!("{cell:?}"), "OnceCell { value: Some(7) }");
    *cell.get_mut().unwrap() = 8;
    assert_eq!(cell.take(), Some(8));
    assert_eq!((cell.take(), cell.get_mut()), (None, None));
    assert_eq!(cell.set(9), Ok(()));
    assert_eq!(cell.into_inner(), Some(9));
}

#[test]
fn one_initialises_and_the_others_wait_for_it() {
    let cell = OnceCell::new();
    let ((second_count, second_waker), (third_count, third_waker)) = (task(), task());
    let mut is_first_poll = true;
    let making = std::future::poll_fn(|_| {
        if std::mem::replace(&mut is_first_poll, false) { Poll::Pending } else { Poll::Ready(7) }
    });
    let mut first = pin!(cell.get_or_init(|| making));
    assert!(poll(first.as_mut()).is_pending());
    assert_eq!(cell.set(8), Err(8));
    let mut second = pin!(cell.get_or_init(|| ready(9)));
    let mut third = pin!(cell.wait());
    assert!(poll_by(second.as_mut(), &second_waker).is_pending());
    assert!(poll_by(third.as_mut(), &third_waker).is_pending());
    assert_eq!(poll(first), Poll::Ready(&7));
    assert_eq!((second_count.get(), third_count.get()), (1, 1));
    assert_eq!(poll(second), Poll::Ready(&7));
    assert_eq!(poll(third), Poll::Ready(&7));
}

#[test]
fn whoever_fails_lets_the_next_one_try_in_order() {
    let cell = OnceCell::new();
    let mut first = Box::pin(cell.get_or_init(pending));
    assert!(poll(first.as_mut()).is_pending());
    let tasks: [_; 3] = std::array::from_fn(|_| task());
    let mut tries: Vec<_> = (0..3)
        .map(|number| {
            let made = if number == 2 { Ok(number) } else { Err(number) };
            Box::pin(cell.get_or_try_init(move || ready(made)))
        })
        .collect();
    for (next, (_, waker)) in tries.iter_mut().zip(&tasks) {
        assert!(poll_by(next.as_mut(), waker).is_pending());
    }
    drop(first);
    for (number, next) in tries.iter_mut().enumerate() {
        let woken: Vec<usize> = tasks.iter().map(|(count, _)| count.get()).collect();
        assert_eq!(woken, (0..3).map(|other| usize::from(other <= number)).collect::<Vec<_>>());
        let result = if number == 2 { Ok(&2) } else { Err(number) };
        assert_eq!(poll(next.as_mut()), Poll::Ready(result));
    }
    assert_eq!(cell.get(), Some(&2));
}

#[test]
fn a_panic_lets_the_next_one_try() {
    let cell = OnceCell::new();
    let mut in_closure =
        pin!(cell.get_or_init(|| -> std::future::Ready<u32> { panic!("planned") }));
    let mut in_future = pin!(cell.get_or_init(async || -> u32 { panic!("planned") }));
    let mut held = Box::pin(cell.get_or_init(pending));
    let mut last = pin!(cell.get_or_init(|| ready(7)));
    assert!(poll(held.as_mut()).is_pending());
    assert!(poll(in_closure.as_mut()).is_pending());
    assert!(poll(in_future.as_mut()).is_pending());
    assert!(poll(last.as_mut()).is_pending());
    drop(held);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(in_closure.as_mut()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(in_future.as_mut()))).is_err());
    // The futures that panicked are still there.
    assert_eq!(poll(last), Poll::Ready(&7));
    let again = catch_unwind(AssertUnwindSafe(|| poll(in_future.as_mut())));
    let payload = again.expect_err("it is over");
    let message = payload.downcast_ref::<&str>().expect("a message");
    assert!(message.ends_with("polled after it was ready, or had panicked"), "{message}");
}

#[test]
fn a_future_may_be_dropped_whatever_it_does() {
    let cell = OnceCell::<u32>::new();
    // Before it is polled.
    drop(cell.get_or_init(|| ready(6)));
    // While it makes the value.
    let mut held = Box::pin(cell.get_or_init(pending));
    assert!(poll(held.as_mut()).is_pending());
    let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(cell.get_or_init(|| ready(7)))).collect();
    for waiter in &mut waiters {
        assert!(poll(waiter.as_mut()).is_pending());
    }
    // While it waits, in the middle and at the end of the queue.
    drop(waiters.remove(1));
    drop(waiters.remove(2));
    drop(held);
    // When the right was given to it: that goes to the next one.
    drop(waiters.remove(0));
    assert_eq!(poll(waiters[0].as_mut()), Poll::Ready(&7));
    assert!(waiters.len() == 1);
}

/// Notes when it is dropped.
struct Noted(Arc<AtomicUsize>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks, when it is woken, how much was dropped.
struct Looks {
    drops: Arc<AtomicUsize>,
    seen: AtomicUsize,
}

impl Wake for Looks {
    fn wake(self: Arc<Looks>) {
        self.seen.store(self.drops.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[test]
fn an_attempt_is_gone_before_the_next_one_begins() {
    let cell = OnceCell::<u32>::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let looks = Arc::new(Looks { drops: Arc::clone(&drops), seen: AtomicUsize::new(0) });
    let noted = Noted(Arc::clone(&drops));
    let mut first = Box::pin(cell.get_or_init(|| async move {
        let _noted = noted;
        pending().await
    }));
    let mut second = pin!(cell.get_or_init(|| ready(7)));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll_by(second.as_mut(), &Waker::from(Arc::clone(&looks))).is_pending());
    drop(first);
    assert_eq!(looks.seen.load(Ordering::Relaxed), 1);
    assert_eq!(poll(second), Poll::Ready(&7));
}

#[test]
fn closures_and_values_are_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let noted = || Noted(Arc::clone(&drops));
    let dropped = || drops.swap(0, Ordering::Relaxed);
    let mut cell = OnceCell::new();
    assert!(cell.set(noted()).is_ok());
    assert!(cell.set(noted()).is_err());
    assert_eq!(dropped(), 1, "a value that is refused is its caller's");
    drop(cell.take());
    assert_eq!(dropped(), 1);
    assert!(poll(pin!(cell.get_or_init(|| ready(noted())))).is_ready());
    assert_eq!(dropped(), 0);
    let unneeded = noted();
    assert!(poll(pin!(cell.get_or_init(move || ready(unneeded)))).is_ready());
    assert_eq!(dropped(), 1);
    drop(cell.into_inner());
    assert_eq!(dropped(), 1);
    drop(OnceCell::from(noted()));
    assert_eq!(dropped(), 1);
    drop(OnceCell::<Noted>::new());
    assert_eq!(dropped(), 0);
}

#[test]
fn a_spent_budget_does_not_decide_the_order() {
    let cell = OnceCell::new();
    let (count, waker) = task();
    let mut first = pin!(cell.get_or_init(|| ready(7)));
    let mut second = pin!(cell.get_or_init(|| ready(8)));
    coop::with_budget(0, || {
        assert!(poll_by(first.as_mut(), &waker).is_pending());
        assert_eq!(count.get(), 1, "the task is not woken to come again");
    });
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(poll(first), Poll::Ready(&7));
    // A value that is there costs nothing.
    coop::with_budget(0, || assert_eq!(poll(second), Poll::Ready(&7)));
}

#[test]
fn an_attempt_costs_of_the_budget() {
    let cell = OnceCell::<u32>::new();
    coop::with_budget(2, || {
        let mut tries = 0;
        while poll(pin!(cell.get_or_try_init(|| ready(Err(()))))).is_ready() {
            tries += 1;
            assert!(tries <= 2, "whoever fails again and again keeps the worker");
        }
        assert_eq!(tries, 2);
    });
}

/// Uses the cell when it is woken.
struct Reenters {
    cell: Arc<OnceCell<u32>>,
    has_seen: AtomicBool,
}

impl Wake for Reenters {
    fn wake(self: Arc<Reenters>) {
        let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
        let has_seen = self.cell.get() == Some(&7)
            && self.cell.set(8) == Err(8)
            && self.cell.wait_wait(waiter.as_mut()) == Some(&7);
        self.has_seen.store(has_seen, Ordering::Relaxed);
    }
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("planned");
    }
}

#[test]
fn wakers_may_panic_and_use_the_cell() {
    let cell = Arc::new(OnceCell::new());
    let reenters = Reenters { cell: Arc::clone(&cell), has_seen: AtomicBool::new(false) };
    let reenters = Arc::new(reenters);
    let (count, counts) = task();
    let wakers = [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&reenters)), counts];
    let mut waiters: Vec<_> = wakers.iter().map(|_| Box::pin(cell.wait())).collect();
    for (waiter, waker) in waiters.iter_mut().zip(&wakers) {
        assert!(poll_by(waiter.as_mut(), waker).is_pending());
    }
    assert_eq!(cell.set(7), Ok(()));
    assert_eq!(count.get(), 1);
    assert!(reenters.has_seen.load(Ordering::Relaxed));
}

#[test]
fn a_waiter_of_the_caller_makes_the_value_or_waits_for_it() {
    let cell = OnceCell::new();
    let ((first_count, first_waker), (second_count, second_waker)) = (task(), task());
    let mut held = Box::pin(cell.get_or_init(pending));
    assert!(poll(held.as_mut()).is_pending());
    let mut first = pin!(Waiter::new(first_waker));
    let mut second = pin!(Waiter::new(second_waker));
    assert_eq!(cell.get_or_init_wait(first.as_mut(), || 6), None);
    assert_eq!(cell.get_or_init_wait(second.as_mut(), || 7), None);
    drop(held);
    assert!(first.is_ready() && !second.is_ready());
    let made = catch_unwind(AssertUnwindSafe(|| {
        cell.get_or_init_wait(first.as_mut(), || panic!("planned"));
    }));
    assert!(made.is_err());
    assert!(second.is_ready());
    assert_eq!(cell.get_or_init_wait(second.as_mut(), || 7), Some(&7));
    assert_eq!((first_count.get(), second_count.get()), (1, 1));
    assert_eq!(cell.wait_wait(first.as_mut()), Some(&7));
}

#[test]
fn a_waiter_of_the_caller_may_be_cancelled() {
    let cell = OnceCell::new();
    let other = OnceCell::<u32>::new();
    let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    cell.cancel_wait(waiter.as_mut());
    assert_eq!(cell.wait_wait(waiter.as_mut()), None);
    assert!(catch_unwind(AssertUnwindSafe(|| other.cancel_wait(waiter.as_mut()))).is_err());
    cell.cancel_wait(waiter.as_mut());
    assert_eq!(other.wait_wait(waiter.as_mut()), None);
    other.cancel_wait(waiter.as_mut());
    let mut held = Box::pin(cell.get_or_init(pending));
    assert!(poll(held.as_mut()).is_pending());
    assert_eq!(cell.get_or_init_wait(waiter.as_mut(), || 7), None);
    drop(held);
    cell.cancel_get_or_init(waiter.as_mut());
    assert_eq!(cell.set(8), Ok(()));
}

#[test]
fn a_cell_outlives_a_future_that_is_leaked() {
    // The future is never freed.
    if cfg!(miri) {
        return;
    }
    let mut cell = OnceCell::new();
    let mut held = Box::pin(cell.get_or_init(pending));
    let mut waits = Box::pin(cell.get_or_init(pending));
    assert!(poll(held.as_mut()).is_pending());
    assert!(poll(waits.as_mut()).is_pending());
    std::mem::forget((held, waits));
    assert_eq!(cell.set(7), Err(7));
    assert_eq!(cell.take(), None);
    assert_eq!(cell.set(7), Ok(()));
    let moved = Box::new(cell);
    assert_eq!(moved.get(), Some(&7));
}

#[test]
fn threads_make_one_value() {
    for _ in 0..if cfg!(miri) { 4 } else { 100 } {
        let cell = OnceCell::new();
        let made = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let make = || made.fetch_add(1, Ordering::Relaxed) + 7;
                    assert_eq!(cell.blocking_get_or_init(make), &7);
                });
            }
            scope.spawn(|| assert_eq!(cell.blocking_wait(), &7));
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_task_that_blocks_is_told_what_to_call() {
    let cell = OnceCell::<u32>::new();
    let blocked = catch_unwind(AssertUnwindSafe(|| {
        coop::with_budget(1, || *cell.blocking_get_or_init(|| 7));
    }));
    assert!(blocked.is_err());
    assert_eq!(cell.set(7), Ok(()));
    coop::with_budget(1, || assert_eq!(cell.blocking_get_or_init(|| 8), &7));
}
