//! Two readers and two writers, and one who gives up waiting to read, then to write.

use std::pin::pin;
use std::sync::Arc;

use shuttle::future::{block_on, spawn, yield_now};
use volt::platform::mutation::is_noticed;
use volt::sync::RwLock;

use crate::{explore, poll_once};

/// How often each reader and writer comes.
const ROUNDS: usize = 2;

/// Equal, except for the writer that is in.
type Pair = (usize, usize);

async fn read(lock: Arc<RwLock<Pair>>) {
    for _ in 0..ROUNDS {
        let pair = lock.read().await;
        let before = *pair;
        yield_now().await;
        assert_eq!(*pair, before, "a writer is in beside a reader");
        assert_eq!(pair.0, pair.1, "a reader is in beside a writer");
    }
}

async fn write(lock: Arc<RwLock<Pair>>) {
    for _ in 0..ROUNDS {
        let mut pair = lock.write().await;
        let before = pair.0;
        pair.0 += 1;
        yield_now().await;
        pair.1 += 1;
        assert_eq!(*pair, (before + 1, before + 1), "two writers are in");
    }
}

async fn give_up(lock: Arc<RwLock<Pair>>) {
    {
        let mut waiting = pin!(lock.read());
        let _had = poll_once(waiting.as_mut()).await;
        yield_now().await;
    }
    let mut waiting = pin!(lock.write());
    let _had = poll_once(waiting.as_mut()).await;
    yield_now().await;
}

fn readers_writers_and_one_who_gives_up() {
    let lock = Arc::new(RwLock::new((0, 0)));
    let tasks = [
        spawn(read(Arc::clone(&lock))),
        spawn(write(Arc::clone(&lock))),
        spawn(read(Arc::clone(&lock))),
        spawn(write(Arc::clone(&lock))),
        spawn(give_up(Arc::clone(&lock))),
    ];
    block_on(async {
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
    });
    let pair = lock.try_read().map(|pair| *pair);
    assert_eq!(pair, Some((2 * ROUNDS, 2 * ROUNDS)));
    assert!(lock.try_write().is_some(), "a reader is left");
}

#[test]
fn readers_and_writers_take_turns_though_one_gives_up() {
    explore(readers_writers_and_one_who_gives_up);
}

#[test]
fn silent_unlock_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-frees-silently", || explore(readers_writers_and_one_who_gives_up)));
}
