//! The traits of [tokio](https://tokio.rs) for reading and writing: what is written for
//! `tokio::io::AsyncRead` and `AsyncWrite` takes Volt's streams, files and pipes. Nothing of
//! tokio's runtime is compiled in.
//!
//! Each does as with the traits of `futures-io`; `poll_shutdown` is `poll_close`. Where both
//! crates' extension traits are in scope, a method name such as `read_to_end` is ambiguous: import
//! one of them.
//!
//! ```
//! use tokio::io::{AsyncRead, AsyncWrite};
//! use volt::net::{TcpListener, TcpStream};
//!
//! fn takes_what_tokio_takes(_: &mut (impl AsyncRead + AsyncWrite + Unpin)) {}
//!
//! volt::run(|io| async move {
//!     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
//!     let mut stream = TcpStream::connect(&io, listener.local_addr()?).await?;
//!     takes_what_tokio_takes(&mut stream);
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::fs::File;
use crate::io::{DuplexStream, Stderr, Stdin, Stdout};
#[cfg(unix)]
use crate::net::unix;
use crate::net::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};
use crate::process::{ChildStderr, ChildStdin, ChildStdout};

macro_rules! readers {
    ($($type:ty),+ $(,)?) => {$(
        impl tokio::io::AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // The buffer knows what was initialised: it is done once, not for each read.
                let room = buffer.initialize_unfilled();
                let count = ready!(futures_io::AsyncRead::poll_read(self, context, room))?;
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

readers!(
    TcpStream,
    &TcpStream,
    ReadHalf<'_>,
    OwnedReadHalf,
    File,
    ChildStdout,
    ChildStderr,
    DuplexStream,
    Stdin,
);

#[cfg(unix)]
readers!(unix::UnixStream, &unix::UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf);

macro_rules! writers {
    (vectored: $is_vectored:literal; $($type:ty),+ $(,)?) => {$(
        impl tokio::io::AsyncWrite for $type {
            #[track_caller]
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write(self, context, bytes)
            }

            fn is_write_vectored(&self) -> bool {
                $is_vectored
            }

            #[track_caller]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write_vectored(self, context, slices)
            }

            #[track_caller]
            fn poll_flush(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_flush(self, context)
            }

            #[track_caller]
            fn poll_shutdown(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_close(self, context)
            }
        }
    )+};
}

writers!(vectored: true; TcpStream, &TcpStream, WriteHalf<'_>, OwnedWriteHalf, File, ChildStdin);
#[cfg(unix)]
writers!(
    vectored: true;
    unix::UnixStream, &unix::UnixStream, unix::WriteHalf<'_>, unix::OwnedWriteHalf,
);
writers!(vectored: false; DuplexStream, Stdout, Stderr);

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use tokio::io::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::io::duplex;

    #[test]
    fn a_read_fills_the_buffer_from_where_it_is_filled() {
        let (mut near, mut far) = duplex(8);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let written = AsyncWrite::poll_write(Pin::new(&mut near), &mut context, b"cd");
        assert!(matches!(written, Poll::Ready(Ok(2))));
        let mut room = [0; 8];
        let mut buffer = ReadBuf::new(&mut room);
        buffer.put_slice(b"ab");
        let read = AsyncRead::poll_read(Pin::new(&mut far), &mut context, &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))));
        assert_eq!(buffer.filled(), b"abcd");

        let ended = AsyncWrite::poll_shutdown(Pin::new(&mut near), &mut context);
        assert!(matches!(ended, Poll::Ready(Ok(()))));
        let read = AsyncRead::poll_read(Pin::new(&mut far), &mut context, &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))));
        assert_eq!(buffer.filled().len(), 4);
    }
}
