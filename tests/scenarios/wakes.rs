//! No wake-up is lost, wherever it comes from and whatever the task does meanwhile.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::harness::{runtime, scenario};
use volt::platform::thread;

/// A flag that a task waits for.
#[derive(Default)]
struct Flag(Mutex<(bool, Option<Waker>)>);

impl Flag {
    fn set(&self) {
        let waker = {
            let mut inner = self.0.lock().unwrap();
            inner.0 = true;
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|context| {
            let mut inner = self.0.lock().unwrap();
            if std::mem::take(&mut inner.0) {
                return Poll::Ready(());
            }
            inner.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

scenario!(tasks_wake_each_other_in_turn, || {
    runtime(2).run(|io| async move {
        let flags = Arc::new((Flag::default(), Flag::default()));
        let other = Arc::clone(&flags);
        let task = io.spawn(async move {
            for _ in 0..5 {
                other.0.wait().await;
                other.1.set();
            }
        });
        for _ in 0..5 {
            flags.0.set();
            flags.1.wait().await;
        }
        task.await.unwrap();
    });
});

scenario!(two_tasks_that_wake_each_other_keep_no_third_waiting, || {
    const TURNS: u32 = 40;
    runtime(1).run(|io| async move {
        let flags = Arc::new((Flag::default(), Flag::default()));
        let own = Arc::clone(&flags);
        let answers = io.spawn(async move {
            for _ in 0..=TURNS {
                own.0.wait().await;
                own.1.set();
            }
        });
        let spawner = io.clone();
        let asks = io.spawn(async move {
            flags.0.set();
            flags.1.wait().await;
            let has_run = Arc::new(AtomicBool::new(false));
            let own = Arc::clone(&has_run);
            // The other one takes its place in the slot.
            let third = spawner.spawn(async move { own.store(true, Ordering::Relaxed) });
            let mut turns_before = 0;
            for _ in 0..TURNS {
                flags.0.set();
                flags.1.wait().await;
                turns_before += u32::from(!has_run.load(Ordering::Relaxed));
            }
            third.await.unwrap();
            turns_before
        });
        assert!(asks.await.unwrap() < TURNS, "the third runs after the last turn");
        answers.await.unwrap();
    });
});

scenario!(a_thread_outside_wakes_tasks, || {
    let flags: Arc<Vec<Flag>> = Arc::new((0..4).map(|_| Flag::default()).collect());
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let flags = Arc::clone(&flags);
            runtime.io().spawn(async move { flags[number].wait().await })
        })
        .collect();
    let outside = thread::spawn("outside", None, move || {
        for flag in flags.iter() {
            flag.set();
        }
    });
    runtime.run(|_io| async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
});

scenario!(the_future_of_run_is_woken_from_outside, || {
    let flag = Arc::new(Flag::default());
    let set = Arc::clone(&flag);
    let outside = thread::spawn("outside", None, move || set.set());
    runtime(1).run(|_io| async move { flag.wait().await });
    outside.unwrap().join().unwrap();
});
