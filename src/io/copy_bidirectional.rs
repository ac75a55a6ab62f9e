//! Copying both ways between two streams.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};

/// The room of one direction, in bytes.
const ROOM: usize = 8 << 10;

/// Copies what is read from `a` to `b`, and what is read from `b` to `a`, until both have ended;
/// how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// When one ends, the other's writing direction is closed, and the way back goes on. While nothing
/// comes in, what was written is flushed.
///
/// Cancel safety: none. Dropped before it is ready, it may have read bytes that it has not written.
///
/// # Errors
/// The first error of any read, write, flush or close: both directions end with it. `WriteZero` if
/// a stream takes no bytes any more.
///
/// ```
/// use volt::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
///
/// volt::run(|io| async move {
///     let ((mut client, mut left), (mut right, mut server)) = (duplex(16), duplex(16));
///     let proxy = io.spawn(async move { copy_bidirectional(&mut left, &mut right).await });
///
///     client.write_all(b"question").await?;
///     client.close().await?;
///     let mut question = String::new();
///     server.read_to_string(&mut question).await?;
///     server.write_all(b"yes").await?;
///     server.close().await?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///
///     assert_eq!((question.as_str(), answer.as_str()), ("question", "yes"));
///     assert_eq!(proxy.await.unwrap()?, (8, 3));
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub fn copy_bidirectional<'a, A, B>(a: &'a mut A, b: &'a mut B) -> CopyBidirectional<'a, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    CopyBidirectional { a, b, there: Direction::new(), back: Direction::new() }
}

/// The future of [`copy_bidirectional`].
///
/// Cancel safety: none. Dropped before it is ready, it may have read bytes that it has not written.
#[must_use = "a future does nothing unless it is awaited"]
pub struct CopyBidirectional<'a, A: ?Sized, B: ?Sized> {
    a: &'a mut A,
    b: &'a mut B,
    there: Direction,
    back: Direction,
}

/// What is on its way from one stream to the other.
struct Direction {
    buffer: Box<[u8]>,
    /// What was read and not written lies between them.
    start: usize,
    end: usize,
    written: u64,
    /// Written since the last flush.
    is_unflushed: bool,
    /// The reader has ended.
    is_ended: bool,
    /// The writer is closed.
    is_closed: bool,
}

impl Direction {
    fn new() -> Direction {
        Direction {
            buffer: vec![0; ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
            written: 0,
            is_unflushed: false,
            is_ended: false,
            is_closed: false,
        }
    }

    /// Goes on until the reader has ended and the writer is closed.
    fn poll_copy<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        while !self.is_closed {
            while self.start < self.end {
                let bytes = &self.buffer[self.start..self.end];
                let count = ready!(Pin::new(&mut *writer).poll_write(context, bytes))?;
                if count == 0 {
                    return Poll::Ready(Err(ErrorKind::WriteZero.into()));
                }
                self.start += count;
                // A count of bytes fits.
                self.written += count as u64;
                self.is_unflushed = true;
            }
            if self.is_ended {
                ready!(Pin::new(&mut *writer).poll_close(context))?;
                self.is_closed = true;
                break;
            }
            match Pin::new(&mut *reader).poll_read(context, &mut self.buffer) {
                Poll::Ready(read) => {
                    (self.start, self.end) = (0, read?);
                    self.is_ended = self.end == 0;
                }
                Poll::Pending => {
                    if self.is_unflushed {
                        ready!(Pin::new(&mut *writer).poll_flush(context))?;
                        self.is_unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<A, B> Future for CopyBidirectional<'_, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let CopyBidirectional { a, b, there, back } = &mut *self;
        // Both are asked each time: each must have been told of the task.
        let is_there = there.poll_copy(context, &mut **a, &mut **b)?.is_ready();
        let is_back = back.poll_copy(context, &mut **b, &mut **a)?.is_ready();
        if is_there && is_back {
            Poll::Ready(Ok((there.written, back.written)))
        } else {
            Poll::Pending
        }
    }
}

impl<A: ?Sized, B: ?Sized> fmt::Debug for CopyBidirectional<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyBidirectional")
            .field("written", &(self.there.written, self.back.written))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::io::{DuplexStream, duplex};

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn write(stream: &mut DuplexStream, bytes: &[u8]) {
        let written = Pin::new(stream).poll_write(&mut context(), bytes);
        assert!(matches!(written, Poll::Ready(Ok(count)) if count == bytes.len()));
    }

    fn read(stream: &mut DuplexStream) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 64];
        match Pin::new(stream).poll_read(&mut context(), &mut bytes) {
            Poll::Ready(count) => {
                bytes.truncate(count.unwrap());
                Some(bytes)
            }
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_way_back_goes_on_after_one_has_ended() {
        let ((mut client, mut left), (mut right, mut server)) = (duplex(8), duplex(8));
        let mut copy = copy_bidirectional(&mut left, &mut right);
        let mut copying = Pin::new(&mut copy);
        write(&mut client, b"abc");
        assert!(copying.as_mut().poll(&mut context()).is_pending());
        assert_eq!(read(&mut server), Some(b"abc".to_vec()));
        assert_eq!(read(&mut server), None);

        assert!(Pin::new(&mut client).poll_close(&mut context()).is_ready());
        assert!(copying.as_mut().poll(&mut context()).is_pending());
        assert_eq!(read(&mut server), Some(Vec::new()));

        write(&mut server, b"defgh");
        assert!(copying.as_mut().poll(&mut context()).is_pending());
        assert_eq!(read(&mut client), Some(b"defgh".to_vec()));
        assert!(Pin::new(&mut server).poll_close(&mut context()).is_ready());
        let copied = copying.as_mut().poll(&mut context());
        assert!(matches!(copied, Poll::Ready(Ok((3, 5)))));
        assert_eq!(read(&mut client), Some(Vec::new()));
    }

    #[test]
    fn an_end_that_is_gone_is_an_error() {
        let ((mut client, mut left), (mut right, server)) = (duplex(8), duplex(8));
        drop(server);
        write(&mut client, b"abc");
        let copied = Pin::new(&mut copy_bidirectional(&mut left, &mut right)).poll(&mut context());
        assert!(matches!(copied, Poll::Ready(Err(error)) if error.kind() == ErrorKind::BrokenPipe));
    }
}
