//! A runtime of one thread: what it is told from other threads arrives, in time and once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::harness::scenario;
use volt::local::{Delay, Runtime};
use volt::platform::{clock, thread};

/// A flag that a task waits for, and another thread sets.
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
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

scenario!(another_thread_wakes_tasks, || {
    let flags: Arc<Vec<Flag>> = Arc::new((0..4).map(|_| Flag::default()).collect());
    let runtime = Runtime::new();
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let flags = Arc::clone(&flags);
            runtime.spawn(async move { flags[number].wait().await })
        })
        .collect();
    let others: Vec<_> = [[0, 1], [2, 3]]
        .into_iter()
        .map(|own| {
            let flags = Arc::clone(&flags);
            thread::spawn("other", None, move || own.into_iter().for_each(|n| flags[n].set()))
                .unwrap()
        })
        .collect();
    runtime.run();
    assert!(tasks.iter().all(|task| task.is_finished()));
    others.into_iter().for_each(|other| other.join().unwrap());
});

scenario!(a_waker_outlives_its_runtime_on_another_thread, || {
    let flag = Arc::new(Flag::default());
    let runtime = Runtime::new();
    let waits = Arc::clone(&flag);
    drop(runtime.spawn(async move { waits.wait().await }));
    runtime.run_until_stalled();
    let other = thread::spawn("other", None, move || flag.set()).unwrap();
    drop(runtime);
    other.join().unwrap();
});

scenario!(delays_end_in_order_and_not_before_their_time, || {
    let runtime = Runtime::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    for milliseconds in [30, 10, 20] {
        let (handle, order) = (runtime.handle(), Rc::clone(&order));
        runtime.spawn(async move {
            let began = clock::now();
            Delay::new(&handle, Duration::from_millis(milliseconds)).await;
            assert!(clock::now() - began >= Duration::from_millis(milliseconds));
            order.borrow_mut().push(milliseconds);
        });
    }
    runtime.run();
    assert_eq!(*order.borrow(), [10, 20, 30]);
});
