//! Tests of the condition, with its futures and its waiters.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::coop;
use crate::sync::Mutex;

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

type Wait<'a> = Pin<Box<CondvarWait<'a, u32>>>;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// One that waits for a notification.
fn queue<'a>(condvar: &'a Condvar, mutex: &'a Mutex<u32>, waker: &Waker) -> Wait<'a> {
    let mut wait = Box::pin(condvar.wait(mutex.try_lock().unwrap()));
    assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    assert!(!mutex.is_locked());
    wait
}

fn assert_send_and_sync<T: Send + Sync>(_: &T) {}

#[test]
fn what_may_go_to_other_threads_does() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::default());
    assert_send_and_sync(&condvar);
    assert_send_and_sync(&condvar.wait(mutex.try_lock().unwrap()));
    assert_send_and_sync(&condvar.wait_while(mutex.try_lock().unwrap(), |_| true));
}

#[test]
fn a_wait_frees_the_lock_and_has_it_again() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let mut wait = queue(&condvar, &mutex, &waker);
    *mutex.try_lock().unwrap() = 2;
    assert!(poll(wait.as_mut()).is_pending());
    condvar.notify_one();
    // The waker of the last poll is called.
    assert_eq!(count.get(), 0);
    let Poll::Ready(guard) = poll(wait.as_mut()) else { panic!("it was notified") };
    assert_eq!(*guard, 2);
    assert!(mutex.is_locked());
}

/// With a lifetime for the condvar and one for the mutex this would not compile.
#[test]
fn an_async_block_that_waits_can_be_sent_to_another_thread() {
    fn assert_send<F: Future + Send>(_: F) {}
    let shared = std::sync::Arc::new((Mutex::new(1), Condvar::new()));
    assert_send(async move {
        let (mutex, condvar) = &*shared;
        let mut guard = mutex.lock().await;
        while *guard == 1 {
            guard = condvar.wait(guard).await;
        }
    });
}

#[test]
fn a_notification_without_a_waiter_is_not_stored() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    condvar.notify_one();
    condvar.notify_all();
    let mut wait = queue(&condvar, &mutex, Waker::noop());
    assert!(poll(wait.as_mut()).is_pending());
}

#[test]
fn the_first_that_came_is_the_first_notified() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let mut waits = [(); 3].map(|()| queue(&condvar, &mutex, Waker::noop()));
    for next in 0..3 {
        condvar.notify_one();
        for (index, wait) in waits.iter_mut().enumerate().skip(next).rev() {
            assert_eq!(poll(wait.as_mut()).is_ready(), index == next);
        }
    }
}

#[test]
fn those_who_are_notified_have_the_lock_one_after_the_other() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let mut waits = [(); 3].map(|()| queue(&condvar, &mutex, Waker::noop()));
    let mut guard = mutex.try_lock().unwrap();
    condvar.notify_all();
    for wait in &mut waits {
        assert!(poll(wait.as_mut()).is_pending(), "the lock is had by two");
    }
    for wait in &mut waits {
        MutexGuard::unlock_fair(guard);
        let Poll::Ready(next) = poll(wait.as_mut()) else { panic!("it is the first") };
        guard = next;
    }
}

#[test]
fn a_wait_that_is_dropped_unpolled_frees_the_lock() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let wait = condvar.wait(mutex.try_lock().unwrap());
    assert!(mutex.is_locked());
    drop(wait);
    assert!(!mutex.is_locked());
}

#[test]
fn a_wait_that_is_dropped_leaves_the_others_in_order() {
    for gone in 0..3 {
        let (mutex, condvar) = (Mutex::new(1), Condvar::new());
        let mut waits: Vec<_> = (0..3).map(|_| queue(&condvar, &mutex, Waker::noop())).collect();
        drop(waits.remove(gone));
        for mut wait in waits {
            condvar.notify_one();
            assert!(poll(wait.as_mut()).is_ready());
        }
    }
}

/// In the original a waiter that was cancelled after it was notified lost the notification.
#[test]
fn a_notification_of_a_dropped_wait_goes_to_the_next() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let first = queue(&condvar, &mutex, Waker::noop());
    let mut second = queue(&condvar, &mutex, &waker);
    condvar.notify_one();
    assert_eq!(count.get(), 0);
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn a_notification_of_a_wait_that_is_dropped_while_it_locks_goes_to_the_next() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let mut first = queue(&condvar, &mutex, Waker::noop());
    let mut second = queue(&condvar, &mutex, &waker);
    let guard = mutex.try_lock().unwrap();
    condvar.notify_one();
    assert!(poll(first.as_mut()).is_pending());
    // It is handed the lock, too, and takes neither.
    MutexGuard::unlock_fair(guard);
    assert!(mutex.is_locked());
    assert_eq!(count.get(), 0);
    drop(first);
    assert!(!mutex.is_locked());
    assert_eq!(count.get(), 1);
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn a_notification_that_was_had_is_not_handed_on() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let mut first = queue(&condvar, &mutex, Waker::noop());
    let _second = queue(&condvar, &mutex, &waker);
    condvar.notify_one();
    assert!(poll(first.as_mut()).is_ready());
    drop(first);
    assert_eq!(count.get(), 0);
}

#[test]
fn a_notification_to_all_is_not_handed_on() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let early = queue(&condvar, &mutex, Waker::noop());
    condvar.notify_all();
    let _late = queue(&condvar, &mutex, &waker);
    drop(early);
    assert_eq!(count.get(), 0);
}

