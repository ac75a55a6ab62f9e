//! Files and directories are what was made of them, operations at a file's position come one after
//! the other, and what was begun ends although nobody waits for it.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, SeekFrom};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::fs::{self, File, OpenOptions};
use volt::platform::thread::is_simulated;
use volt::task::Group;
use volt::time::sleep;

/// How long a scenario waits between two looks.
const MILLISECOND: Duration = Duration::from_millis(1);

/// A folder of a scenario's own, which goes with it, also if the scenario fails.
struct Folder(PathBuf);

impl Folder {
    async fn new(io: &Io) -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = if is_simulated() {
            // The disk is the run's own, and the path is part of its hash.
            PathBuf::from("/scratch")
        } else {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            std::env::temp_dir().join(format!("volt-files-{}-{number}", std::process::id()))
        };
        fs::create_dir_all(io, &path).await.unwrap();
        Folder(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Removes it in the way of a program, which has to have closed its files.
    async fn remove(self, io: &Io) {
        fs::remove_dir_all(io, &self.0).await.unwrap();
        assert!(!fs::try_exists(io, &self.0).await.unwrap());
        assert!(open_files().is_empty(), "{:?} are open", open_files());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !is_simulated() {
            // It is gone already, unless the scenario fails.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// What the programs of a simulated machine have open; the real one is not asked.
fn open_files() -> Vec<String> {
    #[cfg(feature = "sim")]
    if is_simulated() {
        return volt::sim::Disk::current().leftovers();
    }
    Vec::new()
}

/// Bytes in which every position within 251 differs, so that a loss or an exchange shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it does not fail"),
        Err(error) => error.kind(),
    }
}

/// Polls `future` once and drops it.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| Pin::new(&mut *file).poll_read(context, buffer)).await
}

async fn read_to_end(file: &mut File, at_once: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; at_once];
    loop {
        match read(file, &mut buffer).await.unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|context| Pin::new(&mut *file).poll_write(context, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

async fn flush(file: &mut File) -> io::Result<()> {
    poll_fn(|context| Pin::new(&mut *file).poll_flush(context)).await
}

async fn seek(file: &mut File, to: SeekFrom) -> io::Result<u64> {
    poll_fn(|context| Pin::new(&mut *file).poll_seek(context, to)).await
}

scenario!(whole_files_are_written_copied_renamed_and_removed, || {
    runtime(2).run(|io| async move {
        let folder = Folder::new(&io).await;
        let (file, copy, moved) = (folder.join("file"), folder.join("copy"), folder.join("moved"));
        assert_eq!(kind(fs::read(&io, &file).await), ErrorKind::NotFound);
        fs::write(&io, &file, "hello").await.unwrap();
        fs::append(&io, &file, ", world").await.unwrap();
        assert_eq!(fs::read_to_string(&io, &file).await.unwrap(), "hello, world");
        let copied = fs::copy(&io, &file, &copy).await.unwrap();
        // Wine copies, and says that it were nothing. What the copy holds is looked at below.
        assert!(copied == 12 || cfg!(windows), "{copied}");
        fs::write(&io, &file, b"\xff").await.unwrap();
        assert_eq!(kind(fs::read_to_string(&io, &file).await), ErrorKind::InvalidData);

        fs::rename(&io, &copy, &moved).await.unwrap();
        assert!(!fs::try_exists(&io, &copy).await.unwrap());
        let metadata = fs::metadata(&io, &moved).await.unwrap();
        assert!(metadata.is_file() && !metadata.is_dir() && !metadata.is_symlink());
        assert_eq!(metadata.len(), 12);
        assert!(metadata.modified().is_ok());
        // In place of another file.
        fs::rename(&io, &moved, &file).await.unwrap();
        assert_eq!(fs::read(&io, &file).await.unwrap(), b"hello, world");

        let mut permissions = fs::metadata(&io, &file).await.unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&io, &file, permissions.clone()).await.unwrap();
        assert!(fs::metadata(&io, &file).await.unwrap().permissions().readonly());
        permissions.set_readonly(false);
        fs::set_permissions(&io, &file, permissions).await.unwrap();
        fs::remove_file(&io, &file).await.unwrap();
        assert_eq!(kind(fs::remove_file(&io, &file).await), ErrorKind::NotFound);
        folder.remove(&io).await;
    });
});

scenario!(directories_are_made_listed_and_removed, || {
    /// More than one batch.
    const FILES: usize = 70;

    runtime(2).run(|io| async move {
        let folder = Folder::new(&io).await;
        let inner = folder.join("a").join("b");
        assert_eq!(kind(fs::create_dir(&io, &inner).await), ErrorKind::NotFound);
        fs::create_dir_all(&io, &inner).await.unwrap();
        fs::create_dir_all(&io, &inner).await.unwrap();
        assert_eq!(kind(fs::create_dir(&io, &inner).await), ErrorKind::AlreadyExists);
        let mut group = Group::new(&io);
        for number in 0..FILES {
            let (io, path) = (io.clone(), inner.join(number.to_string()));
            group.spawn(async move { fs::write(&io, path, [number as u8]).await.unwrap() });
        }
        group.wait().await.unwrap();

        let mut entries = fs::read_dir(&io, &inner).await.unwrap();
        let mut names = BTreeSet::new();
        while let Some(entry) = entries.next_entry().await.unwrap() {
            assert!(entry.file_type().unwrap().is_file());
            assert_eq!(entry.path(), inner.join(entry.file_name()));
            assert!(names.insert(entry.file_name()), "{entry:?} comes twice");
        }
        assert!(entries.next_entry().await.unwrap().is_none());
        assert_eq!(names.len(), FILES);

        let mut entries = fs::read_dir(&io, folder.join("a")).await.unwrap();
        let first = poll_fn(|context| Pin::new(&mut entries).poll_next(context)).await;
        let first = first.expect("there is one entry").unwrap();
        assert_eq!(first.file_name(), "b");
        assert!(first.metadata().await.unwrap().is_dir());
        assert!(poll_fn(|context| Pin::new(&mut entries).poll_next(context)).await.is_none());

        assert_eq!(kind(fs::remove_dir(&io, &inner).await), ErrorKind::DirectoryNotEmpty);
        let file = inner.join("0");
        let listed = kind(fs::read_dir(&io, &file).await);
        // Wine finds fault with the name.
        let is_told_by_wine = cfg!(windows) && listed == ErrorKind::InvalidFilename;
        assert!(listed == ErrorKind::NotADirectory || is_told_by_wine, "{listed:?}");
        let below = if cfg!(windows) { ErrorKind::NotFound } else { ErrorKind::NotADirectory };
        assert_eq!(kind(fs::read(&io, file.join("below")).await), below);
        fs::remove_dir_all(&io, &inner).await.unwrap();
        fs::remove_dir(&io, folder.join("a")).await.unwrap();
        folder.remove(&io).await;
    });
});

#[cfg(unix)]
scenario!(links_lead_to_files, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let (file, link, same) = (folder.join("file"), folder.join("link"), folder.join("same"));
        fs::symlink(&io, "file", &link).await.unwrap();
        assert!(!fs::try_exists(&io, &link).await.unwrap(), "it leads nowhere yet");
        fs::write(&io, &link, "through the link").await.unwrap();
        assert_eq!(fs::read_link(&io, &link).await.unwrap(), PathBuf::from("file"));
        assert_eq!(kind(fs::read_link(&io, &file).await), ErrorKind::InvalidInput);
        let (here, there) = (fs::canonicalize(&io, &link), fs::canonicalize(&io, &file));
        assert_eq!(here.await.unwrap(), there.await.unwrap());
        assert!(fs::symlink_metadata(&io, &link).await.unwrap().is_symlink());
        assert!(fs::metadata(&io, &link).await.unwrap().is_file());

        fs::hard_link(&io, &file, &same).await.unwrap();
        let (one, other) = (fs::metadata(&io, &file), fs::metadata(&io, &same));
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!((one.ino(), one.nlink()), (other.ino(), 2));
        fs::remove_file(&io, &file).await.unwrap();
        assert_eq!(fs::read(&io, &same).await.unwrap(), b"through the link");
        folder.remove(&io).await;
    });
});

