//! Waiting for connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::UnixStream;
use crate::driver::{Direction, Registration};
use crate::net::exhaustion::Patience;
use crate::net::operation::{Operation, Request};
use crate::platform::net as system;
use crate::runtime::Io;

/// A socket that accepts connections at a path of the file system.
///
/// On the real machine binding makes a file there, which stays when the listener is dropped: as
/// long as it does, the path is taken. Remove it before binding, or after. In a simulation a path
/// belongs to the host, is compared as it is written, makes no file, and is free again when the
/// listener is dropped.
///
/// An error of [`accept`](UnixListener::accept) leaves it as it was: the next call goes on. That
/// the process has no file descriptor left, or the system no memory, is told 10 ms late, so that a
/// loop that merely goes on after an error does not spin.
///
/// ```
/// use volt::net::{UnixListener, UnixStream};
///
/// volt::run(|io| async move {
///     let path = std::env::temp_dir().join(format!("volt-listener-{}", std::process::id()));
///     let listener = UnixListener::bind(&io, &path)?;
///     let client = UnixStream::connect(&io, &path).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all(&[7]).await?;
///     let mut byte = [0];
///     server.read_exact(&mut byte).await?;
///     assert_eq!(byte, [7]);
///     volt::fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
pub struct UnixListener {
    registration: Registration<system::UnixListener>,
    /// What accepted connections belong to.
    io: Io,
}

impl UnixListener {
    /// Listens at `path`.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` if something is at `path`, and `InvalidInput` if
    /// it is too long for a socket; if the runtime has shut down.
    #[track_caller]
    pub fn bind(io: &Io, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::register(io, system::UnixListener::bind(path.as_ref())?)
    }

    /// Takes over a listener of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, listener: system::StdUnixListener) -> io::Result<UnixListener> {
        UnixListener::register(io, system::UnixListener::from_std(listener)?)
    }

    /// Gives the listener to the standard library. It stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in a simulation.
    pub fn into_std(self) -> io::Result<system::StdUnixListener> {
        self.registration.into_source()?.into_std()
    }

    fn register(io: &Io, socket: system::UnixListener) -> io::Result<UnixListener> {
        let registration = io.scheduler().driver().register(socket)?;
        Ok(UnixListener { registration, io: io.clone() })
    }

    /// Waits for the next connection; the stream, and the peer's address, which
    /// has a path only if the peer was bound to one.
    ///
    /// Cancel safety: a dropped accept has accepted nothing.
    ///
    /// # Errors
    /// What the system says of the connection or of the process; the listener stays usable. That
    /// descriptors or memory have run out is told 10 ms late. If the runtime has shut down.
    #[track_caller]
    pub fn accept(&self) -> Accept<'_> {
        Accept { listener: self, operation: self.operation(), patience: Patience::new() }
    }

    /// As [`accept`](UnixListener::accept), for code that polls. `Pending` sees to it that the task
    /// is woken at the next connection, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`accept`](UnixListener::accept), but none is told late: while descriptors or memory have
    /// run out, every call fails at once, so the caller should wait a little.
    #[track_caller]
    pub fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let request = Request::new(Direction::Read, Location::caller());
        let accept = system::UnixListener::accept;
        let accepted = ready!(request.poll_io(&self.registration, context, accept));
        Poll::Ready(self.take_over(accepted))
    }

    /// The connections, one after the other. The stream never ends; an item may be an error, as
    /// [`accept`](UnixListener::accept) has them, and the stream goes on.
    ///
    /// Cancel safety: a stream that is dropped has lost no connection.
    #[track_caller]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { accept: self.accept() }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration.source().local_addr()
    }

    /// Takes the error that waits on the socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registration.source().take_error()
    }

    #[track_caller]
    fn operation(&self) -> Operation<'_, system::UnixListener> {
        let request = Request::new(Direction::Read, Location::caller());
        Operation::new(&self.registration, request)
    }

    /// Makes what was accepted a stream of the runtime's.
    fn take_over(
        &self,
        accepted: io::Result<(system::UnixStream, SocketAddr)>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, peer) = accepted?;
        let stream = UnixStream::register(self.io.scheduler().driver(), socket)?;
        Ok((stream, peer))
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

impl AsFd for UnixListener {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.source().as_fd()
    }
}

/// The future of [`UnixListener::accept`].
///
/// Cancel safety: dropped before it is ready, it has accepted nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Accept<'a> {
    listener: &'a UnixListener,
    operation: Operation<'a, system::UnixListener>,
    patience: Patience,
}

impl Future for Accept<'_> {
    type Output = io::Result<(UnixStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept { listener, operation, patience } = &mut *self;
        patience.poll(context, &listener.io, operation.place(), |context| {
            let accepted = ready!(operation.poll_io(context, system::UnixListener::accept));
            Poll::Ready(listener.take_over(accepted))
        })
    }
}

impl fmt::Debug for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", self.listener).finish_non_exhaustive()
    }
}

/// The stream of [`UnixListener::incoming`].
///
/// Cancel safety: it holds no connection.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a> {
    accept: Accept<'a>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.accept).poll(context));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}
