//! A future that is dropped at any of its polls, or when it is woken for the next, leaves nothing
//! behind and takes nothing along: what it waited for goes to the others.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex as Plain};

use super::by_hand::{Stop, at_each_poll, queued, stopped};
use crate::harness::{runtime, scenario};
use volt::channel::{self, broadcast, oneshot};
use volt::sync::{Condvar, Mutex, Notify, OnceCell, RwLock, Semaphore};
use volt::task::yield_now;

scenario!(a_mutex, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let mutex = Arc::new(Mutex::new(0_u32));
            let held = mutex.lock().await;
            let own = Arc::clone(&mutex);
            let gives_up = io.spawn(stopped(stop, async move {
                let mut sum = own.lock().await;
                yield_now().await;
                *sum += 1;
            }));
            let own = Arc::clone(&mutex);
            let other = io.spawn(async move {
                let mut sum = own.lock().await;
                *sum += 1;
            });
            yield_now().await;
            drop(held);
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            assert_eq!(mutex.try_lock().as_deref(), Some(&(1 + u32::from(has_ended))));
            has_ended
        })
        .await;
    });
});

scenario!(a_writer_with_readers_behind_it, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let lock = Arc::new(RwLock::new(0_u32));
            let held = lock.read().await;
            let own = Arc::clone(&lock);
            let gives_up = io.spawn(stopped(stop, async move {
                let mut value = own.write().await;
                yield_now().await;
                *value += 1;
            }));
            yield_now().await;
            let readers = [(); 2].map(|()| {
                let lock = Arc::clone(&lock);
                io.spawn(async move { *lock.read().await })
            });
            yield_now().await;
            drop(held);
            let has_ended = gives_up.await.unwrap().is_some();
            let last = u32::from(has_ended);
            for reader in readers {
                assert!(reader.await.unwrap() <= last);
            }
            assert_eq!(lock.try_write().as_deref(), Some(&last));
            has_ended
        })
        .await;
    });
});

scenario!(a_reader_behind_a_writer, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let lock = Arc::new(RwLock::new(0_u32));
            let held = lock.write().await;
            let own = Arc::clone(&lock);
            let gives_up = io.spawn(stopped(stop, async move {
                let value = own.read().await;
                yield_now().await;
                *value
            }));
            let own = Arc::clone(&lock);
            let writer = io.spawn(async move {
                let mut value = own.write().await;
                *value += 1;
            });
            yield_now().await;
            drop(held);
            let has_ended = gives_up.await.unwrap().is_some();
            writer.await.unwrap();
            assert_eq!(lock.try_write().as_deref(), Some(&1));
            has_ended
        })
        .await;
    });
});

scenario!(a_request_that_was_served_and_is_not_wanted, || {
    // As often as a waiter is overtaken before permits are gathered for it, and once more.
    const TURNS: usize = 17;
    runtime(1).run(|_io| async move {
        let semaphore = Arc::new(Semaphore::new(1));
        let mut held = semaphore.try_acquire(1);
        let waits = queued(Arc::clone(&semaphore).acquire_owned(1)).await;
        for _ in 0..TURNS {
            drop(held);
            held = semaphore.try_acquire(1);
        }
        assert!(held.is_none(), "it was handed over");
        assert_eq!((semaphore.available_permits(), semaphore.waiter_count()), (0, 0));
        drop(waits);
    });
});

scenario!(a_large_request_of_a_semaphore, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let semaphore = Arc::new(Semaphore::new(2));
            let held = semaphore.acquire(1).await.unwrap();
            let own = Arc::clone(&semaphore);
            let gives_up = io.spawn(stopped(stop, async move {
                let _permits = own.acquire(2).await.unwrap();
                yield_now().await;
            }));
            yield_now().await;
            let own = Arc::clone(&semaphore);
            let other = io.spawn(async move { drop(own.acquire(1).await.unwrap()) });
            yield_now().await;
            drop(held);
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            assert_eq!((semaphore.available_permits(), semaphore.waiter_count()), (2, 0));
            has_ended
        })
        .await;
    });
});

scenario!(a_notification, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let notify = Arc::new(Notify::new());
            let own = Arc::clone(&notify);
            let gives_up = io.spawn(stopped(stop, async move { own.notified().await }));
            let other = io.spawn(queued(Arc::clone(&notify).notified_owned()).await);
            yield_now().await;
            notify.notify_one();
            notify.notify_one();
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            assert_eq!(notify.has_permit(), !has_ended, "a notification is lost");
            has_ended
        })
        .await;
    });
});

/// Takes an item, when there is one.
async fn take(store: Arc<(Mutex<u32>, Condvar)>) {
    let items = store.0.lock().await;
    let mut items = store.1.wait_while(items, |items| *items == 0).await;
    *items -= 1;
}

scenario!(a_condition, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let store = Arc::new((Mutex::new(0), Condvar::new()));
            let gives_up = io.spawn(stopped(stop, take(Arc::clone(&store))));
            let other = io.spawn(take(Arc::clone(&store)));
            for _ in 0..2 {
                yield_now().await;
                let mut items = store.0.lock().await;
                *items += 1;
                drop(items);
                store.1.notify_one();
            }
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            assert_eq!(store.0.try_lock().as_deref(), Some(&u32::from(!has_ended)));
            has_ended
        })
        .await;
    });
});

