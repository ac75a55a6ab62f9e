//! What goes wrong with the disk of a simulated host: crashes that lose what was not synced, torn
//! writes, full disks, errors, and disks that take their time. Files go through rings in one half
//! of the tests and through threads in the other, and the same holds of both.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_io::AsyncWrite;

use volt::fs::{self, File, OpenOptions};
use volt::sim::{Disk, DiskLatency, Report, Sim};
use volt::time::{Instant, sleep};
use volt::{Backend, Io};

const SEEDS: u64 = 200;
const SECTOR: usize = 512;

/// Declares the tests that hold whichever way files take.
macro_rules! on_each_backend {
    ($($name:ident),+ $(,)?) => {
        mod on_threads {
            $(
                #[test]
                fn $name() {
                    super::$name(volt::Backend::Epoll);
                }
            )+
        }

        #[cfg(target_os = "linux")]
        mod on_rings {
            $(
                #[test]
                fn $name() {
                    super::$name(volt::Backend::IoUring);
                }
            )+
        }
    };
}

on_each_backend!(
    a_crash_keeps_what_was_synced_and_loses_what_was_not,
    a_file_that_is_synced_with_its_directories_survives_every_crash,
    a_write_is_torn_between_sectors,
    a_full_disk_refuses_writes_until_there_is_room,
    a_write_at_an_offset_fills_a_disk_up,
    errors_of_the_disk_reach_the_program_that_asked,
    a_sync_after_one_that_failed_has_saved_nothing,
    a_crash_meets_operations_that_are_under_way,
    a_slow_disk_keeps_the_worker_free,
    each_operation_takes_as_long_as_its_disk,
);

/// Runs a program of one runtime under each seed.
fn sweep<F, Fut>(backend: Backend, program: F)
where
    F: Fn(Io) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    let report = Sim::builder().sweep(0..SEEDS).machine(move || {
        let runtime = volt::Runtime::builder().workers(1).backend(backend).build().unwrap();
        assert_eq!(runtime.io().backend(), backend);
        runtime.run(&program);
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Writes all of `bytes`: on a ring, a write may be cut short.
async fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let count = file.write_at(&bytes[at..], offset + at as u64).await?;
        assert!(count > 0, "nothing is written");
        at += count;
    }
    Ok(())
}

/// As [`write_all_at`], from buffers that it gives away.
async fn write_all_at_owned(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let left = bytes[at..].to_vec();
        let (written, left) = file.write_at_owned(left, offset + at as u64).await;
        let count = written?;
        assert!(count > 0 && count <= left.len(), "{count} of {} bytes", left.len());
        at += count;
    }
    Ok(())
}

async fn sync(io: &Io, path: impl AsRef<Path>) -> io::Result<()> {
    File::open(io, path).await?.sync_all().await
}

/// Writes a file of the root so that no crash takes it away.
async fn write_durably(io: &Io, path: &str, bytes: &[u8]) {
    fs::write(io, path, bytes).await.unwrap();
    sync(io, path).await.unwrap();
    sync(io, "/").await.unwrap();
}

/// How many seeds have come to something.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn add(&self, happened: bool) {
        self.0.fetch_add(u32::from(happened), Ordering::Relaxed);
    }

    #[track_caller]
    fn assert_some_but_not_all(&self, what: &str) {
        let count = u64::from(self.0.load(Ordering::Relaxed));
        assert!(count > 0 && count < SEEDS, "{what} in {count} of {SEEDS} seeds");
    }
}

