use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

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

/// All that the receiver has now, and how it ends.
fn drain<T: Clone>(receiver: &mut Receiver<T>) -> (Vec<T>, TryRecvError) {
    let mut messages = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, error),
        }
    }
}

#[test]
fn the_ends_and_futures_may_go_anywhere() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let (sender, mut receiver) = broadcast::<u32>(1);
    is_send_and_sync(&sender);
    is_send_and_sync(&sender.downgrade());
    is_send_and_sync(&sender.closed());
    is_send_and_sync(&receiver);
    is_send_and_sync(&receiver.recv());
}

#[test]
fn every_receiver_gets_every_message_in_order() {
    let (sender, mut first) = broadcast(4);
    sender.send(1).unwrap();
    let mut second = sender.subscribe();
    assert_eq!(sender.send(2), Ok(2));
    assert_eq!((first.len(), second.len(), sender.len()), (2, 1, 2));
    assert_eq!(drain(&mut first), (vec![1, 2], TryRecvError::Empty));
    assert!(first.is_empty() && !second.is_empty() && !sender.is_empty());
    assert_eq!(drain(&mut second), (vec![2], TryRecvError::Empty));
    assert!(sender.is_empty());
    assert!(first.same_channel(&second) && sender.same_channel(&sender.clone()));
    assert!(!first.same_channel(&broadcast(4).1));
}

#[test]
#[should_panic(expected = "capacity of 1 at least")]
fn a_capacity_of_zero_is_refused() {
    let _ = broadcast::<u32>(0);
}

#[test]
#[should_panic(expected = "at most")]
#[cfg(target_pointer_width = "64")]
fn a_capacity_that_is_too_large_is_refused() {
    let _ = broadcast::<u32>(u32::MAX as usize + 1);
}

#[test]
fn a_receiver_that_lags_is_told_exactly_how_far() {
    for capacity in 1..=5 {
        let (sender, mut receiver) = broadcast(capacity);
        let mut sent = 0;
        for missed in 0..4 {
            for _ in 0..capacity + missed {
                sent += 1;
                sender.send(sent).unwrap();
            }
            assert_eq!((receiver.len(), sender.len()), (capacity, capacity));
            if missed > 0 {
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(missed as u64)));
            }
            let kept: Vec<usize> = (sent - capacity + 1..=sent).collect();
            assert_eq!(drain(&mut receiver), (kept, TryRecvError::Empty));
        }
    }
}

#[test]
fn the_backlog_is_read_before_the_close() {
    for is_explicit in [false, true] {
        let (sender, mut receiver) = broadcast(4);
        let (other, weak) = (sender.clone(), sender.downgrade());
        assert_eq!(sender.sender_count(), 2);
        sender.send(1).unwrap();
        drop(sender);
        assert!(!receiver.is_closed());
        assert_eq!(weak.clone().upgrade().unwrap().send(2), Ok(1));
        if is_explicit {
            other.close();
            assert!(other.is_closed());
            assert_eq!(other.send(3), Err(SendError(3)));
        } else {
            drop(other);
            assert!(weak.upgrade().is_none());
        }
        assert!(receiver.is_closed());
        let mut late = receiver.resubscribe();
        assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(drain(&mut receiver), (vec![1, 2], TryRecvError::Closed));
        assert_eq!(receiver.blocking_recv(), Err(RecvError::Closed));
    }
}

/// Defect 15 of the original: its receivers were never uncounted.
#[test]
fn dropped_receivers_are_not_counted() {
    let (sender, receiver) = broadcast(4);
    for _ in 0..3 {
        let others = [sender.subscribe(), receiver.resubscribe()];
        assert_eq!((sender.receiver_count(), sender.send(1)), (3, Ok(3)));
        drop(others);
        assert_eq!(sender.receiver_count(), 1);
    }
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2), Err(SendError(2)));
    let mut receiver = sender.subscribe();
    assert!(!sender.is_closed());
    assert_eq!(sender.send(3), Ok(1));
    assert_eq!(drain(&mut receiver).0, [3]);
}

#[test]
fn many_receivers_are_all_woken_once_by_a_message_and_by_the_close() {
    let (sender, receiver) = broadcast(4);
    let mut receivers: Vec<_> = (0..100).map(|_| receiver.resubscribe()).collect();
    let task = Task::new();
    let mut futures: Vec<_> =
        receivers.iter_mut().map(|receiver| Box::pin(receiver.recv())).collect();
    for future in &mut futures {
        // Twice: it waits once.
        assert!(task.poll(future.as_mut()).is_pending());
        assert!(task.poll(future.as_mut()).is_pending());
    }
    assert_eq!(sender.waiting(), 100);
    sender.send(7).unwrap();
    assert_eq!((task.woken(), sender.waiting()), (100, 0));
    for future in &mut futures {
        assert_eq!(task.poll(future.as_mut()), Poll::Ready(Ok(7)));
        assert!(task.poll(future.as_mut()).is_pending());
    }
    drop(sender);
    assert_eq!(task.woken(), 200);
    let end = Poll::Ready(Err(RecvError::Closed));
    assert!(futures.iter_mut().all(|future| task.poll(future.as_mut()) == end));
}

