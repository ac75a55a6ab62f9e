//! `broadcast`: each receiver has every message, or is told how many it has missed.

use std::pin::Pin;
use std::sync::Arc;

use proptest::prelude::*;
use volt::channel::{self, broadcast::RecvError};
use volt::sync::Waiter;

use crate::waiting::{Alarm, config};

const RECEIVERS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    /// Receives, or waits for a message.
    Recv(usize),
    Cancel(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => Just(Step::Send),
        60 => (0..RECEIVERS).prop_map(Step::Recv),
        10 => (0..RECEIVERS).prop_map(Step::Cancel),
        1 => Just(Step::Close),
    ]
}

/// One receiver.
#[derive(Clone, Copy, Default)]
struct Cursor {
    next: u64,
    waits: bool,
}

impl Cursor {
    /// What there is for it in a channel that keeps the messages `kept` of `0..sent`.
    fn recv(&mut self, kept: u64, sent: u64, is_closed: bool) -> Option<Result<u64, RecvError>> {
        let received = if self.next < kept {
            let missed = kept - std::mem::replace(&mut self.next, kept);
            Some(Err(RecvError::Lagged(missed)))
        } else if self.next < sent {
            self.next += 1;
            Some(Ok(self.next - 1))
        } else {
            is_closed.then_some(Err(RecvError::Closed))
        };
        self.waits = received.is_none();
        received
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn each_receiver_has_all_or_knows_what_it_has_missed(
        capacity in 1..=4_u64,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let (sender, receiver) = channel::broadcast(capacity as usize);
        let receivers = [receiver, sender.subscribe(), sender.subscribe()];
        let alarms: [Arc<Alarm>; RECEIVERS] = Default::default();
        let mut waiters: Vec<Pin<Box<Waiter<'_>>>> =
            alarms.iter().map(|alarm| Box::pin(Waiter::new(alarm.waker()))).collect();
        let mut cursors = [Cursor::default(); RECEIVERS];
        let (mut sent, mut is_closed) = (0, false);
        for step in steps {
            let kept = u64::saturating_sub(sent, capacity);
            match step {
                Step::Send => {
                    let expected = if is_closed { Err(sent) } else { Ok(RECEIVERS) };
                    assert_eq!(sender.send(sent).map_err(|error| error.0), expected);
                    sent += u64::from(!is_closed);
                }
                Step::Recv(number) => {
                    alarms[number].reset();
                    let received = receivers[number].recv_wait(waiters[number].as_mut());
                    assert_eq!(received, cursors[number].recv(kept, sent, is_closed));
                }
                Step::Cancel(number) => {
                    receivers[number].cancel_recv(waiters[number].as_mut());
                    cursors[number].waits = false;
                }
                Step::Close => {
                    sender.close();
                    is_closed = true;
                }
            }
            for (number, cursor) in cursors.iter().enumerate() {
                let behind = u64::min(sent - cursor.next, capacity);
                assert_eq!(receivers[number].len() as u64, behind);
                if cursor.waits {
                    let is_woken = alarms[number].is_set();
                    assert_eq!(is_woken, is_closed || behind > 0, "receiver {number}");
                }
            }
        }
    }
}