fn a_crash_keeps_what_was_synced_and_loses_what_was_not(backend: Backend) {
    let (line_lost, entry_lost) = (Count::default(), Count::default());
    let (lines, entries) = (line_lost.clone(), entry_lost.clone());
    sweep(backend, move |io| {
        let (lines, entries) = (lines.clone(), entries.clone());
        async move {
            write_durably(&io, "/journal", b"synced").await;
            fs::append(&io, "/journal", b", not synced").await.unwrap();
            fs::write(&io, "/new", b"content").await.unwrap();
            // Its content is durable, its entry is not.
            sync(&io, "/new").await.unwrap();
            Disk::current().crash();

            let journal = fs::read(&io, "/journal").await.unwrap();
            assert!(journal.starts_with(b"synced"), "{journal:?}");
            lines.add(!journal.ends_with(b", not synced"));
            match fs::read(&io, "/new").await {
                Ok(content) => assert_eq!(content, b"content"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
            entries.add(!fs::try_exists(&io, "/new").await.unwrap());
        }
    });
    line_lost.assert_some_but_not_all("the line is lost");
    entry_lost.assert_some_but_not_all("the entry is lost");
}

fn a_file_that_is_synced_with_its_directories_survives_every_crash(backend: Backend) {
    sweep(backend, |io| async move {
        fs::create_dir_all(&io, "/a/b").await.unwrap();
        let file = File::create(&io, "/a/b/temporary").await.unwrap();
        write_all_at(&file, b"content", 0).await.unwrap();
        file.sync_data().await.unwrap();
        fs::rename(&io, "/a/b/temporary", "/a/b/file").await.unwrap();
        for directory in ["/a/b", "/a", "/"] {
            sync(&io, directory).await.unwrap();
        }
        for _ in 0..2 {
            Disk::current().crash();
            assert_eq!(fs::read(&io, "/a/b/file").await.unwrap(), b"content");
            assert!(!fs::try_exists(&io, "/a/b/temporary").await.unwrap());
        }
        // The handle is one from before.
        let error = file.write_at(b"late", 0).await.unwrap_err();
        if cfg!(target_os = "linux") {
            assert_eq!(error.kind(), ErrorKind::StaleNetworkFileHandle);
        }
    });
}

fn a_write_is_torn_between_sectors(backend: Backend) {
    const SECTORS: usize = 6;

    let (torn, whole) = (Count::default(), Count::default());
    let (tears, wholes) = (torn.clone(), whole.clone());
    sweep(backend, move |io| {
        let (tears, wholes) = (tears.clone(), wholes.clone());
        async move {
            write_durably(&io, "/file", &[1; SECTORS * SECTOR]).await;
            let file = OpenOptions::new().write(true).open(&io, "/file").await.unwrap();
            write_all_at_owned(&file, &[2; SECTORS * SECTOR], 0).await.unwrap();
            Disk::current().crash();

            let bytes = fs::read(&io, "/file").await.unwrap();
            assert_eq!(bytes.len(), SECTORS * SECTOR);
            let mut new = 0;
            for sector in bytes.chunks(SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
                assert!([1, 2].contains(&sector[0]));
                new += usize::from(sector[0] == 2);
            }
            tears.add(new > 0 && new < SECTORS);
            wholes.add(new == SECTORS);
        }
    });
    torn.assert_some_but_not_all("the write is torn");
    whole.assert_some_but_not_all("the write is there as a whole");
}

fn a_full_disk_refuses_writes_until_there_is_room(backend: Backend) {
    sweep(backend, |io| async move {
        let disk = Disk::current();
        disk.set_capacity(Some(1_000));
        fs::write(&io, "/file", [0; 600]).await.unwrap();
        let error = fs::write(&io, "/other", [0; 600]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        // It took what there was room for.
        assert_eq!(fs::metadata(&io, "/other").await.unwrap().len(), 400);
        let mut file = OpenOptions::new().append(true).open(&io, "/file").await.unwrap();
        assert_eq!(file.set_len(601).await.unwrap_err().kind(), ErrorKind::StorageFull);
        let written = poll_fn(|context| Pin::new(&mut file).poll_write(context, b"more")).await;
        let flushed = poll_fn(|context| Pin::new(&mut file).poll_flush(context)).await;
        let error = written.map(drop).and(flushed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);

        fs::remove_file(&io, "/other").await.unwrap();
        let written = poll_fn(|context| Pin::new(&mut file).poll_write(context, b"more")).await;
        assert_eq!(written.unwrap(), 4);
        file.sync_all().await.unwrap();
        assert_eq!(disk.used(), 604);
    });
}

fn a_write_at_an_offset_fills_a_disk_up(backend: Backend) {
    sweep(backend, |io| async move {
        let disk = Disk::current();
        disk.set_capacity(Some(100));
        let file = File::create(&io, "/file").await.unwrap();
        let error = write_all_at_owned(&file, &[1; 150], 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        // It took what there was room for.
        assert_eq!((disk.used(), file.metadata().await.unwrap().len()), (100, 100));
        let error = file.write_at(b"more", 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        // What is there already takes no more room.
        write_all_at(&file, &[2; 100], 0).await.unwrap();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), [2_u8; 100]);
        disk.set_capacity(Some(104));
        write_all_at(&file, b"more", 100).await.unwrap();
        assert_eq!(disk.used(), 104);
    });
}

/// Whether it is the error of a broken disk.
fn is_input_output_error(error: &io::Error) -> bool {
    match cfg!(target_os = "linux") {
        true => error.raw_os_error() == Some(5),
        false => error.kind() == ErrorKind::Other,
    }
}

fn errors_of_the_disk_reach_the_program_that_asked(backend: Backend) {
    sweep(backend, |io| async move {
        let disk = Disk::current();
        write_durably(&io, "/file", b"old").await;
        let file = OpenOptions::new().read(true).write(true).open(&io, "/file").await.unwrap();
        disk.fail_next_reads(2);
        for _ in 0..2 {
            let error = file.read_at(&mut [0; 3], 0).await.unwrap_err();
            assert!(is_input_output_error(&error), "{error:?}");
        }
        assert!((1..=3).contains(&file.read_at(&mut [0; 3], 0).await.unwrap()));
        disk.fail_next_writes(1);
        let (written, buffer) = file.write_at_owned(*b"new", 0).await;
        let error = written.unwrap_err();
        assert!(is_input_output_error(&error), "{error:?}");
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"old");
        write_all_at_owned(&file, &buffer, 0).await.unwrap();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"new");
        disk.fail_next_syncs(2);
        for data_only in [true, false] {
            let synced = match data_only {
                true => file.sync_data().await,
                false => file.sync_all().await,
            };
            let error = synced.unwrap_err();
            assert!(is_input_output_error(&error), "{error:?}");
        }
        file.sync_all().await.unwrap();
    });
}

fn a_sync_after_one_that_failed_has_saved_nothing(backend: Backend) {
    sweep(backend, |io| async move {
        let disk = Disk::current();
        write_durably(&io, "/file", b"old").await;
        let file = OpenOptions::new().write(true).open(&io, "/file").await.unwrap();
        write_all_at(&file, b"new", 0).await.unwrap();
        disk.fail_next_syncs(1);
        let error = file.sync_all().await.unwrap_err();
        assert!(is_input_output_error(&error), "{error:?}");
        file.sync_all().await.unwrap();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"new");
        disk.crash();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"old");
    });
}

