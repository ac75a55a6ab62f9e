//! The standard input, read on a thread of the blocking pool.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::AsyncRead;

use super::not_run;
use crate::coop;
use crate::platform::{probe, standard};
use crate::runtime::Io;
use crate::task::JoinHandle;

/// The most bytes that one operation reads.
const LONGEST_READ: usize = 64 << 10;

/// The standard input of the process, through std's buffer: it may be mixed with
/// [`std::io::stdin`].
///
/// A thread of the blocking pool waits for input, and nothing can call it back: shutting the
/// runtime down waits for the next line, too, if a read is under way; `shutdown_timeout` does not.
/// Programs that talk to a person are better served by a thread of their own.
///
/// ```no_run
/// use volt::io::{AsyncBufReadExt, BufReader, stdin};
///
/// volt::run(|io| async move {
///     let mut line = String::new();
///     BufReader::new(stdin(&io)).read_line(&mut line).await
/// })
/// .unwrap();
/// ```
pub fn stdin(io: &Io) -> Stdin {
    Stdin { io: io.clone(), unread: Vec::new(), start: 0, outcome: None, running: None }
}

/// The reader of [`stdin`].
///
/// Bytes that were read for a future that was dropped are kept, and given to the next read of this
/// `Stdin`; dropping that loses them.
pub struct Stdin {
    io: Io,
    /// What was read; what comes before `start` was taken.
    unread: Vec<u8>,
    start: usize,
    /// What the last operation came to, until somebody asks.
    outcome: Option<io::Result<()>>,
    running: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
}

impl Stdin {
    /// Waits until no operation runs.
    fn poll_rest(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<()> {
        let Some(running) = &mut self.running else { return Poll::Ready(()) };
        let Poll::Ready(ended) = Pin::new(running).poll(context) else {
            probe::task_waits("the standard input", place);
            return Poll::Pending;
        };
        self.running = None;
        match ended {
            Ok((bytes, result)) => {
                (self.unread, self.start) = (bytes, 0);
                self.outcome = Some(result);
            }
            Err(error) => self.outcome = Some(Err(not_run(error))),
        }
        Poll::Ready(())
    }

    fn begin(&mut self, length: usize, place: &'static Location<'static>) {
        let mut bytes = std::mem::take(&mut self.unread);
        self.start = 0;
        let read = move || {
            bytes.resize(length, 0);
            let read = standard::read_stdin(&mut bytes);
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            (bytes, read.map(drop))
        };
        self.running = Some(self.io.scheduler().spawn_blocking(read, place));
    }
}

/// A read fails with `Unsupported` in a simulation, which has no input: a run would depend on who
/// types.
///
/// Cancel safety: dropped before it is ready, a read has given nothing, and nothing is lost to the
/// next one.
impl AsyncRead for Stdin {
    #[track_caller]
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let place = Location::caller();
        loop {
            ready!(self.poll_rest(context, place));
            ready!(coop::poll_proceed(context));
            let outcome = self.outcome.take();
            if let Some(Err(error)) = outcome {
                return Poll::Ready(Err(error));
            }
            let content = &self.unread[self.start..];
            // An operation that succeeded and has nothing found the end.
            if outcome.is_some() || buffer.is_empty() || !content.is_empty() {
                let count = content.len().min(buffer.len());
                buffer[..count].copy_from_slice(&content[..count]);
                self.start += count;
                return Poll::Ready(Ok(count));
            }
            self.begin(buffer.len().min(LONGEST_READ), place);
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}
