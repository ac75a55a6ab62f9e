//! Reads and writes at an offset, with borrowed buffers and with owned ones.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::futures::FileJob;
use super::slot::Slot;
use super::{File, LONGEST_TRANSFER};
use crate::fs::job::{OnRing, Work};
use crate::platform::fs as system;
use crate::platform::ring::Operation;

impl File {
    /// Reads bytes from `offset` on into `buffer`: as many as there are and it holds, but at most
    /// 2 MiB, and sometimes fewer; 0 is the end. The position of the file stays, except on Windows.
    ///
    /// The bytes are copied once: a thread reads them into a buffer that the file keeps.
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    ///
    /// # Errors
    /// What the system says, such as an error for a directory; `Unsupported` on systems without
    /// offsets.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await.unwrap();
    ///     let (mut first, mut second) = ([0; 4], [0; 2]);
    ///     assert_eq!(file.read_at(&mut first, 0).await.unwrap(), 4);
    ///     assert_eq!(file.read_at(&mut second, 2).await.unwrap(), 2);
    ///     assert_eq!(first[2..], second);
    /// });
    /// ```
    #[track_caller]
    pub fn read_at<'a>(&'a self, buffer: &'a mut [u8], offset: u64) -> ReadAt<'a> {
        let length = buffer.len().min(LONGEST_TRANSFER);
        let bytes = self.spare.take().unwrap_or_default();
        let work = ReadAtWork { system: Arc::clone(&self.system), bytes, length, offset };
        ReadAt { job: FileJob::new(self, work, Location::caller()), buffer }
    }

    /// Writes bytes at `offset`: at most 2 MiB, and sometimes fewer; how many. What lies between
    /// the end of the file and `offset` becomes zeros. A file that was opened to append is written
    /// at its end, whatever the offset. The position of the file stays, except on Windows.
    ///
    /// The bytes are copied when this is called, into a buffer that the file keeps.
    ///
    /// Cancel safety: once polled, the copy is written all the same, later.
    ///
    /// # Errors
    /// What the system says, such as `StorageFull`; `Unsupported` on systems without offsets.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-write-at-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     let file = File::create(&io, &path).await?;
    ///     file.write_at(b"world", 7).await?;
    ///     file.write_at(b"hello, ", 0).await?;
    ///     assert_eq!(fs::read(&io, &path).await?, b"hello, world");
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> WriteAt<'_> {
        let mut copy = self.spare.take().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(&bytes[..bytes.len().min(LONGEST_TRANSFER)]);
        let work = WriteAtWork { system: Arc::clone(&self.system), bytes: copy, offset };
        WriteAt { job: FileJob::new(self, work, Location::caller()) }
    }

    /// As [`read_at`](File::read_at), into a buffer that it takes and gives back, whatever comes of
    /// the read. Nothing is copied, and the whole buffer may be filled at once.
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing, and the buffer is lost.
    ///
    /// # Errors
    /// As [`read_at`](File::read_at).
    ///
    /// # Panics
    /// If the buffer's `as_mut` does.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await.unwrap();
    ///     let (read, buffer) = file.read_at_owned(vec![0_u8; 16], 0).await;
    ///     assert_eq!((read.unwrap(), buffer.len()), (16, 16));
    /// });
    /// ```
    #[track_caller]
    pub fn read_at_owned<B>(&self, buffer: B, offset: u64) -> ReadAtOwned<'_, B>
    where
        B: AsMut<[u8]> + Send + 'static,
    {
        let slot = Arc::new(Slot::new(Some(buffer)));
        let system = Arc::clone(&self.system);
        let work = ReadAtOwnedWork { system, slot: Arc::clone(&slot), offset };
        ReadAtOwned { job: FileJob::new(self, work, Location::caller()), slot }
    }

    /// As [`write_at`](File::write_at), from a buffer that it takes and gives back, whatever comes
    /// of the write. Nothing is copied, and the whole buffer may be written at once.
    ///
    /// Cancel safety: once polled, the bytes are written all the same, later, and the buffer is
    /// lost.
    ///
    /// # Errors
    /// As [`write_at`](File::write_at).
    ///
    /// # Panics
    /// If the buffer's `as_ref` does.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-write-owned-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     let file = File::create(&io, &path).await?;
    ///     let (written, text) = file.write_at_owned(String::from("hello"), 0).await;
    ///     assert_eq!((written?, text.as_str()), (5, "hello"));
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn write_at_owned<B>(&self, buffer: B, offset: u64) -> WriteAtOwned<'_, B>
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        let slot = Arc::new(Slot::new(Some(buffer)));
        let system = Arc::clone(&self.system);
        let work = WriteAtOwnedWork { system, slot: Arc::clone(&slot), offset };
        WriteAtOwned { job: FileJob::new(self, work, Location::caller()), slot }
    }
}