scenario!(reads_and_writes_at_offsets_run_at_once, || {
    const PARTS: usize = 6;
    const LENGTH: usize = 1_000;

    runtime(2).run(|io| async move {
        let folder = Folder::new(&io).await;
        let file = Arc::new(File::create_new(&io, folder.join("file")).await.unwrap());
        let whole = Arc::new(pattern(PARTS * LENGTH));
        let mut group = Group::new(&io);
        for part in 0..PARTS {
            let (file, whole) = (Arc::clone(&file), Arc::clone(&whole));
            group.spawn(async move {
                let (mut at, end) = (part * LENGTH, (part + 1) * LENGTH);
                while at < end {
                    at += match part % 2 {
                        0 => file.write_at(&whole[at..end], at as u64).await.unwrap(),
                        _ => {
                            let bytes = whole[at..end].to_vec();
                            let (written, back) = file.write_at_owned(bytes, at as u64).await;
                            assert_eq!(back, whole[at..end]);
                            written.unwrap()
                        }
                    };
                }
            });
        }
        group.wait().await.unwrap();
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), (PARTS * LENGTH) as u64);

        let mut group = Group::new(&io);
        for part in 0..PARTS {
            let (file, whole) = (Arc::clone(&file), Arc::clone(&whole));
            group.spawn(async move {
                let offset = part * LENGTH;
                let mut bytes = vec![0; 16];
                let count = file.read_at(&mut bytes, offset as u64).await.unwrap();
                assert!(count > 0);
                assert_eq!(bytes[..count], whole[offset..offset + count]);
                let (read, bytes) = file.read_at_owned([0_u8; 32], offset as u64).await;
                let count = read.unwrap();
                assert!(count > 0);
                assert_eq!(bytes[..count], whole[offset..offset + count]);
            });
        }
        group.wait().await.unwrap();
        let end = (PARTS * LENGTH) as u64;
        assert_eq!(file.read_at(&mut [0; 8], end).await.unwrap(), 0);
        drop(file);
        folder.remove(&io).await;
    });
});

