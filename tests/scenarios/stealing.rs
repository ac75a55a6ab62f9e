//! Work reaches whoever is free: across rings, out of overflowing ones, and past a worker that
//! is stuck in a poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use crate::harness::{runtime, scenario};
use volt::platform::thread;
use volt::task::yield_now;

scenario!(two_tasks_meet_by_blocking_their_workers, || {
    let runtime = runtime(2);
    let (to_second, first_says) = mpsc::channel();
    let (to_first, second_says) = mpsc::channel();
    let first = runtime.io().spawn(async move {
        to_second.send(1).unwrap();
        second_says.recv().unwrap()
    });
    let second = runtime.io().spawn(async move {
        to_first.send(2).unwrap();
        first_says.recv().unwrap()
    });
    runtime.io().block_on(async {
        assert_eq!(first.await.unwrap() + second.await.unwrap(), 3);
    });
});

scenario!(what_a_stuck_worker_holds_is_run_by_others, || {
    let runtime = runtime(2);
    let output = runtime.io().spawn(async {
        let io = volt::Io::try_current().unwrap();
        let (sender, receiver) = mpsc::channel();
        // Woken by this worker, into its own slot; this poll then waits for it.
        let task = io.spawn(async move { sender.send(7).unwrap() });
        let value = receiver.recv().unwrap();
        task.await.unwrap();
        value
    });
    assert_eq!(runtime.io().block_on(output).unwrap(), 7);
});

scenario!(a_full_ring_overflows_and_loses_nothing, || {
    const TASKS: u32 = 300;
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    runtime(2).run(|io| async move {
        let spawner = io.clone();
        let tasks = io
            .spawn(async move {
                let task = || {
                    let count = Arc::clone(&count);
                    spawner.spawn(async move {
                        count.fetch_add(1, Ordering::Relaxed);
                    })
                };
                (0..TASKS).map(|_| task()).collect::<Vec<_>>()
            })
            .await
            .unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(ran.load(Ordering::Relaxed), TASKS);
});

scenario!(a_ring_fills_up_while_it_is_stolen_from, || {
    // Nearly all that a ring holds, and enough to overflow it.
    const FIRST: u32 = 250;
    const MORE: u32 = 30;
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let runtime = runtime(2);
    let (begin, first_are_there) = mpsc::channel();
    // Keeps one worker from stealing until the ring of the other one is nearly full.
    let thief = runtime.io().spawn(async move { first_are_there.recv().unwrap() });
    runtime.run(|io| async move {
        let spawner = io.clone();
        let tasks = io.spawn(async move {
            let task = || {
                let count = Arc::clone(&count);
                spawner.spawn(async move {
                    count.fetch_add(1, Ordering::Relaxed);
                })
            };
            let mut tasks: Vec<_> = (0..FIRST).map(|_| task()).collect();
            begin.send(()).unwrap();
            tasks.extend((0..MORE).map(|_| task()));
            tasks
        });
        for task in tasks.await.unwrap() {
            task.await.unwrap();
        }
        thief.await.unwrap();
    });
    assert_eq!(ran.load(Ordering::Relaxed), FIRST + MORE);
});

scenario!(bursts_from_within_and_from_outside_are_shared, || {
    const BURSTS: u32 = 3;
    const TASKS: u32 = 10;
    let ran = Arc::new(AtomicU32::new(0));
    let burst = {
        let ran = Arc::clone(&ran);
        move |io: &volt::Io| -> Vec<_> {
            let task = || {
                let ran = Arc::clone(&ran);
                io.spawn(async move {
                    yield_now().await;
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            };
            (0..TASKS).map(|_| task()).collect()
        }
    };
    let runtime = runtime(3);
    let (io, from_outside) = (runtime.io(), burst.clone());
    let outside = thread::spawn("outside", None, move || {
        for _ in 0..BURSTS {
            let tasks = from_outside(&io);
            io.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    });
    runtime.run(|io| async move {
        for _ in 0..BURSTS {
            let (spawner, burst) = (io.clone(), burst.clone());
            for task in io.spawn(async move { burst(&spawner) }).await.unwrap() {
                task.await.unwrap();
            }
        }
    });
    outside.unwrap().join().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 2 * BURSTS * TASKS);
});

scenario!(two_tasks_that_wake_each_other_let_a_third_run, || {
    use std::future::poll_fn;
    use std::sync::Mutex;
    use std::task::{Poll, Waker};

    use volt::GlobalQueueInterval;

    // However often it looks for tasks from outside.
    for interval in [GlobalQueueInterval::Auto, 1.into(), 3.into()] {
        let builder = volt::Runtime::builder().workers(1).global_queue_interval(interval);
        builder.build().unwrap().run(|io| async move {
            let stop = Arc::new(AtomicU32::new(0));
            let wakers = Arc::new(Mutex::new([None::<Waker>, None]));
            let partners: Vec<_> = (0..2)
                .map(|me| {
                    let (stop, wakers) = (Arc::clone(&stop), Arc::clone(&wakers));
                    io.spawn(poll_fn(move |context| {
                        let other = {
                            let mut wakers = wakers.lock().unwrap();
                            wakers[me] = Some(context.waker().clone());
                            wakers[1 - me].clone()
                        };
                        if let Some(other) = other {
                            other.wake();
                        }
                        match stop.load(Ordering::SeqCst) {
                            0 => Poll::Pending,
                            _ => Poll::Ready(()),
                        }
                    }))
                })
                .collect();
            yield_now().await;
            let third = io.spawn(async { 3 });
            assert_eq!(third.await.unwrap(), 3);
            stop.store(1, Ordering::SeqCst);
            for waker in wakers.lock().unwrap().iter().flatten() {
                waker.wake_by_ref();
            }
            for partner in partners {
                partner.await.unwrap();
            }
        });
    }
});

/// Sends on a channel when it is called.
struct Sends(std::sync::Mutex<mpsc::Sender<()>>);

impl std::task::Wake for Sends {
    fn wake(self: Arc<Sends>) {
        self.0.lock().unwrap().send(()).unwrap();
    }
}

scenario!(a_stuck_workers_timer_is_fired_by_another, || {
    let runtime = runtime(2);
    let io = runtime.io();
    let task = runtime.io().spawn(async move {
        let (sender, receiver) = mpsc::channel();
        let waker = Arc::new(Sends(std::sync::Mutex::new(sender))).into();
        let mut sleep = Box::pin(volt::time::sleep(&io, std::time::Duration::from_millis(2)));
        // Armed on this worker, which then waits for it in the middle of a poll.
        let mut context = std::task::Context::from_waker(&waker);
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        receiver.recv().unwrap();
    });
    runtime.io().block_on(task).unwrap();
});