/// The most bytes that a worker reads itself, without waiting: copying them keeps other tasks
/// waiting no longer than a poll may.
const LONGEST_AT_ONCE: usize = 64 << 10;

/// The most bytes that one operation on a ring transfers.
const LONGEST_ON_RING: u32 = 1 << 30;

fn ring_length(length: usize) -> u32 {
    u32::try_from(length).map_or(LONGEST_ON_RING, |length| length.min(LONGEST_ON_RING))
}

fn make_room(bytes: &mut Vec<u8>, length: usize) {
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
}

struct ReadAtWork {
    system: Arc<system::File>,
    bytes: Vec<u8>,
    length: usize,
    offset: u64,
}

impl Work for ReadAtWork {
    /// How many bytes were read, and the buffer, which may be longer.
    type Output = (io::Result<usize>, Vec<u8>);

    const WHAT: &'static str = "a file to be read";

    const ON_RING: Option<OnRing<Self>> = Some(OnRing {
        describe: |work| {
            let ReadAtWork { system, bytes, length, offset } = work;
            make_room(bytes, *length);
            let (buffer, length) = (bytes.as_mut_ptr(), ring_length(*length));
            Operation::Read { file: system, buffer, length, offset: *offset }
        },
        finish: |work, read| Ok((read, work.bytes)),
        ends_with_future: true,
    });

    fn run_now(&mut self) -> Option<io::Result<Self::Output>> {
        let ReadAtWork { system, bytes, length, offset } = self;
        if *length > LONGEST_AT_ONCE {
            return None;
        }
        make_room(bytes, *length);
        let read = system.read_at_now(&mut bytes[..*length], *offset)?;
        Some(Ok((read, mem::take(bytes))))
    }

    fn run(self) -> io::Result<(io::Result<usize>, Vec<u8>)> {
        let ReadAtWork { system, mut bytes, length, offset } = self;
        make_room(&mut bytes, length);
        Ok((system.read_at(&mut bytes[..length], offset), bytes))
    }
}

/// The future of [`File::read_at`].
///
/// Cancel safety: dropped before it is ready, it has read nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReadAt<'a> {
    job: FileJob<'a, ReadAtWork>,
    buffer: &'a mut [u8],
}

impl Future for ReadAt<'_> {
    type Output = io::Result<usize>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let ReadAt { job, buffer } = &mut *self;
        let (read, bytes) = match ready!(job.poll(context)) {
            Ok(output) => output,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Ok(count) = read {
            buffer[..count].copy_from_slice(&bytes[..count]);
        }
        job.file().spare.put(bytes);
        Poll::Ready(read)
    }
}

struct WriteAtWork {
    system: Arc<system::File>,
    bytes: Vec<u8>,
    offset: u64,
}

impl Work for WriteAtWork {
    /// How many bytes were written, and the buffer.
    type Output = (io::Result<usize>, Vec<u8>);

    const WHAT: &'static str = "a file to be written";

    const ON_RING: Option<OnRing<Self>> = Some(OnRing {
        describe: |WriteAtWork { system, bytes, offset }| Operation::Write {
            file: system,
            bytes: bytes.as_ptr(),
            length: ring_length(bytes.len()),
            offset: *offset,
        },
        finish: |work, written| Ok((written, work.bytes)),
        ends_with_future: false,
    });

    fn run(self) -> io::Result<(io::Result<usize>, Vec<u8>)> {
        let WriteAtWork { system, bytes, offset } = self;
        Ok((system.write_at(&bytes, offset), bytes))
    }
}

/// The future of [`File::write_at`].
///
/// Cancel safety: once polled, the copy is written all the same, later.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WriteAt<'a> {
    job: FileJob<'a, WriteAtWork>,
}

impl Future for WriteAt<'_> {
    type Output = io::Result<usize>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (written, bytes) = match ready!(self.job.poll(context)) {
            Ok(output) => output,
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.job.file().spare.put(bytes);
        Poll::Ready(written)
    }
}

