//! What a process reads and writes.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::driver::{Direction, Driver, Registration};
use crate::net::operation::{Operation, Request};
use crate::platform::process::{PipeReader, PipeWriter, Stdio};

fn read_request(place: &'static Location<'static>) -> Request {
    Request::of("a pipe to become readable", Direction::Read, place)
}

fn write_request(place: &'static Location<'static>) -> Request {
    Request::of("a pipe to become writable", Direction::Write, place)
}

/// What writing answers after the pipe was closed.
fn closed_error() -> io::Error {
    io::Error::new(ErrorKind::BrokenPipe, "the pipe to the process was closed on this side")
}

/// What a process reads, as it is written here. Dropping or closing it is the end of that.
///
/// ```
/// use volt::process::{Command, Stdio};
///
/// # if !cfg!(unix) { return }
/// volt::run(|io| async move {
///     let mut child = Command::new("sh").args(["-c", "read line; test $line = yes"])
///         .stdin(Stdio::piped())
///         .spawn(&io)?;
///     child.stdin.as_ref().unwrap().write_all(b"yes\n").await?;
///     assert!(child.wait().await?.success());
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct ChildStdin {
    /// `None` once it is closed.
    registration: Option<Registration<PipeWriter>>,
}

impl ChildStdin {
    pub(super) fn new(driver: &Arc<Driver>, pipe: PipeWriter) -> io::Result<ChildStdin> {
        Ok(ChildStdin { registration: Some(driver.register(pipe)?) })
    }

    /// Writes as much of `bytes` as there is room for, and waits if there is none. How much it
    /// was.
    ///
    /// Cancel safety: a dropped write has written nothing.
    ///
    /// # Errors
    /// `BrokenPipe` if the process does not read any more, or it was closed here.
    #[track_caller]
    pub fn write<'a>(&'a self, bytes: &'a [u8]) -> Write<'a> {
        Write { operation: self.operation(Location::caller()), bytes }
    }

    /// Writes all of `bytes`.
    ///
    /// Cancel safety: none. A dropped `write_all` may have written some bytes, and does not say
    /// how many.
    ///
    /// # Errors
    /// `WriteZero` if the system takes nothing; otherwise as [`write`](ChildStdin::write).
    #[track_caller]
    pub fn write_all<'a>(&'a self, bytes: &'a [u8]) -> WriteAll<'a> {
        WriteAll { operation: self.operation(Location::caller()), bytes }
    }

    /// The pipe as what another process writes to.
    ///
    /// # Errors
    /// If it was closed, or the system does not let go of it.
    pub fn into_stdio(self) -> io::Result<Stdio> {
        self.registration.ok_or_else(closed_error)?.into_source()?.into_stdio()
    }

    fn operation(&self, place: &'static Location<'static>) -> Option<Operation<'_, PipeWriter>> {
        let registration = self.registration.as_ref()?;
        Some(Operation::new(registration, write_request(place)))
    }
}

/// Nothing is buffered, so a flush does nothing. Closing closes the pipe.
impl AsyncWrite for ChildStdin {
    #[track_caller]
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let request = write_request(Location::caller());
        let registration = self.registration.as_ref().ok_or_else(closed_error)?;
        let write = |pipe: &PipeWriter| pipe.write(bytes);
        request.poll_transfer(registration, context, bytes.len(), write)
    }

    #[track_caller]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = write_request(Location::caller());
        let registration = self.registration.as_ref().ok_or_else(closed_error)?;
        let requested = slices.iter().map(|slice| slice.len()).sum();
        let write = |pipe: &PipeWriter| pipe.write_vectored(slices);
        request.poll_transfer(registration, context, requested, write)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration = None;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStdin").finish_non_exhaustive()
    }
}

