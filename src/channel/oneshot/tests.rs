use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_core::FusedFuture;

use super::*;
use crate::coop;
use crate::waiter::Waiter;
use crate::waiter::test_wakers::{Hooks, hooked, nervous};

/// Counts its calls, then does something.
struct Task {
    woken: AtomicUsize,
    then: fn(),
}

impl Task {
    fn new() -> Arc<Task> {
        Task::that(|| {})
    }

    fn that(then: fn()) -> Arc<Task> {
        Arc::new(Task { woken: AtomicUsize::new(0), then })
    }

    fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }

    fn poll<F: Future + Unpin>(self: &Arc<Task>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        (self.then)();
    }
}

fn is_send_and_sync<T: Send + Sync + Unpin>(_: &T) {}

#[test]
fn the_ends_may_go_anywhere() {
    // A value that is `Send` alone.
    let (mut sender, receiver) = oneshot::<std::cell::Cell<u8>>();
    is_send_and_sync(&sender);
    is_send_and_sync(&receiver);
    is_send_and_sync(&sender.closed());
    assert_eq!(size_of::<Sender<u64>>(), 2 * size_of::<usize>());
    assert_eq!(size_of::<Receiver<u64>>(), 2 * size_of::<usize>());
}

#[test]
fn a_value_that_is_there_is_received_at_once() {
    let (sender, mut receiver) = oneshot();
    assert_eq!(sender.send(7), Ok(()));
    let task = Task::new();
    assert_eq!(task.poll(&mut receiver), Poll::Ready(Ok(7)));
    assert!(receiver.is_terminated());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(task.woken(), 0);
}

