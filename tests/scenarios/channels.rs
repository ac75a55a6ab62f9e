//! Channels: no message is lost, doubled or out of order, whoever comes, waits, goes or closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::channel::{self, Receiver, Sender, broadcast, oneshot, watch};
use volt::platform::thread;
use volt::task::yield_now;

/// The number of a sender, and how many it has sent before.
type Message = (usize, u32);

/// Sends so many messages; how many, if the channel is closed before.
async fn produce(sender: Sender<Message>, number: usize, messages: u32) -> u32 {
    for sent in 0..messages {
        if sender.send((number, sent)).await.is_err() {
            return sent;
        }
    }
    messages
}

/// Receives until the channel is closed and empty.
async fn consume(receiver: Receiver<Message>) -> Vec<Message> {
    let mut received = Vec::new();
    while let Ok(message) = receiver.recv().await {
        received.push(message);
    }
    received
}

/// What the senders have sent was received once, and by each receiver in order.
fn check(received: &[Vec<Message>], sent: &[u32]) {
    for messages in received {
        for sender in 0..sent.len() {
            let of_sender = messages.iter().filter(|message| message.0 == sender);
            assert!(of_sender.is_sorted(), "{messages:?}");
        }
    }
    let mut all = received.concat();
    all.sort_unstable();
    let sent = sent.iter().enumerate();
    let sent = sent.flat_map(|(sender, count)| (0..*count).map(move |number| (sender, number)));
    assert_eq!(all, sent.collect::<Vec<Message>>());
}

/// Sends messages through the channel from several tasks to several tasks.
async fn exchange(io: Io, ends: (Sender<Message>, Receiver<Message>), messages: u32) {
    let (sender, receiver) = ends;
    let consumers = [(); 2].map(|()| io.spawn(consume(receiver.clone())));
    let producers = [0, 1].map(|number| io.spawn(produce(sender.clone(), number, messages)));
    drop((sender, receiver));
    let mut sent = Vec::new();
    for producer in producers {
        sent.push(producer.await.unwrap());
    }
    assert_eq!(sent, [messages; 2]);
    let mut received = Vec::new();
    for consumer in consumers {
        received.push(consumer.await.unwrap());
    }
    check(&received, &sent);
}

// In the original a sender that was woken reported success, and its message was gone.
scenario!(two_senders_and_two_receivers_with_room_for_one, || {
    runtime(3).run(|io| exchange(io, channel::bounded(1), 6));
});

scenario!(two_senders_and_two_receivers_with_room_for_three, || {
    runtime(3).run(|io| exchange(io, channel::bounded(3), 6));
});

scenario!(two_senders_and_two_receivers_with_room_for_all, || {
    runtime(3).run(|io| exchange(io, channel::unbounded(), 6));
});

scenario!(what_was_sent_before_a_close_is_received, || {
    runtime(2).run(|io| async move {
        let (sender, receiver) = channel::bounded(2);
        let producers = [0, 1].map(|number| io.spawn(produce(sender.clone(), number, 50)));
        let mut received = Vec::new();
        for _ in 0..5 {
            received.push(receiver.recv().await.unwrap());
        }
        receiver.close();
        received.extend(consume(receiver).await);
        let mut sent = Vec::new();
        for producer in producers {
            sent.push(producer.await.unwrap());
        }
        assert!(sender.try_send((0, 0)).is_err());
        check(&[received], &sent);
    });
});