/// Declares what a process writes.
macro_rules! readers {
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $(#[$attribute])*
        pub struct $name {
            registration: Registration<PipeReader>,
        }

        impl $name {
            pub(super) fn new(driver: &Arc<Driver>, pipe: PipeReader) -> io::Result<$name> {
                Ok($name { registration: driver.register(pipe)? })
            }

            /// Reads what is there, at most as much as `buffer` holds, and waits if there is
            /// nothing; 0 is the end: nobody has the other end of the pipe any more.
            ///
            /// Cancel safety: a dropped read has read nothing.
            ///
            /// # Errors
            /// If the runtime has shut down.
            #[track_caller]
            pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
                let request = read_request(Location::caller());
                Read { operation: Operation::new(&self.registration, request), buffer }
            }

            /// The pipe as what another process reads.
            ///
            /// # Errors
            /// If the system does not let go of it.
            pub fn into_stdio(self) -> io::Result<Stdio> {
                self.registration.into_source()?.into_stdio()
            }

            pub(super) fn poll_read_into(
                &self,
                context: &mut Context<'_>,
                buffer: &mut [u8],
                place: &'static Location<'static>,
            ) -> Poll<io::Result<usize>> {
                let requested = buffer.len();
                let read = |pipe: &PipeReader| pipe.read(buffer);
                read_request(place).poll_transfer(&self.registration, context, requested, read)
            }
        }

        impl AsyncRead for $name {
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_read_into(context, buffer, Location::caller())
            }

            #[track_caller]
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let request = read_request(Location::caller());
                let requested = buffers.iter().map(|buffer| buffer.len()).sum();
                let read = |pipe: &PipeReader| pipe.read_vectored(buffers);
                request.poll_transfer(&self.registration, context, requested, read)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

readers! {
    /// What a process writes to its standard output.
    ///
    /// ```
    /// use volt::process::{Command, Stdio};
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let mut first = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn(&io)?;
    ///     // A pipeline: `echo hello | tr a-z A-Z`.
    ///     let hello = first.stdout.take().unwrap().into_stdio()?;
    ///     let shout = Command::new("tr").args(["a-z", "A-Z"]).stdin(hello).output(&io).await?;
    ///     assert_eq!(shout.stdout, b"HELLO\n");
    ///     assert!(first.wait().await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    ChildStdout;

    /// What a process writes to its standard error.
    ///
    /// ```
    /// use volt::process::{Command, Stdio};
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "echo oops >&2"]).stderr(Stdio::piped());
    ///     let mut child = command.spawn(&io)?;
    ///     let mut bytes = [0; 16];
    ///     let count = child.stderr.as_ref().unwrap().read(&mut bytes).await?;
    ///     assert_eq!(&bytes[..count], b"oops\n");
    ///     child.wait().await?;
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    ChildStderr;
}

/// The future of `read` on [`ChildStdout`] and [`ChildStderr`].
///
/// Cancel safety: dropped before it is ready, it has read nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Read<'a> {
    operation: Operation<'a, PipeReader>,
    buffer: &'a mut [u8],
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Read { operation, buffer } = &mut *self;
        operation.poll_transfer(context, buffer.len(), |pipe| pipe.read(buffer))
    }
}

/// The future of [`ChildStdin::write`].
///
/// Cancel safety: dropped before it is ready, it has written nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Write<'a> {
    /// `None` if the pipe was closed.
    operation: Option<Operation<'a, PipeWriter>>,
    bytes: &'a [u8],
}

impl Future for Write<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = self.bytes;
        let operation = self.operation.as_mut().ok_or_else(closed_error)?;
        operation.poll_transfer(context, bytes.len(), |pipe| pipe.write(bytes))
    }
}

/// The future of [`ChildStdin::write_all`].
///
/// Cancel safety: none. Dropped before it is ready, it may have written some bytes, and does not
/// say how many.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WriteAll<'a> {
    /// `None` if the pipe was closed.
    operation: Option<Operation<'a, PipeWriter>>,
    bytes: &'a [u8],
}

impl Future for WriteAll<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WriteAll { operation, bytes } = &mut *self;
        let operation = operation.as_mut().ok_or_else(closed_error)?;
        while !bytes.is_empty() {
            let write = |pipe: &PipeWriter| pipe.write(bytes);
            match ready!(operation.poll_transfer(context, bytes.len(), write))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => *bytes = &bytes[count..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Declares how futures show.
macro_rules! shown {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

shown!(Read, Write, WriteAll);
