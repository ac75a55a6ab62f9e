//! Dropping a runtime drops every task and joins every thread; handles outlive it soundly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{runtime, scenario};
use volt::task::yield_now;

struct Guard(Arc<AtomicU32>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

scenario!(every_task_is_dropped, || {
    let drops = Arc::new(AtomicU32::new(0));
    let runtime = runtime(2);
    let handles: Vec<_> = (0..6)
        .map(|number| {
            let guard = Guard(Arc::clone(&drops));
            runtime.io().spawn(async move {
                let _guard = guard;
                if number % 2 == 0 {
                    std::future::pending::<()>().await;
                }
                loop {
                    yield_now().await;
                }
            })
        })
        .collect();
    let io = runtime.io();
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 6);
    assert!(handles.iter().all(volt::task::JoinHandle::is_finished));
    let refused = io.spawn(async {});
    assert!(refused.is_finished());
    drop(handles);
});

scenario!(a_task_that_spawns_while_the_runtime_closes, || {
    let drops = Arc::new(AtomicU32::new(0));
    let started = Arc::new(AtomicU32::new(0));
    let runtime = runtime(2);
    let (counts, starts) = (Arc::clone(&drops), Arc::clone(&started));
    runtime.io().spawn(async move {
        loop {
            let io = volt::Io::try_current().unwrap();
            let guard = Guard(Arc::clone(&counts));
            starts.fetch_add(1, Ordering::SeqCst);
            io.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            yield_now().await;
        }
    });
    runtime.run(|_io| async {
        for _ in 0..3 {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), started.load(Ordering::SeqCst));
});

scenario!(wakers_outlive_their_runtime, || {
    let runtime = runtime(1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let task = runtime.io().spawn(std::future::poll_fn(move |context| {
        sender.send(context.waker().clone()).unwrap();
        std::task::Poll::<()>::Pending
    }));
    let waker = receiver.recv().unwrap();
    drop(runtime);
    waker.wake_by_ref();
    let copy = waker.clone();
    drop(task);
    copy.wake();
    drop(waker);
});

scenario!(runtimes_come_and_go, || {
    for workers in 1..4 {
        let output = runtime(workers).run(|io| async move { io.spawn(async { 1 }).await.unwrap() });
        assert_eq!(output, 1);
    }
});
