//! A socket for datagrams.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::task::{Context, Poll};

use super::{Bind, Connect, Peek, PeekFrom, Readiness, Recv, RecvFrom, Send, SendTo};
use crate::driver::{Direction, Registration};
use crate::net::operation::{Operation, Request};
use crate::net::{LookupHost, ToSocketAddrs};
use crate::platform::net as system;
use crate::runtime::Io;

/// A UDP socket.
///
/// Its operations take `&self`: any number of tasks may send and receive at once. A datagram goes
/// to one receiver, whole, but for what does not fit its buffer, which is lost. The network may
/// lose datagrams, deliver them twice, or in another order, and so it does in a simulation whose
/// [links](crate::sim) say so. What comes faster than it is received is dropped; a sender is told
/// nothing of that.
///
/// A socket that is connected hears its peer alone. When it has sent to a port on which nobody
/// receives, the system may tell: then its next operation fails with `ConnectionRefused`, once. On
/// Windows that is `ConnectionReset`, which also a socket hears that is not connected.
///
/// ```
/// use volt::net::UdpSocket;
///
/// volt::run(|io| async move {
///     let first = UdpSocket::bind(&io, "127.0.0.1:0").await?;
///     let second = UdpSocket::bind(&io, "127.0.0.1:0").await?;
///     first.send_to(b"hello", second.local_addr()?).await?;
///
///     let mut buffer = [0; 16];
///     let (count, source) = second.recv_from(&mut buffer).await?;
///     assert_eq!(&buffer[..count], b"hello");
///     assert_eq!(source, first.local_addr()?);
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct UdpSocket {
    registration: Registration<system::UdpSocket>,
    /// Where the names that it connects to are resolved.
    io: Io,
}

impl UdpSocket {
    /// A socket on `address`: on the first of its addresses that can be had. Port 0 stands for any
    /// free port, which [`local_addr`](UdpSocket::local_addr) tells.
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

