//! Waiting for a process while reading all that it writes.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::pipes::{ChildStderr, ChildStdout};
use super::{Child, ExitStatus, Output};

/// How much one read asks for, in bytes.
const CHUNK: usize = 16 * 1024;

/// What was read of a pipe so far.
struct Capture<P> {
    /// `None` once it is at its end, or if there is none.
    pipe: Option<P>,
    bytes: Vec<u8>,
}

impl<P> Capture<P> {
    fn new(pipe: Option<P>) -> Capture<P> {
        Capture { pipe, bytes: Vec::new() }
    }

    /// Reads to the end.
    fn poll_end(
        &mut self,
        mut read: impl FnMut(&P, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        while let Some(pipe) = &self.pipe {
            let length = self.bytes.len();
            self.bytes.resize(length + CHUNK, 0);
            let polled = read(pipe, &mut self.bytes[length..]);
            let count = match &polled {
                Poll::Ready(Ok(count)) => *count,
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            self.bytes.truncate(length + count);
            if ready!(polled)? == 0 {
                self.pipe = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The future of [`Child::wait_with_output`].
///
/// Cancel safety: none. Dropped before it is ready, what was read is lost, and the child is
/// dropped.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitWithOutput {
    child: Child,
    stdout: Capture<ChildStdout>,
    stderr: Capture<ChildStderr>,
    place: &'static Location<'static>,
}

impl WaitWithOutput {
    pub(super) fn new(mut child: Child, place: &'static Location<'static>) -> WaitWithOutput {
        let stdout = Capture::new(child.stdout.take());
        let stderr = Capture::new(child.stderr.take());
        WaitWithOutput { child, stdout, stderr, place }
    }
}

impl Future for WaitWithOutput {
    type Output = io::Result<Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Output>> {
        let WaitWithOutput { child, stdout, stderr, place } = &mut *self;
        let place = *place;
        // Both, whatever the first one says: the process may wait for either to be read.
        let first = stdout.poll_end(|pipe, buffer| pipe.poll_read_into(context, buffer, place));
        let second = stderr.poll_end(|pipe, buffer| pipe.poll_read_into(context, buffer, place));
        ready!(first)?;
        ready!(second)?;
        let status = ready!(child.poll_wait(context, place))?;
        Poll::Ready(Ok(Output {
            status,
            stdout: std::mem::take(&mut stdout.bytes),
            stderr: std::mem::take(&mut stderr.bytes),
        }))
    }
}

impl fmt::Debug for WaitWithOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitWithOutput").field("child", &self.child).finish_non_exhaustive()
    }
}

/// The future of [`Command::output`](super::Command::output).
///
/// Cancel safety: none. Dropped before it is ready, what was read is lost, and the process is
/// dropped as a [`Child`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct CommandOutput {
    /// Or why there is none, until that is told.
    started: Result<WaitWithOutput, Option<io::Error>>,
}

impl CommandOutput {
    pub(super) fn new(
        started: io::Result<Child>,
        place: &'static Location<'static>,
    ) -> CommandOutput {
        let started = started.map(|child| WaitWithOutput::new(child, place)).map_err(Some);
        CommandOutput { started }
    }
}

impl Future for CommandOutput {
    type Output = io::Result<Output>;

    /// # Panics
    /// If it has returned an error of starting the process before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Output>> {
        match &mut self.started {
            Ok(output) => Pin::new(output).poll(context),
            Err(error) => Poll::Ready(Err(told(error))),
        }
    }
}

/// The future of [`Command::status`](super::Command::status).
///
/// Cancel safety: dropped before it is ready, the process is dropped as a [`Child`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct CommandStatus {
    /// Or why there is none, until that is told.
    started: Result<Child, Option<io::Error>>,
    place: &'static Location<'static>,
}

impl CommandStatus {
    pub(super) fn new(
        started: io::Result<Child>,
        place: &'static Location<'static>,
    ) -> CommandStatus {
        let started = started.map(|mut child| {
            drop(child.stdin.take());
            child
        });
        CommandStatus { started: started.map_err(Some), place }
    }
}

impl Future for CommandStatus {
    type Output = io::Result<ExitStatus>;

    /// # Panics
    /// If it has returned an error of starting the process before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let place = self.place;
        match &mut self.started {
            Ok(child) => child.poll_wait(context, place),
            Err(error) => Poll::Ready(Err(told(error))),
        }
    }
}

fn told(error: &mut Option<io::Error>) -> io::Error {
    error.take().expect("the future of a command is polled after it gave its output")
}