#[test]
fn a_wait_is_cancelled_wherever_it_stands_and_loses_no_message() {
    let (sender, receiver) = broadcast(4);
    for cancelled in 0..3 {
        let tasks = [(); 3].map(|()| Task::new());
        let mut receivers: Vec<_> = tasks.iter().map(|_| sender.subscribe()).collect();
        let mut futures: Vec<_> =
            receivers.iter_mut().map(|receiver| Box::pin(receiver.recv())).collect();
        for (task, future) in tasks.iter().zip(&mut futures) {
            assert!(task.poll(future.as_mut()).is_pending());
        }
        drop(futures.remove(cancelled));
        sender.send(7).unwrap();
        // Told and dropped.
        drop(futures);
        for (nth, task) in tasks.iter().enumerate() {
            assert_eq!(task.woken(), usize::from(nth != cancelled));
            assert_eq!(Arc::strong_count(task), 1);
            assert_eq!(drain(&mut receivers[nth]).0, [7]);
        }
    }
    drop(receiver.resubscribe().recv());
}

#[test]
fn a_message_is_dropped_when_all_have_had_it_or_it_is_overwritten() {
    let message = Arc::new(());
    let count = || Arc::strong_count(&message);
    let (sender, mut first) = broadcast(2);
    let mut second = sender.subscribe();
    let third = sender.subscribe();
    sender.send(Arc::clone(&message)).unwrap();
    drop(first.try_recv().unwrap());
    drop(second.try_recv().unwrap());
    assert_eq!(count(), 2);
    drop(third);
    assert_eq!(count(), 1, "the last one that had not seen it is gone");
    for _ in 0..5 {
        sender.send(Arc::clone(&message)).unwrap();
    }
    assert_eq!(count(), 3);
    assert_eq!(first.try_recv(), Err(TryRecvError::Lagged(3)));
    drop(first.try_recv().unwrap());
    assert_eq!(second.try_recv(), Err(TryRecvError::Lagged(3)));
    // The last one gets the message itself.
    let last = second.try_recv().unwrap();
    assert_eq!(count(), 3);
    drop(last);
    assert_eq!(count(), 2);
    drop((sender, first, second));
    assert_eq!(count(), 1);
}

#[test]
fn a_receiver_that_is_dropped_far_behind_leaves_nothing() {
    let message = Arc::new(());
    for behind in [0, 1, 63, 64, 65, 300, 1_000] {
        let (sender, mut other) = broadcast(300);
        let receiver = sender.subscribe();
        for _ in 0..behind {
            sender.send(Arc::clone(&message)).unwrap();
        }
        drop(drain(&mut other));
        drop(drain(&mut other));
        assert_eq!(Arc::strong_count(&message), 1 + behind.min(300));
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(sender.is_empty());
    }
}

/// A message that does something when it is cloned.
struct Cloned {
    clone: Arc<dyn Fn() + Send + Sync>,
    references: Arc<()>,
}

impl Cloned {
    fn new(references: &Arc<()>, clone: impl Fn() + Send + Sync + 'static) -> Cloned {
        Cloned { clone: Arc::new(clone), references: Arc::clone(references) }
    }
}

impl Clone for Cloned {
    fn clone(&self) -> Cloned {
        (self.clone)();
        Cloned { clone: Arc::clone(&self.clone), references: Arc::clone(&self.references) }
    }
}

#[test]
fn a_clone_that_panics_loses_nothing_else() {
    let references = Arc::new(());
    let (sender, mut first) = broadcast(4);
    let mut second = sender.subscribe();
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let panics_once = move || assert!(!is_first.swap(false, Ordering::Relaxed), "planned");
    assert!(sender.send(Cloned::new(&references, panics_once)).is_ok());
    assert!(sender.send(Cloned::new(&references, || ())).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| first.try_recv())).is_err());
    assert!(first.try_recv().is_ok());
    assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(Arc::strong_count(&references), 3);
    assert!(second.try_recv().is_ok() && second.try_recv().is_ok());
    assert_eq!(Arc::strong_count(&references), 1);
}

