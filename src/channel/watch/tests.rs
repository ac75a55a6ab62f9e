use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::*;
use crate::coop;
use crate::waiter::Waiter;

/// Counts its calls, then does something.
struct Task {
    woken: AtomicUsize,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Task {
    fn new() -> Arc<Task> {
        Task::that(|| {})
    }

    fn that(then: impl Fn() + Send + Sync + 'static) -> Arc<Task> {
        Arc::new(Task { woken: AtomicUsize::new(0), then: Box::new(then) })
    }

    fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }

    fn poll<F: Future>(self: &Arc<Task>, future: Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        future.poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        (self.then)();
    }
}

#[test]
fn the_ends_and_futures_may_go_anywhere() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    let (sender, mut receiver) = watch(1);
    is_send_and_sync(&sender);
    is_send_and_sync(&receiver);
    is_send_and_sync(&sender.closed());
    is_send_and_sync(&receiver.changed());
    is_send_and_sync(&receiver.wait_for(|_: &i32| true));
    is_sync(&receiver.borrow());
}

#[test]
fn a_receiver_sees_the_newest_value_and_each_change_once() {
    let (sender, mut receiver) = watch(0);
    let task = Task::new();
    assert_eq!(receiver.has_changed(), Ok(false));
    assert!(task.poll(pin!(receiver.changed())).is_pending());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert!(receiver.borrow().has_changed());
    assert_eq!(task.poll(pin!(receiver.changed())), Poll::Ready(Ok(())));
    assert_eq!(*receiver.borrow(), 2);
    assert!(!receiver.borrow().has_changed());
    assert!(task.poll(pin!(receiver.changed())).is_pending());
    assert_eq!(task.woken(), 0, "a dropped future was told");
}

#[test]
fn changes_may_be_marked_by_hand() {
    let (sender, mut receiver) = watch(0);
    receiver.mark_changed();
    receiver.mark_changed();
    assert_eq!(receiver.has_changed(), Ok(true));
    receiver.mark_unchanged();
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(1).unwrap();
    let mut clone = receiver.clone();
    receiver.mark_unchanged();
    assert_eq!((receiver.has_changed(), clone.has_changed()), (Ok(false), Ok(true)));
    assert!(clone.borrow_and_update().has_changed());
    assert_eq!(clone.has_changed(), Ok(false));
    assert!(receiver.same_channel(&clone));
    assert!(!receiver.same_channel(&watch(0).1));
}

#[test]
fn an_unseen_change_is_told_before_the_close() {
    let (sender, mut receiver) = watch(0);
    let other = sender.clone();
    assert_eq!(sender.sender_count(), 2);
    assert!(sender.same_channel(&other));
    drop(sender);
    assert!(!receiver.is_closed());
    other.send(1).unwrap();
    drop(other);
    assert!(receiver.is_closed());
    let task = Task::new();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(task.poll(pin!(receiver.changed())), Poll::Ready(Ok(())));
    assert_eq!(task.poll(pin!(receiver.changed())), Poll::Ready(Err(RecvError)));
    assert_eq!(receiver.has_changed(), Err(RecvError));
    receiver.mark_changed();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(*receiver.borrow(), 1);
}

/// Defect 15 of the original: its receivers were never uncounted.
#[test]
fn dropped_receivers_are_not_counted() {
    let (sender, receiver) = watch(0);
    for _ in 0..3 {
        let others = [receiver.clone(), sender.subscribe()];
        assert_eq!(sender.receiver_count(), 3);
        drop(others);
    }
    drop(receiver);
    assert_eq!(sender.receiver_count(), 0);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(SendError(1)));
    assert_eq!(sender.send_replace(2), 0);
    let receiver = sender.subscribe();
    assert_eq!(*receiver.borrow(), 2);
    assert_eq!(receiver.has_changed(), Ok(false));
    assert!(!sender.is_closed());
}

