//! Two tasks leave work behind a lock and notify; two others wait for that, take what is there,
//! and send it into a channel that holds one.

use std::mem;
use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use volt::channel::{self, Sender};
use volt::platform::mutation::is_noticed;
use volt::sync::{Mutex, Notify};

use crate::explore;

/// What one task leaves.
const ITEMS: usize = 2;

struct Work {
    items: Mutex<Vec<usize>>,
    news: Notify,
    is_done: AtomicBool,
}

async fn leave(work: Arc<Work>, items: [usize; ITEMS]) {
    for item in items {
        work.items.lock().await.push(item);
        work.news.notify_one();
    }
}

async fn pass_on(work: Arc<Work>, sender: Sender<usize>) {
    loop {
        // The wait begins before the look, so the call that follows the store is not missed.
        let notified = work.news.notified();
        if work.is_done.load(Ordering::SeqCst) {
            return;
        }
        notified.await;
        let items = mem::take(&mut *work.items.lock().await);
        for item in items {
            sender.send(item).await.expect("the receiver stays until the end");
        }
    }
}

fn lock_notifications_and_channel() {
    let work = Arc::new(Work {
        items: Mutex::new(Vec::new()),
        news: Notify::new(),
        is_done: AtomicBool::new(false),
    });
    let (sender, receiver) = channel::bounded(1);
    let tasks = [
        spawn(pass_on(Arc::clone(&work), sender.clone())),
        spawn(pass_on(Arc::clone(&work), sender)),
        spawn(leave(Arc::clone(&work), [0, 1])),
        spawn(leave(Arc::clone(&work), [2, 3])),
    ];
    block_on(async {
        let mut received = Vec::new();
        for _ in 0..2 * ITEMS {
            received.push(receiver.recv().await.expect("there is more to come"));
        }
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3]);
        work.is_done.store(true, Ordering::SeqCst);
        work.news.notify_all();
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
        assert!(receiver.recv().await.is_err(), "an item came twice");
        assert!(work.items.try_lock().is_some_and(|items| items.is_empty()));
    });
}

#[test]
fn work_that_is_left_and_notified_of_is_passed_on_once() {
    explore(lock_notifications_and_channel);
}

#[test]
fn silent_unlock_mutant_is_noticed() {
    assert!(is_noticed("mutex-frees-silently", || explore(lock_notifications_and_channel)));
}
