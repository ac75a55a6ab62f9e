//! Two ends of a pipe in memory.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};

use super::pipe::Pipe;
use crate::waiter::Turn;

/// Two ends of a pipe in memory: what is written to one is read from the other. Each direction
/// holds up to `capacity` bytes; a writer waits while it is full. It works under any executor, in
/// production and in simulation.
///
/// # Panics
/// If `capacity` is 0.
///
/// ```
/// use volt::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// volt::run(|io| async move {
///     let (mut client, mut server) = duplex(4);
///     let serving = io.spawn(async move {
///         let mut question = [0; 8];
///         server.read_exact(&mut question).await?;
///         server.write_all(b"pong").await?;
///         Ok::<_, std::io::Error>(question)
///     });
///     client.write_all(b"ping pin").await?;
///     let mut answer = Vec::new();
///     client.read_to_end(&mut answer).await?;
///     assert_eq!(answer, b"pong");
///     assert_eq!(&serving.await.unwrap()?, b"ping pin");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn duplex(capacity: usize) -> (DuplexStream, DuplexStream) {
    assert!(capacity > 0, "a pipe without room would never carry a byte");
    let (there, back) = (Arc::new(Pipe::new(capacity)), Arc::new(Pipe::new(capacity)));
    let near = DuplexStream { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
    (near, DuplexStream { incoming: there, outgoing: back })
}

/// One end of [`duplex`]. Dropping it ends both directions: the other end reads what was written,
/// then the end, and its writes fail with `BrokenPipe`.
pub struct DuplexStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// Cancel safety: a read that is dropped before it is ready has read nothing.
impl AsyncRead for DuplexStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => self.incoming.poll_read(context, buffer),
            Turn::QueueOnly => Poll::Pending,
        };
        turn.end(context, polled).map(Ok)
    }
}

/// Nothing is buffered, so a flush does nothing. Closing ends the writing direction, and no more
/// than that. A write fails with `BrokenPipe` after that, and when the other end is gone.
///
/// Cancel safety: a write that is dropped before it is ready has written nothing.
impl AsyncWrite for DuplexStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = Turn::of_task();
        let polled = match turn {
            Turn::Take => self.outgoing.poll_write(context, bytes),
            Turn::QueueOnly => Poll::Pending,
        };
        turn.end(context, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.abandon();
    }
}

impl fmt::Debug for DuplexStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplexStream").finish_non_exhaustive()
    }
}