scenario!(tasks_that_are_cancelled_lose_no_message, || {
    runtime(3).run(|io| async move {
        let (sender, receiver) = channel::bounded(1);
        let token = Arc::new(());
        let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let senders = [(); 3].map(|()| {
            let (sender, token, counts) = (sender.clone(), Arc::clone(&token), Arc::clone(&counts));
            io.spawn(async move {
                for _ in 0..4 {
                    sender.send(Arc::clone(&token)).await.unwrap();
                    counts.0.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let receivers = [(); 3].map(|()| {
            let (receiver, counts) = (receiver.clone(), Arc::clone(&counts));
            io.spawn(async move {
                while receiver.recv().await.is_ok() {
                    counts.1.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        drop((sender, receiver));
        for _ in 0..2 {
            yield_now().await;
        }
        senders[1].abort();
        receivers[1].abort();
        for task in senders.into_iter().chain(receivers) {
            if let Err(error) = task.await {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        assert_eq!(counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst));
        assert_eq!(Arc::strong_count(&token), 1);
    });
});

scenario!(room_that_is_set_aside_is_used_or_given_back, || {
    runtime(2).run(|io| async move {
        let (sender, receiver) = channel::bounded(2);
        let consumer = io.spawn(consume(receiver));
        let producers = [0, 1, 2].map(|number| {
            let sender = sender.clone();
            io.spawn(async move {
                let mut sent = 0;
                for round in 0..4 {
                    let permit = sender.reserve().await.unwrap();
                    yield_now().await;
                    if round % 2 == 0 {
                        permit.send((number, sent));
                        sent += 1;
                    }
                    assert!(sender.len() <= 2);
                }
                sent
            })
        });
        drop(sender);
        let mut sent = Vec::new();
        for producer in producers {
            sent.push(producer.await.unwrap());
        }
        check(&[consumer.await.unwrap()], &sent);
    });
});

scenario!(a_channel_is_not_over_while_room_is_set_aside, || {
    runtime(2).run(|io| async move {
        for (sender, receiver) in [channel::bounded(1), channel::unbounded()] {
            let consumer = io.spawn(consume(receiver));
            let permit = sender.reserve().await.unwrap();
            sender.close();
            for _ in 0..3 {
                yield_now().await;
            }
            permit.send((0, 0));
            assert_eq!(consumer.await.unwrap(), [(0, 0)]);
        }
    });
});

scenario!(room_that_is_given_back_ends_a_closed_channel, || {
    runtime(2).run(|io| async move {
        for (sender, receiver) in [channel::bounded(1), channel::unbounded()] {
            let consumer = io.spawn(consume(receiver));
            let permit = sender.reserve().await.unwrap();
            sender.close();
            for _ in 0..3 {
                yield_now().await;
            }
            drop(permit);
            assert!(consumer.await.unwrap().is_empty());
        }
    });
});

scenario!(answers_reach_whoever_asked, || {
    const QUESTIONS: u32 = 8;
    let runtime = runtime(2);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..QUESTIONS).map(|_| channel::oneshot()).unzip();
    let outside = thread::spawn("outside", None, move || {
        for (number, sender) in (0..QUESTIONS).zip(senders) {
            sender.send(number).unwrap();
        }
    });
    runtime.run(|_io| async move {
        for (number, receiver) in (0..QUESTIONS).zip(receivers) {
            assert_eq!(receiver.await, Ok(number));
        }
    });
    outside.unwrap().join().unwrap();
});

scenario!(an_end_of_a_oneshot_that_goes_tells_the_other, || {
    runtime(2).run(|io| async move {
        let (sender, receiver) = channel::oneshot::<u32>();
        let task = io.spawn(async move { drop(sender) });
        assert_eq!(receiver.await, Err(oneshot::RecvError));
        task.await.unwrap();

        let (mut sender, receiver) = channel::oneshot();
        let task = io.spawn(async move {
            sender.closed().await;
            sender.send(7)
        });
        yield_now().await;
        drop(receiver);
        assert_eq!(task.await.unwrap(), Err(7));

        // The value is received, or comes back to the sender, or is dropped with the channel.
        let token = Arc::new(());
        for _ in 0..3 {
            let (sender, receiver) = channel::oneshot();
            let own = Arc::clone(&token);
            let sends = io.spawn(async move { sender.send(own).is_ok() });
            let receives = io.spawn(async move { receiver.await.is_ok() });
            receives.abort();
            let is_sent = sends.await.unwrap();
            if receives.await.unwrap_or(false) {
                assert!(is_sent);
            }
            assert_eq!(Arc::strong_count(&token), 1);
        }
    });
});

/// Receives until the channel is closed; how many messages there were, with the missed ones.
async fn count(mut receiver: broadcast::Receiver<u64>) -> u64 {
    let mut next = 0;
    loop {
        match receiver.recv().await {
            Ok(message) => {
                assert_eq!(message, next);
                next += 1;
            }
            Err(broadcast::RecvError::Lagged(missed)) => {
                assert!(missed > 0);
                next += missed;
            }
            Err(broadcast::RecvError::Closed) => return next,
        }
    }
}

scenario!(a_receiver_knows_how_many_messages_it_has_missed, || {
    const MESSAGES: u64 = 12;
    let runtime = runtime(2);
    let (sender, receiver) = channel::broadcast(2);
    let tasks = [
        runtime.io().spawn(count(sender.subscribe())),
        runtime.io().spawn(count(sender.subscribe())),
    ];
    let slow = runtime.io().spawn(async move {
        yield_now().await;
        count(receiver).await
    });
    let outside = thread::spawn("outside", None, move || {
        for message in 0..MESSAGES {
            sender.send(message).unwrap();
        }
    });
    runtime.run(|_io| async move {
        for task in tasks {
            assert_eq!(task.await.unwrap(), MESSAGES);
        }
        assert_eq!(slow.await.unwrap(), MESSAGES);
    });
    outside.unwrap().join().unwrap();
});

/// Looks at each change that it sees until there are no more; the last value.
async fn follow(mut receiver: watch::Receiver<u32>) -> u32 {
    let mut last = 0;
    while receiver.changed().await.is_ok() {
        let value = *receiver.borrow_and_update();
        assert!(value > last, "{value} after {last}");
        last = value;
    }
    last
}

scenario!(a_watched_value_never_goes_back, || {
    const CHANGES: u32 = 5;
    let runtime = runtime(2);
    let (sender, mut receiver) = channel::watch(0);
    let followers = [(); 2].map(|()| runtime.io().spawn(follow(receiver.clone())));
    let other = sender.clone();
    let changes = runtime.io().spawn(async move {
        for _ in 0..CHANGES {
            other.send_modify(|value| *value += 1);
            yield_now().await;
        }
    });
    let outside = thread::spawn("outside", None, move || {
        for _ in 0..CHANGES {
            sender.send_modify(|value| *value += 1);
        }
        drop(sender);
        let mut last = 0;
        while receiver.blocking_changed().is_ok() {
            let value = *receiver.borrow_and_update();
            assert!(value > last, "{value} after {last}");
            last = value;
        }
        assert_eq!(last, 2 * CHANGES);
    });
    runtime.run(|_io| async move {
        changes.await.unwrap();
        for follower in followers {
            assert_eq!(follower.await.unwrap(), 2 * CHANGES);
        }
    });
    outside.unwrap().join().unwrap();
});

scenario!(threads_and_tasks_exchange_messages, || {
    let runtime = runtime(2);
    let (questions, inbox) = channel::bounded(1);
    let (outbox, answers) = channel::bounded(1);
    let task = runtime.io().spawn(async move {
        while let Ok(number) = inbox.recv().await {
            outbox.send(number + 1).await.unwrap();
        }
    });
    let outside = thread::spawn("outside", None, move || {
        for number in 0..5 {
            questions.blocking_send(number).unwrap();
            assert_eq!(answers.blocking_recv(), Ok(number + 1));
        }
        drop(questions);
        assert!(answers.blocking_recv().is_err());
    });
    runtime.run(|_io| async move { task.await.unwrap() });
    outside.unwrap().join().unwrap();
});
