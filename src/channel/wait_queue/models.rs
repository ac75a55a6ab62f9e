//! Models of the races between those who wait and those who serve.
//!
//! A model that fails must fail where no thread waits, see the models of the
//! [`RawMutex`](crate::sync). So they poll by hand.

use std::pin::pin;
use std::sync::Arc;

use super::super::queue::Queue;
use super::super::ring::Ring;
use super::super::segments::Segments;
use super::super::test_wakers::Count;
use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;

fn bounded(capacity: usize) -> Arc<Channel<u32>> {
    Channel::new(Queue::Ring(Ring::new(capacity)))
}

/// What a future is ready with at last. If `polled` was pending, it must have been woken by now.
fn settle<T>(polled: Poll<T>, count: &Count, again: impl FnOnce() -> Poll<T>) -> T {
    match polled {
        Poll::Ready(value) => value,
        Poll::Pending => {
            assert_eq!(count.woken(), 1, "one who waits was not woken");
            match again() {
                Poll::Ready(value) => value,
                Poll::Pending => panic!("woken for nothing"),
            }
        }
    }
}

/// A message, or the close, meets a receiver that goes to wait.
fn receiver_and(
    channel: Arc<Channel<u32>>,
    event: impl FnOnce(&Channel<u32>) + Send + 'static,
    expected: Option<u32>,
) {
    let other = Arc::clone(&channel);
    let thread = loom::thread::spawn(move || event(&other));
    let count = Count::new();
    let waker = count.waker();
    let mut waiter = pin!(Waiter::of_future());
    let polled = channel.poll_recv(waiter.as_mut(), &waker, Turn::Take);
    thread.join().unwrap();
    let again = || channel.poll_recv(waiter.as_mut(), &waker, Turn::Take);
    assert_eq!(settle(polled, &count, again).ok(), expected);
}

fn receiver_and_message() {
    receiver_and(bounded(1), |channel| channel.try_send(7).unwrap(), Some(7));
}

#[test]
fn a_message_meets_a_receiver_that_goes_to_wait() {
    model(receiver_and_message);
}

#[test]
fn looks_once_mutant_is_noticed() {
    assert!(is_noticed("channel-looks-once", || model(receiver_and_message)));
}

#[test]
fn offers_silently_mutant_is_noticed() {
    assert!(is_noticed("channel-offers-silently", || model(receiver_and_message)));
}

#[test]
fn a_message_meets_a_receiver_of_an_unbounded_channel() {
    model(|| {
        let channel = Channel::new(Queue::Segments(Segments::new()));
        receiver_and(channel, |channel| channel.try_send(7).unwrap(), Some(7));
    });
}

#[test]
fn the_close_meets_a_receiver_that_goes_to_wait() {
    model(|| receiver_and(bounded(1), Channel::close, None));
}

/// The last claimed slot of a closed channel is given back.
fn receiver_and_last_permit() {
    let channel = bounded(1);
    channel.try_reserve().unwrap();
    channel.close();
    receiver_and(channel, |channel| channel.unclaim(End::Senders), None);
}

#[test]
fn the_last_permit_meets_a_receiver_that_goes_to_wait() {
    model(receiver_and_last_permit);
}

#[test]
fn unclaims_silently_mutant_is_noticed() {
    assert!(is_noticed("channel-unclaims-silently", || model(receiver_and_last_permit)));
}

/// Room comes to be in a full channel while a sender goes to wait.
fn sender_and(
    channel: Arc<Channel<u32>>,
    event: impl FnOnce(&Channel<u32>) + Send + 'static,
    is_sent: bool,
) {
    let other = Arc::clone(&channel);
    let thread = loom::thread::spawn(move || event(&other));
    let count = Count::new();
    let waker = count.waker();
    let mut value = Some(2);
    let mut waiter = pin!(Waiter::of_future());
    let polled = channel.poll_send(waiter.as_mut(), &waker, Turn::Take, &mut value);
    thread.join().unwrap();
    let again = || channel.poll_send(waiter.as_mut(), &waker, Turn::Take, &mut value);
    assert_eq!(settle(polled, &count, again).is_ok(), is_sent);
    if is_sent {
        assert_eq!(channel.try_recv(), Ok(2));
    }
}

