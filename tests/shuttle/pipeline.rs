//! Four tasks acquire permits and send them along with their messages into a channel that holds
//! one; two of the tasks are cancelled wherever they are.

use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use volt::CancellationToken;
use volt::channel::{self, Sender};
use volt::platform::mutation::is_noticed;
use volt::sync::{OwnedPermit, Semaphore};

use crate::explore;

const PERMITS: usize = 2;

struct Message {
    number: usize,
    _permits: OwnedPermit,
    _counted: Arc<()>,
}

async fn produce(
    number: usize,
    semaphore: Arc<Semaphore>,
    sender: Sender<Message>,
    counted: Arc<()>,
) {
    let permits = semaphore.acquire_owned(1 + number % PERMITS).await;
    let permits = permits.expect("the semaphore is not closed");
    let message = Message { number, _permits: permits, _counted: counted };
    sender.send(message).await.expect("the receiver stays until the end");
}

fn semaphore_channel_and_cancellation() {
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let counted = Arc::new(());
    let (sender, receiver) = channel::bounded(1);
    let token = CancellationToken::new();
    let is_cancelled = |number: usize| number >= 2;
    let tasks = [0, 1, 2, 3].map(|number| {
        let token = if is_cancelled(number) { token.clone() } else { CancellationToken::new() };
        let (semaphore, counted) = (Arc::clone(&semaphore), Arc::clone(&counted));
        let produced = produce(number, semaphore, sender.clone(), counted);
        spawn(token.run_until_cancelled_owned(produced))
    });
    drop(sender);
    let canceller = spawn(async move { token.cancel() });
    block_on(async {
        let mut received = Vec::new();
        while let Ok(message) = receiver.recv().await {
            received.push(message.number);
        }
        canceller.await.expect("nobody aborts it");
        let mut sent = Vec::new();
        for (number, task) in tasks.into_iter().enumerate() {
            match task.await.expect("nobody aborts it") {
                Some(()) => sent.push(number),
                None => assert!(is_cancelled(number), "task {number} was not cancelled"),
            }
        }
        received.sort_unstable();
        assert_eq!(received, sent);
        assert_eq!(semaphore.available_permits(), PERMITS);
        assert_eq!(Arc::strong_count(&counted), 1, "a message is left");
    });
}

#[test]
fn permits_and_messages_outlast_a_cancellation() {
    explore(semaphore_channel_and_cancellation);
}

#[test]
fn silent_withdrawal_mutant_is_noticed() {
    let model = || explore(semaphore_channel_and_cancellation);
    assert!(is_noticed("semaphore-withdraws-silently", model));
}