/// A cell, and how often its value was made.
type Counted = (OnceCell<u32>, AtomicU32);

async fn first_value(counted: Arc<Counted>) -> u32 {
    let (cell, made) = &*counted;
    let value = cell.get_or_init(|| async move {
        yield_now().await;
        made.fetch_add(1, Ordering::SeqCst);
        7
    });
    *value.await
}

scenario!(a_cell_that_is_being_made, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let counted: Arc<Counted> = Arc::default();
            let gives_up = io.spawn(stopped(stop, first_value(Arc::clone(&counted))));
            let other = io.spawn(first_value(Arc::clone(&counted)));
            let has_ended = gives_up.await.unwrap().is_some();
            assert_eq!(other.await.unwrap(), 7);
            assert_eq!(counted.1.load(Ordering::SeqCst), 1);
            has_ended
        })
        .await;
    });
});

scenario!(a_sender, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let (sender, receiver) = channel::bounded(1);
            sender.send(0).await.unwrap();
            let sent = Arc::new(AtomicU32::new(0));
            let (own, counted) = (sender.clone(), Arc::clone(&sent));
            let gives_up = io.spawn(stopped(stop, async move {
                for number in 1..=2 {
                    own.send(number).await.unwrap();
                    counted.store(number, Ordering::SeqCst);
                }
            }));
            let other = io.spawn(async move {
                for number in 3..=4 {
                    sender.send(number).await.unwrap();
                }
            });
            yield_now().await;
            let mut received: Vec<u32> = Vec::new();
            while let Ok(number) = receiver.recv().await {
                received.push(number);
            }
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            received.sort_unstable();
            let sent = sent.load(Ordering::SeqCst);
            assert!(received.into_iter().eq((0..=sent).chain(3..=4)));
            has_ended
        })
        .await;
    });
});

scenario!(a_receiver, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let (sender, receiver) = channel::bounded(1);
            let received = Arc::new(Plain::new(Vec::new()));
            let receive = |receiver: channel::Receiver<u32>| {
                let received = Arc::clone(&received);
                async move {
                    while let Ok(number) = receiver.recv().await {
                        received.lock().unwrap().push(number);
                    }
                }
            };
            let gives_up = io.spawn(stopped(stop, receive(receiver.clone())));
            let other = io.spawn(receive(receiver));
            for number in 0..3 {
                yield_now().await;
                sender.send(number).await.unwrap();
            }
            drop(sender);
            let has_ended = gives_up.await.unwrap().is_some();
            other.await.unwrap();
            let mut received = received.lock().unwrap().clone();
            received.sort_unstable();
            assert_eq!(received, [0, 1, 2]);
            has_ended
        })
        .await;
    });
});

scenario!(a_oneshot, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let (sender, mut receiver) = channel::oneshot();
            let task = io.spawn(async move {
                yield_now().await;
                sender.send(7).unwrap();
            });
            let first: Option<Result<u32, oneshot::RecvError>> = stopped(stop, &mut receiver).await;
            let has_ended = first.is_some();
            let received = match first {
                Some(received) => received,
                None => receiver.await,
            };
            assert_eq!(received, Ok(7));
            task.await.unwrap();
            has_ended
        })
        .await;
    });
});

scenario!(a_broadcast, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let (sender, mut receiver) = channel::broadcast(8);
            let task = io.spawn(async move {
                for message in 0..3_u32 {
                    yield_now().await;
                    sender.send(message).unwrap();
                }
            });
            let mut received = Vec::new();
            let mut has_ended = true;
            loop {
                let first = stopped(stop, receiver.recv()).await;
                has_ended &= first.is_some();
                let message = match first {
                    Some(message) => message,
                    None => receiver.recv().await,
                };
                match message {
                    Ok(message) => received.push(message),
                    Err(error) => {
                        assert_eq!(error, broadcast::RecvError::Closed);
                        break;
                    }
                }
            }
            task.await.unwrap();
            assert_eq!(received, [0, 1, 2]);
            has_ended
        })
        .await;
    });
});

scenario!(a_watch, || {
    runtime(2).run(|io| async move {
        at_each_poll(async |stop: Stop| {
            let (sender, mut receiver) = channel::watch(0_u32);
            let task = io.spawn(async move {
                for value in 1..=3 {
                    yield_now().await;
                    sender.send(value).unwrap();
                }
            });
            let mut last = 0;
            let mut has_ended = true;
            loop {
                let first = stopped(stop, receiver.changed()).await;
                has_ended &= first.is_some();
                let news = match first {
                    Some(news) => news,
                    None => receiver.changed().await,
                };
                if news.is_err() {
                    break;
                }
                let value = *receiver.borrow_and_update();
                assert!(value > last, "{value} after {last}");
                last = value;
            }
            task.await.unwrap();
            assert_eq!(last, 3);
            has_ended
        })
        .await;
    });
});
