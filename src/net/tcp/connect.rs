//! Connecting.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::TcpStream;
use crate::net::{LookupHost, ToSocketAddrs};
use crate::platform::net as system;
use crate::runtime::Io;

/// The future of [`TcpStream::connect`] and [`TcpSocket::connect`](super::TcpSocket::connect).
///
/// Cancel safety: dropping it gives the attempt up. A connection that was made just then is
/// closed.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Connect {
    io: Io,
    lookup: LookupHost,
    /// What the first address is tried with, if the program has made it.
    socket: Option<system::TcpSocket>,
    /// The addresses that are still to be tried; `None` before they are known.
    addresses: Option<std::vec::IntoIter<SocketAddr>>,
    /// The attempt under way.
    stream: Option<TcpStream>,
    /// Why the last attempt failed.
    error: Option<io::Error>,
    place: &'static Location<'static>,
}

impl Connect {
    pub(super) fn new(
        io: &Io,
        address: &impl ToSocketAddrs,
        place: &'static Location<'static>,
    ) -> Connect {
        let lookup = LookupHost::new(io, address, place);
        Connect {
            io: io.clone(),
            lookup,
            socket: None,
            addresses: None,
            stream: None,
            error: None,
            place,
        }
    }

    pub(super) fn with_socket(
        io: &Io,
        socket: system::TcpSocket,
        address: SocketAddr,
        place: &'static Location<'static>,
    ) -> Connect {
        Connect { socket: Some(socket), ..Connect::new(io, &address, place) }
    }

    fn begin(&mut self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = match self.socket.take() {
            Some(socket) => socket.connect(address)?,
            None => system::TcpStream::connect(address)?,
        };
        TcpStream::register(self.io.scheduler().driver(), stream)
    }
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a `Connect` is polled after it gave its output";
        let this = &mut *self;
        if this.addresses.is_none() {
            let addresses = ready!(Pin::new(&mut this.lookup).poll(context))?;
            this.addresses = Some(addresses.into_iter());
        }
        loop {
            if let Some(stream) = &this.stream {
                match ready!(stream.poll_connected(context, this.place)) {
                    Ok(()) => {
                        return Poll::Ready(Ok(this.stream.take().expect("it was just seen")));
                    }
                    Err(error) => {
                        this.stream = None;
                        this.error = Some(error);
                    }
                }
            }
            let Some(address) = this.addresses.as_mut().and_then(Iterator::next) else {
                return Poll::Ready(Err(this.error.take().expect(AGAIN)));
            };
            match this.begin(address) {
                Ok(stream) => this.stream = Some(stream),
                Err(error) => this.error = Some(error),
            }
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}
