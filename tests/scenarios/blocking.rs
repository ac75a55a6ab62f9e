//! Blocking jobs run beside the workers, end with their runtime, and give their outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::platform::thread;

scenario!(jobs_give_their_outputs, || {
    runtime(1).run(|io| async move {
        let jobs: Vec<_> = (0..5).map(|number| io.spawn_blocking(move || number * 2)).collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await.unwrap(), number * 2);
        }
        let panics = io.spawn_blocking(|| panic!("planned"));
        let error: volt::task::JoinError = panics.await.unwrap_err();
        assert!(error.is_panic());
    });
});

scenario!(a_second_job_is_not_kept_waiting_by_a_first_that_blocks, || {
    runtime(1).run(|io| async move {
        io.spawn_blocking(|| ()).await.unwrap();
        let (sender, receiver) = mpsc::channel();
        let first = io.spawn_blocking(move || receiver.recv().unwrap());
        let second = io.spawn_blocking(move || sender.send(7).unwrap());
        assert_eq!(first.await.unwrap(), 7);
        second.await.unwrap();
    });
});

scenario!(jobs_beyond_the_cap_wait_for_a_thread, || {
    let runtime = volt::Runtime::builder().workers(1).max_blocking_threads(2).build().unwrap();
    let most = Arc::new(AtomicU32::new(0));
    let running = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&most);
    runtime.run(|io| async move {
        let jobs: Vec<_> = (0..6)
            .map(|_| {
                let (most, running) = (Arc::clone(&most), Arc::clone(&running));
                io.spawn_blocking(move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
        assert!(io.metrics().blocking_threads <= 2);
    });
    assert!(seen.load(Ordering::SeqCst) <= 2);
});

scenario!(idle_threads_end_and_new_ones_start, || {
    let runtime = volt::Runtime::builder()
        .workers(1)
        .blocking_keep_alive(Duration::from_millis(5))
        .build()
        .unwrap();
    runtime.run(|io| async move {
        assert_eq!(io.spawn_blocking(|| 1).await.unwrap(), 1);
        while io.metrics().blocking_threads > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(io.spawn_blocking(|| 2).await.unwrap(), 2);
    });
});

scenario!(dropping_a_runtime_waits_for_jobs_that_have_begun, || {
    let done = Arc::new(AtomicU32::new(0));
    let runtime = runtime(1);
    let (begun, begins) = mpsc::channel();
    let finishes = Arc::clone(&done);
    let job = runtime.io().spawn_blocking(move || {
        begun.send(()).unwrap();
        thread::sleep(Duration::from_millis(2));
        finishes.store(1, Ordering::SeqCst);
    });
    begins.recv().unwrap();
    drop(runtime);
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert!(job.is_finished());
});

scenario!(a_job_that_has_not_begun_can_be_cancelled, || {
    let runtime = volt::Runtime::builder().workers(1).max_blocking_threads(1).build().unwrap();
    runtime.run(|io| async move {
        let (sender, receiver) = mpsc::channel::<()>();
        let first = io.spawn_blocking(move || receiver.recv());
        let ran = Arc::new(AtomicU32::new(0));
        let runs = Arc::clone(&ran);
        let second = io.spawn_blocking(move || runs.store(1, Ordering::SeqCst));
        second.abort();
        drop(sender);
        assert!(first.await.unwrap().is_err());
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
});

scenario!(a_shut_down_with_a_limit_says_what_still_runs, || {
    let runtime = runtime(1);
    let (begun, begins) = mpsc::channel();
    let (release, waits) = mpsc::channel::<()>();
    let job = runtime.io().spawn_blocking(move || {
        begun.send(()).unwrap();
        waits.recv()
    });
    begins.recv().unwrap();
    assert_eq!(runtime.shutdown_timeout(Duration::from_millis(2)), 1);
    assert!(!job.is_finished());
    drop(release);
    while !job.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
});
