use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::task::{Context, Wake};
use std::thread;

use super::super::test_wakers::{Count, poll};
use super::super::word::MOST_OVERTAKERS;
use super::super::{Receiver, RecvError, Sender, TryRecvError, TrySendError, bounded, unbounded};
use super::*;
use crate::coop;

/// Futures that wait, in this order, each with its count.
fn queue<F: Future>(futures: impl Iterator<Item = F>) -> Vec<(Pin<Box<F>>, Arc<Count>)> {
    let mut queue: Vec<_> = futures.map(|future| (Box::pin(future), Count::new())).collect();
    for (future, count) in &mut queue {
        assert!(poll(future.as_mut(), count).is_pending());
    }
    queue
}

fn woken<F>(queue: &[(F, Arc<Count>)]) -> Vec<usize> {
    queue.iter().map(|(_, count)| count.woken()).collect()
}

#[test]
fn receivers_are_served_first_come_first_served() {
    for (sender, receiver) in [bounded(4), unbounded()] {
        let mut waiting = queue((0..3).map(|_| receiver.recv()));
        for number in 0..3 {
            sender.try_send(number).unwrap();
        }
        // Each wakes the next one: the others have nothing before.
        for number in 0..3 {
            let expected = [0, 1, 2].map(|index| usize::from(index <= number));
            assert_eq!(woken(&waiting), expected);
            for late in (number + 1..3).rev() {
                let (future, count) = &mut waiting[late];
                assert!(poll(future.as_mut(), count).is_pending());
            }
            let (future, count) = &mut waiting[number];
            assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(number)));
        }
        assert!(sender.is_empty());
    }
}

#[test]
fn senders_are_served_first_come_first_served() {
    let (sender, receiver) = bounded(2);
    sender.try_send(0).unwrap();
    sender.try_send(1).unwrap();
    let mut waiting = queue((2..5).map(|number| sender.send(number)));
    for number in 0..3 {
        assert_eq!(receiver.try_recv(), Ok(number));
        assert_eq!(woken(&waiting), [0, 1, 2].map(|index| usize::from(index <= number)));
        for late in (number + 1..3).rev() {
            let (future, count) = &mut waiting[late];
            assert!(poll(future.as_mut(), count).is_pending());
        }
        let (future, count) = &mut waiting[number];
        assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(())));
    }
    assert_eq!([receiver.try_recv(), receiver.try_recv()], [Ok(3), Ok(4)]);
    assert!(sender.try_send(5).is_ok());
}

const MOST: usize = MOST_OVERTAKERS as usize;

#[test]
fn a_receiver_is_overtaken_a_stated_number_of_times() {
    for (sender, receiver) in [bounded(64), unbounded()] {
        let mut waiting = queue((0..2).map(|_| receiver.recv()));
        for number in 0..=MOST {
            sender.try_send(number).unwrap();
            if number < MOST {
                assert_eq!(receiver.try_recv(), Ok(number));
            }
        }
        // The last message is that of the first, however late it comes.
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.len(), 1);
        sender.try_send(MOST + 1).unwrap();
        // Now the second one is the first, and is overtaken.
        assert_eq!(woken(&waiting), [1, 1]);
        let mut overtakers = 0;
        while receiver.try_recv().is_ok() {
            overtakers += 1;
            sender.try_send(0).unwrap();
        }
        // One message may have been claimed for it as the sixteenth that it did not come for.
        assert!((MOST - 1..=MOST).contains(&overtakers), "{overtakers}");
        for (future, count) in waiting.iter_mut().rev() {
            assert!(poll(future.as_mut(), count).is_ready());
        }
        assert!(sender.is_empty());
    }
}

#[test]
fn a_sender_is_overtaken_a_stated_number_of_times() {
    let (sender, receiver) = bounded(1);
    sender.try_send(0).unwrap();
    let mut waiting = queue((0..1).map(|_| sender.send(99)));
    for number in 0..MOST {
        assert_eq!(receiver.try_recv(), Ok(number));
        if number % 2 == 0 {
            sender.try_send(number + 1).unwrap();
        } else {
            sender.try_reserve().unwrap().send(number + 1);
        }
    }
    assert_eq!(receiver.try_recv(), Ok(MOST));
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    let (future, count) = &mut waiting[0];
    assert_eq!(count.woken(), 1);
    assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(99));
}