fn a_slow_disk_keeps_the_worker_free(backend: Backend) {
    let free = Count::default();
    let frees = free.clone();
    sweep(backend, move |io| {
        let frees = frees.clone();
        async move {
            let long = Duration::from_secs(60);
            fs::write(&io, "/file", b"content").await.unwrap();
            Disk::current().set_latency(DiskLatency { sync: long, ..DiskLatency::default() });
            let began = Instant::now();
            let own = io.clone();
            let syncing = io.spawn(async move { sync(&own, "/file").await });
            sleep(&io, Duration::from_millis(1)).await;
            frees.add(!syncing.is_finished());
            syncing.await.unwrap().unwrap();
            assert!(began.elapsed() >= long);
        }
    });
    // Time may jump ahead of a thread that could run, but it seldom does.
    let count = u64::from(free.0.load(Ordering::Relaxed));
    assert!(count > SEEDS / 2, "the worker was free in {count} of {SEEDS} seeds");
}

/// What is under way when the power goes is done before, or finds that its file is one from before.
fn a_crash_meets_operations_that_are_under_way(backend: Backend) {
    let stale = Count::default();
    let stales = stale.clone();
    sweep(backend, move |io| {
        let stales = stales.clone();
        async move {
            write_durably(&io, "/file", &[1; SECTOR]).await;
            let file = OpenOptions::new().write(true).open(&io, "/file").await.unwrap();
            let file = Arc::new(file);
            let (operation, jitter) = (Duration::from_millis(1), Duration::from_millis(10));
            let disk = Disk::current();
            disk.set_latency(DiskLatency { operation, jitter, ..DiskLatency::default() });
            let writes: Vec<_> = (0..4)
                .map(|number| {
                    let file = Arc::clone(&file);
                    io.spawn(async move { file.write_at_owned([2_u8], number).await.0 })
                })
                .collect();
            sleep(&io, Duration::from_millis(3)).await;
            disk.crash();
            let mut some_stale = false;
            for write in writes {
                match write.await.unwrap() {
                    Ok(count) => assert_eq!(count, 1),
                    Err(error) => {
                        if cfg!(target_os = "linux") {
                            assert_eq!(error.kind(), ErrorKind::StaleNetworkFileHandle);
                        }
                        some_stale = true;
                    }
                }
            }
            stales.add(some_stale);
            let bytes = fs::read(&io, "/file").await.unwrap();
            assert!(bytes.len() == SECTOR && bytes[4..].iter().all(|byte| *byte == 1));
        }
    });
    assert!(stale.0.load(Ordering::Relaxed) > 0, "no crash came before a write");
}

