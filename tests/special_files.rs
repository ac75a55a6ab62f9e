//! Files that are no storage: pipes, FIFOs, devices, directories. They have no offsets, or may keep
//! whoever reads them waiting for ever, which a ring would do for them without a word: so the same
//! comes of them on each back-end, and no worker waits.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use volt::fs::{File, OpenOptions};
use volt::time::{sleep, timeout};
use volt::{Backend, Io, Runtime};

/// How long what must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is watched what must not happen.
const SHORTLY: Duration = Duration::from_millis(20);

/// Runs a program on one worker of each back-end that this machine has.
fn on_each_backend<F: Future<Output = ()>>(program: impl Fn(Io) -> F) {
    for backend in [Backend::Epoll, Backend::IoUring] {
        let runtime = match Runtime::builder().workers(1).backend(backend).build() {
            Ok(runtime) => runtime,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                println!("this machine has no {backend:?}: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let program = &program;
        runtime.run(|io| async move {
            let limit = io.clone();
            let ended = timeout(&limit, PATIENCE, program(io)).await;
            assert!(ended.is_ok(), "{backend:?}: no end within {PATIENCE:?}\n{}", limit.dump());
        });
    }
}

fn pipe(io: &Io) -> (File, File) {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = |end: OwnedFd| File::from_std(io, end.into()).unwrap();
    (file(reader.into()), file(writer.into()))
}

#[track_caller]
fn assert_is<T>(result: io::Result<T>, errno: Errno) {
    match result {
        Ok(_) => panic!("it does not fail"),
        Err(error) => assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{error}"),
    }
}

async fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| Pin::new(&mut *file).poll_read(context, buffer)).await
}

async fn write_and_flush(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    let count = poll_fn(|context| Pin::new(&mut *file).poll_write(context, bytes)).await?;
    poll_fn(|context| Pin::new(&mut *file).poll_flush(context)).await?;
    Ok(count)
}

/// Everything at an offset is refused, whether there are bytes or not, and none is lost by it.
async fn has_no_offsets(io: &Io, mut reader: File, mut writer: File) {
    for bytes in [&b""[..], b"hello"] {
        if !bytes.is_empty() {
            assert_eq!(write_and_flush(&mut writer, bytes).await.unwrap(), bytes.len());
        }
        for offset in [0, 3] {
            assert_is(reader.read_at(&mut [0; 4], offset).await, Errno::SPIPE);
            let (read, buffer) = reader.read_at_owned(vec![0_u8; 100_000], offset).await;
            assert_is(read, Errno::SPIPE);
            assert_eq!(buffer.len(), 100_000, "the buffer comes back");
            assert_is(writer.write_at(b"lost", offset).await, Errno::SPIPE);
            let (written, buffer) = writer.write_at_owned(*b"lost", offset).await;
            assert_is(written, Errno::SPIPE);
            assert_eq!(&buffer, b"lost");
        }
        // There is nothing that could be made durable.
        assert_is(writer.sync_all().await, Errno::INVAL);
        assert_is(writer.sync_data().await, Errno::INVAL);
    }
    let mut buffer = [0; 8];
    assert_eq!(read(&mut reader, &mut buffer).await.unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");

    // A read that waits for somebody else keeps no worker: the only one runs timers and tasks.
    {
        let mut waiting = pin!(read(&mut reader, &mut buffer));
        let first = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready()));
        assert!(!first.await, "there is nothing to read");
        sleep(io, SHORTLY).await;
        io.spawn(async {}).await.unwrap();
        assert_eq!(write_and_flush(&mut writer, b"late").await.unwrap(), 4);
        assert_eq!(waiting.await.unwrap(), 4);
    }
    assert_eq!(&buffer[..4], b"late");
    drop(writer);
    assert_eq!(read(&mut reader, &mut buffer).await.unwrap(), 0);
}

#[test]
fn a_pipe_has_no_offsets() {
    on_each_backend(|io| async move {
        let (reader, writer) = pipe(&io);
        has_no_offsets(&io, reader, writer).await;
    });
}

/// A FIFO, which goes with this.
struct Fifo(PathBuf);

impl Fifo {
    fn new() -> Fifo {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("volt-fifo-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success(), "{made}");
        Fifo(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opening one waits for the other end, and on no worker.
#[test]
fn a_fifo_is_opened_and_has_no_offsets() {
    on_each_backend(|io| async move {
        let fifo = Fifo::new();
        let mut opening = pin!(File::open(&io, &fifo.0));
        let first = poll_fn(|context| Poll::Ready(opening.as_mut().poll(context).is_ready()));
        assert!(!first.await, "nobody writes to it");
        sleep(&io, SHORTLY).await;
        let writer = OpenOptions::new().write(true).open(&io, &fifo.0).await.unwrap();
        let reader = opening.await.unwrap();
        has_no_offsets(&io, reader, writer).await;
    });
}

#[test]
fn devices_and_directories_answer_as_the_system_does() {
    on_each_backend(|io| async move {
        let zeros = File::open(&io, "/dev/zero").await.unwrap();
        let (read, bytes) = zeros.read_at_owned(vec![1_u8; 100_000], 7).await;
        assert_eq!(read.unwrap(), 100_000);
        assert!(bytes.iter().all(|byte| *byte == 0));
        let null = OpenOptions::new().write(true).open(&io, "/dev/null").await.unwrap();
        assert_eq!(null.write_at(b"gone", 1 << 40).await.unwrap(), 4);
        let full = OpenOptions::new().write(true).open(&io, "/dev/full").await.unwrap();
        let error = full.write_at(b"too much", 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let directory = File::open(&io, Path::new("src")).await.unwrap();
        assert_is(directory.read_at(&mut [0; 4], 0).await, Errno::ISDIR);
    });
}

/// A read at the largest offset is one at no position of the file.
#[test]
fn no_offset_stands_for_the_position() {
    on_each_backend(|io| async move {
        let file = File::open(&io, "Cargo.toml").await.unwrap();
        for length in [4, 100_000] {
            let (read, _) = file.read_at_owned(vec![0_u8; length], u64::MAX).await;
            assert_is(read, Errno::INVAL);
        }
    });
}