#[test]
fn a_receiver_that_waits_is_woken_once_by_its_last_waker() {
    let (sender, mut receiver) = oneshot();
    let (first, second) = (Task::new(), Task::new());
    assert!(first.poll(&mut receiver).is_pending());
    assert!(first.poll(&mut receiver).is_pending());
    assert_eq!(Arc::strong_count(&first), 2);
    assert!(second.poll(&mut receiver).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    sender.send(7).unwrap();
    assert_eq!((first.woken(), second.woken()), (0, 1));
    assert_eq!(second.poll(&mut receiver), Poll::Ready(Ok(7)));
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn a_dropped_sender_is_told_to_the_receiver() {
    let (sender, mut receiver) = oneshot::<u32>();
    let task = Task::new();
    assert!(task.poll(&mut receiver).is_pending());
    drop(sender);
    assert_eq!(task.woken(), 1);
    assert_eq!(task.poll(&mut receiver), Poll::Ready(Err(RecvError)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_dropped_receiver_gives_the_value_back() {
    let (sender, receiver) = oneshot();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));
}

#[test]
fn a_value_sent_before_the_close_is_received_and_none_after_it() {
    let (sender, mut receiver) = oneshot();
    sender.send(7).unwrap();
    receiver.close();
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(7));
    let (sender, mut receiver) = oneshot();
    receiver.close();
    assert_eq!(Task::new().poll(&mut receiver), Poll::Ready(Err(RecvError)));
    assert_eq!(sender.send(7), Err(7));
}

#[test]
fn the_sender_is_woken_when_nobody_wants_the_value() {
    for is_dropped in [false, true] {
        let (mut sender, receiver) = oneshot::<u32>();
        let mut receiver = Some(receiver);
        let (task, other) = (Task::new(), Task::new());
        assert!(other.poll(&mut sender.closed()).is_pending());
        assert_eq!(Arc::strong_count(&other), 1, "a dropped future has left its waker");
        let mut closed = sender.closed();
        assert!(task.poll(&mut closed).is_pending());
        if is_dropped {
            receiver = None;
        } else {
            receiver.as_mut().unwrap().close();
        }
        assert_eq!((task.woken(), other.woken()), (1, 0));
        assert!(task.poll(&mut closed).is_ready());
        drop(closed);
        drop((sender, receiver));
        assert_eq!(Arc::strong_count(&task), 1);
    }
}

#[test]
fn wakers_are_dropped_with_the_end_that_left_them() {
    let task = Task::new();
    let (mut sender, mut receiver) = oneshot::<u32>();
    assert!(task.poll(&mut receiver).is_pending());
    drop(receiver);
    assert_eq!(Arc::strong_count(&task), 1);
    drop(sender);
    let receiver;
    (sender, receiver) = oneshot::<u32>();
    let waker = Waker::from(Arc::clone(&task));
    assert!(sender.poll_closed(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(Arc::strong_count(&task), 3);
    drop(sender);
    assert_eq!(Arc::strong_count(&task), 2);
    drop(receiver);
    assert_eq!(task.woken(), 0);
}

#[test]
fn a_value_is_dropped_once_wherever_it_is() {
    let value = Arc::new(());
    let (sender, receiver) = oneshot();
    sender.send(Arc::clone(&value)).unwrap();
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
    let (sender, mut receiver) = oneshot();
    sender.send(Arc::clone(&value)).unwrap();
    drop(receiver.try_recv());
    assert_eq!(Arc::strong_count(&value), 1);
    drop(receiver);
    let (sender, receiver) = oneshot();
    drop(receiver);
    drop(sender.send(Arc::clone(&value)));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_waker_that_panics_breaks_nothing() {
    let (sender, mut receiver) = oneshot();
    assert!(Task::that(|| panic!("planned")).poll(&mut receiver).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(7));
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_keeps_no_other_from_being_called() {
    let (mut sender, mut receiver) = oneshot();
    let task = Task::new();
    assert!(task.poll(&mut receiver).is_pending());
    assert!(sender.poll_closed(&mut Context::from_waker(&nervous())).is_pending());
    // The one before is dropped.
    assert!(sender.poll_closed(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(sender.poll_closed(&mut Context::from_waker(&nervous())).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(task.woken(), 1);
    assert_eq!(receiver.try_recv(), Ok(7));
}

#[test]
fn an_end_goes_though_the_waker_of_the_other_panics_when_it_is_cloned() {
    static CLONED: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    // The first clone is left in the channel, the second would be called.
    static HOOKS: Hooks = Hooks {
        clone: || assert!(CLONED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2), "planned"),
        drop: || {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        },
    };
    let waker = hooked(&HOOKS);
    let mut context = Context::from_waker(&waker);
    let (sender, mut receiver) = oneshot();
    assert!(Pin::new(&mut receiver).poll(&mut context).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(7));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1, "the channel is kept");
    let (mut sender, receiver) = oneshot::<u32>();
    assert!(sender.poll_closed(&mut context).is_pending());
    drop(receiver);
    assert_eq!(sender.send(7), Err(7));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2, "the channel is kept");
}

/// Receives when it is woken.
struct Receives {
    receiver: Mutex<Option<Receiver<u32>>>,
    received: Mutex<Option<u32>>,
}

impl Wake for Receives {
    fn wake(self: Arc<Receives>) {
        let receiver = self.receiver.lock().unwrap().take();
        *self.received.lock().unwrap() = receiver.and_then(|mut end| end.try_recv().ok());
    }
}

#[test]
fn a_waker_may_receive() {
    let (sender, mut receiver) = oneshot();
    let task = Arc::new(Receives { receiver: Mutex::new(None), received: Mutex::new(None) });
    let waker = Waker::from(Arc::clone(&task));
    let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    *task.receiver.lock().unwrap() = Some(receiver);
    sender.send(7).unwrap();
    assert_eq!(*task.received.lock().unwrap(), Some(7));
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
}

#[test]
fn a_spent_budget_puts_the_value_off() {
    let (sender, mut receiver) = oneshot();
    sender.send(7).unwrap();
    let task = Task::new();
    coop::with_budget(0, || assert!(task.poll(&mut receiver).is_pending()));
    assert_eq!(task.woken(), 1);
    coop::with_budget(1, || {
        assert_eq!(task.poll(&mut receiver), Poll::Ready(Ok(7)));
        assert!(!coop::has_budget_remaining());
    });
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let (mut sender, mut receiver) = oneshot();
    let (reader, writer) = (Task::new(), Task::new());
    let mut wait = pin!(Waiter::new(Waker::from(Arc::clone(&reader))));
    let mut wait_closed = pin!(Waiter::new(Waker::from(Arc::clone(&writer))));
    assert!(receiver.recv_wait(wait.as_mut()).is_none());
    assert!(!sender.closed_wait(wait_closed.as_mut()));
    receiver.cancel_recv(wait.as_mut());
    sender.cancel_closed(wait_closed.as_mut());
    assert_eq!((Arc::strong_count(&reader), Arc::strong_count(&writer)), (2, 2));
    assert!(receiver.recv_wait(wait.as_mut()).is_none());
    sender.send(7).unwrap();
    assert_eq!((reader.woken(), writer.woken()), (1, 0));
    assert_eq!(receiver.recv_wait(wait.as_mut()), Some(Ok(7)));
    receiver.cancel_recv(wait);
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_receiver_that_was_ready_is_not_polled() {
    let (sender, mut receiver) = oneshot();
    sender.send(7).unwrap();
    let task = Task::new();
    assert!(task.poll(&mut receiver).is_ready());
    let _ = task.poll(&mut receiver);
}

#[test]
fn a_thread_waits_for_the_value() {
    let (sender, receiver) = oneshot();
    let thread = thread::spawn(move || receiver.blocking_recv());
    thread::sleep(Duration::from_millis(5));
    sender.send(7).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(7));
}

#[test]
fn threads_send_and_receive() {
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    for _ in 0..rounds {
        let value = Arc::new(());
        let (sender, receiver) = oneshot();
        let sent = Arc::clone(&value);
        let thread = thread::spawn(move || sender.send(sent));
        drop(receiver.blocking_recv().unwrap());
        thread.join().unwrap().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