/// Neither way is faster than the disk.
fn each_operation_takes_as_long_as_its_disk(backend: Backend) {
    sweep(backend, |io| async move {
        let (operation, long) = (Duration::from_millis(20), Duration::from_millis(70));
        write_durably(&io, "/file", &[1; 8]).await;
        let file = OpenOptions::new().read(true).write(true).open(&io, "/file").await.unwrap();
        let latency = DiskLatency { operation, sync: long, ..DiskLatency::default() };
        Disk::current().set_latency(latency);
        let began = Instant::now();
        file.read_at(&mut [0; 8], 0).await.unwrap();
        let read = Instant::now();
        assert!(read.duration_since(began) >= operation);
        file.write_at(&[2; 8], 0).await.unwrap();
        let written = Instant::now();
        assert!(written.duration_since(read) >= operation);
        file.sync_data().await.unwrap();
        assert!(written.elapsed() >= long);
    });
}

#[test]
fn each_host_has_a_disk_that_outlives_its_program() {
    let report = Sim::builder().sweep(0..50).run(|world| async move {
        let mut first = world.host("first").start(|io| async move {
            write_durably(&io, "/file", b"content").await;
            fs::write(&io, "/lost", b"").await.unwrap();
            fs::remove_file(&io, "/lost").await.unwrap();
        });
        (&mut first).await.unwrap();
        let none: [&str; 0] = [];
        assert_eq!(first.disk().leftovers(), none);
        first.disk().crash();
        let second = world.host("second").start(|io| async move {
            assert!(!fs::try_exists(&io, "/file").await.unwrap());
        });
        second.await.unwrap();
        assert_eq!(first.disk().used(), 7);
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

/// A run in which much is decided.
fn run(seed: u64, content: &'static [u8]) -> Report {
    let sim = Sim::builder().seed(seed).check_determinism(true).build();
    let report = sim.machine(move || {
        volt::run(|io| async move {
            for name in ["/a", "/b", "/c"] {
                fs::write(&io, name, content).await.unwrap();
            }
            sync(&io, "/").await.unwrap();
            Disk::current().crash();
            let mut entries = fs::read_dir(&io, "/").await.unwrap();
            while let Some(entry) = entries.next_entry().await.unwrap() {
                fs::read(&io, entry.path()).await.unwrap();
            }
        });
    });
    report.unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn the_same_seed_gives_the_same_run_and_its_hash_covers_the_bytes() {
    let hash = |seed, content: &'static [u8]| {
        let report = run(seed, content);
        (report.hash(), report.steps(), report.virtual_time())
    };
    assert_eq!(hash(7, b"content"), hash(7, b"content"));
    assert_ne!(hash(7, b"content"), hash(8, b"content"));
    assert_ne!(hash(7, b"content").0, hash(7, b"another").0);
}
