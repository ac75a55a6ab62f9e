//! The futures of a stream's operations.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::TcpStream;
use crate::driver::Direction;

/// Declares the future of an operation: what it has beside the stream and the place that asked for
/// it, and what it gives. Each has a method `advance`, which is its poll.
macro_rules! operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident<$lifetime:lifetime $(, $inner:lifetime)?> { $($field:ident: $type:ty),* } -> $output:ty;
    )+) => {$(
        $(#[$attribute])*
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $name<$lifetime $(, $inner)?> {
            pub(super) stream: &$lifetime TcpStream,
            $(pub(super) $field: $type,)*
            pub(super) place: &'static Location<'static>,
        }

        impl<$lifetime $(, $inner)?> Future for $name<$lifetime $(, $inner)?> {
            type Output = io::Result<$output>;

            fn poll(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<$output>> {
                self.advance(context)
            }
        }

        impl<$lifetime $(, $inner)?> fmt::Debug for $name<$lifetime $(, $inner)?> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("stream", self.stream)
                    .finish_non_exhaustive()
            }
        }
    )+};
}

operations! {
    /// The future of [`TcpStream::read`].
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    Read<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`TcpStream::read_vectored`].
    ///
    /// Cancel safety: dropped before it is ready, it has read nothing.
    ReadVectored<'a, 'b> { buffers: &'a mut [IoSliceMut<'b>] } -> usize;

    /// The future of [`TcpStream::peek`].
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    Peek<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`TcpStream::read_exact`].
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have read some bytes, and does not
    /// say how many.
    ReadExact<'a> { buffer: &'a mut [u8], filled: usize } -> ();

    /// The future of [`TcpStream::write`].
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    Write<'a> { bytes: &'a [u8] } -> usize;

    /// The future of [`TcpStream::write_vectored`].
    ///
    /// Cancel safety: dropped before it is ready, it has written nothing.
    WriteVectored<'a> { slices: &'a [IoSlice<'a>] } -> usize;

    /// The future of [`TcpStream::write_all`].
    ///
    /// Cancel safety: none. Dropped before it is ready, it may have written some bytes, and does
    /// not say how many.
    WriteAll<'a> { bytes: &'a [u8] } -> ();

    /// The future of [`TcpStream::readable`] and [`TcpStream::writable`].
    ///
    /// Cancel safety: it takes nothing, so nothing is lost.
    Readiness<'a> { direction: Direction } -> ();
}

impl Read<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_read_into(context, self.buffer, self.place)
    }
}

impl ReadVectored<'_, '_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_read_vectored_into(context, self.buffers, self.place)
    }
}

impl Peek<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = &mut *self.buffer;
        let peek = |socket: &_| socket.peek(buffer);
        self.stream.poll_operation(context, Direction::Read, self.place, peek)
    }
}

impl ReadExact<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.filled < self.buffer.len() {
            let rest = &mut self.buffer[self.filled..];
            match ready!(self.stream.poll_read_into(context, rest, self.place))? {
                0 => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                count => self.filled += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Write<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_write_from(context, self.bytes, self.place)
    }
}

impl WriteVectored<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored_from(context, self.slices, self.place)
    }
}

impl WriteAll<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            match ready!(self.stream.poll_write_from(context, self.bytes, self.place))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => self.bytes = &self.bytes[count..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Readiness<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_ready(context, self.direction, self.place)
    }
}
