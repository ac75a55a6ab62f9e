//! Operations on rings complete, whoever waits for them, and whoever does not.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::harness::scenario;
use volt::fs::{self, File, OpenOptions};
use volt::platform::thread::is_simulated;
use volt::task::Group;
use volt::time::sleep;
use volt::{Backend, Io, Runtime};

/// What a block holds: its number, everywhere.
const BLOCK: usize = 64;
const BLOCKS: u8 = 8;

/// A runtime with rings; `None` on a machine that has none.
fn runtime(workers: usize) -> Option<Runtime> {
    match Runtime::builder().workers(workers).backend(Backend::IoUring).build() {
        Ok(runtime) => {
            assert_eq!(runtime.io().backend(), Backend::IoUring);
            Some(runtime)
        }
        Err(error) if error.kind() == ErrorKind::Unsupported && !is_simulated() => None,
        Err(error) => panic!("{error}"),
    }
}

fn path() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    if is_simulated() {
        // The disk is the run's own, and the path is part of its hash.
        return PathBuf::from("/blocks");
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("volt-rings-{}-{number}", std::process::id()))
}

/// A file of blocks, written by as many tasks at once.
async fn blocks(io: &Io, path: &PathBuf) -> Arc<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).open(io, path).await.unwrap();
    let file = Arc::new(file);
    let mut group = Group::new(io);
    for number in 0..BLOCKS {
        let file = Arc::clone(&file);
        group.spawn(async move {
            let mut at = 0;
            while at < BLOCK {
                let offset = u64::from(number) * BLOCK as u64 + at as u64;
                let (written, _) = file.write_at_owned(vec![number; BLOCK - at], offset).await;
                at += written.unwrap();
            }
            file.sync_data().await.unwrap();
        });
    }
    group.wait().await.unwrap();
    file.sync_all().await.unwrap();
    file
}

/// Reads a block, in parts if need be.
async fn read(file: &File, number: u8) {
    let mut block = [u8::MAX; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        let offset = u64::from(number) * BLOCK as u64 + at as u64;
        let count = file.read_at(&mut block[at..], offset).await.unwrap();
        assert!(count > 0, "the file ends early");
        at += count;
    }
    assert_eq!(block, [number; BLOCK]);
}

scenario!(many_tasks_read_and_write, || {
    let Some(runtime) = runtime(2) else { return };
    let path = path();
    runtime.run(|io| async move {
        let file = blocks(&io, &path).await;
        let mut group = Group::new(&io);
        for number in 0..BLOCKS {
            let file = Arc::clone(&file);
            group.spawn(async move { read(&file, number).await });
        }
        group.wait().await.unwrap();
        drop(file);
        assert_eq!(fs::read(&io, &path).await.unwrap().len(), BLOCK * usize::from(BLOCKS));
        fs::remove_file(&io, &path).await.unwrap();
    });
});

scenario!(a_read_is_given_up_on_another_worker, || {
    let Some(runtime) = runtime(2) else { return };
    let path = path();
    runtime.run(|io| async move {
        let file = blocks(&io, &path).await;
        for number in 0..BLOCKS {
            let reader = Arc::clone(&file);
            let mut begun = Box::pin(async move { read(&reader, number).await });
            // It begins on this worker, and is dropped by whichever takes the task.
            poll_fn(|context| {
                let _ = begun.as_mut().poll(context).is_ready();
                Poll::Ready(())
            })
            .await;
            let dropped = io.spawn(async move { drop(begun) });
            read(&file, BLOCKS - 1 - number).await;
            dropped.await.unwrap();
        }
        // Whatever was given up has let go of the file in the end.
        while Arc::strong_count(&file) > 1 {
            sleep(&io, Duration::from_millis(1)).await;
        }
        fs::remove_file(&io, &path).await.unwrap();
    });
});

scenario!(operations_outlive_the_run_that_began_them, || {
    let Some(runtime) = runtime(1) else { return };
    let path = path();
    for _ in 0..3 {
        let here = path.clone();
        let (file, begun) = runtime.run(|io| async move {
            let file = blocks(&io, &here).await;
            let reader = Arc::clone(&file);
            let begun = io.spawn(async move {
                for number in 0..BLOCKS {
                    read(&reader, number).await;
                }
            });
            volt::task::yield_now().await;
            // The thread leaves while operations may be in flight on its ring.
            (file, begun)
        });
        runtime.run(|_| async move { begun.await.unwrap() });
        drop(file);
    }
    runtime.run(|io| async move { fs::remove_file(&io, &path).await.unwrap() });
});

scenario!(a_runtime_is_dropped_with_operations_in_flight, || {
    let Some(runtime) = runtime(2) else { return };
    let path = path();
    let file = runtime.run(|io| async move {
        let file = blocks(&io, &path).await;
        for number in 0..BLOCKS {
            let file = Arc::clone(&file);
            drop(io.spawn(async move {
                loop {
                    read(&file, number).await;
                }
            }));
        }
        sleep(&io, Duration::from_millis(1)).await;
        fs::remove_file(&io, &path).await.unwrap();
        file
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&file), 1, "an operation is left behind");
});

scenario!(a_stuck_worker_holds_up_nothing_that_is_new, || {
    let Some(runtime) = runtime(2) else { return };
    let path = path();
    runtime.run(|io| async move {
        let file = blocks(&io, &path).await;
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let own = Arc::clone(&file);
        let stuck = io.spawn(async move {
            let mut in_flight = pin!(read(&own, 0));
            // In flight on this worker's ring, unless it is done at once.
            poll_fn(|context| {
                let _ = in_flight.as_mut().poll(context).is_ready();
                Poll::Ready(())
            })
            .await;
            let mut polls = 0_u64;
            let most = if is_simulated() { 100 } else { 20_000_000 };
            while !stop.load(Ordering::SeqCst) && polls < most {
                std::hint::spin_loop();
                polls += 1;
                if is_simulated() {
                    volt::platform::thread::yield_now();
                }
            }
            stop.load(Ordering::SeqCst)
        });
        read(&file, 1).await;
        sleep(&io, Duration::from_millis(1)).await;
        read(&file, 2).await;
        done.store(true, Ordering::SeqCst);
        stuck.await.unwrap();
        drop(file);
        fs::remove_file(&io, &path).await.unwrap();
    });
});
