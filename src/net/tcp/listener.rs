//! Waiting for connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::TcpStream;
use crate::driver::{Direction, Registration};
use crate::net::exhaustion::Patience;
use crate::net::operation::{Operation, Request};
use crate::net::{LookupHost, ToSocketAddrs};
use crate::platform::net as system;
use crate::runtime::Io;

/// A socket that accepts TCP connections.
///
/// An error of [`accept`](TcpListener::accept) leaves it as it was: the next call goes on. Some
/// pass at once, such as a peer that went before it was accepted. Others last until something is
/// closed: the process has no file descriptor left, or the system no memory. Each of those is told
/// 10 ms late, so that a loop that merely goes on after an error does not spin; connections wait
/// in the listener's queue meanwhile.
///
/// ```
/// use volt::net::{TcpListener, TcpStream};
///
/// volt::run(|io| async move {
///     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let server = io.spawn(async move {
///         let (stream, _) = listener.accept().await?;
///         let mut byte = [0];
///         stream.read_exact(&mut byte).await?;
///         Ok::<_, std::io::Error>(byte[0])
///     });
///     TcpStream::connect(&io, address).await?.write_all(&[7]).await?;
///     assert_eq!(server.await.unwrap()?, 7);
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct TcpListener {
    registration: Registration<system::TcpListener>,
    /// What accepted connections belong to.
    io: Io,
}

impl TcpListener {
    /// Listens on `address`: on the first of its addresses that can be had. Port 0 stands for any
    /// free port, which [`local_addr`](TcpListener::local_addr) tells.
    ///
    /// Cancel safety: nothing is left behind.
    ///
    /// # Errors
    /// `InvalidInput` for what is no address, naming it; the resolver's error; if no address can
    /// be had, the error of the last one, such as `AddrInUse`.
    #[track_caller]
    pub fn bind(io: &Io, address: impl ToSocketAddrs) -> Bind {
        Bind { io: io.clone(), lookup: LookupHost::new(io, &address, Location::caller()) }
    }

    /// Takes over a listener of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, listener: system::StdTcpListener) -> io::Result<TcpListener> {
        TcpListener::register(io, system::TcpListener::from_std(listener)?)
    }

    /// Gives the listener to the standard library. It stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in a simulation.
    pub fn into_std(self) -> io::Result<system::StdTcpListener> {
        self.registration.into_source()?.into_std()
    }

    pub(super) fn register(io: &Io, socket: system::TcpListener) -> io::Result<TcpListener> {
        let registration = io.scheduler().driver().register(socket)?;
        Ok(TcpListener { registration, io: io.clone() })
    }

    /// Waits for the next connection; the stream, and the peer's address.
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

    /// As [`accept`](TcpListener::accept), for code that polls. `Pending` sees to it that the task
    /// is woken at the next connection, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept), but none is told late: while descriptors or memory have
    /// run out, every call fails at once, so the caller should wait a little.
    #[track_caller]
    pub fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let request = Request::new(Direction::Read, Location::caller());
        let accept = system::TcpListener::accept;
        let accepted = ready!(request.poll_io(&self.registration, context, accept));
        Poll::Ready(self.take_over(accepted))
    }

    /// The connections, one after the other. The stream never ends; an item may be an error, as
    /// [`accept`](TcpListener::accept) has them, and the stream goes on.
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

    #[track_caller]
    fn operation(&self) -> Operation<'_, system::TcpListener> {
        let request = Request::new(Direction::Read, Location::caller());
        Operation::new(&self.registration, request)
    }

    /// Makes what was accepted a stream of the runtime's.
    fn take_over(
        &self,
        accepted: io::Result<(system::TcpStream, SocketAddr)>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = accepted?;
        Ok((TcpStream::adopt(&self.io, socket)?, peer))
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl AsFd for TcpListener {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.source().as_fd()
    }
}

/// The future of [`TcpListener::bind`].
///
/// Cancel safety: nothing is left behind.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Bind {
    io: Io,
    lookup: LookupHost,
}

impl Future for Bind {
    type Output = io::Result<TcpListener>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let addresses = ready!(Pin::new(&mut self.lookup).poll(context))?;
        let mut refusal = None;
        for address in addresses {
            let bound = system::TcpListener::bind(address);
            match bound.and_then(|socket| TcpListener::register(&self.io, socket)) {
                Ok(listener) => return Poll::Ready(Ok(listener)),
                Err(error) => refusal = Some(error),
            }
        }
        Poll::Ready(Err(refusal.expect("a lookup gives one address at least")))
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind").finish_non_exhaustive()
    }
}

/// The future of [`TcpListener::accept`].
///
/// Cancel safety: dropped before it is ready, it has accepted nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Accept<'a> {
    listener: &'a TcpListener,
    operation: Operation<'a, system::TcpListener>,
    patience: Patience,
}

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Accept { listener, operation, patience } = &mut *self;
        patience.poll(context, &listener.io, operation.place(), |context| {
            let accepted = ready!(operation.poll_io(context, system::TcpListener::accept));
            Poll::Ready(listener.take_over(accepted))
        })
    }
}

impl fmt::Debug for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", self.listener).finish_non_exhaustive()
    }
}

/// The stream of [`TcpListener::incoming`].
///
/// Cancel safety: it holds no connection.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a> {
    accept: Accept<'a>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.accept).poll(context));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}
