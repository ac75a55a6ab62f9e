//! A cancelled task runs its destructors once, on a worker, before anybody learns that it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{runtime, scenario};
use volt::task::{AbortOnDrop, yield_now};

/// Counts its drops.
struct Guard(Arc<AtomicU32>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn forever(guard: Guard) {
    let _guard = guard;
    std::future::pending::<()>().await;
}

async fn busy(guard: Guard) {
    let _guard = guard;
    loop {
        yield_now().await;
    }
}

scenario!(cancel_returns_after_the_destructors_ran, || {
    let drops = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&drops);
    runtime(2).run(|io| async move {
        for round in 0..3 {
            let idle = io.spawn(forever(Guard(Arc::clone(&drops))));
            let running = io.spawn(busy(Guard(Arc::clone(&drops))));
            yield_now().await;
            assert!(idle.cancel().await.unwrap_err().is_cancelled());
            assert!(running.cancel().await.unwrap_err().is_cancelled());
            assert_eq!(drops.load(Ordering::SeqCst), 2 * (round + 1));
        }
    });
    assert_eq!(seen.load(Ordering::SeqCst), 6);
});

scenario!(a_task_that_finished_first_keeps_its_output, || {
    runtime(2).run(|io| async move {
        let task = io.spawn(async { 7 });
        while !task.is_finished() {
            yield_now().await;
        }
        task.abort();
        assert_eq!(task.cancel().await.unwrap(), 7);
    });
});

scenario!(abort_reaches_a_task_in_any_state, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..6).map(|_| io.spawn(busy(Guard(Arc::clone(&drops))))).collect();
        for task in &tasks {
            task.abort();
            task.abort();
        }
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!(drops.load(Ordering::SeqCst), 6);
    });
});

scenario!(abort_on_drop_aborts, || {
    runtime(2).run(|io| async move {
        let drops = Arc::new(AtomicU32::new(0));
        let task = AbortOnDrop::new(io.spawn(forever(Guard(Arc::clone(&drops)))));
        drop(task);
        let kept = AbortOnDrop::new(io.spawn(async { 3 })).detach();
        assert_eq!(kept.await.unwrap(), 3);
        while drops.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
    });
});