scenario!(a_stream_of_writes_is_read_back, || {
    const LENGTH: usize = 20_000;

    runtime(2).run(|io| async move {
        let folder = Folder::new(&io).await;
        let mut file = File::create_new(&io, folder.join("file")).await.unwrap();
        let bytes = pattern(LENGTH);
        for chunk in bytes.chunks(3_000) {
            write_all(&mut file, chunk).await.unwrap();
        }
        // It waits for the write that is on its way.
        assert_eq!(file.metadata().await.unwrap().len(), LENGTH as u64);
        flush(&mut file).await.unwrap();
        assert_eq!(read(&mut file, &mut [0; 8]).await.unwrap(), 0);
        assert_eq!(seek(&mut file, SeekFrom::Start(0)).await.unwrap(), 0);
        assert!(read_to_end(&mut file, 4_096).await == bytes);

        assert_eq!(seek(&mut file, SeekFrom::End(-4)).await.unwrap(), LENGTH as u64 - 4);
        let mut two = [0; 2];
        assert_eq!(read(&mut file, &mut two).await.unwrap(), 2);
        assert_eq!(two, bytes[LENGTH - 4..LENGTH - 2]);
        let slices = [IoSlice::new(b"x"), IoSlice::new(b""), IoSlice::new(b"yz")];
        let written =
            poll_fn(|context| Pin::new(&mut file).poll_write_vectored(context, &slices)).await;
        assert_eq!(written.unwrap(), 3);
        assert_eq!(seek(&mut file, SeekFrom::Current(-5)).await.unwrap(), LENGTH as u64 - 4);
        assert_eq!(read_to_end(&mut file, 1).await, [&two[..], b"xyz"].concat());
        assert_eq!(
            kind(seek(&mut file, SeekFrom::Current(-30_000)).await),
            ErrorKind::InvalidInput
        );
        drop(file);
        folder.remove(&io).await;
    });
});

