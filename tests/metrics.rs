//! What a runtime tells about itself.

#![cfg(not(any(volt_loom, volt_shuttle)))]

use volt::task::yield_now;

#[test]
fn metrics_count_polls_tasks_and_blocking_threads() {
    let runtime = volt::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|io| async move {
        let waits = io.spawn(std::future::pending::<()>());
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                io.spawn(async {
                    yield_now().await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        io.spawn_blocking(|| ()).await.unwrap();
        let metrics = io.metrics();
        assert_eq!(metrics.tasks, 1);
        assert_eq!(metrics.workers.len(), 2);
        let polls: u64 = metrics.workers.iter().map(|worker| worker.polls).sum();
        assert!(polls >= 200, "{polls} polls of 100 tasks that each yield once");
        let measured: u64 = metrics.workers.iter().map(|worker| worker.poll_times.count()).sum();
        assert!(measured >= polls / 16, "{measured} of {polls} polls measured");
        assert_eq!(metrics.blocking_threads, 1);
        assert_eq!(metrics.blocking_queue, 0);
        let dump = io.dump();
        assert_eq!(dump.tasks().len(), 1);
        assert_eq!(Some(dump.tasks()[0].id), waits.id());
        assert_eq!(dump.to_string(), format!("task {}: waiting\n", dump.tasks()[0].id));
        waits.cancel().await.unwrap_err();
        assert_eq!(io.metrics().tasks, 0);
    });
}