#[test]
fn a_clone_may_use_the_channel_and_overwrite_what_it_clones() {
    let references = Arc::new(());
    let (sender, mut receiver) = broadcast(1);
    let other = sender.subscribe();
    let (again, inner) = (sender.downgrade(), Arc::clone(&references));
    let overwrites = move || {
        let sender = again.upgrade().expect("the sender is there");
        for _ in 0..3 {
            assert!(sender.send(Cloned::new(&inner, || ())).is_ok());
        }
    };
    assert!(sender.send(Cloned::new(&references, overwrites)).is_ok());
    // `inner`, and the message.
    assert_eq!(Arc::strong_count(&references), 3);
    let received = receiver.try_recv();
    assert!(received.is_ok());
    assert_eq!(sender.stores(), (2, 0), "a store was added, and none is left aside");
    // `inner`, the clone, and the message that overwrote the others.
    assert_eq!(Arc::strong_count(&references), 4);
    drop(received);
    assert_eq!(Arc::strong_count(&references), 2);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Lagged(2))));
    drop((receiver, other));
    assert_eq!(Arc::strong_count(&references), 1);
}

#[test]
fn a_message_that_is_cloned_while_all_others_see_it_is_dropped_by_the_last_clone() {
    let references = Arc::new(());
    let (sender, mut slow) = broadcast(4);
    let mut fast = sender.subscribe();
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(Some(may_go_on));
    // The first clone waits for the second.
    let waits = move || {
        let turn = may_go_on.lock().unwrap().take();
        if let Some(turn) = turn {
            begun.send(()).unwrap();
            turn.recv().unwrap();
        }
    };
    assert!(sender.send(Cloned::new(&references, waits)).is_ok());
    let thread = thread::spawn(move || slow.try_recv().is_ok());
    has_begun.recv().unwrap();
    assert!(fast.try_recv().is_ok());
    assert_eq!(sender.len(), 0);
    assert!(Arc::strong_count(&references) >= 2, "it is being cloned");
    go_on.send(()).unwrap();
    assert!(thread.join().unwrap());
    assert_eq!(Arc::strong_count(&references), 1);
}

#[test]
fn a_waker_may_panic_or_use_the_channel() {
    let (sender, receiver) = broadcast(4);
    let sender = Arc::new(sender);
    let uses = {
        let sender = Arc::clone(&sender);
        Task::that(move || {
            sender.send(8).unwrap();
        })
    };
    let (panics, calm) = (Task::that(|| panic!("planned")), Task::new());
    let mut others = [(); 3].map(|()| receiver.resubscribe());
    {
        let mut futures: Vec<_> =
            others.iter_mut().map(|receiver| Box::pin(receiver.recv())).collect();
        for (task, future) in [&panics, &uses, &calm].into_iter().zip(&mut futures) {
            assert!(task.poll(future.as_mut()).is_pending());
        }
        sender.send(7).unwrap();
        assert_eq!((panics.woken(), uses.woken(), calm.woken()), (1, 1, 1));
    }
    for receiver in &mut others {
        assert_eq!(drain(receiver).0, [7, 8]);
    }
}

#[test]
fn the_sender_is_told_of_the_last_receiver_and_of_the_close() {
    let (sender, receiver) = broadcast::<u32>(4);
    let task = Task::new();
    let mut future = pin!(sender.closed());
    assert!(task.poll(future.as_mut()).is_pending());
    drop(receiver);
    assert_eq!(task.woken(), 1);
    // Another one has come meanwhile.
    let _receiver = sender.subscribe();
    assert!(task.poll(future.as_mut()).is_pending());
    sender.close();
    assert_eq!(task.woken(), 2);
    assert!(task.poll(future.as_mut()).is_ready());
}

#[test]
fn a_spent_budget_puts_a_message_off() {
    let (sender, mut receiver) = broadcast(4);
    sender.send(7).unwrap();
    let task = Task::new();
    coop::with_budget(0, || assert!(task.poll(pin!(receiver.recv())).is_pending()));
    assert_eq!(task.woken(), 1);
    coop::with_budget(1, || {
        assert_eq!(task.poll(pin!(receiver.recv())), Poll::Ready(Ok(7)));
        assert!(!coop::has_budget_remaining());
    });
}

#[test]
fn waiters_of_the_caller_wait_and_are_cancelled() {
    let (sender, receiver) = broadcast(4);
    let task = Task::new();
    let waker = || Waker::from(Arc::clone(&task));
    let mut first = pin!(Waiter::new(waker()));
    let mut second = pin!(Waiter::new(waker()));
    assert!(receiver.recv_wait(first.as_mut()).is_none());
    assert!(receiver.recv_wait(second.as_mut()).is_none());
    receiver.cancel_recv(first.as_mut());
    sender.send(7).unwrap();
    assert_eq!(task.woken(), 1);
    // It takes the message before the one that was woken.
    assert_eq!(receiver.recv_wait(first.as_mut()), Some(Ok(7)));
    assert!(receiver.recv_wait(second.as_mut()).is_none());
    sender.send(8).unwrap();
    assert_eq!(receiver.recv_wait(second.as_mut()), Some(Ok(8)));
    assert!(!sender.closed_wait(first.as_mut()));
    sender.cancel_closed(first.as_mut());
    assert_eq!(sender.waiting(), 0);
}

