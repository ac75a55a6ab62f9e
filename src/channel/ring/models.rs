//! Models of the races that the ring meets.

use std::sync::Arc;

use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;

fn pop(ring: &Ring<u32>) -> Option<u32> {
    ring.try_pop(0).ok().map(|(value, _)| value)
}

/// Two messages go through one slot, so that it is written, read and written again.
fn one_slot() {
    let ring = Arc::new(Ring::new(1));
    let other = Arc::clone(&ring);
    assert!(ring.try_push(1, 0).is_ok());
    let sender = loom::thread::spawn(move || other.try_push(2, 0).is_ok());
    let first = pop(&ring);
    let second = pop(&ring);
    let was_sent = sender.join().unwrap();
    let third = pop(&ring);
    assert_eq!(first, Some(1));
    assert_eq!(second.or(third), was_sent.then_some(2));
    assert!(second.is_none() || third.is_none(), "received twice");
}

#[test]
fn a_slot_is_written_while_it_is_read() {
    model(one_slot);
}

/// As [`one_slot`], the other way round: loom keeps one access of a word, and forgets a load of
/// the first thread behind those of the second one, and with it that they can come in another
/// order.
fn one_slot_read_by_the_other() {
    let ring = Arc::new(Ring::new(1));
    let other = Arc::clone(&ring);
    let receiver = loom::thread::spawn(move || pop(&other));
    assert!(ring.try_push(1, 0).is_ok());
    let first = receiver.join().unwrap();
    assert_eq!(first.or(pop(&ring)), Some(1));
}

#[test]
fn a_slot_is_read_while_it_is_written() {
    model(one_slot_read_by_the_other);
}

#[test]
fn filled_relaxed_mutant_is_noticed() {
    assert!(is_noticed("slots-filled-relaxed", || model(one_slot_read_by_the_other)));
}

#[test]
fn taken_relaxed_mutant_is_noticed() {
    assert!(is_noticed("slots-taken-relaxed", || model(one_slot)));
}

/// Two senders meet at the last room of a ring whose slots are more than its capacity.
fn last_room() {
    let ring = Arc::new(Ring::new(3));
    assert!(ring.try_push(1, 0).is_ok() && ring.try_push(2, 0).is_ok());
    let other = Arc::clone(&ring);
    let sender = loom::thread::spawn(move || other.try_push(3, 0).is_ok());
    let mine = ring.try_push(4, 0).is_ok();
    assert!(mine != sender.join().unwrap(), "one of two has room");
    assert_eq!((pop(&ring), pop(&ring)), (Some(1), Some(2)));
    assert_eq!((pop(&ring), pop(&ring)), (Some(if mine { 4 } else { 3 }), None));
}

#[test]
fn two_senders_meet_at_the_last_room() {
    model(last_room);
}

#[test]
fn rounded_capacity_mutant_is_noticed() {
    assert!(is_noticed("ring-rounds-its-capacity", || model(last_room)));
}

/// A sender comes while another one has claimed the last room and uses it.
fn claimed_slot() {
    let ring = Arc::new(Ring::new(1));
    assert_eq!(ring.try_claim_slot(0), Ok(()));
    let other = Arc::clone(&ring);
    let sender = loom::thread::spawn(move || other.try_push(2, 0).is_ok());
    ring.push_claimed(1);
    assert!(!sender.join().unwrap(), "there was no room");
    assert_eq!((pop(&ring), pop(&ring)), (Some(1), None));
}

#[test]
fn a_claimed_slot_stays_free() {
    model(claimed_slot);
}

#[test]
fn overlooked_claimed_slots_mutant_is_noticed() {
    assert!(is_noticed("ring-overlooks-claimed-slots", || model(claimed_slot)));
}

/// A receiver comes while another one has claimed one of two messages and takes it.
fn claimed_message() {
    let ring = Arc::new(Ring::new(2));
    assert!(ring.try_push(1, 0).is_ok());
    assert_eq!(ring.claim_message(), Ok(()));
    let other = Arc::clone(&ring);
    let receiver = loom::thread::spawn(move || [pop(&other), pop(&other)]);
    assert!(ring.try_push(2, 0).is_ok());
    let mine = ring.pop_claimed().0;
    let theirs = receiver.join().unwrap();
    let left = pop(&ring);
    assert!(theirs.iter().flatten().count() <= 1, "a claimed message was received");
    assert_eq!(mine + theirs.into_iter().flatten().chain(left).sum::<u32>(), 3);
}

#[test]
fn a_claimed_message_stays_there() {
    model(claimed_message);
}

#[test]
fn overlooked_claimed_messages_mutant_is_noticed() {
    let mutant = "ring-overlooks-claimed-messages";
    assert!(is_noticed(mutant, || model(claimed_message)));
}

/// Two receivers take two messages while a third one is sent.
#[test]
fn two_receivers_take_each_message_once() {
    model(|| {
        let ring = Arc::new(Ring::new(2));
        assert!(ring.try_push(1, 0).is_ok() && ring.try_push(2, 0).is_ok());
        let receivers = [(); 2].map(|()| {
            let ring = Arc::clone(&ring);
            loom::thread::spawn(move || pop(&ring))
        });
        let was_sent = ring.try_push(4, 0).is_ok();
        let received = receivers.map(|receiver| receiver.join().unwrap());
        let sum: u32 = received.into_iter().flatten().chain(pop(&ring)).sum();
        assert_eq!(sum, if was_sent { 7 } else { 3 });
    });
}

/// The ring is closed while a claimed slot is used and another one is given back.
fn close_and_claims() {
    let ring = Arc::new(Ring::new(2));
    assert_eq!((ring.try_claim_slot(0), ring.try_claim_slot(0)), (Ok(()), Ok(())));
    let other = Arc::clone(&ring);
    let sender = loom::thread::spawn(move || {
        other.close();
        other.push_claimed(7);
        other.unclaim_slot();
    });
    let early = match ring.try_pop(0) {
        Ok((value, _)) => Some(value),
        Err(error) => {
            assert_eq!(error, TryRecvError::Empty, "closed over a claimed slot");
            None
        }
    };
    sender.join().unwrap();
    assert_eq!(early.or_else(|| pop(&ring)), Some(7));
    assert!(matches!(ring.try_pop(0), Err(TryRecvError::Closed)));
}

#[test]
fn claimed_slots_outlive_a_close() {
    model(close_and_claims);
}

#[test]
fn closes_over_claimed_slots_mutant_is_noticed() {
    assert!(is_noticed("ring-closes-over-claimed-slots", || model(close_and_claims)));
}

/// A message that was sent before the close is received, and one that came after is not.
#[test]
fn a_close_meets_a_push() {
    model(|| {
        let ring = Arc::new(Ring::new(1));
        let other = Arc::clone(&ring);
        let sender = loom::thread::spawn(move || other.try_push(1, 0));
        ring.close();
        let early = pop(&ring);
        let was_sent = sender.join().unwrap().is_ok();
        assert_eq!(early.or_else(|| pop(&ring)).is_some(), was_sent);
        assert!(matches!(ring.try_pop(0), Err(TryRecvError::Closed)));
    });
}
