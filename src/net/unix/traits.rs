//! The field's traits for streams and their halves.
//!
//! Each call waits for the task that makes it. Several tasks may read one stream, and several may
//! write it: which of them gets which bytes is then not determined.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, UnixStream, WriteHalf};

macro_rules! readers {
    ($($type:ty),+) => {$(
        impl AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.as_stream().poll_read_into(context, buffer)
            }

            #[track_caller]
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.as_stream().poll_read_vectored_into(context, buffers)
            }
        }
    )+};
}

readers!(UnixStream, &UnixStream, ReadHalf<'_>, OwnedReadHalf);

macro_rules! writers {
    ($($type:ty),+) => {$(
        /// Nothing is buffered, so a flush does nothing. Closing ends the writing direction, so
        /// that the peer reads the end; it closes no more than that.
        impl AsyncWrite for $type {
            #[track_caller]
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.as_stream().poll_write_from(context, bytes)
            }

            #[track_caller]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.as_stream().poll_write_vectored_from(context, slices)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.as_stream().finish_writing())
            }
        }
    )+};
}

writers!(UnixStream, &UnixStream, WriteHalf<'_>, OwnedWriteHalf);
