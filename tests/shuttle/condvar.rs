//! A queue that holds one, with a condition for either end: two producers, two consumers, and one
//! who gives up waiting.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use shuttle::future::{block_on, spawn, yield_now};
use volt::platform::mutation::is_noticed;
use volt::sync::{Condvar, Mutex};

use crate::{explore, poll_once};

/// What each producer brings, and each consumer takes.
const ITEMS: usize = 2;
const CAPACITY: usize = 1;

struct Queue {
    items: Mutex<VecDeque<usize>>,
    filled: Condvar,
    emptied: Condvar,
}

async fn produce(queue: Arc<Queue>, items: [usize; ITEMS]) {
    for item in items {
        let guard = queue.items.lock().await;
        let mut guard = queue.emptied.wait_while(guard, |items| items.len() == CAPACITY).await;
        guard.push_back(item);
        drop(guard);
        queue.filled.notify_one();
    }
}

async fn consume(queue: Arc<Queue>) -> Vec<usize> {
    let mut taken = Vec::new();
    for _ in 0..ITEMS {
        let guard = queue.items.lock().await;
        let mut guard = queue.filled.wait_while(guard, |items| items.is_empty()).await;
        taken.extend(guard.pop_front());
        drop(guard);
        queue.emptied.notify_one();
    }
    taken
}

async fn give_up(queue: Arc<Queue>) {
    let guard = queue.items.lock().await;
    let mut waiting = pin!(queue.filled.wait(guard));
    assert!(poll_once(waiting.as_mut()).await.is_none(), "a wait has ended before it began");
    yield_now().await;
    if let Some(guard) = poll_once(waiting.as_mut()).await {
        // It was notified, and takes nothing.
        drop(guard);
        queue.filled.notify_one();
    }
}

fn producers_consumers_and_one_who_gives_up() {
    let queue = Arc::new(Queue {
        items: Mutex::new(VecDeque::new()),
        filled: Condvar::new(),
        emptied: Condvar::new(),
    });
    let producers = [[0, 1], [2, 3]].map(|items| spawn(produce(Arc::clone(&queue), items)));
    let consumers = [(); 2].map(|()| spawn(consume(Arc::clone(&queue))));
    let waiting = spawn(give_up(Arc::clone(&queue)));
    block_on(async {
        let mut taken = Vec::new();
        for consumer in consumers {
            let of_one = consumer.await.expect("nobody aborts it");
            for items in [[0, 1], [2, 3]] {
                let of_producer = of_one.iter().filter(|item| items.contains(item));
                assert!(of_producer.is_sorted(), "a producer is reordered: {of_one:?}");
            }
            taken.extend(of_one);
        }
        for producer in producers {
            producer.await.expect("nobody aborts it");
        }
        waiting.await.expect("nobody aborts it");
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3]);
    });
}

#[test]
fn a_queue_with_two_conditions_passes_everything_on() {
    explore(producers_consumers_and_one_who_gives_up);
}

#[test]
fn early_unlock_mutant_is_noticed() {
    let model = || explore(producers_consumers_and_one_who_gives_up);
    assert!(is_noticed("condvar-frees-the-lock-first", model));
}