#[test]
fn a_condition_is_asked_until_it_is_false() {
    let (mutex, condvar) = (Mutex::new(2), Condvar::new());
    let asked = Cell::new(0);
    let mut wait = pin!(condvar.wait_while(mutex.try_lock().unwrap(), |left| {
        asked.set(asked.get() + 1);
        *left > 0
    }));
    for _ in 0..2 {
        assert!(poll(wait.as_mut()).is_pending());
        assert!(poll(wait.as_mut()).is_pending());
        *mutex.try_lock().unwrap() -= 1;
        condvar.notify_one();
    }
    let Poll::Ready(guard) = poll(wait.as_mut()) else { panic!("the condition is false") };
    assert_eq!(*guard, 0);
    drop(guard);
    assert_eq!(asked.get(), 3);
}

#[test]
fn a_condition_that_is_false_at_once_keeps_the_lock() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let guard = mutex.try_lock().unwrap();
    let mut wait = pin!(condvar.wait_while(guard, |_| false));
    let Poll::Ready(guard) = poll(wait.as_mut()) else { panic!("the condition is false") };
    assert!(mutex.is_locked());
    drop(guard);
    assert!(!mutex.is_locked());
}

#[test]
fn a_condition_that_panics_frees_the_lock() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let guard = mutex.try_lock().unwrap();
    let mut wait = pin!(condvar.wait_while(guard, |left| {
        assert!(*left > 0, "planned");
        true
    }));
    assert!(poll(wait.as_mut()).is_pending());
    *mutex.try_lock().unwrap() = 0;
    condvar.notify_one();
    assert!(catch_unwind(AssertUnwindSafe(|| poll(wait.as_mut()).is_ready())).is_err());
    assert!(!mutex.is_locked());
}

#[test]
fn one_condvar_serves_several_mutexes() {
    let (left, right, condvar) = (Mutex::new(1), Mutex::new(2), Condvar::new());
    let mut waits = [queue(&condvar, &left, Waker::noop()), queue(&condvar, &right, Waker::noop())];
    condvar.notify_all();
    let values = waits.each_mut().map(|wait| poll(wait.as_mut()).map(|guard| *guard));
    assert_eq!(values, [Poll::Ready(1), Poll::Ready(2)]);
}

#[test]
fn a_task_without_a_budget_waits_for_the_lock_in_the_queue() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let mut context = Context::from_waker(&waker);
    let mut wait = queue(&condvar, &mutex, Waker::noop());
    condvar.notify_one();
    coop::with_budget(0, || assert!(wait.as_mut().poll(&mut context).is_pending()));
    assert_eq!(count.get(), 1, "it does not come again");
    MutexGuard::unlock_fair(mutex.try_lock().unwrap());
    assert!(mutex.is_locked());
    assert!(wait.as_mut().poll(&mut context).is_ready());
}

#[test]
#[should_panic(expected = "`CondvarWait` is polled after it was ready")]
fn a_future_is_ready_once() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let mut wait = queue(&condvar, &mutex, Waker::noop());
    condvar.notify_one();
    assert!(poll(wait.as_mut()).is_ready());
    let _ = poll(wait.as_mut());
}

#[test]
fn a_waiter_of_ones_own_waits_as_a_future_does() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let (count, waker) = task();
    let mut waiter = pin!(Waiter::new(waker));
    condvar.notified_wait(mutex.try_lock().unwrap(), waiter.as_mut());
    assert!(!condvar.take_notified(waiter.as_mut()));
    let mut guard = mutex.try_lock().unwrap();
    *guard = 2;
    condvar.notify_one();
    assert_eq!(count.get(), 1);
    assert!(condvar.take_notified(waiter.as_mut()));
    assert!(mutex.lock_wait(waiter.as_mut()).is_none());
    drop(guard);
    assert_eq!(count.get(), 2);
    assert_eq!(mutex.lock_wait(waiter.as_mut()).map(|guard| *guard), Some(2));
    condvar.cancel_notified(waiter.as_mut());
    condvar.notified_wait(mutex.try_lock().unwrap(), waiter.as_mut());
    condvar.cancel_notified(waiter.as_mut());
    condvar.notify_one();
    assert_eq!(count.get(), 2);
}

#[test]
#[should_panic(expected = "the waiter does not wait for a notification")]
fn a_waiter_that_does_not_wait_is_not_notified() {
    let condvar = Condvar::new();
    condvar.take_notified(pin!(Waiter::new(Waker::noop().clone())));
}

#[test]
fn threads_pass_a_value_to_and_fro() {
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        for own in 0..2 {
            let (mutex, condvar) = (&mutex, &condvar);
            scope.spawn(move || {
                for _ in 0..100 {
                    let mut guard = mutex.blocking_lock();
                    while *guard % 2 != own {
                        guard = condvar.blocking_wait(guard);
                    }
                    *guard += 1;
                    condvar.notify_one();
                }
            });
        }
    });
    assert_eq!(mutex.into_inner(), 200);
}

#[test]
fn a_task_may_not_block() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let guard = mutex.try_lock().unwrap();
    let blocked = catch_unwind(AssertUnwindSafe(|| {
        coop::with_budget(1, || drop(condvar.blocking_wait(guard)));
    }));
    assert!(blocked.is_err());
    assert!(!mutex.is_locked());
}