const NOT_TAKEN: &str = "the job alone takes the buffer, unless it never begins";

/// Declares an operation with an owned buffer: the trait of its buffer, and what it does, which
/// gives the buffer back.
macro_rules! owned_operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident = $work:ident<$bound:ident>, $what:literal,
            |$file:ident, $buffer:ident, $offset:ident| $run:expr,
            ring $operation:ident { $memory:ident: $locate:expr },
            ends_with_future: $ends_with_future:literal
            $(, now |$now_file:ident, $now_buffer:ident, $now_offset:ident| $now:expr)?;
    )+) => {$(
        struct $work<B> {
            system: Arc<system::File>,
            slot: Arc<Slot<B>>,
            offset: u64,
        }

        impl<B: $bound<[u8]> + Send + 'static> Work for $work<B> {
            type Output = (io::Result<usize>, B);

            const WHAT: &'static str = $what;

            // The buffer stays in the slot, which lies still: nobody takes it in flight.
            const ON_RING: Option<OnRing<Self>> = Some(OnRing {
                describe: |$work { system, slot, offset }| {
                    let ($memory, length) = slot.with($locate).expect(NOT_TAKEN);
                    let length = ring_length(length);
                    Operation::$operation { file: system, $memory, length, offset: *offset }
                },
                finish: |work, transferred| {
                    Ok((transferred, work.slot.take().expect(NOT_TAKEN)))
                },
                ends_with_future: $ends_with_future,
            });

            $(fn run_now(&mut self) -> Option<io::Result<Self::Output>> {
                let $work { system: $now_file, slot, offset } = self;
                let $now_offset = *offset;
                let transferred = slot.with(|$now_buffer| $now).expect(NOT_TAKEN)?;
                Some(Ok((transferred, slot.take().expect(NOT_TAKEN))))
            })?

            fn run(self) -> io::Result<(io::Result<usize>, B)> {
                let taken = self.slot.take();
                let $buffer = taken.expect(NOT_TAKEN);
                let ($file, $offset) = (&self.system, self.offset);
                Ok($run)
            }
        }

        $(#[$attribute])*
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $name<'a, B: $bound<[u8]> + Send + 'static> {
            job: FileJob<'a, $work<B>>,
            slot: Arc<Slot<B>>,
        }

        impl<B: $bound<[u8]> + Send + 'static> Future for $name<'_, B> {
            type Output = (io::Result<usize>, B);

            /// # Panics
            /// If it has returned `Ready` before.
            fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                match ready!(self.job.poll(context)) {
                    Ok(output) => Poll::Ready(output),
                    Err(error) => {
                        let left = self.slot.take();
                        let buffer = left.expect("a job that never began left it there");
                        Poll::Ready((Err(error), buffer))
                    }
                }
            }
        }

        impl<B: $bound<[u8]> + Send + 'static> fmt::Debug for $name<'_, B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

owned_operations! {
    /// The future of [`File::read_at_owned`].
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing, and the buffer is lost.
    ReadAtOwned = ReadAtOwnedWork<AsMut>, "a file to be read", |file, buffer, offset| {
        let mut buffer = buffer;
        (file.read_at(buffer.as_mut(), offset), buffer)
    }, ring Read { buffer: |buffer: &mut B| {
        let bytes = buffer.as_mut();
        (bytes.as_mut_ptr(), bytes.len())
    } }, ends_with_future: true, now |file, buffer, offset| {
        let bytes = buffer.as_mut();
        if bytes.len() > LONGEST_AT_ONCE {
            return None;
        }
        file.read_at_now(bytes, offset)
    };

    /// The future of [`File::write_at_owned`].
    ///
    /// Cancel safety: once polled, the bytes are written all the same, later, and the buffer is
    /// lost.
    WriteAtOwned = WriteAtOwnedWork<AsRef>, "a file to be written", |file, buffer, offset| {
        (file.write_at(buffer.as_ref(), offset), buffer)
    }, ring Write { bytes: |buffer: &mut B| {
        let bytes = (*buffer).as_ref();
        (bytes.as_ptr(), bytes.len())
    } }, ends_with_future: false;
}

impl fmt::Debug for ReadAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAt").finish_non_exhaustive()
    }
}

impl fmt::Debug for WriteAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAt").finish_non_exhaustive()
    }
}
