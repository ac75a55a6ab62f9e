//! Ending in good order: all who listen hear the trigger, and a drain ends with the last guard or
//! at its deadline, whatever else happens.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::shutdown::Shutdown;
use volt::task::yield_now;
use volt::time::{Instant, sleep};

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_secs(10_000);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

scenario!(a_trigger_reaches_all_who_listen, || {
    runtime(2).run(|io| async move {
        let shutdown = Shutdown::new(&io);
        let before = Arc::new(AtomicU32::new(0));
        let listeners: Vec<_> = (0..5)
            .map(|_| {
                let (shutdown, before) = (shutdown.clone(), Arc::clone(&before));
                io.spawn(async move {
                    shutdown.triggered().await;
                    assert!(shutdown.is_triggered());
                    before.load(Ordering::Relaxed)
                })
            })
            .collect();
        let trigger = shutdown.clone();
        let triggering = io.spawn(async move {
            yield_now().await;
            // Relaxed: the trigger orders it.
            before.store(7, Ordering::Relaxed);
            trigger.trigger();
            trigger.trigger();
        });
        for listener in listeners {
            assert_eq!(listener.await.unwrap(), 7);
        }
        triggering.await.unwrap();
        shutdown.triggered().await;
        assert_eq!(shutdown.signal(), None);
    });
});

scenario!(a_drain_waits_for_every_guard, || {
    runtime(3).run(|io| async move {
        let shutdown = Shutdown::new(&io);
        assert!(shutdown.drain(Duration::ZERO).await);
        let ended = Arc::new(AtomicU32::new(0));
        for number in 0..6 {
            let (io_inside, ended, guard) = (io.clone(), Arc::clone(&ended), shutdown.work_guard());
            io.spawn(async move {
                let guard = guard;
                sleep(&io_inside, millis(number % 3)).await;
                // Work that begins while others end, and after the trigger.
                let another = guard.clone();
                drop(guard);
                yield_now().await;
                // Relaxed: the end of the guard orders it.
                ended.fetch_add(1, Ordering::Relaxed);
                drop(another);
            });
        }
        shutdown.trigger();
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let (shutdown, ended) = (shutdown.clone(), Arc::clone(&ended));
                io.spawn(async move {
                    assert!(shutdown.drain(FOREVER).await);
                    ended.load(Ordering::Relaxed)
                })
            })
            .collect();
        for wait in waits {
            assert_eq!(wait.await.unwrap(), 6);
        }
        assert_eq!(shutdown.pending(), 0);
    });
});

scenario!(wakes_do_not_move_the_deadline_of_a_drain, || {
    runtime(2).run(|io| async move {
        let shutdown = Shutdown::new(&io);
        let held = shutdown.work_guard();
        let (inside, guards) = (io.clone(), shutdown.clone());
        // Work goes on and on: some begins before the last has ended.
        let work = io.spawn(async move {
            let mut last = guards.work_guard();
            loop {
                sleep(&inside, millis(2)).await;
                let next = guards.work_guard();
                drop(std::mem::replace(&mut last, next));
            }
        });
        let limit = millis(9);
        let before = Instant::now();
        let mut drain = pin!(shutdown.drain(limit));
        let mut beat = pin!(sleep(&io, millis(1)));
        let mut polls = 0_u32;
        // It is polled again and again besides: a time-out that began anew with each poll would not
        // end.
        let is_drained = poll_fn(|context| {
            polls += 1;
            if beat.as_mut().poll(context).is_ready() {
                beat.as_mut().reset(Instant::now() + millis(1));
                context.waker().wake_by_ref();
            }
            match drain.as_mut().poll(context) {
                Poll::Ready(is_drained) => Poll::Ready(is_drained),
                Poll::Pending => {
                    assert!(polls < 2_000, "the deadline does not come");
                    Poll::Pending
                }
            }
        })
        .await;
        assert!(!is_drained, "there was a guard all the time");
        assert!(before.elapsed() >= limit);
        assert!(work.cancel().await.unwrap_err().is_cancelled());
        drop(held);
        assert!(shutdown.drain(Duration::ZERO).await);
    });
});

scenario!(a_dropped_wait_leaves_nothing, || {
    runtime(2).run(|io| async move {
        let shutdown = Shutdown::new(&io);
        let guard = shutdown.work_guard();
        {
            let mut triggered = pin!(shutdown.triggered());
            let mut drain = pin!(shutdown.drain(FOREVER));
            let polled = poll_fn(|context| {
                let waits = triggered.as_mut().poll(context).is_pending()
                    && drain.as_mut().poll(context).is_pending();
                Poll::Ready(waits)
            });
            assert!(polled.await);
        }
        let other = shutdown.clone();
        let task = io.spawn(async move {
            other.trigger();
            drop(guard);
        });
        task.await.unwrap();
        assert!(shutdown.is_triggered());
        assert!(shutdown.drain(Duration::ZERO).await);
    });
});

scenario!(guards_outlive_their_runtime, || {
    let runtime = runtime(1);
    let shutdown = Shutdown::new(&runtime.io());
    let guard = shutdown.work_guard();
    drop(runtime);
    assert_eq!(shutdown.pending(), 1);
    shutdown.trigger();
    drop(guard);
    assert_eq!(shutdown.pending(), 0);
});
