//! The standard output and error, written on threads of the blocking pool.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::AsyncWrite;

use super::not_run;
use crate::coop;
use crate::platform::{probe, standard};
use crate::runtime::Io;
use crate::task::JoinHandle;

/// The most bytes that one operation writes.
const LONGEST_WRITE: usize = 64 << 10;

/// The standard output of the process. Flush it before the program ends, or nobody hears of a
/// failure, and the last write may not happen.
///
/// ```
/// use volt::io::{AsyncWriteExt, stdout};
///
/// volt::run(|io| async move {
///     let mut stdout = stdout(&io);
///     stdout.write_all(b"hello\n").await?;
///     stdout.flush().await
/// })
/// .unwrap();
/// ```
pub fn stdout(io: &Io) -> Stdout {
    Stdout(Writer::new(io, standard::write_stdout, "the standard output"))
}

/// The standard error of the process. As [`stdout`] otherwise: also this is written by a thread,
/// later, so flush it.
///
/// ```
/// use volt::io::{AsyncWriteExt, stderr};
///
/// volt::run(|io| async move {
///     let mut stderr = stderr(&io);
///     stderr.write_all(b"a word of warning\n").await?;
///     stderr.flush().await
/// })
/// .unwrap();
/// ```
pub fn stderr(io: &Io) -> Stderr {
    Stderr(Writer::new(io, standard::write_stderr, "the standard error"))
}

/// One operation at a time, on a thread.
struct Writer {
    io: Io,
    write: fn(&[u8]) -> io::Result<()>,
    /// As reports put it.
    what: &'static str,
    /// Room for what is to be written.
    buffer: Vec<u8>,
    /// The error of a write of which nobody has heard.
    error: Option<io::Error>,
    running: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
}

impl Writer {
    fn new(io: &Io, write: fn(&[u8]) -> io::Result<()>, what: &'static str) -> Writer {
        Writer { io: io.clone(), write, what, buffer: Vec::new(), error: None, running: None }
    }

    /// Waits until no operation runs, spends one of the budget, and tells of what went wrong.
    fn poll_rest(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<io::Result<()>> {
        if let Some(running) = &mut self.running {
            let Poll::Ready(ended) = Pin::new(running).poll(context) else {
                probe::task_waits(self.what, place);
                return Poll::Pending;
            };
            self.running = None;
            match ended {
                Ok((buffer, result)) => {
                    self.buffer = buffer;
                    self.error = result.err();
                }
                Err(error) => self.error = Some(not_run(error)),
            }
        }
        ready!(coop::poll_proceed(context));
        Poll::Ready(self.error.take().map_or(Ok(()), Err))
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        place: &'static Location<'static>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(context, place))?;
        let count = bytes.len().min(LONGEST_WRITE);
        if count > 0 {
            let (write, mut buffer) = (self.write, std::mem::take(&mut self.buffer));
            buffer.clear();
            buffer.extend_from_slice(&bytes[..count]);
            let job = move || {
                let result = write(&buffer);
                (buffer, result)
            };
            self.running = Some(self.io.scheduler().spawn_blocking(job, place));
        }
        Poll::Ready(Ok(count))
    }
}

macro_rules! writers {
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $(#[$attribute])*
        pub struct $name(Writer);

        /// A write copies the bytes, at most 64 KiB of them, has a thread write them, and is ready
        /// before that has happened. The next operation waits for it; its error is that of the
        /// next write or flush.
        ///
        /// Cancel safety: a write that is dropped before it is ready has written nothing. One that
        /// was ready is written, unless the runtime shuts down before a thread has begun it. A
        /// flush that is dropped may be asked for again.
        ///
        /// Closing is flushing.
        impl AsyncWrite for $name {
            #[track_caller]
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(context, bytes, Location::caller())
            }

            #[track_caller]
            fn poll_flush(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_rest(context, Location::caller())
            }

            #[track_caller]
            fn poll_close(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.poll_flush(context)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

writers! {
    /// The writer of [`stdout`].
    Stdout;

    /// The writer of [`stderr`].
    Stderr;
}