#[test]
fn many_receivers_are_all_woken_once_by_a_change_and_by_the_close() {
    let (sender, receiver) = watch(0);
    let mut receivers: Vec<_> = (0..100).map(|_| receiver.clone()).collect();
    let task = Task::new();
    let mut futures: Vec<_> =
        receivers.iter_mut().map(|receiver| Box::pin(receiver.changed())).collect();
    for future in &mut futures {
        // Twice: it waits once.
        assert!(task.poll(future.as_mut()).is_pending());
        assert!(task.poll(future.as_mut()).is_pending());
    }
    assert_eq!(sender.waiting(), 100);
    sender.send(1).unwrap();
    assert_eq!((task.woken(), sender.waiting()), (100, 0));
    for future in &mut futures {
        assert_eq!(task.poll(future.as_mut()), Poll::Ready(Ok(())));
        // A future of a change may be used for the next one.
        assert!(task.poll(future.as_mut()).is_pending());
    }
    drop(sender);
    assert_eq!(task.woken(), 200);
    let end = Poll::Ready(Err(RecvError));
    assert!(futures.iter_mut().all(|future| task.poll(future.as_mut()) == end));
}

#[test]
fn a_wait_is_cancelled_wherever_it_stands() {
    let (sender, receiver) = watch(0);
    for cancelled in 0..3 {
        let tasks = [(); 3].map(|()| Task::new());
        let mut receivers: Vec<_> = tasks.iter().map(|_| sender.subscribe()).collect();
        let mut futures: Vec<_> =
            receivers.iter_mut().map(|receiver| Box::pin(receiver.changed())).collect();
        for (task, future) in tasks.iter().zip(&mut futures) {
            assert!(task.poll(future.as_mut()).is_pending());
        }
        drop(futures.remove(cancelled));
        sender.send(1).unwrap();
        // Told and dropped: the change stays unseen.
        drop(futures);
        for (nth, task) in tasks.iter().enumerate() {
            assert_eq!(task.woken(), usize::from(nth != cancelled));
            assert_eq!(Arc::strong_count(task), 1);
            assert_eq!(receivers[nth].has_changed(), Ok(true));
        }
        assert_eq!(sender.waiting(), 0);
    }
    // Before the first poll.
    drop(receiver.clone().changed());
}

#[test]
fn a_value_is_waited_for() {
    let (sender, mut receiver) = watch(0);
    let task = Task::new();
    let asked = AtomicUsize::new(0);
    {
        let mut future = pin!(receiver.wait_for(|value| {
            asked.fetch_add(1, Ordering::Relaxed);
            *value >= 2
        }));
        assert!(task.poll(future.as_mut()).is_pending());
        assert!(task.poll(future.as_mut()).is_pending());
        assert_eq!(asked.load(Ordering::Relaxed), 1, "it is asked once about a value");
        sender.send(1).unwrap();
        assert!(task.poll(future.as_mut()).is_pending());
        sender.send(2).unwrap();
        assert_eq!(task.woken(), 2);
        let Poll::Ready(Ok(found)) = task.poll(future.as_mut()) else { panic!("it is there") };
        assert_eq!((*found, found.has_changed()), (2, true));
        assert_eq!(format!("{found} {found:?}"), "2 2");
    }
    assert_eq!(receiver.has_changed(), Ok(false));
    // Seen before, and asked about all the same.
    assert!(task.poll(pin!(receiver.wait_for(|value| *value == 2))).is_ready());
    drop(sender);
    assert!(task.poll(pin!(receiver.wait_for(|value| *value == 2))).is_ready());
    let polled = task.poll(pin!(receiver.wait_for(|value| *value == 3)));
    assert!(matches!(polled, Poll::Ready(Err(RecvError))));
}

