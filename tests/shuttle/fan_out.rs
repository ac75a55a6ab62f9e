//! One task broadcasts to two others, one of which goes early; another one changes a watched
//! value, for which two more wait in different ways.

use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use volt::channel::broadcast::{self, RecvError};
use volt::channel::{self, watch};
use volt::platform::mutation::is_noticed;

use crate::explore;

const MESSAGES: u64 = 3;
/// Fewer than there are messages: whoever is late misses some.
const CAPACITY: usize = 2;
const LAST_VALUE: usize = 3;

#[derive(Clone)]
struct Message {
    number: u64,
    _counted: Arc<()>,
}

async fn send(sender: broadcast::Sender<Message>, counted: Arc<()>) {
    for number in 0..MESSAGES {
        let message = Message { number, _counted: Arc::clone(&counted) };
        sender.send(message).expect("one receiver stays until the end");
    }
    // The others go without being told to.
    sender.closed().await;
}

async fn receive_all(mut receiver: broadcast::Receiver<Message>) {
    let mut next = 0;
    while next < MESSAGES {
        match receiver.recv().await {
            Ok(message) => {
                assert_eq!(message.number, next);
                next += 1;
            }
            Err(RecvError::Lagged(missed)) => next += missed,
            Err(RecvError::Closed) => panic!("the sender waits for its receivers"),
        }
    }
    assert_eq!(next, MESSAGES);
}

async fn receive_one(mut receiver: broadcast::Receiver<Message>) {
    let received = receiver.recv().await;
    assert!(!matches!(received, Err(RecvError::Closed)), "the sender waits for its receivers");
}

async fn change(sender: watch::Sender<usize>) {
    for value in 1..=LAST_VALUE {
        sender.send_replace(value);
    }
}

async fn watch_all(mut receiver: watch::Receiver<usize>) {
    let mut last = 0;
    while receiver.changed().await.is_ok() {
        let value = *receiver.borrow_and_update();
        assert!(value > last, "{value} comes after {last}");
        last = value;
    }
    assert_eq!(last, LAST_VALUE);
}

async fn watch_for_the_last(mut receiver: watch::Receiver<usize>) {
    let found = receiver.wait_for(|value| *value == LAST_VALUE).await.map(|value| *value);
    assert_eq!(found, Ok(LAST_VALUE));
}

fn broadcast_and_watch() {
    let counted = Arc::new(());
    let (sender, receiver) = channel::broadcast(CAPACITY);
    let other = sender.subscribe();
    let (value, watcher) = channel::watch(0);
    let tasks = [
        spawn(send(sender, Arc::clone(&counted))),
        spawn(receive_all(receiver)),
        spawn(receive_one(other)),
        spawn(change(value)),
        spawn(watch_all(watcher.clone())),
        spawn(watch_for_the_last(watcher)),
    ];
    block_on(async {
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
    });
    assert_eq!(Arc::strong_count(&counted), 1, "a message is left");
}

#[test]
fn everybody_hears_of_everything_while_others_go() {
    explore(broadcast_and_watch);
}

#[test]
fn silent_close_mutant_is_noticed() {
    assert!(is_noticed("watch-closes-silently", || explore(broadcast_and_watch)));
}
