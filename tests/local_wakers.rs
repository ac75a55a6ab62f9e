//! Wakers of local tasks on other threads: what a thread does before it wakes a task is seen by the
//! task, and nobody touches what has been freed. `ci/tsan` runs it under ThreadSanitizer, which
//! sees the order of every access; without it these are plain tests of what arrives.

use std::cell::UnsafeCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use volt::local::Runtime;

const ROUNDS: u32 = 50;
const THREADS: usize = 4;

/// A number without any order of its own: what accesses it twice at once is a race.
#[derive(Default)]
struct Plain(UnsafeCell<u32>);

// SAFETY: the tests order the accesses by wakes, which ThreadSanitizer checks.
unsafe impl Sync for Plain {}

impl Plain {
    fn set(&self, value: u32) {
        // SAFETY: as above.
        unsafe { *self.0.get() = value }
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        unsafe { *self.0.get() }
    }
}

/// With `VOLT_PLANTED_RACE` in its environment the threads write after the wake too, which
/// ThreadSanitizer has to report: `ci/tsan --show-failure`.
#[test]
fn a_task_sees_what_was_done_before_its_wake() {
    let is_planted = std::env::var_os("VOLT_PLANTED_RACE").is_some();
    let runtime = Runtime::new();
    let mut threads = Vec::new();
    for number in 1..=THREADS as u32 {
        let (wakers, received) = mpsc::channel::<Waker>();
        let shared = Arc::new(Plain::default());
        let writes = Arc::clone(&shared);
        threads.push(thread::spawn(move || {
            for (round, waker) in (1..).zip(received) {
                writes.set(round * number);
                waker.wake();
                if is_planted {
                    writes.set(round * number);
                }
            }
        }));
        let task = async move {
            for round in 1..=ROUNDS {
                let mut is_first = true;
                poll_fn(|context| {
                    if !is_first {
                        return Poll::Ready(());
                    }
                    is_first = false;
                    wakers.send(context.waker().clone()).expect("the thread receives");
                    Poll::Pending
                })
                .await;
                // The wake is the only reason for the second poll: nothing else orders this read.
                assert_eq!(shared.get(), round * number);
            }
        };
        drop(runtime.spawn(task));
    }
    runtime.run();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn wakers_are_cloned_called_and_dropped_on_every_thread_at_once() {
    let runtime = Runtime::new();
    let left = Arc::new(AtomicU32::new(ROUNDS * THREADS as u32));
    let (wakers, received) = mpsc::channel::<Waker>();
    let waits = Arc::clone(&left);
    let task = runtime.spawn(poll_fn(move |context| {
        if waits.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(());
        }
        // On this thread too references come and go.
        drop(context.waker().clone());
        let _ = wakers.send(context.waker().clone());
        Poll::Pending
    }));
    runtime.run_until_stalled();
    let waker = received.recv().expect("it was polled");
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (waker, left) = (waker.clone(), Arc::clone(&left));
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    let other = waker.clone();
                    waker.wake_by_ref();
                    left.fetch_sub(1, Ordering::Relaxed);
                    other.wake();
                }
            })
        })
        .collect();
    drop(waker);
    runtime.run_until(task).expect("it ends");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn wakers_outlive_their_runtime_and_the_last_one_frees_it() {
    for _ in 0..ROUNDS {
        let runtime = Runtime::new();
        let (wakers, received) = mpsc::channel::<Waker>();
        for _ in 0..THREADS {
            let wakers = wakers.clone();
            let task = poll_fn(move |context| {
                let _ = wakers.send(context.waker().clone());
                Poll::<()>::Pending
            });
            drop(runtime.spawn(task));
        }
        runtime.run_until_stalled();
        let threads: Vec<_> = received
            .iter()
            .take(THREADS)
            .map(|waker| {
                thread::spawn(move || {
                    waker.wake_by_ref();
                    let other = waker.clone();
                    drop(waker);
                    other.wake();
                })
            })
            .collect();
        runtime.run_until_stalled();
        // While they wake.
        drop(runtime);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
