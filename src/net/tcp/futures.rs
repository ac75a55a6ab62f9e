//! The futures of a stream's operations.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::connection::Connection;
use crate::net::operation::{Operation, operations};

operations! {
    of Connection;

    /// The future of [`TcpStream::read`](super::TcpStream::read).
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    Read<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`TcpStream::read_vectored`](super::TcpStream::read_vectored).
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    ReadVectored<'a, 'b> { buffers: &'a mut [IoSliceMut<'b>] } -> usize;

    /// The future of [`TcpStream::peek`](super::TcpStream::peek).
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    Peek<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`TcpStream::read_exact`](super::TcpStream::read_exact).
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have read some bytes, and does not
    /// say how many.
    ReadExact<'a> { buffer: &'a mut [u8], filled: usize } -> ();

    /// The future of [`TcpStream::write`](super::TcpStream::write).
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    Write<'a> { bytes: &'a [u8] } -> usize;

    /// The future of [`TcpStream::write_vectored`](super::TcpStream::write_vectored).
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    WriteVectored<'a> { slices: &'a [IoSlice<'a>] } -> usize;

    /// The future of [`TcpStream::write_all`](super::TcpStream::write_all).
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have written some bytes, and does
    /// not say how many.
    WriteAll<'a> { bytes: &'a [u8] } -> ();

    /// The future of [`TcpStream::readable`](super::TcpStream::readable) and
    /// [`TcpStream::writable`](super::TcpStream::writable).
    ///
    /// Cancel safety: it takes nothing, so nothing is lost.
    Readiness<'a> {} -> ();
}

impl Read<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let requested = self.buffer.len();
        self.operation.poll_transfer(context, requested, |socket| socket.read(self.buffer))
    }
}

impl ReadVectored<'_, '_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let requested = self.buffers.iter().map(|buffer| buffer.len()).sum();
        let read = |socket: &Connection| socket.read_vectored(self.buffers);
        self.operation.poll_transfer(context, requested, read)
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
            let requested = rest.len();
            let read = |socket: &Connection| socket.read(rest);
            match ready!(self.operation.poll_transfer(context, requested, read))? {
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
        let write = |socket: &Connection| socket.write_vectored(self.slices);
        self.operation.poll_transfer(context, requested, write)
    }
}

impl WriteAll<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            let requested = self.bytes.len();
            let write = |socket: &Connection| socket.write(self.bytes);
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
        self.operation.poll_told(context)
    }
}
