//! Groups and combinators: whoever ends first is seen first, and what is waited for or cancelled
//! together is gone together.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::harness::{runtime, scenario};
use volt::task::{
    Group, JoinError, JoinHandle, join_all, race, select_all, try_join_all, yield_now,
};

/// Counts its drops.
struct Guard(Arc<AtomicU32>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn forever(guard: Guard) -> u32 {
    let _guard = guard;
    std::future::pending().await
}

async fn busy(guard: Guard) -> u32 {
    let _guard = guard;
    loop {
        yield_now().await;
    }
}

async fn after_yields(yields: u32, output: u32) -> u32 {
    for _ in 0..yields {
        yield_now().await;
    }
    output
}

async fn fails() -> u32 {
    yield_now().await;
    panic!("planned");
}

async fn once(flag: Arc<AtomicBool>, output: u32) -> u32 {
    while !flag.load(Ordering::SeqCst) {
        yield_now().await;
    }
    output
}

/// Waits until that many guards were dropped.
async fn dropped(drops: &AtomicU32, count: u32) {
    while drops.load(Ordering::SeqCst) < count {
        yield_now().await;
    }
}

scenario!(results_come_in_the_order_of_completion, || {
    // On one worker the tasks end one after the other; none before all are spawned.
    runtime(1).run(|io| async move {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let all_spawned = Arc::new(AtomicBool::new(false));
        let mut group = Group::new(&io);
        for number in 0..7 {
            let (ended, all_spawned) = (Arc::clone(&ended), Arc::clone(&all_spawned));
            group.spawn(async move {
                once(all_spawned, number).await;
                after_yields(number * 5 % 7, number).await;
                ended.lock().unwrap().push(number);
                number
            });
        }
        all_spawned.store(true, Ordering::SeqCst);
        let mut seen = Vec::new();
        while let Some(result) = group.next().await {
            seen.push(result.unwrap());
        }
        assert_eq!(seen.len(), 7);
        assert_eq!(seen, *ended.lock().unwrap());
        assert!(group.is_empty());
    });
});

scenario!(next_gives_whoever_ends_first, || {
    runtime(2).run(|io| async move {
        let flags: Vec<_> = (0..4).map(|_| Arc::new(AtomicBool::new(false))).collect();
        let mut group = Group::new(&io);
        for (flag, number) in flags.iter().zip(0..) {
            group.spawn(once(Arc::clone(flag), number));
        }
        for number in [3, 1, 2, 0] {
            flags[number as usize].store(true, Ordering::SeqCst);
            assert_eq!(group.next().await.unwrap().unwrap(), number);
            assert!(group.len() < 4);
        }
        assert!(group.next().await.is_none());
    });
});

scenario!(wait_gives_outputs_in_the_order_of_spawning, || {
    runtime(2).run(|io| async move {
        let mut group = Group::new(&io);
        for number in 0..8 {
            group.spawn(after_yields(8 - number, number));
        }
        assert_eq!(group.len(), 8);
        assert_eq!(group.wait().await.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(group.is_empty());
        assert!(group.wait().await.unwrap().is_empty());
    });
});

scenario!(the_first_panic_cancels_the_rest, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let mut group = Group::new(&io);
        group.spawn(async { 1 });
        group.spawn(forever(Guard(Arc::clone(&drops))));
        group.spawn(fails());
        group.spawn(busy(Guard(Arc::clone(&drops))));
        group.spawn(forever(Guard(Arc::clone(&drops))));
        let error = group.wait().await.unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert!(error.to_string().contains("planned"), "{error}");
        assert_eq!(drops.load(Ordering::SeqCst), 3);
        assert!(group.is_empty());
    });
});

scenario!(the_first_cancellation_cancels_the_rest, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let mut group = Group::new(&io);
        group.spawn(busy(Guard(Arc::clone(&drops))));
        let task = group.spawn(forever(Guard(Arc::clone(&drops))));
        group.spawn(forever(Guard(Arc::clone(&drops))));
        task.abort();
        let error = group.wait().await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.id(), task.id());
        assert_eq!(drops.load(Ordering::SeqCst), 3);
    });
});

