//! Coordination: what is told reaches whoever it is for, and what was for one that has gone reaches
//! another.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::by_hand::queued;
use crate::harness::{runtime, scenario};
use volt::CancellationToken;
use volt::platform::thread;
use volt::sim::sync::atomic::AtomicBool;
use volt::sync::{Barrier, BarrierWaitResult, Condvar, Mutex, Notify, OnceCell};
use volt::task::yield_now;

scenario!(each_notification_of_one_reaches_one, || {
    const TASKS: usize = 4;
    let runtime = runtime(2);
    let notify = Arc::new(Notify::new());
    let own = Arc::clone(&notify);
    let outside = runtime.run(|io| async move {
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            tasks.push(io.spawn(queued(Arc::clone(&own).notified_owned()).await));
        }
        let other = Arc::clone(&own);
        let outside = thread::spawn("outside", None, move || {
            for _ in 0..TASKS / 2 {
                other.notify_one();
            }
        });
        for _ in 0..TASKS / 2 {
            own.notify_one();
        }
        for task in tasks {
            task.await.unwrap();
        }
        outside
    });
    outside.unwrap().join().unwrap();
    assert!(!notify.has_permit());
    assert_eq!(notify.waiter_count(), 0);
});

scenario!(a_notification_of_one_that_goes_reaches_another, || {
    runtime(2).run(|io| async move {
        let notify = Arc::new(Notify::new());
        for yields in 0..3 {
            let first = io.spawn(queued(Arc::clone(&notify).notified_owned()).await);
            let second = io.spawn(queued(Arc::clone(&notify).notified_owned()).await);
            for _ in 0..yields {
                yield_now().await;
            }
            notify.notify_one();
            first.abort();
            match first.await {
                // It knew before it was to go.
                Ok(()) => notify.notify_one(),
                Err(error) => assert!(error.is_cancelled()),
            }
            second.await.unwrap();
            assert!(!notify.has_permit());
        }
    });
});

scenario!(all_whose_wait_has_begun_are_notified, || {
    let shared = Arc::new((AtomicBool::new(false), Notify::new()));
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let shared = Arc::clone(&shared);
            runtime.io().spawn(async move {
                let (is_open, notify) = &*shared;
                loop {
                    let notified = notify.notified();
                    if is_open.load(Ordering::Acquire) {
                        break;
                    }
                    notified.await;
                }
            })
        })
        .collect();
    let own = Arc::clone(&shared);
    let outside = thread::spawn("outside", None, move || {
        own.0.store(true, Ordering::Release);
        own.1.notify_all();
    });
    runtime.run(|_io| async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
    assert!(!shared.1.has_permit());
});

scenario!(a_thread_is_notified_by_a_task, || {
    let notify = Arc::new(Notify::new());
    let runtime = runtime(1);
    let own = Arc::clone(&notify);
    let outside = thread::spawn("outside", None, move || own.blocking_wait());
    runtime.run(|io| async move {
        io.spawn(async move { notify.notify_one() }).await.unwrap();
    });
    outside.unwrap().join().unwrap();
});

/// A queue that holds so many.
struct Store {
    capacity: usize,
    items: Mutex<VecDeque<(u32, u32)>>,
    has_room: Condvar,
    is_filled: Condvar,
}

impl Store {
    fn new(capacity: usize) -> Store {
        let items = Mutex::new(VecDeque::new());
        Store { capacity, items, has_room: Condvar::new(), is_filled: Condvar::new() }
    }

    async fn put(&self, item: (u32, u32)) {
        let items = self.items.lock().await;
        let is_full = |items: &mut VecDeque<_>| items.len() == self.capacity;
        let mut items = self.has_room.wait_while(items, is_full).await;
        items.push_back(item);
        drop(items);
        self.is_filled.notify_one();
    }

    async fn take(&self) -> (u32, u32) {
        let items = self.items.lock().await;
        let mut items = self.is_filled.wait_while(items, |items| items.is_empty()).await;
        let item = items.pop_front().expect("it waits until there is one");
        drop(items);
        self.has_room.notify_one();
        item
    }
}

