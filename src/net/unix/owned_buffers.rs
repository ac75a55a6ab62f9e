//! Reading and writing with buffers that go into the operation and come back out of it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::net::operation::Operation;
use crate::platform::net as system;

const AGAIN: &str = "the operation is polled after it gave its buffer back";

/// The future of [`UnixStream::read_owned`](super::UnixStream::read_owned).
///
/// Cancel safety: dropped before it is ready, it has read nothing; the buffer goes with it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReadOwned<'a, B> {
    pub(super) operation: Operation<'a, system::UnixStream>,
    /// `None` once it was given back.
    pub(super) buffer: Option<B>,
}

/// The buffer is never pinned.
impl<B> Unpin for ReadOwned<'_, B> {}

impl<B: AsMut<[u8]>> Future for ReadOwned<'_, B> {
    type Output = (io::Result<usize>, B);

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let bytes = this.buffer.as_mut().expect(AGAIN).as_mut();
        let outcome = ready!(this.operation.poll_io(context, |socket| socket.read(bytes)));
        Poll::Ready((outcome, this.buffer.take().expect(AGAIN)))
    }
}

impl<B> fmt::Debug for ReadOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOwned").finish_non_exhaustive()
    }
}

/// The future of [`UnixStream::write_owned`](super::UnixStream::write_owned).
///
/// Cancel safety: dropped before it is ready, it has written nothing; the buffer goes with it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WriteOwned<'a, B> {
    pub(super) operation: Operation<'a, system::UnixStream>,
    /// `None` once it was given back.
    pub(super) buffer: Option<B>,
}

/// The buffer is never pinned.
impl<B> Unpin for WriteOwned<'_, B> {}

impl<B: AsRef<[u8]>> Future for WriteOwned<'_, B> {
    type Output = (io::Result<usize>, B);

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let bytes = this.buffer.as_ref().expect(AGAIN).as_ref();
        let write = |socket: &system::UnixStream| socket.write(bytes);
        let outcome = ready!(this.operation.poll_transfer(context, bytes.len(), write));
        Poll::Ready((outcome, this.buffer.take().expect(AGAIN)))
    }
}

impl<B> fmt::Debug for WriteOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOwned").finish_non_exhaustive()
    }
}