scenario!(nothing_is_lost_to_the_next_read_when_one_is_dropped, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let path = folder.join("file");
        fs::write(&io, &path, b"0123456789").await.unwrap();
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(&io, &path).await.unwrap();
        let mut position = 0;
        // A thread may be so fast that the first poll has the bytes.
        match once(read(&mut file, &mut [0; 6])).await {
            Some(count) => position += count.unwrap(),
            None => {
                let mut byte = [0];
                assert_eq!(read(&mut file, &mut byte).await.unwrap(), 1);
                assert_eq!(&byte, b"0");
                position += 1;
            }
        }
        if let Some(count) = once(read(&mut file, &mut [0; 2])).await {
            position += count.unwrap();
        }
        // A write begins where reading has come to, not where a thread has read ahead to.
        write_all(&mut file, b"x").await.unwrap();
        file.sync_all().await.unwrap();
        let mut expected = *b"0123456789";
        expected[position] = b'x';
        assert_eq!(fs::read(&io, &path).await.unwrap(), expected);
        drop(file);
        folder.remove(&io).await;
    });
});

scenario!(a_dropped_seek_is_another_one_after_a_flush_or_a_write, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let mut file = File::create_new(&io, folder.join("file")).await.unwrap();
        let forward = SeekFrom::Current(5);
        // Whether the first poll has the answer or not, it moves.
        drop(once(seek(&mut file, forward)).await);
        flush(&mut file).await.unwrap();
        assert_eq!(seek(&mut file, forward).await.unwrap(), 10);
        drop(once(seek(&mut file, forward)).await);
        let empty = poll_fn(|context| Pin::new(&mut file).poll_write(context, b"")).await;
        assert_eq!(empty.unwrap(), 0);
        assert_eq!(seek(&mut file, forward).await.unwrap(), 20);
        // Right after it, it is the same one, unless the first poll had the answer.
        let moved = match once(seek(&mut file, forward)).await {
            Some(moved) => moved,
            None => seek(&mut file, forward).await,
        };
        assert_eq!(moved.unwrap(), 25);
        drop(file);
        folder.remove(&io).await;
    });
});

scenario!(a_write_that_fails_is_told_once_to_whoever_asks_next, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let path = folder.join("file");
        fs::write(&io, &path, b"content").await.unwrap();
        // It was not opened to be written.
        let mut file = File::open(&io, &path).await.unwrap();
        for round in 0..3 {
            let written = write_all(&mut file, b"x").await;
            let told = match (written, round) {
                (Err(_), _) => continue,
                (Ok(()), 0) => flush(&mut file).await,
                (Ok(()), 1) => file.sync_all().await,
                (Ok(()), _) => write_all(&mut file, b"y").await,
            };
            assert!(told.is_err(), "nobody hears of the error in round {round}");
        }
        drop(file);
        assert_eq!(fs::read(&io, &path).await.unwrap(), b"content");
        folder.remove(&io).await;
    });
});

scenario!(options_say_what_may_be_there_and_what_becomes_of_it, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let path = folder.join("file");
        assert_eq!(kind(File::open(&io, &path).await), ErrorKind::NotFound);
        drop(File::create(&io, &path).await.unwrap());
        assert_eq!(kind(File::create_new(&io, &path).await), ErrorKind::AlreadyExists);
        fs::write(&io, &path, b"one").await.unwrap();
        let mut file = OpenOptions::new().append(true).open(&io, &path).await.unwrap();
        write_all(&mut file, b", two").await.unwrap();
        flush(&mut file).await.unwrap();
        assert_eq!(fs::read(&io, &path).await.unwrap(), b"one, two");
        file.set_len(4).await.unwrap();
        file.set_len(6).await.unwrap();
        assert_eq!(fs::read(&io, &path).await.unwrap(), b"one,\0\0");

        let mut clone = file.try_clone().await.unwrap();
        drop(file);
        write_all(&mut clone, b"!").await.unwrap();
        let permissions = clone.metadata().await.unwrap().permissions();
        clone.set_permissions(permissions).await.unwrap();
        drop(clone);
        assert_eq!(fs::metadata(&io, &path).await.unwrap().len(), 7);

        let contradiction = OpenOptions::new().read(true).create(true).open(&io, &path).await;
        assert_eq!(kind(contradiction), ErrorKind::InvalidInput);
        drop(OpenOptions::new().write(true).truncate(true).open(&io, &path).await.unwrap());
        assert_eq!(fs::read(&io, &path).await.unwrap(), b"");
        folder.remove(&io).await;
    });
});