fn sender_and_room() {
    let channel = bounded(1);
    channel.try_send(1).unwrap();
    sender_and(channel, |channel| assert_eq!(channel.try_recv(), Ok(1)), true);
}

#[test]
fn room_meets_a_sender_that_goes_to_wait() {
    model(sender_and_room);
}

#[test]
fn frees_silently_mutant_is_noticed() {
    assert!(is_noticed("channel-frees-silently", || model(sender_and_room)));
}

#[test]
fn a_permit_that_is_given_back_meets_a_sender_that_goes_to_wait() {
    model(|| {
        let channel = bounded(1);
        channel.try_reserve().unwrap();
        sender_and(channel, |channel| channel.unclaim(End::Senders), true);
    });
}

#[test]
fn the_close_meets_a_sender_that_goes_to_wait() {
    model(|| {
        let channel = bounded(1);
        channel.try_send(1).unwrap();
        sender_and(channel, Channel::close, false);
    });
}

/// Two receivers wait; the first one gives up while a message is sent.
fn cancel_and_message() {
    let channel = bounded(1);
    let counts = [Count::new(), Count::new()];
    let wakers = [counts[0].waker(), counts[1].waker()];
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
    assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
    let other = Arc::clone(&channel);
    let sender = loom::thread::spawn(move || other.try_send(7).unwrap());
    channel.cancel_recv(first.as_mut());
    sender.join().unwrap();
    let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
    assert_eq!(settle(Poll::Pending, &counts[1], again), Ok(7));
}

#[test]
fn a_receiver_that_gives_up_meets_its_message() {
    model(cancel_and_message);
}

#[test]
fn withdraws_silently_mutant_is_noticed() {
    assert!(is_noticed("channel-withdraws-silently", || model(cancel_and_message)));
}

/// Two receivers wait, and the first one was woken; it gives up while its message is claimed for
/// it.
fn cancel_and_claim() {
    let channel = bounded(2);
    let counts = [Count::new(), Count::new()];
    let wakers = [counts[0].waker(), counts[1].waker()];
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
    assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
    channel.try_send(7).unwrap();
    let other = Arc::clone(&channel);
    // As whoever sends the sixteenth message does.
    let sender = loom::thread::spawn(move || other.receivers().serve_first());
    channel.cancel_recv(first.as_mut());
    sender.join().unwrap();
    let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
    assert_eq!(settle(Poll::Pending, &counts[1], again), Ok(7));
}

#[test]
fn a_receiver_that_gives_up_meets_a_claim_for_it() {
    model(cancel_and_claim);
}

#[test]
fn kept_claim_mutant_is_noticed() {
    assert!(is_noticed("channel-keeps-a-claim", || model(cancel_and_claim)));
}

/// A receiver was woken, and its message was taken. It goes to sleep again while another one is
/// sent.
fn overtaken_and_message() {
    let channel = bounded(1);
    let count = Count::new();
    let waker = count.waker();
    let mut waiter = pin!(Waiter::of_future());
    assert!(channel.poll_recv(waiter.as_mut(), &waker, Turn::Take).is_pending());
    channel.try_send(1).unwrap();
    assert_eq!(channel.try_recv(), Ok(1));
    assert_eq!(count.woken(), 1);
    let other = Arc::clone(&channel);
    let sender = loom::thread::spawn(move || other.try_send(2).unwrap());
    let polled = channel.poll_recv(waiter.as_mut(), &waker, Turn::Take);
    sender.join().unwrap();
    let received = match polled {
        Poll::Ready(received) => received,
        Poll::Pending => {
            assert_eq!(count.woken(), 2, "one who waits was not woken");
            match channel.poll_recv(waiter.as_mut(), &waker, Turn::Take) {
                Poll::Ready(received) => received,
                Poll::Pending => panic!("woken for nothing"),
            }
        }
    };
    assert_eq!(received, Ok(2));
}

#[test]
fn one_that_was_overtaken_meets_another_message() {
    model(overtaken_and_message);
}

