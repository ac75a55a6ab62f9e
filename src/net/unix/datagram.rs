//! Sockets for datagrams.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::task::{Context, Poll};

use super::datagram_futures::{Peek, Readiness, Recv, RecvFrom, Send, SendTo};
use crate::driver::{Direction, Registration};
use crate::net::operation::{Operation, Request};
use crate::platform::net as system;
use crate::runtime::Io;

/// A Unix socket for datagrams.
///
/// Its operations take `&self`: any number of tasks may send and receive at once. A datagram goes
/// to one receiver, whole, but for what does not fit its buffer, which is lost. None is lost on its
/// way, doubled or overtaken: a sender waits while the receiver's buffer is full. On Linux it hears
/// of room only from a socket that it is connected to; [`send_to`](UnixDatagram::send_to) tries
/// every 10 ms while its target is full.
///
/// What is bound makes a file on the real machine, as [`UnixListener`](super::UnixListener) does.
///
/// ```
/// use volt::net::UnixDatagram;
///
/// volt::run(|io| async move {
///     let (first, second) = UnixDatagram::pair(&io)?;
///     first.send(b"hello").await?;
///     let mut buffer = [0; 16];
///     let count = second.recv(&mut buffer).await?;
///     assert_eq!(&buffer[..count], b"hello");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct UnixDatagram {
    registration: Registration<system::UnixDatagram>,
    /// Whose timers a send waits with.
    io: Io,
}

impl UnixDatagram {
    /// A socket at `path`.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` if something is at `path`, and `InvalidInput` if
    /// it is too long for a socket; if the runtime has shut down.
    #[track_caller]
    pub fn bind(io: &Io, path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::register(io, system::UnixDatagram::bind(path.as_ref())?)
    }

    /// A socket without a path: it can send, but nobody can answer.
    ///
    /// # Errors
    /// If the system has none to give; if the runtime has shut down.
    #[track_caller]
    pub fn unbound(io: &Io) -> io::Result<UnixDatagram> {
        UnixDatagram::register(io, system::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// If the system has none to give; if the runtime has shut down.
    #[track_caller]
    pub fn pair(io: &Io) -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (first, second) = system::UnixDatagram::pair()?;
        Ok((UnixDatagram::register(io, first)?, UnixDatagram::register(io, second)?))
    }

    /// Takes over a socket of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, socket: system::StdUnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::register(io, system::UnixDatagram::from_std(socket)?)
    }

    /// Gives the socket to the standard library. It stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in a simulation.
    pub fn into_std(self) -> io::Result<system::StdUnixDatagram> {
        self.registration.into_source()?.into_std()
    }

    fn register(io: &Io, socket: system::UnixDatagram) -> io::Result<UnixDatagram> {
        let registration = io.scheduler().driver().register(socket)?;
        Ok(UnixDatagram { registration, io: io.clone() })
    }