scenario!(a_producer_and_a_consumer_take_turns, || {
    const ITEMS: u32 = 6;
    runtime(2).run(|io| async move {
        let store = Arc::new(Store::new(1));
        let own = Arc::clone(&store);
        let producer = io.spawn(async move {
            for number in 0..ITEMS {
                own.put((0, number)).await;
            }
        });
        let consumer = io.spawn(async move {
            for number in 0..ITEMS {
                assert_eq!(store.take().await, (0, number));
            }
        });
        producer.await.unwrap();
        consumer.await.unwrap();
    });
});

scenario!(producers_and_consumers_wait_for_each_other, || {
    const ITEMS: u32 = 4;
    runtime(2).run(|io| async move {
        let store = Arc::new(Store::new(2));
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let store = Arc::clone(&store);
                io.spawn(async move {
                    for number in 0..ITEMS {
                        store.put((producer, number)).await;
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let store = Arc::clone(&store);
                io.spawn(async move {
                    let mut taken = Vec::new();
                    for _ in 0..ITEMS {
                        taken.push(store.take().await);
                    }
                    taken
                })
            })
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
        let mut all = Vec::new();
        for consumer in consumers {
            let taken = consumer.await.unwrap();
            for producer in 0..2 {
                let of_producer = taken.iter().filter(|item| item.0 == producer);
                assert!(of_producer.is_sorted(), "{taken:?}");
            }
            all.extend(taken);
        }
        all.sort_unstable();
        let put = (0..2).flat_map(|producer| (0..ITEMS).map(move |number| (producer, number)));
        assert!(all.into_iter().eq(put));
    });
});

scenario!(a_gate_opens_for_threads_and_tasks, || {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let gate = Arc::clone(&gate);
            runtime.io().spawn(async move {
                let guard = gate.0.lock().await;
                let guard = gate.1.wait_while(guard, |is_open| !*is_open).await;
                assert!(*guard);
            })
        })
        .collect();
    let own = Arc::clone(&gate);
    let outside = thread::spawn("outside", None, move || {
        let mut is_open = own.0.blocking_lock();
        while !*is_open {
            is_open = own.1.blocking_wait(is_open);
        }
    });
    runtime.run(|_io| async move {
        yield_now().await;
        *gate.0.lock().await = true;
        gate.1.notify_all();
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
});

const PARTIES: u32 = 3;
const ROUNDS: u32 = 3;

/// Some who meet round after round.
struct Meeting {
    barrier: Barrier,
    arrivals: AtomicU32,
    leaders: [AtomicU32; ROUNDS as usize],
}

impl Meeting {
    fn new() -> Meeting {
        Meeting {
            barrier: Barrier::new(PARTIES as usize),
            arrivals: AtomicU32::new(0),
            leaders: Default::default(),
        }
    }

    fn arrive(&self) {
        self.arrivals.fetch_add(1, Ordering::SeqCst);
    }

    fn go_on(&self, round: u32, result: BarrierWaitResult) {
        let arrivals = self.arrivals.load(Ordering::SeqCst);
        assert!(arrivals >= PARTIES * (round + 1), "it goes on before all have come");
        assert!(arrivals < PARTIES * (round + 2), "the next round ends without it");
        if result.is_leader() {
            self.leaders[round as usize].fetch_add(1, Ordering::SeqCst);
        }
    }
}

scenario!(each_round_of_a_barrier_has_one_leader, || {
    let meeting = Arc::new(Meeting::new());
    let runtime = runtime(2);
    let tasks: Vec<_> = (1..PARTIES)
        .map(|_| {
            let meeting = Arc::clone(&meeting);
            runtime.io().spawn(async move {
                for round in 0..ROUNDS {
                    meeting.arrive();
                    let result = meeting.barrier.wait().await;
                    meeting.go_on(round, result);
                }
            })
        })
        .collect();
    let own = Arc::clone(&meeting);
    let outside = thread::spawn("outside", None, move || {
        for round in 0..ROUNDS {
            own.arrive();
            let result = own.barrier.blocking_wait();
            own.go_on(round, result);
        }
    });
    runtime.run(|_io| async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
    for leaders in &meeting.leaders {
        assert_eq!(leaders.load(Ordering::SeqCst), 1);
    }
    assert_eq!(meeting.barrier.arrived_count(), 0);
});

scenario!(a_wait_that_is_dropped_takes_its_arrival_back, || {
    runtime(2).run(|io| async move {
        let barrier = Arc::new(Barrier::new(2));
        let early = queued(barrier.wait()).await;
        assert_eq!(barrier.arrived_count(), 1);
        drop(early);
        assert_eq!(barrier.arrived_count(), 0);

        let own = Arc::clone(&barrier);
        let cancelled = io.spawn(async move { own.wait().await });
        yield_now().await;
        assert!(cancelled.cancel().await.unwrap_err().is_cancelled());
        assert_eq!(barrier.arrived_count(), 0);

        let own = Arc::clone(&barrier);
        let other = io.spawn(async move { own.wait().await });
        let leads = barrier.wait().await.is_leader();
        assert_ne!(other.await.unwrap().is_leader(), leads);
    });
});

/// Takes its time, so that others come to wait for it.
async fn fails() -> Result<u32, &'static str> {
    for _ in 0..8 {
        yield_now().await;
    }
    Err("planned")
}

async fn panics() -> u32 {
    yield_now().await;
    panic!("planned")
}

async fn succeeds(made: &AtomicU32) -> u32 {
    yield_now().await;
    made.fetch_add(1, Ordering::SeqCst);
    7
}

scenario!(a_cell_is_made_by_one_after_others_have_failed, || {
    runtime(2).run(|io| async move {
        let shared = Arc::new((OnceCell::<u32>::new(), AtomicU32::new(0)));
        let (cell, made) = &*shared;
        let failing = queued(cell.get_or_try_init(fails)).await;
        let own = Arc::clone(&shared);
        let panicking = io.spawn(async move { *own.0.get_or_init(panics).await });
        let own = Arc::clone(&shared);
        let cancelled = io.spawn(async move { *own.0.get_or_init(pending::<u32>).await });
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                io.spawn(async move {
                    let (cell, made) = &*shared;
                    *cell.get_or_init(|| succeeds(made)).await
                })
            })
            .collect();
        let own = Arc::clone(&shared);
        let watcher = io.spawn(async move { *own.0.wait().await });
        assert_eq!(failing.await, Err("planned"));
        for _ in 0..3 {
            yield_now().await;
        }
        // Each may find the value there, if it comes late.
        match cancelled.cancel().await {
            Ok(value) => assert_eq!(value, 7),
            Err(error) => assert!(error.is_cancelled()),
        }
        match panicking.await {
            Ok(value) => assert_eq!(value, 7),
            Err(error) => assert!(error.is_panic()),
        }
        for other in others {
            assert_eq!(other.await.unwrap(), 7);
        }
        assert_eq!(watcher.await.unwrap(), 7);
        assert_eq!((cell.get(), made.load(Ordering::SeqCst)), (Some(&7), 1));
    });
});

