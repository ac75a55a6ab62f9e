//! The field's traits for streams and their halves.
//!
//! Each call waits for the task that makes it. Several tasks may read one stream, and several may
//! write it: which of them gets which bytes is then not determined.

/// Those that can be read.
macro_rules! readers {
    ($($type:ty),+) => {$(
        impl ::futures_io::AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.as_stream().poll_read_into(context, buffer)
            }

            #[track_caller]
            fn poll_read_vectored(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                buffers: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.as_stream().poll_read_vectored_into(context, buffers)
            }
        }
    )+};
}

pub(super) use readers;

/// Those that can be written.
macro_rules! writers {
    ($($type:ty),+) => {$(
        /// Nothing is buffered, so a flush does nothing. Closing ends the writing direction, so
        /// that the peer reads the end; it closes no more than that.
        impl ::futures_io::AsyncWrite for $type {
            #[track_caller]
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                bytes: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.as_stream().poll_write_from(context, bytes)
            }

            #[track_caller]
            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                slices: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.as_stream().poll_write_vectored_from(context, slices)
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(self.as_stream().finish_writing())
            }
        }
    )+};
}

pub(super) use writers;
