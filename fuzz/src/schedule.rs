//! A program on two workers, whose schedule the fuzzer decides: who runs, when a timer fires, which
//! waiter is woken. It is simulated, with the laws on.

use std::sync::Arc;
use std::time::Duration;

use volt::channel::{self, Receiver, Sender};
use volt::sim::{Sim, Strategy};
use volt::sync::Mutex;
use volt::time::timeout;
use volt::{Io, Runtime};

/// Far more than a run takes whose threads make progress.
const STEPS: u64 = 1_000_000;
/// How long a producer waits for room: as long as a few steps, so that either may come first.
const LIMIT: Duration = Duration::from_micros(20);
const MESSAGES: u32 = 3;

/// Runs the program under the schedule that the bytes are.
///
/// # Panics
/// With the report, if the run fails: messages get lost, a law is broken, nobody goes on.
pub fn run(bytes: &[u8]) {
    let strategy = Strategy::Bytes(bytes.into());
    let sim = Sim::builder().name("schedule").strategy(strategy).step_limit(STEPS).build();
    if let Err(failure) = sim.machine(program) {
        panic!("{failure}");
    }
}

/// Three producers, of which one is cancelled, and a consumer: what was sent has come.
fn program() {
    let runtime = Runtime::builder().workers(2).build().expect("the machine has threads");
    runtime.run(|io| async move {
        let (sender, receiver) = channel::bounded(1);
        let sent = Arc::new(Mutex::new(0));
        let consumer = io.spawn(consume(receiver));
        let [cancelled, first, second] = [1, 10, 100]
            .map(|number| io.spawn(produce(io.clone(), sender.clone(), Arc::clone(&sent), number)));
        drop(sender);
        // It may have ended before.
        if let Err(error) = cancelled.cancel().await {
            assert!(error.is_cancelled(), "{error}");
        }
        first.await.unwrap();
        second.await.unwrap();
        let received = consumer.await.unwrap();
        assert_eq!(received, *sent.lock().await, "what was sent has not come, or came twice");
    });
}

/// Sends messages, each unless there is no room for too long. The lock is held meanwhile, so that
/// no cancellation comes between a message and its entry in the sum.
async fn produce(io: Io, sender: Sender<u32>, sent: Arc<Mutex<u32>>, number: u32) {
    for _ in 0..MESSAGES {
        let mut sum = sent.lock().await;
        if let Ok(result) = timeout(&io, LIMIT, sender.send(number)).await {
            result.expect("the consumer stays until the last producer has gone");
            *sum += number;
        }
    }
}

/// The sum of all messages.
async fn consume(receiver: Receiver<u32>) -> u32 {
    let mut sum = 0;
    while let Ok(number) = receiver.recv().await {
        sum += number;
    }
    sum
}
