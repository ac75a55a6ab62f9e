//! The futures of a socket's operations.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::UdpSocket;
use crate::net::LookupHost;
use crate::net::operation::{Operation, operations};
use crate::platform::net as system;
use crate::runtime::Io;

operations! {
    of system::UdpSocket;

    /// The future of [`UdpSocket::send`].
    ///
    /// Cancel safety: dropped before it is ready, it has sent nothing.
    Send<'a> { bytes: &'a [u8] } -> usize;

    /// The future of [`UdpSocket::send_to`].
    ///
    /// Cancel safety: dropped before it is ready, it has sent nothing.
    SendTo<'a> { bytes: &'a [u8], target: SocketAddr } -> usize;

    /// The future of [`UdpSocket::recv`].
    ///
    /// Cancel safety: dropped before it is ready, it has received nothing.
    Recv<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UdpSocket::recv_from`].
    ///
    /// Cancel safety: dropped before it is ready, it has received nothing.
    RecvFrom<'a> { buffer: &'a mut [u8] } -> (usize, SocketAddr);

    /// The future of [`UdpSocket::peek`].
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    Peek<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UdpSocket::peek_from`].
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    PeekFrom<'a> { buffer: &'a mut [u8] } -> (usize, SocketAddr);

    /// The future of [`UdpSocket::readable`] and [`UdpSocket::writable`].
    ///
    /// Cancel safety: it takes nothing, so nothing is lost.
    Readiness<'a> {} -> ();
}

// A datagram that is shorter than its buffer does not show that none follows it: unlike those of
// a stream, these operations try until they would block.

impl Send<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.send(self.bytes))
    }
}

impl SendTo<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.send_to(self.bytes, self.target))
    }
}

impl Recv<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.recv(self.buffer))
    }
}

impl RecvFrom<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.operation.poll_io(context, |socket| socket.recv_from(self.buffer))
    }
}

impl Peek<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.peek(self.buffer))
    }
}

impl PeekFrom<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.operation.poll_io(context, |socket| socket.peek_from(self.buffer))
    }
}

impl Readiness<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.operation.poll_ready(context)
    }
}

/// The future of [`UdpSocket::bind`].
///
/// Cancel safety: nothing is left behind.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Bind {
    pub(super) io: Io,
    pub(super) lookup: LookupHost,
}

impl Future for Bind {
    type Output = io::Result<UdpSocket>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let addresses = ready!(Pin::new(&mut self.lookup).poll(context))?;
        Poll::Ready(first_of(addresses, |address| {
            UdpSocket::register(&self.io, system::UdpSocket::bind(address)?)
        }))
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind").finish_non_exhaustive()
    }
}

/// The future of [`UdpSocket::connect`].
///
/// Cancel safety: dropped before it is ready, it has changed nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Connect<'a> {
    pub(super) socket: &'a UdpSocket,
    pub(super) lookup: LookupHost,
}

impl Future for Connect<'_> {
    type Output = io::Result<()>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let addresses = ready!(Pin::new(&mut self.lookup).poll(context))?;
        Poll::Ready(first_of(addresses, |address| self.socket.system().connect(address)))
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("socket", self.socket).finish_non_exhaustive()
    }
}

/// What `attempt` gives for the first of the addresses that it takes, or its last error.
fn first_of<R>(
    addresses: Vec<SocketAddr>,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut refusal = None;
    for address in addresses {
        match attempt(address) {
            Ok(value) => return Ok(value),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.expect("a lookup gives one address at least"))
}
