use std::sync::Arc;

use super::super::word::LAST_POSITION;
use super::*;

fn push(ring: &Ring<u64>, value: u64) -> bool {
    match ring.try_push(value, 0) {
        Ok(_) => true,
        Err(TrySendError::Full(unsent)) => {
            assert_eq!(unsent, value);
            false
        }
        Err(TrySendError::Closed(_)) => panic!("nobody closed it"),
    }
}

fn pop(ring: &Ring<u64>) -> Option<u64> {
    ring.try_pop(0).ok().map(|(value, _)| value)
}

#[test]
fn full_is_the_capacity_that_was_asked_for() {
    for capacity in 1..=17 {
        for start in [0, 5, LAST_POSITION - 20] {
            let ring = Ring::starting_at(capacity, start);
            for round in 0..7 {
                for value in 0..capacity as u64 {
                    assert!(!ring.is_full() && ring.len() == value as usize);
                    assert!(push(&ring, value));
                }
                assert!(ring.is_full() && !push(&ring, 99), "{capacity} in round {round}");
                for value in 0..capacity as u64 {
                    assert_eq!(pop(&ring), Some(value));
                }
                assert_eq!(pop(&ring), None);
            }
        }
    }
}

#[test]
fn messages_keep_their_order_across_the_wrap_of_positions() {
    let ring = Ring::starting_at(3, LAST_POSITION - 50);
    push(&ring, 0);
    for value in 1..200 {
        assert!(push(&ring, value));
        assert_eq!(pop(&ring), Some(value - 1));
    }
    assert_eq!((pop(&ring), pop(&ring)), (Some(199), None));
}

#[test]
fn claimed_slots_are_room_for_nobody_else() {
    let ring = Ring::new(3);
    assert!(push(&ring, 1));
    assert_eq!(ring.try_claim_slot(0), Ok(()));
    assert!(push(&ring, 2));
    assert!(!push(&ring, 3) && ring.is_full());
    assert_eq!((ring.len(), ring.try_claim_slot(0)), (2, Err(Refusal::Wait)));
    assert!(!ring.push_claimed(4));
    assert_eq!(ring.len(), 3);
    assert_eq!([pop(&ring), pop(&ring), pop(&ring)], [Some(1), Some(2), Some(4)]);
    assert_eq!(ring.try_claim_slot(0), Ok(()));
    assert_eq!(ring.unclaim_slot(), ToServe { senders: false, receivers: false });
    assert!(push(&ring, 5) && push(&ring, 6) && push(&ring, 7));
}

#[test]
fn claimed_messages_are_received_by_nobody_else() {
    let ring = Ring::new(4);
    assert!(push(&ring, 1) && push(&ring, 2));
    assert_eq!(ring.claim_message(), Ok(()));
    assert_eq!(pop(&ring), Some(1));
    assert_eq!(pop(&ring), None);
    assert_eq!(ring.claim_message(), Err(Refusal::Wait));
    assert_eq!(ring.pop_claimed().0, 2);
    assert!(push(&ring, 3));
    assert_eq!(ring.claim_message(), Ok(()));
    ring.unclaim_message();
    assert_eq!(pop(&ring), Some(3));
}

#[test]
fn a_receiver_that_waits_is_told_of_and_overtaken_so_often() {
    let ring = Ring::new(64);
    ring.mark(End::Receivers);
    assert_eq!(ring.look(End::Receivers), Err(Refusal::Wait));
    assert_eq!(ring.try_push(0, 0), Ok(true));
    ring.offer(End::Receivers);
    let calls: Vec<bool> = (1..33).map(|value| ring.try_push(value, 0).unwrap()).collect();
    assert!(calls.iter().enumerate().all(|(index, calls)| *calls == ((index + 1) % 16 == 0)));
    assert_eq!(ring.look(End::Receivers), Ok(()));
    for value in 0..16 {
        assert!(!ring.is_first_due(End::Receivers));
        assert_eq!(pop(&ring), Some(value));
    }
    assert!(ring.is_first_due(End::Receivers));
    assert_eq!(pop(&ring), None);
    assert_eq!(ring.claim_message(), Ok(()));
    ring.first_comes(End::Receivers);
    assert_eq!(pop(&ring), Some(16));
    ring.take_offer_back(End::Receivers);
    assert_eq!(ring.try_push(33, 0), Ok(true));
    ring.first_goes(End::Receivers);
    assert_eq!(pop(&ring), None);
    ring.unmark(End::Receivers);
    assert_eq!(ring.try_push(34, 0), Ok(false));
    assert_eq!(ring.pop_claimed().0, 17);
    assert_eq!(pop(&ring), Some(18));
}

#[test]
fn a_sender_that_waits_is_told_of_and_overtaken_so_often() {
    let ring = Ring::starting_at(64, 1);
    (0..64).for_each(|value| assert!(push(&ring, value)));
    ring.mark(End::Senders);
    assert_eq!(ring.look(End::Senders), Err(Refusal::Wait));
    let senders = |ring: &Ring<u64>| ring.try_pop(0).unwrap().1.senders;
    assert!(senders(&ring));
    ring.offer(End::Senders);
    assert_eq!((0..32).filter(|_| senders(&ring)).count(), 2);
    for value in 0..8 {
        assert!(push(&ring, value));
        assert_eq!(ring.try_claim_slot(0), Ok(()));
    }
    assert!(ring.is_first_due(End::Senders) && !push(&ring, 9));
    assert_eq!(ring.try_claim_slot(0), Err(Refusal::Wait));
    assert_eq!(ring.claim_slot(), Ok(()));
    ring.unmark(End::Senders);
    assert!(push(&ring, 9));
}

#[test]
fn the_end_comes_after_messages_and_claims() {
    let ring = Ring::new(2);
    assert!(push(&ring, 1));
    assert_eq!(ring.try_claim_slot(0), Ok(()));
    assert!(ring.close() && !ring.close() && ring.is_closed());
    assert_eq!(ring.try_push(2, 0), Err(TrySendError::Closed(2)));
    assert_eq!(ring.claim_slot(), Err(Refusal::Closed));
    assert_eq!(pop(&ring), Some(1));
    assert!(matches!(ring.try_pop(0), Err(TryRecvError::Empty)));
    ring.push_claimed(3);
    assert_eq!(ring.claim_message(), Ok(()));
    assert!(matches!(ring.try_pop(0), Err(TryRecvError::Empty)));
    assert_eq!(ring.pop_claimed().0, 3);
    assert!(matches!(ring.try_pop(0), Err(TryRecvError::Closed)));
    assert_eq!(ring.claim_message(), Err(Refusal::Closed));
}

#[test]
fn what_is_left_is_dropped_once() {
    let message = Arc::new(());
    let ring = Ring::starting_at(5, LAST_POSITION - 1);
    for _ in 0..5 {
        assert!(ring.try_push(Arc::clone(&message), 0).is_ok());
    }
    drop(ring.try_pop(0));
    assert_eq!(Arc::strong_count(&message), 5);
    drop(ring);
    assert_eq!(Arc::strong_count(&message), 1);
}