scenario!(cancel_returns_after_the_destructors_ran, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let mut group = Group::new(&io);
        for round in 1..=3 {
            group.spawn(async { 7 });
            group.spawn(forever(Guard(Arc::clone(&drops))));
            group.spawn(busy(Guard(Arc::clone(&drops))));
            yield_now().await;
            group.cancel().await;
            assert_eq!(drops.load(Ordering::SeqCst), 2 * round);
            assert!(group.is_empty());
            assert!(group.next().await.is_none());
        }
    });
});

scenario!(dropping_the_group_cancels, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let mut group = Group::new(&io);
        group.spawn(forever(Guard(Arc::clone(&drops))));
        group.spawn(busy(Guard(Arc::clone(&drops))));
        drop(group);
        dropped(&drops, 2).await;
    });
});

scenario!(a_group_is_used_again, || {
    runtime(2).run(|io| async move {
        let mut group = Group::new(&io);
        group.spawn(after_yields(1, 1));
        assert_eq!(group.wait().await.unwrap(), [1]);
        group.spawn(fails());
        assert!(group.wait().await.unwrap_err().is_panic());
        group.spawn(after_yields(2, 2));
        group.spawn(after_yields(0, 3));
        assert_eq!(group.wait().await.unwrap(), [2, 3]);
        group.spawn(std::future::pending());
        group.cancel().await;
        group.spawn(after_yields(1, 4));
        assert_eq!(group.next().await.unwrap().unwrap(), 4);
    });
});

scenario!(a_group_has_no_limit, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let mut group = Group::new(&io);
        for number in 0..40 {
            group.spawn(after_yields(number % 3, number));
        }
        assert_eq!(group.len(), 40);
        let outputs = group.wait().await.unwrap();
        assert!(outputs.into_iter().eq(0..40));
        for _ in 0..40 {
            group.spawn(forever(Guard(Arc::clone(&drops))));
        }
        group.cancel().await;
        assert_eq!(drops.load(Ordering::SeqCst), 40);
    });
});

scenario!(a_dropped_wait_loses_nothing, || {
    runtime(2).run(|io| async move {
        let mut group = Group::new(&io);
        for number in 0..4 {
            group.spawn(after_yields(4 - number, number));
        }
        // Each poll makes a wait and drops it.
        let outputs = poll_fn(|context| pin!(group.wait()).poll(context)).await.unwrap();
        assert_eq!(outputs, [0, 1, 2, 3]);

        for number in 0..4 {
            group.spawn(after_yields(number, number));
        }
        let polled = poll_fn(|context| Poll::Ready(pin!(group.wait()).poll(context))).await;
        let mut taken = match polled {
            Poll::Ready(outputs) => outputs.unwrap(),
            Poll::Pending => Vec::new(),
        };
        while let Some(result) = poll_fn(|context| pin!(group.next()).poll(context)).await {
            taken.push(result.unwrap());
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3]);
    });
});