#[test]
fn the_last_value_is_asked_about_before_the_close() {
    let (sender, mut receiver) = watch(0);
    let task = Task::new();
    let mut future = Box::pin(receiver.wait_for(|value| *value == 1));
    assert!(task.poll(future.as_mut()).is_pending());
    sender.send(1).unwrap();
    drop(sender);
    assert!(matches!(task.poll(future.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn a_value_is_changed_in_place_or_left() {
    let (sender, mut receiver) = watch(vec![1]);
    let task = Task::new();
    sender.send_modify(|list| list.push(2));
    assert_eq!(*receiver.borrow_and_update(), [1, 2]);
    let mut future = Box::pin(receiver.changed());
    assert!(task.poll(future.as_mut()).is_pending());
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(task.woken(), 0);
    assert!(sender.send_if_modified(|list| list.pop().is_some()));
    assert_eq!(task.woken(), 1);
    assert_eq!(task.poll(future.as_mut()), Poll::Ready(Ok(())));
    drop(future);
    assert_eq!(*receiver.borrow(), [1]);
}

#[test]
fn a_panic_while_the_value_is_changed_or_looked_at_leaves_the_channel_sane() {
    let (sender, mut receiver) = watch(0);
    let changed = catch_unwind(AssertUnwindSafe(|| {
        sender.send_modify(|value| {
            *value = 1;
            panic!("planned");
        });
    }));
    assert!(changed.is_err());
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!(*receiver.borrow(), 1);
    let task = Task::new();
    let asked = catch_unwind(AssertUnwindSafe(|| {
        let _ = task.poll(pin!(receiver.wait_for(|_| panic!("planned"))));
    }));
    assert!(asked.is_err());
    sender.send(2).unwrap();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(*sender.borrow(), 2);
}

#[test]
fn values_are_dropped_once_and_outside_the_lock() {
    /// Looks at the channel when it is dropped.
    struct Looks(Arc<AtomicUsize>, Arc<Mutex<Option<Sender<Looks>>>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            let sender = self.1.lock().unwrap().take();
            if let Some(sender) = sender {
                assert_eq!(sender.borrow().0.load(Ordering::Relaxed), 1);
                *self.1.lock().unwrap() = Some(sender);
            }
        }
    }
    let (dropped, place) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let value = || Looks(Arc::clone(&dropped), Arc::clone(&place));
    let (sender, receiver) = watch(value());
    *place.lock().unwrap() = Some(sender.clone());
    assert!(sender.send(value()).is_ok());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let last = place.lock().unwrap().take();
    drop((last, sender, receiver));
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_waker_may_panic_or_use_the_channel() {
    let (sender, receiver) = watch(0);
    let sender = Arc::new(sender);
    let found = Arc::new(AtomicUsize::new(0));
    let uses = {
        let (sender, found) = (Arc::clone(&sender), Arc::clone(&found));
        Task::that(move || {
            found.store(*sender.borrow(), Ordering::Relaxed);
            sender.send_modify(|value| *value += 1);
        })
    };
    let calm = Task::new();
    let mut others = [(); 3].map(|()| receiver.clone());
    let mut futures: Vec<_> =
        others.iter_mut().map(|receiver| Box::pin(receiver.changed())).collect();
    let panics = Task::that(|| panic!("planned"));
    for (task, future) in [&panics, &uses, &calm].into_iter().zip(&mut futures) {
        assert!(task.poll(future.as_mut()).is_pending());
    }
    sender.send(7).unwrap();
    assert_eq!((panics.woken(), uses.woken(), calm.woken()), (1, 1, 1));
    assert_eq!((found.load(Ordering::Relaxed), *sender.borrow()), (7, 8));
}

#[test]
fn the_sender_is_told_when_the_last_receiver_goes() {
    let (sender, receiver) = watch(0);
    let other = receiver.clone();
    let task = Task::new();
    let mut future = pin!(sender.closed());
    assert!(task.poll(future.as_mut()).is_pending());
    drop(receiver);
    assert_eq!(task.woken(), 0);
    drop(other);
    assert_eq!(task.woken(), 1);
    // Another one has come meanwhile.
    let receiver = sender.subscribe();
    assert!(task.poll(future.as_mut()).is_pending());
    drop(receiver);
    assert_eq!(task.woken(), 2);
    assert!(task.poll(future.as_mut()).is_ready());
}

#[test]
fn a_spent_budget_puts_a_change_off() {
    let (sender, mut receiver) = watch(0);
    sender.send(1).unwrap();
    let task = Task::new();
    coop::with_budget(0, || {
        assert!(task.poll(pin!(receiver.changed())).is_pending());
        assert!(task.poll(pin!(receiver.wait_for(|_| true))).is_pending());
    });
    assert_eq!(task.woken(), 2);
    coop::with_budget(1, || {
        assert!(task.poll(pin!(receiver.changed())).is_ready());
        assert!(!coop::has_budget_remaining());
    });
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let (sender, receiver) = watch(0);
    let task = Task::new();
    let waker = || Waker::from(Arc::clone(&task));
    let mut first = pin!(Waiter::new(waker()));
    let mut second = pin!(Waiter::new(waker()));
    assert!(receiver.changed_wait(first.as_mut()).is_none());
    assert!(receiver.changed_wait(second.as_mut()).is_none());
    receiver.cancel_changed(first.as_mut());
    receiver.cancel_changed(first.as_mut());
    sender.send(1).unwrap();
    assert_eq!(task.woken(), 1);
    assert!(!first.is_ready() && second.is_ready());
    assert_eq!(receiver.changed_wait(second.as_mut()), Some(Ok(())));
    assert!(receiver.changed_wait(second.as_mut()).is_none());
    assert!(!sender.closed_wait(first.as_mut()));
    sender.cancel_closed(first.as_mut());
    assert_eq!(sender.waiting(), 1);
    receiver.cancel_changed(second.as_mut());
    assert_eq!(sender.waiting(), 0);
}

#[test]
fn a_thread_waits_for_a_change() {
    let (sender, mut receiver) = watch(0);
    let thread = thread::spawn(move || {
        let first = receiver.blocking_changed();
        let value = *receiver.borrow();
        (first, value, receiver.blocking_changed())
    });
    thread::sleep(Duration::from_millis(5));
    sender.send(1).unwrap();
    thread::sleep(Duration::from_millis(5));
    drop(sender);
    let (first, value, second) = thread.join().unwrap();
    assert_eq!(first, Ok(()));
    assert_eq!((value, second), (1, Err(RecvError)));
}

#[test]
fn threads_never_see_an_older_value_after_a_newer_one() {
    let rounds: u64 = if cfg!(miri) { 30 } else { 20_000 };
    // Two words, so that a torn look is seen.
    let (sender, receiver) = watch((0, 0));
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut receiver = receiver.clone();
            let is_done = &is_done;
            scope.spawn(move || {
                let mut last = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let found = receiver.borrow_and_update();
                    assert_eq!(found.0, found.1);
                    assert!(found.0 >= last, "{} after {last}", found.0);
                    last = found.0;
                }
            });
        }
        let mut waits = receiver.clone();
        scope.spawn(move || {
            let mut last = 0;
            while waits.blocking_changed().is_ok() {
                let found = *waits.borrow();
                assert!(found.0 >= last && found.0 == found.1);
                last = found.0;
            }
            assert_eq!(last, 2 * rounds);
        });
        let senders = [sender.clone(), sender].map(|sender| {
            scope.spawn(move || {
                for _ in 0..rounds {
                    sender.send_modify(|value| *value = (value.0 + 1, value.1 + 1));
                }
            })
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(*receiver.borrow(), (2 * rounds, 2 * rounds));
}

#[test]
fn a_value_need_not_be_shared_between_threads() {
    // Neither `Send` nor `Sync`: on one thread.
    let (sender, mut receiver) = watch(std::rc::Rc::new(Cell::new(1)));
    sender.borrow().set(2);
    assert_eq!(receiver.borrow_and_update().get(), 2);
    let task = Task::new();
    assert!(task.poll(pin!(receiver.changed())).is_pending());
}