#[test]
fn one_that_was_woken_and_finds_nothing_is_woken_again() {
    for (sender, receiver) in [bounded(4), unbounded()] {
        let mut waiting = queue([receiver.recv()].into_iter());
        let (future, count) = &mut waiting[0];
        for round in 1..=3 {
            sender.try_send(round).unwrap();
            assert_eq!(count.woken(), round);
            assert_eq!(receiver.try_recv(), Ok(round));
            assert!(poll(future.as_mut(), count).is_pending());
        }
        sender.try_send(4).unwrap();
        assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(4)));
    }
}

/// A future that was woken and is kept, but not polled.
#[test]
fn one_that_does_not_come_does_not_hold_up_those_behind_it() {
    for (sender, receiver) in [bounded(64), unbounded()] {
        let mut waiting = queue((0..2).map(|_| receiver.recv()));
        for number in 0..=MOST {
            sender.try_send(number).unwrap();
        }
        assert_eq!(woken(&waiting), [1, 1]);
        let (future, count) = &mut waiting[1];
        assert!(poll(future.as_mut(), count).is_ready());
        let (future, count) = &mut waiting[0];
        assert!(poll(future.as_mut(), count).is_ready());
        assert_eq!(receiver.len(), MOST - 1);
    }
}

#[test]
fn a_woken_sender_stores_its_message() {
    let (sender, receiver) = bounded(1);
    sender.try_send(1).unwrap();
    let mut waiting = queue([sender.send(2)].into_iter());
    assert_eq!(receiver.try_recv(), Ok(1));
    let (future, count) = &mut waiting[0];
    assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn whoever_gives_up_in_the_queue_is_passed_over() {
    for gives_up in 0..3 {
        let (sender, receiver) = bounded(4);
        let mut waiting = queue((0..3).map(|_| receiver.recv()));
        drop(waiting.remove(gives_up));
        for number in 0..3 {
            sender.try_send(number).unwrap();
        }
        for (number, (future, count)) in waiting.iter_mut().enumerate() {
            assert_eq!(count.woken(), 1);
            assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(number)));
        }
        assert_eq!(receiver.try_recv(), Ok(2));
    }
}

#[test]
fn a_message_that_is_not_taken_goes_to_the_next_receiver() {
    for (sender, receiver) in [bounded(4), unbounded()] {
        let mut waiting = queue((0..2).map(|_| receiver.recv()));
        sender.try_send(7).unwrap();
        assert_eq!(woken(&waiting), [1, 0]);
        drop(waiting.remove(0));
        assert_eq!(woken(&waiting), [1]);
        drop(waiting);
        assert_eq!(receiver.try_recv(), Ok(7));
    }
}