#[test]
fn a_thread_waits_for_a_message() {
    let (sender, mut receiver) = broadcast(4);
    let thread = thread::spawn(move || (receiver.blocking_recv(), receiver.blocking_recv()));
    thread::sleep(Duration::from_millis(5));
    sender.send(7).unwrap();
    thread::sleep(Duration::from_millis(5));
    drop(sender);
    assert_eq!(thread.join().unwrap(), (Ok(7), Err(RecvError::Closed)));
}

#[test]
fn threads_get_each_message_or_are_told_that_they_missed_it() {
    let rounds: u64 = if cfg!(miri) { 30 } else { 20_000 };
    let references = Arc::new(());
    let (sender, receiver) = broadcast(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut receiver = receiver.resubscribe();
            scope.spawn(move || {
                let (mut had, mut last) = (0, [0; 2]);
                loop {
                    match receiver.blocking_recv() {
                        Ok((from, nth, _)) => {
                            let last: &mut u64 = &mut last[from];
                            assert!(nth > *last, "{nth} after {last} of sender {from}");
                            *last = nth;
                            had += 1;
                        }
                        Err(RecvError::Lagged(missed)) => had += missed,
                        Err(RecvError::Closed) => break,
                    }
                }
                assert_eq!(had, 2 * rounds);
            });
        }
        drop(receiver);
        for (from, sender) in [sender.clone(), sender].into_iter().enumerate() {
            let references = &references;
            scope.spawn(move || {
                for nth in 1..=rounds {
                    assert!(sender.send((from, nth, Arc::clone(references))).is_ok());
                }
            });
        }
    });
    assert_eq!(Arc::strong_count(&references), 1);
}

/// What a plain program would do: each receiver has a queue of its own.
#[derive(Default)]
struct Model {
    sent: u64,
    receivers: Vec<(u64, VecDeque<u64>)>,
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    Subscribe,
    Receive(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Send),
        1 => Just(Step::Subscribe),
        6 => (0..8_usize).prop_map(Step::Receive),
        1 => (0..8_usize).prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        // A failure prints its smallest case, to become a test with a name.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_does_what_a_plain_program_would(
        capacity in 1..6_usize,
        steps in prop::collection::vec(step(), 0..100),
    ) {
        let tokens = Arc::new(());
        let (sender, receiver) = broadcast(capacity);
        let mut receivers = vec![receiver];
        let mut model = Model::default();
        model.receivers.push((0, VecDeque::new()));
        for step in steps {
            match step {
                Step::Send => {
                    let sent = sender.send((model.sent, Arc::clone(&tokens)));
                    prop_assert_eq!(sent.ok(), Some(receivers.len()).filter(|count| *count > 0));
                    if receivers.is_empty() {
                        continue;
                    }
                    for (missed, queue) in &mut model.receivers {
                        queue.push_back(model.sent);
                        if queue.len() > capacity {
                            queue.pop_front();
                            *missed += 1;
                        }
                    }
                    model.sent += 1;
                }
                Step::Subscribe if receivers.len() < 8 => {
                    receivers.push(sender.subscribe());
                    model.receivers.push((0, VecDeque::new()));
                }
                Step::Receive(nth) if nth < receivers.len() => {
                    let (missed, queue) = &mut model.receivers[nth];
                    let expected = match std::mem::take(missed) {
                        0 => queue.pop_front().ok_or(TryRecvError::Empty),
                        missed => Err(TryRecvError::Lagged(missed)),
                    };
                    let received = receivers[nth].try_recv().map(|(message, _)| message);
                    prop_assert_eq!(received, expected);
                }
                Step::Drop(nth) if nth < receivers.len() => {
                    receivers.remove(nth);
                    model.receivers.remove(nth);
                }
                Step::Subscribe | Step::Receive(_) | Step::Drop(_) => {}
            }
            let kept = model.receivers.iter().map(|(_, queue)| queue.len()).max().unwrap_or(0);
            prop_assert_eq!(sender.len(), kept);
            prop_assert_eq!(Arc::strong_count(&tokens), 1 + kept, "each is dropped in time");
            for (receiver, (_, queue)) in receivers.iter().zip(&model.receivers) {
                prop_assert_eq!(receiver.len(), queue.len());
            }
        }
        drop((sender, receivers));
        prop_assert_eq!(Arc::strong_count(&tokens), 1);
    }
}
