//! What goes wrong with the disk of a simulated host: crashes that lose what was not synced, torn
//! writes, full disks, errors, and disks that take their time.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_io::AsyncWrite;

use volt::Io;
use volt::fs::{self, File, OpenOptions};
use volt::sim::{Disk, DiskLatency, Report, Sim};
use volt::time::{Instant, sleep};

const SEEDS: u64 = 200;
const SECTOR: usize = 512;

/// Runs a program of one runtime under each seed.
fn sweep<F, Fut>(program: F)
where
    F: Fn(Io) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    let report = Sim::builder().sweep(0..SEEDS).machine(move || {
        // On threads, transfers are whole: rings cut them short.
        let builder = volt::Runtime::builder().workers(1).backend(volt::Backend::Epoll);
        let runtime = builder.build().unwrap();
        runtime.run(&program);
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
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

#[test]
fn a_crash_keeps_what_was_synced_and_loses_what_was_not() {
    let (line_lost, entry_lost) = (Count::default(), Count::default());
    let (lines, entries) = (line_lost.clone(), entry_lost.clone());
    sweep(move |io| {
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

#[test]
fn a_file_that_is_synced_with_its_directories_survives_every_crash() {
    sweep(|io| async move {
        fs::create_dir_all(&io, "/a/b").await.unwrap();
        let file = File::create(&io, "/a/b/temporary").await.unwrap();
        assert_eq!(file.write_at(b"content", 0).await.unwrap(), 7);
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

#[test]
fn a_write_is_torn_between_sectors() {
    const SECTORS: usize = 6;

    let (torn, whole) = (Count::default(), Count::default());
    let (tears, wholes) = (torn.clone(), whole.clone());
    sweep(move |io| {
        let (tears, wholes) = (tears.clone(), wholes.clone());
        async move {
            write_durably(&io, "/file", &[1; SECTORS * SECTOR]).await;
            let file = OpenOptions::new().write(true).open(&io, "/file").await.unwrap();
            let (written, _) = file.write_at_owned(vec![2; SECTORS * SECTOR], 0).await;
            assert_eq!(written.unwrap(), SECTORS * SECTOR);
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

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    sweep(|io| async move {
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

/// Whether it is the error of a broken disk.
fn is_input_output_error(error: &io::Error) -> bool {
    match cfg!(target_os = "linux") {
        true => error.raw_os_error() == Some(5),
        false => error.kind() == ErrorKind::Other,
    }
}

#[test]
fn errors_of_the_disk_reach_the_program_that_asked() {
    sweep(|io| async move {
        let disk = Disk::current();
        write_durably(&io, "/file", b"old").await;
        let file = OpenOptions::new().read(true).write(true).open(&io, "/file").await.unwrap();
        disk.fail_next_reads(2);
        for _ in 0..2 {
            let error = file.read_at(&mut [0; 3], 0).await.unwrap_err();
            assert!(is_input_output_error(&error), "{error:?}");
        }
        assert_eq!(file.read_at(&mut [0; 3], 0).await.unwrap(), 3);
        disk.fail_next_writes(1);
        let (written, buffer) = file.write_at_owned(*b"new", 0).await;
        let error = written.unwrap_err();
        assert!(is_input_output_error(&error), "{error:?}");
        let (written, _) = file.write_at_owned(buffer, 0).await;
        assert_eq!(written.unwrap(), 3);
    });
}

#[test]
fn a_sync_after_one_that_failed_has_saved_nothing() {
    sweep(|io| async move {
        let disk = Disk::current();
        write_durably(&io, "/file", b"old").await;
        let file = OpenOptions::new().write(true).open(&io, "/file").await.unwrap();
        file.write_at(b"new", 0).await.unwrap();
        disk.fail_next_syncs(1);
        let error = file.sync_all().await.unwrap_err();
        assert!(is_input_output_error(&error), "{error:?}");
        file.sync_all().await.unwrap();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"new");
        disk.crash();
        assert_eq!(fs::read(&io, "/file").await.unwrap(), b"old");
    });
}

#[test]
fn a_slow_disk_keeps_the_worker_free() {
    let free = Count::default();
    let frees = free.clone();
    sweep(move |io| {
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
