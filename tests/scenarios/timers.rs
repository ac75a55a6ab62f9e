//! Timers: none fires early, none is lost, and a dropped one leaves nothing behind.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::platform::thread;
use volt::time::{
    Instant, MissedTickBehavior, Sleep, interval, sleep, sleep_until, timeout, timeout_at,
};

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_secs(10_000);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Notes its number when it is woken.
struct Recorder {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Recorder {
    fn new(number: usize, woken: &Arc<Mutex<Vec<usize>>>) -> Arc<Recorder> {
        Arc::new(Recorder { number, woken: Arc::clone(woken) })
    }
}

impl Wake for Recorder {
    fn wake(self: Arc<Recorder>) {
        self.woken.lock().unwrap().push(self.number);
    }
}

fn poll(sleep: Pin<&mut Sleep>, waker: &Waker) -> Poll<()> {
    sleep.poll(&mut Context::from_waker(waker))
}

scenario!(a_sleep_lasts_as_long_as_asked, || {
    runtime(2).run(|io| async move {
        for duration in [millis(0), millis(1), Duration::from_micros(2_500), millis(9)] {
            let before = Instant::now();
            sleep(&io, duration).await;
            assert!(before.elapsed() >= duration);
            let deadline = Instant::now() + duration;
            sleep_until(&io, deadline).await;
            assert!(Instant::now() >= deadline);
        }
    });
});

scenario!(timers_fire_in_the_order_of_their_deadlines, || {
    runtime(1).run(|io| async move {
        loop {
            let woken = Arc::default();
            let start = Instant::now();
            let mut sleeps = [30, 10, 20].map(|at| Box::pin(sleep_until(&io, start + millis(at))));
            let armed = sleeps.iter_mut().enumerate().all(|(number, sleep)| {
                poll(sleep.as_mut(), &Recorder::new(number, &woken).into()).is_pending()
            });
            // On a slow machine one may be due before all of them are armed.
            if !armed || start.elapsed() >= millis(10) {
                continue;
            }
            while woken.lock().unwrap().len() < sleeps.len() {
                sleep(&io, millis(5)).await;
            }
            assert_eq!(*woken.lock().unwrap(), [1, 2, 0]);
            break;
        }
    });
});

scenario!(a_time_out_interrupts_what_is_pending_and_nothing_else, || {
    runtime(2).run(|io| async move {
        assert_eq!(timeout(&io, Duration::ZERO, async { 1 }).await, Ok(1));
        assert_eq!(timeout_at(&io, Instant::now(), async { 2 }).await, Ok(2));
        assert!(timeout(&io, Duration::ZERO, pending::<()>()).await.is_err());

        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let before = Instant::now();
        let waits = async move {
            let _inside = inside;
            pending::<()>().await;
        };
        assert!(timeout(&io, millis(3), waits).await.is_err());
        assert!(before.elapsed() >= millis(3));
        assert_eq!(Arc::strong_count(&held), 1, "the future is not dropped");

        let io_inside = io.clone();
        let slow = async move {
            sleep(&io_inside, millis(2)).await;
            7
        };
        assert_eq!(timeout(&io, FOREVER, slow).await, Ok(7));
        let task = io.spawn(async { 8 });
        assert_eq!(timeout(&io, FOREVER, task).await.unwrap().unwrap(), 8);
    });
});

scenario!(an_interval_ticks, || {
    runtime(2).run(|io| async move {
        let mut last = Instant::now();
        let mut beat = interval(&io, millis(3));
        for _ in 0..3 {
            let due = beat.tick().await;
            assert!(Instant::now() >= due);
            assert!(due - last >= millis(3), "ticks of `Delay` are a period apart");
            last = due;
        }

        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let first = beat.tick().await;
        sleep(&io, millis(7)).await;
        for number in 1..4 {
            assert_eq!(beat.tick().await - first, millis(3) * number);
        }

        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut before = beat.tick().await;
        for _ in 0..3 {
            sleep(&io, millis(4)).await;
            let due = beat.tick().await;
            assert!(due > before);
            assert_eq!((due - before).as_nanos() % millis(3).as_nanos(), 0, "out of phase");
            before = due;
        }

        let reset = Instant::now();
        beat.reset();
        assert!(beat.tick().await - reset >= millis(3));
    });
});

scenario!(a_tick_that_is_dropped_is_not_taken, || {
    runtime(1).run(|io| async move {
        let before = Instant::now();
        let mut beat = interval(&io, millis(4));
        let after = Instant::now();
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let first = loop {
            if let Ok(due) = timeout(&io, millis(1), beat.tick()).await {
                break due;
            }
        };
        assert!(before + millis(4) <= first && first <= after + millis(4));
        assert_eq!(beat.tick().await - first, millis(4));
    });
});

scenario!(reset_moves_a_deadline_both_ways, || {
    runtime(2).run(|io| async move {
        let mut moved = pin!(sleep(&io, FOREVER));
        assert!(poll_fn(|context| Poll::Ready(moved.as_mut().poll(context))).await.is_pending());
        let before = Instant::now();
        moved.as_mut().reset(before + millis(2));
        assert_eq!(moved.deadline(), before + millis(2));
        moved.as_mut().await;
        assert!(before.elapsed() >= millis(2) && moved.is_elapsed());

        let before = Instant::now();
        moved.as_mut().reset(before + millis(1));
        let _ = poll_fn(|context| Poll::Ready(moved.as_mut().poll(context))).await;
        moved.as_mut().reset(before + millis(9));
        moved.as_mut().await;
        assert!(before.elapsed() >= millis(9));
    });
});

scenario!(a_task_need_not_poll_a_timer_that_it_has_reset, || {
    runtime(2).run(|io| async move {
        let mut sleep = pin!(sleep(&io, FOREVER));
        let mut is_reset = false;
        poll_fn(|context| {
            let polled = sleep.as_mut().poll(context);
            if !is_reset {
                is_reset = true;
                assert!(polled.is_pending());
                sleep.as_mut().reset(Instant::now() + millis(2));
            }
            polled
        })
        .await;
    });
});

scenario!(a_dropped_sleep_leaves_nothing, || {
    runtime(2).run(|io| async move {
        let woken = Arc::default();
        let recorder = Recorder::new(0, &woken);
        for duration in [millis(2), FOREVER] {
            let mut dropped = Box::pin(sleep(&io, duration));
            let _ = poll(dropped.as_mut(), &Arc::clone(&recorder).into());
            drop(dropped);
            // Its worker may have taken the waker out to wake it.
            while Arc::strong_count(&recorder) > 1 {
                volt::task::yield_now().await;
            }
        }
        woken.lock().unwrap().clear();
        sleep(&io, millis(4)).await;
        assert!(woken.lock().unwrap().is_empty());
        drop(sleep(&io, FOREVER));
    });
});

scenario!(many_tasks_sleep, || {
    runtime(3).run(|io| async move {
        let tasks: Vec<_> = (0..8_u64)
            .map(|task| {
                let inside = io.clone();
                io.spawn(async move {
                    for round in 0..3 {
                        let duration = millis((5 * task + 3 * round) % 11);
                        let before = Instant::now();
                        sleep(&inside, duration).await;
                        assert!(before.elapsed() >= duration);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
});

scenario!(a_sleep_moves_between_tasks, || {
    runtime(2).run(|io| async move {
        for _ in 0..3 {
            let before = Instant::now();
            let mut moved = Box::pin(sleep(&io, millis(4)));
            let _ = poll_fn(|context| Poll::Ready(moved.as_mut().poll(context))).await;
            let task = io.spawn(async move {
                moved.await;
                before.elapsed()
            });
            assert!(task.await.unwrap() >= millis(4));

            let woken = Arc::default();
            let recorder = Recorder::new(0, &woken);
            let mut dropped = Box::pin(sleep(&io, FOREVER));
            assert!(poll(dropped.as_mut(), &Arc::clone(&recorder).into()).is_pending());
            io.spawn(async move { drop(dropped) }).await.unwrap();
            assert_eq!(Arc::strong_count(&recorder), 1);
            assert!(woken.lock().unwrap().is_empty());
        }
    });
});

scenario!(a_sleeping_task_is_cancelled, || {
    runtime(2).run(|io| async move {
        let inside = io.clone();
        let task = io.spawn(async move { sleep(&inside, FOREVER).await });
        sleep(&io, millis(1)).await;
        assert!(task.cancel().await.unwrap_err().is_cancelled());
    });
});

scenario!(a_timer_is_armed_on_a_thread_outside, || {
    let runtime = runtime(1);
    let io = runtime.io();
    let outside = thread::spawn("outside", None, move || {
        let woken = Arc::default();
        let before = Instant::now();
        let mut armed = Box::pin(sleep(&io, millis(3)));
        let armed_in_time = poll(armed.as_mut(), &Recorder::new(0, &woken).into()).is_pending();
        while armed_in_time && woken.lock().unwrap().is_empty() {
            thread::sleep(millis(1));
        }
        assert!(before.elapsed() >= millis(3));
        io.block_on(sleep(&io, millis(2)));
    });
    runtime.run(|io| async move { sleep(&io, millis(1)).await });
    outside.unwrap().join().unwrap();
});

scenario!(timers_are_armed_outside_while_others_fire, || {
    let runtime = runtime(1);
    for _ in 0..4 {
        let io = runtime.io();
        let outside = thread::spawn("outside", None, move || {
            // About when the other timer fires.
            thread::sleep(millis(1));
            io.block_on(sleep(&io, millis(2)));
        });
        let io = runtime.io();
        io.block_on(sleep(&io, millis(1)));
        outside.unwrap().join().unwrap();
    }
});

scenario!(threads_outside_sleep_until_the_same_moments, || {
    let runtime = runtime(1);
    for _ in 0..5 {
        let moment = Instant::now() + millis(1);
        let sleepers = [0, 1, 2, 3].map(|number| {
            let io = runtime.io();
            thread::spawn("outside", None, move || {
                io.block_on(sleep_until(&io, moment));
                assert!(Instant::now() >= moment);
                // One goes on at once, and some of the others may still have to be woken.
                if number == 0 {
                    io.block_on(sleep(&io, millis(2)));
                    assert!(Instant::now() >= moment + millis(2));
                }
            })
        });
        for sleeper in sleepers {
            sleeper.unwrap().join().unwrap();
        }
    }
});

scenario!(a_timer_says_that_its_runtime_is_gone, || {
    let runtime = runtime(2);
    let io = runtime.io();
    let woken = Arc::default();
    let mut armed = Box::pin(sleep(&io, FOREVER));
    assert!(poll(armed.as_mut(), &Recorder::new(0, &woken).into()).is_pending());
    let unpolled = Box::pin(sleep(&io, FOREVER));
    drop(runtime);
    assert_eq!(*woken.lock().unwrap(), [0], "whoever waits learns nothing");
    for mut sleep in [armed, unpolled] {
        let polled = catch_unwind(AssertUnwindSafe(|| poll(sleep.as_mut(), Waker::noop())));
        let message = polled.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("has shut down"), "{message}");
    }
});

scenario!(one_sleeper_on_one_worker, || {
    let runtime = runtime(1);
    let io = runtime.io();
    let task = io.spawn({
        let io = io.clone();
        async move { volt::time::sleep(&io, Duration::from_millis(3)).await }
    });
    runtime.run(|_io| task).unwrap();
});
