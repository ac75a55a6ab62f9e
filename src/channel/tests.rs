use std::cell::Cell;
use std::marker;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::test_wakers::{Count, poll};
use super::*;

fn is_send_and_sync<T: marker::Send + Sync>(_: &T) {}

#[test]
fn handles_and_futures_may_go_anywhere() {
    // A message that is `Send` alone.
    let (sender, receiver) = bounded::<Cell<u8>>(1);
    is_send_and_sync(&sender);
    is_send_and_sync(&receiver);
    is_send_and_sync(&sender.downgrade());
    is_send_and_sync(&sender.reserve());
    is_send_and_sync(&sender.try_reserve());
    is_send_and_sync(&sender.closed());
    is_send_and_sync(&receiver.recv());
    is_send_and_sync(&receiver.stream());
    is_send_and_sync(&receiver.clone().into_stream());
    let (sender, _receiver) = unbounded::<u8>();
    is_send_and_sync(&sender.send(1));
    assert_eq!(size_of::<Sender<u8>>(), size_of::<usize>());
}

#[test]
fn messages_that_stay_on_one_thread_are_fine() {
    let (sender, receiver) = bounded(1);
    sender.try_send(Rc::new(1)).unwrap();
    assert_eq!(receiver.try_recv().map(|message| *message), Ok(1));
}

#[test]
fn capacities_that_cannot_be_are_refused_by_name() {
    for (capacity, word) in [(0, "one message"), (MAX_CAPACITY + 1, "at most")] {
        let refused = catch_unwind(|| bounded::<u8>(capacity)).unwrap_err();
        let message = refused.downcast_ref::<String>().expect("a message with figures");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn handles_tell_of_the_channel() {
    let (sender, receiver) = bounded(2);
    assert_eq!((sender.capacity(), receiver.capacity()), (Some(2), Some(2)));
    assert!(sender.is_empty() && receiver.is_empty() && !sender.is_full());
    let permit = sender.try_reserve().unwrap();
    sender.try_send(1).unwrap();
    assert_eq!((sender.len(), receiver.len()), (1, 1));
    assert!(sender.is_full() && receiver.is_full());
    drop(permit);
    assert!(!sender.is_full());
    let (another, other) = (sender.clone(), receiver.clone());
    assert_eq!((sender.sender_count(), sender.receiver_count()), (2, 2));
    assert!(sender.same_channel(&another) && receiver.same_channel(&other));
    drop((another, other));
    assert_eq!((receiver.sender_count(), receiver.receiver_count()), (1, 1));
    let (stranger, _) = unbounded();
    assert!(!sender.same_channel(&stranger));
    assert_eq!((stranger.capacity(), stranger.is_full()), (None, false));
    assert!(stranger.is_closed() && !sender.is_closed());
}

#[test]
fn what_nobody_will_receive_is_dropped_with_the_last_receiver() {
    for (sender, receiver) in [bounded(4), unbounded()] {
        let message = Arc::new(());
        for _ in 0..3 {
            sender.try_send(Arc::clone(&message)).unwrap();
        }
        let permit = sender.try_reserve().unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
        permit.send(Arc::clone(&message));
        assert_eq!(Arc::strong_count(&message), 1);
        drop(sender);
    }
}

#[test]
fn a_send_that_is_dropped_drops_its_message_once() {
    let (sender, receiver) = bounded(1);
    let message = Arc::new(());
    sender.try_send(Arc::clone(&message)).unwrap();
    let count = Count::new();
    let mut waiting = Box::pin(sender.send(Arc::clone(&message)));
    assert!(poll(waiting.as_mut(), &count).is_pending());
    drop(receiver.try_recv());
    drop(waiting);
    assert_eq!(Arc::strong_count(&message), 1);
    assert!(receiver.is_empty());
}

#[test]
#[should_panic(expected = "`Send` polled after it was ready")]
fn a_send_is_ready_once() {
    let (sender, _receiver) = bounded(2);
    let count = Count::new();
    let mut future = pin!(sender.send(1));
    assert_eq!(poll(future.as_mut(), &count), Poll::Ready(Ok(())));
    let _ = poll(future.as_mut(), &count);
}

#[test]
fn many_are_received_up_to_a_limit() {
    let (sender, receiver) = bounded(8);
    let count = Count::new();
    let mut buffer = Vec::new();
    assert_eq!(poll(pin!(receiver.recv_many(&mut buffer, 0)), &count), Poll::Ready(0));
    {
        let mut many = pin!(receiver.recv_many(&mut buffer, 2));
        assert!(poll(many.as_mut(), &count).is_pending());
        (0..3).for_each(|number| sender.try_send(number).unwrap());
        assert_eq!(poll(many.as_mut(), &count), Poll::Ready(2));
    }
    assert_eq!(poll(pin!(receiver.recv_many(&mut buffer, 9)), &count), Poll::Ready(1));
    drop(sender);
    assert_eq!(poll(pin!(receiver.recv_many(&mut buffer, 9)), &count), Poll::Ready(0));
    assert_eq!(buffer, [0, 1, 2]);
}

#[test]
fn a_stream_keeps_its_receiver() {
    use futures_core::Stream as _;
    use std::task::Context;

    let (sender, receiver) = bounded(1);
    let mut stream = Box::pin(receiver.into_stream());
    let count = Count::new();
    let waker = count.waker();
    let mut context = Context::from_waker(&waker);
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(count.woken(), 1);
    assert_eq!(stream.as_mut().poll_next(&mut context), Poll::Ready(Some(1)));
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    assert_eq!(stream.get_ref().receiver_count(), 1);
    // It waits when it is dropped.
    drop(stream);
    assert!(sender.is_closed());
}

#[test]
fn a_weak_sender_does_not_keep_the_channel() {
    let (sender, receiver) = bounded::<u32>(1);
    let weak = sender.downgrade().clone();
    assert!(weak.upgrade().is_some_and(|strong| strong.same_channel(&sender)));
    drop(sender);
    assert!(receiver.is_closed());
    assert!(weak.upgrade().is_none());
    drop(receiver);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_destructor_that_panics_costs_no_other_message() {
    struct Nervous {
        _counted: Arc<()>,
        is_nervous: bool,
    }
    impl Drop for Nervous {
        fn drop(&mut self) {
            assert!(!self.is_nervous, "planned");
        }
    }

    let (sender, receiver) = bounded(4);
    let message = Arc::new(());
    for number in 0..4 {
        let nervous = Nervous { _counted: Arc::clone(&message), is_nervous: number == 1 };
        assert!(sender.try_send(nervous).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    drop(sender);
    assert_eq!(Arc::strong_count(&message), 1);
}