#[test]
fn room_that_is_not_taken_goes_to_the_next_sender() {
    let (sender, receiver) = bounded(1);
    sender.try_send(0).unwrap();
    let mut waiting = queue((1..3).map(|number| sender.send(number)));
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(woken(&waiting), [1, 0]);
    drop(waiting.remove(0));
    assert_eq!(woken(&waiting), [1]);
    // The one that was dropped has sent nothing.
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(waiting);
    sender.try_send(3).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn a_permit_that_is_dropped_gives_its_room_to_the_next_sender() {
    let (sender, receiver) = bounded(1);
    let permit = sender.try_reserve().unwrap();
    let mut waiting = queue([sender.reserve()].into_iter());
    drop(permit);
    let (future, count) = &mut waiting[0];
    assert_eq!(count.woken(), 1);
    let Poll::Ready(Ok(permit)) = poll(future.as_mut(), count) else { panic!("it has room") };
    permit.send(1);
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn a_future_that_was_never_polled_leaves_nothing() {
    let (sender, receiver) = bounded::<u32>(1);
    drop((sender.send(1), sender.reserve(), receiver.recv(), sender.closed()));
    assert!(sender.is_empty());
    assert!(sender.try_send(2).is_ok());
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn the_close_reaches_everybody_however_many() {
    let (sender, receiver) = bounded::<u32>(1);
    let mut receiving = queue((0..100).map(|_| receiver.recv()));
    sender.close();
    assert_eq!(woken(&receiving), [1; 100]);
    for (future, count) in &mut receiving {
        assert_eq!(poll(future.as_mut(), count), Poll::Ready(Err(RecvError)));
    }
    let (sender, receiver) = bounded(1);
    sender.try_send(0).unwrap();
    let mut sending = queue((0..100).map(|number| sender.send(number)));
    receiver.close();
    assert_eq!(woken(&sending), [1; 100]);
    for (number, (future, count)) in sending.iter_mut().enumerate() {
        let Poll::Ready(Err(error)) = poll(future.as_mut(), count) else { panic!("it is closed") };
        assert_eq!(error.into_inner(), number);
    }
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn receivers_wait_for_permits_of_a_closed_channel() {
    let (sender, receiver) = bounded(2);
    let permits = [sender.try_reserve().unwrap(), sender.try_reserve().unwrap()];
    let mut waiting = queue((0..2).map(|_| receiver.recv()));
    receiver.close();
    assert_eq!(woken(&waiting), [0, 0]);
    let [first, second] = permits;
    first.send(1);
    assert_eq!(woken(&waiting), [1, 0]);
    let (future, count) = &mut waiting[0];
    assert_eq!(poll(future.as_mut(), count), Poll::Ready(Ok(1)));
    drop(second);
    let (future, count) = &mut waiting[1];
    assert_eq!(count.woken(), 1);
    assert_eq!(poll(future.as_mut(), count), Poll::Ready(Err(RecvError)));
}

#[test]
fn the_last_of_an_end_wakes_the_other() {
    let (sender, receiver) = unbounded::<u32>();
    let other = sender.clone();
    let mut waiting = queue([receiver.recv()].into_iter());
    drop(sender);
    assert_eq!(woken(&waiting), [0]);
    drop(other);
    let (future, count) = &mut waiting[0];
    assert_eq!(count.woken(), 1);
    assert_eq!(poll(future.as_mut(), count), Poll::Ready(Err(RecvError)));
}

#[test]
fn the_budget_does_not_decide_the_order() {
    for (sender, receiver) in [bounded(4), unbounded()] {
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        let count = Count::new();
        let mut spent = pin!(receiver.recv());
        coop::with_budget(1, || {
            assert_eq!(poll(pin!(receiver.recv()), &count), Poll::Ready(Ok(1)));
            assert!(poll(spent.as_mut(), &count).is_pending());
        });
        // It is to come again, and has its message however late it comes.
        assert!(count.woken() > 0);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(poll(spent.as_mut(), &count), Poll::Ready(Ok(2)));
        let mut spent = pin!(sender.send(3));
        coop::with_budget(0, || assert!(poll(spent.as_mut(), &count).is_pending()));
        assert!(sender.is_empty());
        assert_eq!(poll(spent.as_mut(), &count), Poll::Ready(Ok(())));
        assert_eq!(receiver.try_recv(), Ok(3));
    }
}

#[test]
fn what_was_set_aside_is_had_without_a_budget_and_without_a_wake_up() {
    let (sender, receiver) = bounded(1);
    let (count, waker) = (Count::new(), Waker::from(Arc::new(Panics)));
    let mut context = Context::from_waker(&waker);
    let mut reserve = pin!(sender.reserve());
    let mut recv = pin!(receiver.recv());
    coop::with_budget(0, || {
        assert!(poll(reserve.as_mut(), &count).is_pending());
        let Poll::Ready(Ok(permit)) = reserve.as_mut().poll(&mut context) else {
            panic!("the room is lost");
        };
        permit.send(1);
        assert!(poll(recv.as_mut(), &count).is_pending());
        assert_eq!(recv.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_send_costs_budget() {
    let (sender, _receiver) = bounded(4);
    let count = Count::new();
    coop::with_budget(1, || {
        assert!(poll(pin!(sender.send(1)), &count).is_ready());
        assert!(poll(pin!(sender.send(2)), &count).is_pending());
    });
    assert_eq!(sender.len(), 1);
}

#[test]
fn the_newest_waker_is_the_one_that_is_called() {
    let (sender, receiver) = bounded(1);
    let (old, new) = (Count::new(), Count::new());
    let mut future = pin!(receiver.recv());
    assert!(poll(future.as_mut(), &old).is_pending());
    assert!(poll(future.as_mut(), &new).is_pending());
    assert_eq!(Arc::strong_count(&old), 1);
    sender.try_send(1).unwrap();
    assert_eq!((old.woken(), new.woken()), (0, 1));
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("planned");
    }
}

#[test]
fn a_waker_that_panics_breaks_nothing() {
    let (sender, receiver) = bounded(2);
    let waker = Waker::from(Arc::new(Panics));
    let mut nervous = Box::pin(receiver.recv());
    assert!(nervous.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut waiting = queue([receiver.recv()].into_iter());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    // What the first one does not want goes to the next.
    drop(nervous);
    let (calm, count) = &mut waiting[0];
    assert_eq!(count.woken(), 1);
    assert!(poll(calm.as_mut(), count).is_ready());
    assert_eq!(sender.len(), 1);
    assert!(receiver.try_recv().is_ok());
}

/// Uses the channel when it is woken.
struct Reenters {
    sender: Sender<u32>,
    receiver: Receiver<u32>,
    seen: StdMutex<Vec<bool>>,
}

impl Wake for Reenters {
    fn wake(self: Arc<Reenters>) {
        let sent = self.sender.try_send(9).is_ok();
        let received = self.receiver.try_recv().is_ok();
        self.seen.lock().unwrap().extend([sent, received]);
        self.sender.close();
    }
}

#[test]
fn a_waker_may_use_the_channel() {
    let (sender, receiver) = bounded(2);
    let seen = StdMutex::new(Vec::new());
    let task = Reenters { sender: sender.clone(), receiver: receiver.clone(), seen };
    let task = Arc::new(task);
    let waker = Waker::from(Arc::clone(&task));
    let mut future = pin!(receiver.recv());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    sender.try_send(1).unwrap();
    // It has sent, and received what nobody had claimed: the order is that of the channel.
    assert_eq!(*task.seen.lock().unwrap(), [true, true]);
    assert!(sender.is_closed());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_waiter_of_the_callers_waits_like_a_future() {
    let (sender, receiver) = bounded(1);
    let count = Count::new();
    let mut waiter = pin!(Waiter::new(count.waker()));
    assert!(receiver.recv_wait(waiter.as_mut()).is_none());
    receiver.cancel_recv(waiter.as_mut());
    sender.try_send(1).unwrap();
    assert_eq!(count.woken(), 0);
    assert_eq!(receiver.recv_wait(waiter.as_mut()), Some(Ok(1)));
    sender.try_send(2).unwrap();
    assert!(sender.reserve_wait(waiter.as_mut()).is_none());
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(count.woken(), 1);
    // What it was woken for goes to others.
    sender.cancel_send(waiter.as_mut());
    let mut value = Some(3);
    assert_eq!(sender.send_wait(waiter.as_mut(), &mut value), Some(Ok(())));
    assert!(value.is_none());
    assert!(sender.send_wait(waiter.as_mut(), &mut Some(4)).is_none());
    let misused = catch_unwind(AssertUnwindSafe(|| receiver.recv_wait(waiter.as_mut())));
    assert!(misused.is_err());
    sender.cancel_send(waiter.as_mut());
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn threads_send_and_receive_each_message_once_and_in_order() {
    const SENDERS: usize = 3;
    const MESSAGES: usize = 2_000;
    for (sender, receiver) in [bounded(1), bounded(7), unbounded()] {
        let receivers = [(); 3].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || -> Vec<(usize, usize)> {
                std::iter::from_fn(|| receiver.blocking_recv().ok()).collect()
            })
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|from| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for number in 0..MESSAGES {
                        sender.blocking_send((from, number)).unwrap();
                    }
                })
            })
            .collect();
        drop((sender, receiver));
        senders.into_iter().for_each(|thread| thread.join().unwrap());
        let received = receivers.map(|thread| thread.join().unwrap());
        for messages in &received {
            for from in 0..SENDERS {
                let numbers = messages.iter().filter(|message| message.0 == from);
                assert!(numbers.is_sorted_by_key(|message| message.1), "out of order");
            }
        }
        let mut all = received.concat();
        all.sort_unstable();
        let sent = (0..SENDERS).flat_map(|from| (0..MESSAGES).map(move |number| (from, number)));
        assert!(all.into_iter().eq(sent), "lost or received twice");
    }
}