#[test]
fn stays_offered_mutant_is_noticed() {
    assert!(is_noticed("channel-stays-offered", || model(overtaken_and_message)));
}

/// A receiver was woken and takes its message, while a second one waits and another message is
/// sent.
fn baton_and_message() {
    let channel = bounded(2);
    let counts = [Count::new(), Count::new()];
    let wakers = [counts[0].waker(), counts[1].waker()];
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
    assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
    channel.try_send(1).unwrap();
    let other = Arc::clone(&channel);
    let sender = loom::thread::spawn(move || other.try_send(2).unwrap());
    let again = || channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take);
    assert_eq!(settle(Poll::Pending, &counts[0], again), Ok(1));
    sender.join().unwrap();
    let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
    assert_eq!(settle(Poll::Pending, &counts[1], again), Ok(2));
}

#[test]
fn one_that_goes_meets_a_message_for_the_next() {
    model(baton_and_message);
}

#[test]
fn passes_on_blindly_mutant_is_noticed() {
    assert!(is_noticed("channel-passes-on-blindly", || model(baton_and_message)));
}

/// Two wait for two messages, and the first one was overtaken as often as may be. One that runs
/// claims a message for it while it comes.
fn due_and_runner() {
    let channel = bounded(2);
    let counts = [Count::new(), Count::new()];
    let wakers = [counts[0].waker(), counts[1].waker()];
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
    assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
    channel.try_send(1).unwrap();
    channel.try_send(2).unwrap();
    channel.queue().first_goes(End::Receivers);
    let other = Arc::clone(&channel);
    let runner = loom::thread::spawn(move || other.receivers().serve_due());
    let again = || channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take);
    assert!(settle(Poll::Pending, &counts[0], again).is_ok());
    runner.join().unwrap();
    let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
    assert!(settle(Poll::Pending, &counts[1], again).is_ok());
}

#[test]
fn one_that_is_due_comes_while_it_is_served() {
    model(due_and_runner);
}

#[test]
fn dropped_baton_mutant_is_noticed() {
    assert!(is_noticed("channel-drops-the-baton", || model(due_and_runner)));
}

/// Two receivers wait; the first one takes the last message while the channel is closed.
fn last_message_and_close() {
    let channel = bounded(1);
    let counts = [Count::new(), Count::new()];
    let wakers = [counts[0].waker(), counts[1].waker()];
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
    assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
    channel.try_send(7).unwrap();
    let other = Arc::clone(&channel);
    let closer = loom::thread::spawn(move || other.close());
    let again = || channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take);
    assert_eq!(settle(Poll::Pending, &counts[0], again), Ok(7));
    closer.join().unwrap();
    let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
    assert!(settle(Poll::Pending, &counts[1], again).is_err());
}

#[test]
fn the_last_message_meets_the_close() {
    model(last_message_and_close);
}

#[test]
fn closes_the_tail_alone_mutant_is_noticed() {
    assert!(is_noticed("ring-closes-the-tail-alone", || model(last_message_and_close)));
}

/// Two messages are sent at once to two receivers that wait.
#[test]
fn two_messages_meet_two_receivers() {
    model(|| {
        let channel = bounded(2);
        let counts = [Count::new(), Count::new()];
        let wakers = [counts[0].waker(), counts[1].waker()];
        let mut first = pin!(Waiter::of_future());
        let mut second = pin!(Waiter::of_future());
        assert!(channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take).is_pending());
        assert!(channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take).is_pending());
        let other = Arc::clone(&channel);
        let sender = loom::thread::spawn(move || other.try_send(1).unwrap());
        channel.try_send(2).unwrap();
        sender.join().unwrap();
        let again = || channel.poll_recv(first.as_mut(), &wakers[0], Turn::Take);
        let one = settle(Poll::Pending, &counts[0], again).unwrap();
        let again = || channel.poll_recv(second.as_mut(), &wakers[1], Turn::Take);
        let two = settle(Poll::Pending, &counts[1], again).unwrap();
        assert_eq!(one + two, 3);
    });
}
