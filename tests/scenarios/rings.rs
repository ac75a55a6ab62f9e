//! Operations on rings complete, whoever waits for them, and whoever does not.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
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

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("a waker panics, as planned");
    }
}

scenario!(wakers_that_panic_hold_up_nobody, || {
    let Some(runtime) = runtime(1) else { return };
    let path = path();
    runtime.run(|io| async move {
        let file = blocks(&io, &path).await;
        let panics = Waker::from(Arc::new(Panics));
        let mut writes: Vec<_> = (0..BLOCKS)
            .map(|number| {
                let file = Arc::clone(&file);
                Box::pin(async move { file.write_at_owned([number; 1], u64::from(number)).await.0 })
            })
            .collect();
        // All in one poll: they complete together, or nearly so.
        let mut known = Vec::new();
        poll_fn(|context| {
            known = writes
                .iter_mut()
                .enumerate()
                .map(|(number, write)| match number % 2 {
                    0 => write.as_mut().poll(&mut Context::from_waker(&panics)),
                    _ => write.as_mut().poll(context),
                })
                .collect();
            Poll::Ready(())
        })
        .await;
        let (mut patient, mut others) = (Vec::new(), Vec::new());
        for (number, (write, known)) in writes.into_iter().zip(known).enumerate() {
            match known {
                Poll::Ready(written) => assert_eq!(written.unwrap(), 1),
                Poll::Pending if number % 2 == 0 => others.push(write),
                Poll::Pending => patient.push(write),
            }
        }
        for write in patient.into_iter().chain(others) {
            assert_eq!(write.await.unwrap(), 1);
        }
        drop(file);
        let bytes = fs::read(&io, &path).await.unwrap();
        assert!(bytes.starts_with(&[0, 1, 2, 3, 4, 5, 6, 7]), "{bytes:?}");
        fs::remove_file(&io, &path).await.unwrap();
    });
});

/// How many operations wait at once where a ring has room for 128.
const CROWD: u16 = 150;

/// A write of one byte: how many were written.
type Write = Pin<Box<dyn Future<Output = io::Result<usize>> + Send>>;

/// Begins to write a byte at each offset below [`CROWD`], within one poll. What is not ready then
/// stays behind in the futures.
async fn crowd(file: &Arc<File>) -> Vec<Write> {
    let mut writes: Vec<_> = (0..CROWD)
        .map(|number| -> Write {
            let file = Arc::clone(file);
            Box::pin(async move { file.write_at_owned([7_u8], u64::from(number)).await.0 })
        })
        .collect();
    let mut is_ready = Vec::new();
    poll_fn(|context| {
        is_ready = writes.iter_mut().map(|write| write.as_mut().poll(context).is_ready()).collect();
        Poll::Ready(())
    })
    .await;
    let mut is_ready = is_ready.into_iter();
    writes.retain(|_| is_ready.next() == Some(false));
    writes
}

scenario!(more_operations_than_a_ring_holds, || {
    let Some(runtime) = runtime(1) else { return };
    let path = path();
    runtime.run(|io| async move {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&io, &path).await.unwrap();
        let file = Arc::new(file);
        for write in crowd(&file).await {
            assert_eq!(write.await.unwrap(), 1);
        }
        assert_eq!(fs::read(&io, &path).await.unwrap(), [7_u8; CROWD as usize]);
        // Given up in flight, and the file with them: they are written all the same.
        fs::write(&io, &path, b"").await.unwrap();
        drop(crowd(&file).await);
        let last = Arc::into_inner(file);
        drop(last.expect("the futures had the other references"));
        while fs::read(&io, &path).await.unwrap() != [7_u8; CROWD as usize] {
            sleep(&io, Duration::from_millis(1)).await;
        }
        fs::remove_file(&io, &path).await.unwrap();
    });
});

scenario!(a_runtime_ends_with_more_in_flight_than_its_ring_holds, || {
    let Some(runtime) = runtime(2) else { return };
    let path = path();
    let here = path.clone();
    runtime.run(|io| async move {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&io, &here).await.unwrap();
        let file = Arc::new(file);
        let own = Arc::clone(&file);
        let begun = io.spawn(async move { drop(crowd(&own).await) });
        // A task that ends with the runtime has them, whatever they have come to by then.
        let writes = crowd(&file).await;
        drop(io.spawn(async move {
            for write in writes {
                drop(write.await);
            }
            std::future::pending::<()>().await;
        }));
        begun.await.unwrap();
    });
    drop(runtime);
    assert!(open_files().is_empty(), "{:?} are open", open_files());
    // What was written is what was to be written: the system was not given memory that had gone.
    let Some(runtime) = self::runtime(1) else { return };
    runtime.run(|io| async move {
        let bytes = fs::read(&io, &path).await.unwrap();
        assert!(bytes.len() <= usize::from(CROWD), "{}", bytes.len());
        assert!(bytes.iter().all(|byte| [0, 7].contains(byte)), "{bytes:?}");
        fs::remove_file(&io, &path).await.unwrap();
    });
});

/// What the programs of a simulated machine have open; the real one is asked in a test of its own.
fn open_files() -> Vec<String> {
    #[cfg(feature = "sim")]
    if is_simulated() {
        return volt::sim::Disk::current().leftovers();
    }
    Vec::new()
}