scenario!(what_was_begun_ends_although_nobody_waits, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let path = folder.join("file");
        let bytes = pattern(5_000);
        assert!(!matches!(once(fs::write(&io, &path, &bytes)).await, Some(Err(_))));
        while fs::read(&io, &path).await.ok().as_ref() != Some(&bytes) {
            sleep(&io, MILLISECOND).await;
        }
        let file = File::create_new(&io, folder.join("other")).await.unwrap();
        assert!(!matches!(once(file.write_at(b"late", 0)).await, Some(Err(_))));
        // All of it, or a part.
        while file.metadata().await.unwrap().len() == 0 {
            sleep(&io, MILLISECOND).await;
        }
        drop(file);
        // The thread that wrote may still have it.
        while !open_files().is_empty() {
            sleep(&io, MILLISECOND).await;
        }
        folder.remove(&io).await;
    });
});

scenario!(files_go_to_std_and_come_back, || {
    runtime(1).run(|io| async move {
        let folder = Folder::new(&io).await;
        let path = folder.join("file");
        let mut file = File::create_new(&io, &path).await.unwrap();
        write_all(&mut file, b"content").await.unwrap();
        let converted = file.into_std().await;
        if is_simulated() {
            assert_eq!(kind(converted), ErrorKind::Unsupported);
        } else {
            let file = File::from_std(&io, converted.unwrap()).unwrap();
            let mut bytes = [0; 8];
            assert_eq!(file.read_at(&mut bytes, 3).await.unwrap(), 4);
            assert_eq!(&bytes[..4], b"tent");
        }
        assert_eq!(fs::read(&io, &path).await.unwrap(), b"content");
        folder.remove(&io).await;
    });
});

scenario!(files_outlive_their_runtime, || {
    let first = runtime(1);
    let (io, folder, mut file) = first.run(|io| async move {
        let folder = Folder::new(&io).await;
        let file = File::create_new(&io, folder.join("file")).await.unwrap();
        (io, folder, file)
    });
    drop(first);

    let mut context = Context::from_waker(Waker::noop());
    let assert_refused = |what: &str, polled: Poll<io::Result<()>>| match polled {
        Poll::Ready(Err(error)) => {
            assert!(error.to_string().contains("shut down"), "{what}: {error}");
        }
        other => panic!("{what} gives {other:?}"),
    };
    let open = pin!(File::open(&io, "file")).poll(&mut context);
    assert_refused("an open", open.map_ok(drop));
    let mut bytes = [0; 4];
    let at = pin!(file.read_at(&mut bytes, 0)).poll(&mut context);
    assert_refused("a read at an offset", at.map_ok(drop));
    let owned = pin!(file.write_at_owned(vec![1, 2, 3], 0)).poll(&mut context);
    let Poll::Ready((written, buffer)) = owned else { panic!("an owned write waits") };
    assert_refused("an owned write", Poll::Ready(written.map(drop)));
    assert_eq!(buffer, [1, 2, 3]);
    let read = Pin::new(&mut file).poll_read(&mut context, &mut bytes);
    assert_refused("a read", read.map_ok(drop));
    let write = Pin::new(&mut file).poll_write(&mut context, b"x");
    assert_refused("a write", write.map_ok(drop));
    let seek = Pin::new(&mut file).poll_seek(&mut context, SeekFrom::Start(0));
    assert_refused("a seek", seek.map_ok(drop));
    assert!(matches!(Pin::new(&mut file).poll_flush(&mut context), Poll::Ready(Ok(()))));
    drop(file);
    runtime(1).run(|io| async move { folder.remove(&io).await });
});
