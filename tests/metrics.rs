//! What a runtime tells about itself.

#![cfg(not(any(volt_loom, volt_shuttle)))]

use std::thread;
use std::time::Duration;

use volt::Io;
use volt::task::{JoinHandle, yield_now};

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

const TASKS: u64 = 100;
/// How long one poll keeps the only worker.
const HELD: Duration = Duration::from_millis(20);

fn spawn_tasks(io: &Io) -> Vec<JoinHandle<()>> {
    (0..TASKS).map(|_| io.spawn(async {})).collect()
}

/// Tasks that `spawn` queues wait until the poll that called it lets go of the worker.
fn assert_waits_are_measured(spawn: fn(&Io) -> Vec<JoinHandle<()>>) {
    let runtime = volt::Runtime::builder().workers(1).build().unwrap();
    let metrics = runtime.run(|io| async move {
        let spawner = io.clone();
        let holder = io.spawn(async move {
            let tasks = spawn(&spawner);
            thread::sleep(HELD);
            tasks
        });
        for task in holder.await.unwrap() {
            task.await.unwrap();
        }
        io.metrics()
    });
    let waits = metrics.scheduling_latency();
    assert_eq!(waits, metrics.workers[0].scheduling_latencies);
    let long: u64 = waits.buckets().filter(|(end, _)| *end > HELD).map(|(_, count)| count).sum();
    assert!(long >= TASKS / 16, "{long} of {TASKS} tasks are known to have waited: {waits:?}");
    assert!(waits.count() < TASKS / 4, "{} waits measured", waits.count());
    assert!(waits.quantile(1.0) > Some(HELD));
}

#[test]
fn waits_in_the_ring_are_measured() {
    assert_waits_are_measured(spawn_tasks);
}

#[test]
fn waits_in_the_queue_from_outside_are_measured() {
    assert_waits_are_measured(|io| {
        thread::scope(|scope| scope.spawn(|| spawn_tasks(io)).join().unwrap())
    });
}

/// Collects the names of spans and events.
#[derive(Clone, Default)]
struct Collector(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("volt::")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0.lock().unwrap().push(format!("span {}", span.metadata().name()));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(format!("event in {}", event.metadata().target()));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn spawns_and_polls_are_traced() {
    let collector = Collector::default();
    let seen = std::sync::Arc::clone(&collector.0);
    tracing::subscriber::set_global_default(collector).unwrap();
    let runtime = volt::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|io| async move { io.spawn(async {}).await.unwrap() });
    drop(runtime);
    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|name| name == "event in volt::task"), "{seen:?}");
    assert!(seen.iter().any(|name| name == "span poll"), "{seen:?}");
}