    /// Takes over a socket of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, socket: system::StdUdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::register(io, system::UdpSocket::from_std(socket)?)
    }

    /// Gives the socket to the standard library. It stays non-blocking.
    ///
    /// # Errors
    /// `Unsupported` in a simulation.
    pub fn into_std(self) -> io::Result<system::StdUdpSocket> {
        self.registration.into_source()?.into_std()
    }

    pub(super) fn register(io: &Io, socket: system::UdpSocket) -> io::Result<UdpSocket> {
        Ok(UdpSocket { registration: io.scheduler().driver().register(socket)?, io: io.clone() })
    }

    /// Sends to `address`, and receives from there alone, from now on: to the first of its
    /// addresses that the system takes. Nothing is sent, so nobody need be there. What had arrived
    /// before may still be received. A socket can be connected again, elsewhere.
    ///
    /// Cancel safety: a dropped connect has changed nothing.
    ///
    /// # Errors
    /// `InvalidInput` for what is no address, naming it; the resolver's error; what the system
    /// says of the last address.
    #[track_caller]
    pub fn connect(&self, address: impl ToSocketAddrs) -> Connect<'_> {
        let lookup = LookupHost::new(&self.io, &address, Location::caller());
        Connect { socket: self, lookup }
    }

    /// Sends a datagram to the peer, and waits while there is no room for it. How many bytes it
    /// has: all of them.
    ///
    /// Cancel safety: a dropped send has sent nothing.
    ///
    /// # Errors
    /// Such as `ConnectionRefused`, of an earlier one; for a socket that is not connected, and for
    /// more than fits a packet, 65,507 bytes over IPv4, what the system says.
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
    /// As [`send`](UdpSocket::send); what the system says of the target.
    #[track_caller]
    pub fn send_to<'a>(&'a self, bytes: &'a [u8], target: SocketAddr) -> SendTo<'a> {
        SendTo { operation: self.operation(Direction::Write), bytes, target }
    }

    /// Receives the next datagram, and waits if there is none: how much of it `buffer` holds. The
    /// rest is lost; on Windows, that is an error. 0 is an empty datagram.
    ///
    /// Cancel safety: a dropped receive has received nothing.
    ///
    /// # Errors
    /// Such as `ConnectionRefused`, if nobody received what was sent; on Windows `ConnectionReset`,
    /// also to a socket that is not connected.
    #[track_caller]
    pub fn recv<'a>(&'a self, buffer: &'a mut [u8]) -> Recv<'a> {
        Recv { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`recv`](UdpSocket::recv), and where the datagram came from.
    ///
    /// Cancel safety: a dropped receive has received nothing.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> RecvFrom<'a> {
        RecvFrom { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`recv`](UdpSocket::recv), but the datagram stays to be received.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn peek<'a>(&'a self, buffer: &'a mut [u8]) -> Peek<'a> {
        Peek { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`recv_from`](UdpSocket::recv_from), but the datagram stays to be received.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn peek_from<'a>(&'a self, buffer: &'a mut [u8]) -> PeekFrom<'a> {
        PeekFrom { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`send`](UdpSocket::send), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`send`](UdpSocket::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.send(bytes))
    }

    /// As [`send_to`](UdpSocket::send_to), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`send_to`](UdpSocket::send_to).
    pub fn try_send_to(&self, bytes: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.send_to(bytes, target))
    }

    /// As [`recv`](UdpSocket::recv), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UdpSocket::recv).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UdpSocket::recv_from), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UdpSocket::recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registration.try_io(Direction::Read, |socket| socket.recv_from(buffer))
    }

    /// As [`peek`](UdpSocket::peek), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UdpSocket::recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.peek(buffer))
    }

    /// As [`peek_from`](UdpSocket::peek_from), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if no datagram is here; otherwise as [`recv`](UdpSocket::recv).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registration.try_io(Direction::Read, |socket| socket.peek_from(buffer))
    }

    /// Waits until a receive may succeed: a datagram is here, or an error. It may be wrong, so a
    /// [`try_recv`](UdpSocket::try_recv) after it may still answer `WouldBlock`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Read) }
    }

    /// Waits until a send may succeed, as [`readable`](UdpSocket::readable) does for receives.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Write) }
    }

    /// As [`send`](UdpSocket::send), for code that polls. `Pending` sees to it that the task is
    /// woken when there may be room, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`send`](UdpSocket::send).
    #[track_caller]
    pub fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(context, Direction::Write, |socket| socket.send(bytes))
    }

    /// As [`send_to`](UdpSocket::send_to), for code that polls, as
    /// [`poll_send`](UdpSocket::poll_send).
    ///
    /// # Errors
    /// As [`send_to`](UdpSocket::send_to).
    #[track_caller]
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll(context, Direction::Write, |socket| socket.send_to(bytes, target))
    }

    /// As [`recv`](UdpSocket::recv), for code that polls. `Pending` sees to it that the task is
    /// woken at the next datagram, whether or not the caller still waits then.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, Direction::Read, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UdpSocket::recv_from), for code that polls, as
    /// [`poll_recv`](UdpSocket::poll_recv).
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll(context, Direction::Read, |socket| socket.recv_from(buffer))
    }

    /// As [`peek_from`](UdpSocket::peek_from), for code that polls, as
    /// [`poll_recv`](UdpSocket::poll_recv).
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn poll_peek_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll(context, Direction::Read, |socket| socket.peek_from(buffer))
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

    /// Whether datagrams to a broadcast address are allowed (`SO_BROADCAST`).
    ///
    /// # Errors
    /// What the system says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.system().broadcast()
    }

    /// Allows datagrams to a broadcast address, or forbids them (`SO_BROADCAST`). The simulated
    /// network carries none: there such a send is `Unsupported`.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_broadcast(&self, allowed: bool) -> io::Result<()> {
        self.system().set_broadcast(allowed)
    }

    /// How many hops a packet may make (`IP_TTL`).
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.system().ttl()
    }

    /// Sets how many hops a packet may make (`IP_TTL`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.system().set_ttl(ttl)
    }

    /// Whether multicasts over IPv4 reach sockets of this machine too (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.system().multicast_loop_v4()
    }

    /// Has multicasts over IPv4 reach sockets of this machine too, or not (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn set_multicast_loop_v4(&self, reaches: bool) -> io::Result<()> {
        self.system().set_multicast_loop_v4(reaches)
    }

    /// Whether multicasts over IPv6 reach sockets of this machine too (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.system().multicast_loop_v6()
    }

    /// Has multicasts over IPv6 reach sockets of this machine too, or not (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn set_multicast_loop_v6(&self, reaches: bool) -> io::Result<()> {
        self.system().set_multicast_loop_v6(reaches)
    }

    /// How many hops a multicast over IPv4 may make (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.system().multicast_ttl_v4()
    }

    /// Sets how many hops a multicast over IPv4 may make (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.system().set_multicast_ttl_v4(ttl)
    }

    /// Receives, too, what is sent to `group` and comes in at the interface that has the address
    /// `interface`; the wildcard leaves the choice to the system.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.system().join_multicast_v4(&group, &interface)
    }

    /// Ends what [`join_multicast_v4`](UdpSocket::join_multicast_v4) began.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.system().leave_multicast_v4(&group, &interface)
    }

    /// Receives, too, what is sent to `group` and comes in at the interface that has the index
    /// `interface`; 0 leaves the choice to the system.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.system().join_multicast_v6(&group, interface)
    }

    /// Ends what [`join_multicast_v6`](UdpSocket::join_multicast_v6) began.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.system().leave_multicast_v6(&group, interface)
    }

    pub(super) fn system(&self) -> &system::UdpSocket {
        self.registration.source()
    }

    /// An operation of a future that the caller's caller asks for.
    #[track_caller]
    fn operation(&self, direction: Direction) -> Operation<'_, system::UdpSocket> {
        let request = Request::new(direction, Location::caller());
        Operation::new(&self.registration, request)
    }

    /// An operation of a task that waits by itself.
    #[track_caller]
    fn poll<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&system::UdpSocket) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let request = Request::new(direction, Location::caller());
        request.poll_io(&self.registration, context, operation)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl AsFd for UdpSocket {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.source().as_fd()
    }
}