scenario!(a_cancellation_reaches_all_below_and_nobody_beside, || {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let runtime = runtime(2);
    let below: Vec<_> = (0..3)
        .map(|_| {
            let token = left.child_token();
            runtime.io().spawn(async move { token.cancelled().await })
        })
        .collect();
    let parent = left.clone();
    let begetter = runtime.io().spawn(async move {
        // Some of them before it, some while it happens, some after.
        for _ in 0..3 {
            let child = parent.child_token();
            child.cancelled().await;
        }
    });
    let token = right.clone();
    let beside = runtime.io().spawn(token.cancelled_owned());
    let outside = thread::spawn("outside", None, move || left.cancel());
    runtime.run(|_io| async move {
        for task in below {
            task.await.unwrap();
        }
        begetter.await.unwrap();
        assert!(!right.is_cancelled() && !root.is_cancelled() && !beside.is_finished());
        root.cancel();
        beside.await.unwrap();
        assert!(right.is_cancelled() && root.child_token().is_cancelled());
    });
    outside.unwrap().join().unwrap();
});

scenario!(a_guard_that_is_dropped_ends_what_runs_until_then, || {
    runtime(2).run(|io| async move {
        let token = CancellationToken::new();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let child = token.child_token();
                io.spawn(child.run_until_cancelled_owned(pending::<()>()))
            })
            .collect();
        let guard = token.clone().drop_guard();
        let holder = io.spawn(async move {
            yield_now().await;
            drop(guard);
        });
        for task in tasks {
            assert_eq!(task.await.unwrap(), None);
        }
        holder.await.unwrap();
        assert!(token.is_cancelled());
    });
});
