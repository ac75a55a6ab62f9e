//! The futures of a stream's operations.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::net::operation::{Operation, operations};
use crate::platform::net as system;

operations! {
    of system::UnixStream;

    /// The future of [`UnixStream::read`](super::UnixStream::read).
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    Read<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UnixStream::read_vectored`](super::UnixStream::read_vectored).
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    ReadVectored<'a, 'b> { buffers: &'a mut [IoSliceMut<'b>] } -> usize;

    /// The future of [`UnixStream::peek`](super::UnixStream::peek).
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    Peek<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UnixStream::read_exact`](super::UnixStream::read_exact).
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have read some bytes, and does not
    /// say how many.
    ReadExact<'a> { buffer: &'a mut [u8], filled: usize } -> ();

    /// The future of [`UnixStream::write`](super::UnixStream::write).
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    Write<'a> { bytes: &'a [u8] } -> usize;

    /// The future of [`UnixStream::write_vectored`](super::UnixStream::write_vectored).
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    WriteVectored<'a> { slices: &'a [IoSlice<'a>] } -> usize;

    /// The future of [`UnixStream::write_all`](super::UnixStream::write_all).
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have written some bytes, and does
    /// not say how many.
    WriteAll<'a> { bytes: &'a [u8] } -> ();

    /// The future of [`UnixStream::readable`](super::UnixStream::readable) and
    /// [`UnixStream::writable`](super::UnixStream::writable).
    ///
    /// Cancel safety: it takes nothing, so nothing is lost.
    Readiness<'a> {} -> ();
}

// A read ends early where the peer has passed a descriptor along, so one that gives less than was
// asked for does not show that nothing follows: unlike those of TCP, reads try until they would
// block.

impl Read<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.read(self.buffer))
    }
}

impl ReadVectored<'_, '_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.read_vectored(self.buffers))
    }
}

impl Peek<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.peek(self.buffer))
    }
}

impl ReadExact<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.filled < self.buffer.len() {
            let rest = &mut self.buffer[self.filled..];
            match ready!(self.operation.poll_io(context, |socket| socket.read(rest)))? {
                0 => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                count => self.filled += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Write<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let requested = self.bytes.len();
        self.operation.poll_transfer(context, requested, |socket| socket.write(self.bytes))
    }
}

impl WriteVectored<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let requested = self.slices.iter().map(|slice| slice.len()).sum();
        let write = |socket: &system::UnixStream| socket.write_vectored(self.slices);
        self.operation.poll_transfer(context, requested, write)
    }
}

impl WriteAll<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            let requested = self.bytes.len();
            let write = |socket: &system::UnixStream| socket.write(self.bytes);
            match ready!(self.operation.poll_transfer(context, requested, write))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => self.bytes = &self.bytes[count..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Readiness<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.operation.poll_ready(context)
    }
}