    /// Sends to `path`, and receives from there alone, from now on.
    ///
    /// # Errors
    /// What the system says, such as `NotFound` if nothing is at `path`.
    #[track_caller]
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.system().connect(path.as_ref())
    }

    /// Sends a datagram to the peer, and waits while there is no room for it. How many bytes it
    /// has: all of them.
    ///
    /// Cancel safety: a dropped send has sent nothing.
    ///
    /// # Errors
    /// `ConnectionRefused` if the peer is gone; for a socket that is not connected, and for more
    /// than fits the system's buffer, what the system says.
    #[track_caller]
    pub fn send<'a>(&'a self, bytes: &'a [u8]) -> Send<'a> {
        Send { operation: self.operation(Direction::Write), bytes }
    }

    /// Sends a datagram to `target`, and waits while there is no room for it. How many bytes it
    /// has: all of them.
    ///
    /// Cancel safety: a dropped send has sent nothing.
    ///
    /// # Errors
    /// As [`send`](UnixDatagram::send); what the system says of the target.
    #[track_caller]
    pub fn send_to<'a>(&'a self, bytes: &'a [u8], target: impl AsRef<Path>) -> SendTo<'a> {
        let target = target.as_ref().to_owned();
        let operation = self.operation(Direction::Write);
        SendTo { operation, bytes, target, io: &self.io, pause: None }
    }

    /// Receives the next datagram, and waits if there is none: how much of it `buffer` holds. The
    /// rest is lost. 0 is an empty datagram.
    ///
    /// Cancel safety: a dropped receive has received nothing.
    ///
    /// # Errors
    /// What the system says; if the runtime has shut down.
    #[track_caller]
    pub fn recv<'a>(&'a self, buffer: &'a mut [u8]) -> Recv<'a> {
        Recv { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`recv`](UnixDatagram::recv), and where the datagram came from.
    ///
    /// Cancel safety: a dropped receive has received nothing.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    #[track_caller]
    pub fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> RecvFrom<'a> {
        RecvFrom { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`recv`](UnixDatagram::recv), but the datagram stays to be received.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    #[track_caller]
    pub fn peek<'a>(&'a self, buffer: &'a mut [u8]) -> Peek<'a> {
        Peek { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`send`](UnixDatagram::send), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`send`](UnixDatagram::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.send(bytes))
    }

    /// As [`send_to`](UnixDatagram::send_to), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`send_to`](UnixDatagram::send_to).
    pub fn try_send_to(&self, bytes: &[u8], target: impl AsRef<Path>) -> io::Result<usize> {
        let target = target.as_ref();
        self.registration.try_io(Direction::Write, |socket| socket.send_to(bytes, target))
    }

    /// As [`recv`](UnixDatagram::recv), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UnixDatagram::recv).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UnixDatagram::recv_from), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UnixDatagram::recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registration.try_io(Direction::Read, |socket| socket.recv_from(buffer))
    }

    /// As [`peek`](UnixDatagram::peek), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UnixDatagram::recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.peek(buffer))
    }

    /// Waits until a receive may succeed: a datagram is here, or an error. It may be wrong, so a
    /// [`try_recv`](UnixDatagram::try_recv) after it may still answer `WouldBlock`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Read) }
    }

    /// Waits until a send may succeed, as [`readable`](UnixDatagram::readable) does for receives.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Write) }
    }

    /// As [`send`](UnixDatagram::send), for code that polls. `Pending` sees to it that the task is
    /// woken when there may be room, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`send`](UnixDatagram::send).
    #[track_caller]
    pub fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(context, Direction::Write, |socket| socket.send(bytes))
    }

    /// As [`send_to`](UnixDatagram::send_to), for code that polls, as
    /// [`poll_send`](UnixDatagram::poll_send). On Linux the task may be woken at once, and again
    /// after each call, while a target that the socket is not connected to is full: the caller
    /// should wait a little then.
    ///
    /// # Errors
    /// As [`send_to`](UnixDatagram::send_to).
    #[track_caller]
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        target: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        let target = target.as_ref();
        self.poll(context, Direction::Write, |socket| socket.send_to(bytes, target))
    }

    /// As [`recv`](UnixDatagram::recv), for code that polls. `Pending` sees to it that the task is
    /// woken at the next datagram, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    #[track_caller]
    pub fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, Direction::Read, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UnixDatagram::recv_from), for code that polls, as
    /// [`poll_recv`](UnixDatagram::poll_recv).
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    #[track_caller]
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll(context, Direction::Read, |socket| socket.recv_from(buffer))
    }

    /// The socket's own address.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.system().local_addr()
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    /// `NotConnected` if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.system().peer_addr()
    }

    /// Takes the error that waits on the socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.system().take_error()
    }

    fn system(&self) -> &system::UnixDatagram {
        self.registration.source()
    }

    /// An operation of a future that the caller's caller asks for.
    #[track_caller]
    fn operation(&self, direction: Direction) -> Operation<'_, system::UnixDatagram> {
        let request = Request::new(direction, Location::caller());
        Operation::new(&self.registration, request)
    }

    /// An operation of a task that waits by itself.
    #[track_caller]
    fn poll<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&system::UnixDatagram) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let request = Request::new(direction, Location::caller());
        request.poll_io(&self.registration, context, operation)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl AsFd for UnixDatagram {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.source().as_fd()
    }
}
