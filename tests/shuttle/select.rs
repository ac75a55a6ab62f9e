//! Two tasks wait with `select!` for three channels, into which four others send.
//!
//! Each branch that does not win is dropped: it leaves its queue, and a message that was set aside
//! for it goes to the other task.

use shuttle::future::{block_on, spawn};
use volt::channel::{self, Receiver};
use volt::platform::mutation::is_noticed;
use volt::select;

use crate::explore;

const SENDERS: usize = 4;
const MESSAGES: usize = 2;

/// Receives until all channels are closed. The branches are looked at in their order: a random one
/// would be drawn beside shuttle's back, and could not be replayed.
async fn receive_all([first, second, third]: [Receiver<usize>; 3]) -> Vec<usize> {
    let mut is_open = [true; 3];
    let mut received = Vec::new();
    while is_open.contains(&true) {
        let (number, message) = select! {
            biased;
            message = first.recv(), if is_open[0] => (0, message),
            message = second.recv(), if is_open[1] => (1, message),
            message = third.recv(), if is_open[2] => (2, message),
        };
        match message {
            Ok(message) => received.push(message),
            Err(_) => is_open[number] = false,
        }
    }
    received
}

fn four_senders_and_two_selects() {
    let (first, first_end) = channel::bounded(1);
    let (second, second_end) = channel::bounded(1);
    let (third, third_end) = channel::unbounded();
    let ends = [first_end, second_end, third_end];
    let mut reversed = ends.clone();
    reversed.reverse();
    let receivers = [spawn(receive_all(ends)), spawn(receive_all(reversed))];
    let channels = [first, second, third];
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let channel = channels[sender % channels.len()].clone();
            spawn(async move {
                for message in sender * MESSAGES..(sender + 1) * MESSAGES {
                    channel.send(message).await.expect("receivers stay until the end");
                }
            })
        })
        .collect();
    drop(channels);
    block_on(async {
        for sender in senders {
            sender.await.expect("nobody aborts it");
        }
        let mut all = Vec::new();
        for receiver in receivers {
            let received = receiver.await.expect("nobody aborts it");
            for sender in 0..SENDERS {
                let of_sender = received.iter().filter(|message| **message / MESSAGES == sender);
                assert!(of_sender.is_sorted(), "sender {sender} is reordered: {received:?}");
            }
            all.extend(received);
        }
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..SENDERS * MESSAGES), "received: {all:?}");
    });
}

#[test]
fn two_selects_receive_what_four_senders_send() {
    explore(four_senders_and_two_selects);
}

#[test]
fn kept_claim_mutant_is_noticed() {
    assert!(is_noticed("channel-keeps-a-claim", || explore(four_senders_and_two_selects)));
}