scenario!(a_group_moves_to_another_task, || {
    runtime(2).run(|io| async move {
        let flag = Arc::new(AtomicBool::new(false));
        let mut group = Group::new(&io);
        group.spawn(once(Arc::clone(&flag), 7));
        poll_fn(|context| {
            assert!(pin!(group.next()).poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let other = io.spawn(async move { group.next().await.unwrap().unwrap() });
        flag.store(true, Ordering::SeqCst);
        assert_eq!(other.await.unwrap(), 7);
    });
});

scenario!(a_group_outlives_its_runtime, || {
    let runtime = runtime(1);
    let mut group = Group::new(&runtime.io());
    drop(runtime);
    group.spawn(async { 1 });
    assert_eq!(group.len(), 1);
    let mut context = Context::from_waker(Waker::noop());
    match pin!(group.next()).poll(&mut context) {
        Poll::Ready(Some(Err(error))) => assert!(error.is_cancelled()),
        other => panic!("{other:?}"),
    }
    assert!(group.is_empty());
});

scenario!(join_all_gives_results_in_order, || {
    runtime(2).run(|io| async move {
        let tasks = [
            io.spawn(after_yields(4, 0)),
            io.spawn(fails()),
            io.spawn(after_yields(0, 2)),
            io.spawn(std::future::pending()),
        ];
        tasks[3].abort();
        let results = join_all(tasks).await;
        assert_eq!(results.len(), 4);
        assert_eq!(*results[0].as_ref().unwrap(), 0);
        assert!(results[1].as_ref().unwrap_err().is_panic());
        assert_eq!(*results[2].as_ref().unwrap(), 2);
        assert!(results[3].as_ref().unwrap_err().is_cancelled());
        assert!(join_all(Vec::<JoinHandle<u32>>::new()).await.is_empty());
    });
});

scenario!(try_join_all_gives_outputs_or_the_first_error, || {
    runtime(2).run(|io| async move {
        let tasks: Vec<_> = (0..5).map(|n| io.spawn(after_yields(5 - n, n))).collect();
        assert_eq!(try_join_all(tasks).await.unwrap(), [0, 1, 2, 3, 4]);

        let flag = Arc::new(AtomicBool::new(false));
        let waits = io.spawn(once(Arc::clone(&flag), 1));
        let runs_on = waits.abort_handle();
        let error = try_join_all([waits, io.spawn(fails())]).await.unwrap_err();
        assert!(error.is_panic());
        assert!(!runs_on.is_finished());
        flag.store(true, Ordering::SeqCst);
        while !runs_on.is_finished() {
            yield_now().await;
        }
    });
});

scenario!(the_first_to_end_wins_a_race_and_the_others_are_cancelled, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let tasks = [
            io.spawn(forever(Guard(Arc::clone(&drops)))),
            io.spawn(after_yields(2, 2)),
            io.spawn(busy(Guard(Arc::clone(&drops)))),
        ];
        assert_eq!(race(tasks).await.unwrap(), 2);
        dropped(&drops, 2).await;

        let tasks = [io.spawn(forever(Guard(Arc::clone(&drops)))), io.spawn(fails())];
        assert!(race(tasks).await.unwrap_err().is_panic());
        dropped(&drops, 3).await;
    });
});

scenario!(select_all_gives_the_first_and_the_others_run_on, || {
    runtime(2).run(|io| async move {
        let flags: Vec<_> = (0..3).map(|_| Arc::new(AtomicBool::new(false))).collect();
        let tasks: Vec<_> = flags
            .iter()
            .zip(0..)
            .map(|(flag, number)| io.spawn(once(Arc::clone(flag), number)))
            .collect();
        let first = |output: (Result<u32, JoinError>, usize, Vec<JoinHandle<u32>>)| {
            let (result, index, others) = output;
            (result.unwrap(), index, others)
        };

        flags[1].store(true, Ordering::SeqCst);
        let (output, index, others) = first(select_all(tasks).await);
        assert_eq!((output, index, others.len()), (1, 1, 2));
        flags[2].store(true, Ordering::SeqCst);
        let (output, index, others) = first(select_all(others).await);
        assert_eq!((output, index, others.len()), (2, 1, 1));
        flags[0].store(true, Ordering::SeqCst);
        let (output, index, others) = first(select_all(others).await);
        assert_eq!((output, index, others.len()), (0, 0, 0));
    });
});

scenario!(nobody_wins_a_race_of_none, || {
    let none = Vec::<JoinHandle<()>>::new;
    assert!(std::panic::catch_unwind(|| drop(race(none()))).is_err());
    assert!(std::panic::catch_unwind(|| drop(select_all(none()))).is_err());
});
