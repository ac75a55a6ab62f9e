//! A runtime that ends with operations in flight on its rings leaves no descriptor behind. One
//! test, in a process of its own: it counts what the process has.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::collections::BTreeMap;
use std::fs::{OpenOptions, read_dir, read_link};
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use volt::fs::File;
use volt::{Backend, Io, Runtime};

/// How many operations are begun within one poll; a ring has room for 128.
const CROWD: u64 = 200;
/// More than a worker reads at once, so that it is a ring that reads.
const LENGTH: usize = 80 << 10;
/// What a ring's descriptor is called.
const RING: &str = "anon_inode:[io_uring]";

/// What the process has open, and how many of each. The numbers of pipes and sockets are left out.
fn descriptors() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in read_dir("/proc/self/fd").unwrap() {
        let Ok(target) = read_link(entry.unwrap().path()) else { continue };
        let target = target.to_string_lossy();
        let numbered = target.strip_suffix(']').and_then(|target| target.rsplit_once('['));
        let kind = match numbered {
            Some((kind, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => kind,
            _ => &*target,
        };
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// What rings may be given: reads into buffers of their own, writes, syncs.
async fn operation(file: Arc<File>, number: u64) {
    match number % 4 {
        0 if number.is_multiple_of(40) => drop(file.sync_data().await),
        1 => drop(file.write_at_owned(vec![7_u8; LENGTH], number).await),
        2 => drop(file.write_at(b"seven", number).await),
        _ => drop(file.read_at_owned(vec![0_u8; LENGTH], number).await),
    }
}

/// Begins all of them within one poll; those that are not ready are still under way.
async fn begin(file: &Arc<File>) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let mut left: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    poll_fn(|context| {
        for number in 0..CROWD {
            let mut begun = Box::pin(operation(Arc::clone(file), number));
            if begun.as_mut().poll(context).is_pending() {
                left.push(begun);
            }
        }
        Poll::Ready(())
    })
    .await;
    left
}

/// A program that ends in the middle of it: tasks that wait, futures that are dropped, a file that
/// nobody has any more.
async fn program(io: Io, path: &Path) {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path).unwrap();
    let file = Arc::new(File::from_std(&io, file).unwrap());
    for _ in 0..3 {
        let own = Arc::clone(&file);
        drop(io.spawn(async move {
            for operation in begin(&own).await {
                operation.await;
            }
            std::future::pending::<()>().await;
        }));
    }
    let own = Arc::clone(&file);
    let on_ring = io.spawn(async move {
        let begun = begin(&own).await;
        // No worker leaves its ring in the middle of a poll.
        let has_ring = descriptors().contains_key(RING);
        drop(begun);
        has_ring
    });
    assert!(on_ring.await.unwrap(), "no ring does any of it");
    drop(begin(&file).await);
}

#[test]
fn nothing_outlives_a_runtime_with_operations_in_flight() {
    let path = std::env::temp_dir().join(format!("volt-ring-ends-{}", std::process::id()));
    let mut before = None;
    for round in 0..6 {
        let builder = Runtime::builder().workers(2).backend(Backend::IoUring).build();
        let runtime = match builder {
            Ok(runtime) => runtime,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return println!("this machine has no rings: {error}");
            }
            Err(error) => panic!("{error}"),
        };
        runtime.run(|io| program(io, &path));
        drop(runtime);
        // The first round opens what a process has once.
        let after = descriptors();
        assert_eq!(*before.get_or_insert_with(|| after.clone()), after, "round {round}");
        assert!(!after.contains_key(RING), "{after:?}");
        let target = path.to_string_lossy();
        assert!(!after.contains_key(&*target), "the file is still open: {after:?}");
    }
    std::fs::remove_file(&path).unwrap();
}
