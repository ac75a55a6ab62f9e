//! Many small tasks, from workers and from outside at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{runtime, scenario};
use volt::platform::thread;
use volt::task::yield_now;

scenario!(spawned_from_two_sides, || {
    let ran = Arc::new(AtomicU32::new(0));
    let runtime = runtime(3);
    let count = |ran: &Arc<AtomicU32>| {
        let ran = Arc::clone(ran);
        async move {
            yield_now().await;
            ran.fetch_add(1, Ordering::SeqCst);
        }
    };
    let (io, from_outside) = (runtime.io(), Arc::clone(&ran));
    let outside = thread::spawn("outside", None, move || {
        let tasks: Vec<_> = (0..8).map(|_| io.spawn(count(&from_outside))).collect();
        io.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    let inside = Arc::clone(&ran);
    runtime.run(|io| async move {
        let tasks: Vec<_> = (0..8).map(|_| io.spawn(count(&inside))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 16);
});
