//! UDP sockets of simulated threads. None of their calls blocks: a [`Poller`](super::Poller) tells
//! when to call again.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use super::handle::{Socket, call, running_world};
use crate::kernel::event::{Operation, OperationKind};

/// A UDP socket of the running thread's host. Closed when dropped.
///
/// A datagram is on its way as long as the link between the hosts has it, and is lost, doubled or
/// overtaken as the link has it; over loopback none is. A socket keeps up to 208 KiB of datagrams
/// that were not received, 256 bytes for each included, and drops what comes beyond.
///
/// Every call answers `Unsupported` on an ordinary thread.
///
/// ```
/// use volt_sim::net::UdpSocket;
/// use volt_sim::thread;
/// use std::io::ErrorKind;
/// use std::time::Duration;
///
/// volt_sim::check(|| {
///     let server = UdpSocket::bind("127.0.0.1:53".parse().unwrap()).unwrap();
///     let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
///     client.connect(server.local_addr().unwrap()).unwrap();
///     client.send(b"hello").unwrap();
///     thread::sleep(Duration::from_millis(1));
///     let mut bytes = [0; 8];
///     let received = server.recv_from(&mut bytes).unwrap();
///     assert_eq!(received, (5, client.local_addr().unwrap()));
///     assert_eq!(server.recv_from(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
/// });
/// ```
#[derive(Debug)]
pub struct UdpSocket(pub(super) Socket);

impl UdpSocket {
    /// A socket on `address`; port 0 stands for the next free one.
    ///
    /// # Errors
    /// `AddrInUse` if another UDP socket has the port, `AddrNotAvailable` for an address that the
    /// host does not have, `Unsupported` on an ordinary thread; and what
    /// [`Resources`](super::Resources) refuse.
    #[track_caller]
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, lent| {
            net.check_socket(host, lent)?;
            net.udp_bind(host, address)
        })?;
        Ok(UdpSocket(Socket::new("UdpSocket", world, id, place)))
    }

    /// Sends to `address` and receives from there alone, from now on.
    ///
    /// # Errors
    /// As [`UdpSocket::send_to`] for the address.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.udp_connect(id, address))
    }

    /// Sends a datagram to the peer. It never blocks.
    ///
    /// # Errors
    /// Once, what the peer has answered to an earlier one: `ConnectionRefused`. The system's
    /// `EDESTADDRREQ` for a socket that is not connected, and its `EMSGSIZE` for more than 65,507
    /// bytes, or 65,527 over IPv6.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.udp_send(id, bytes, None, lent)
        })
    }

    /// Sends a datagram to `target`. It never blocks.
    ///
    /// # Errors
    /// As [`UdpSocket::send`]. `InvalidInput` for port 0, an address of another family, or one
    /// that is not reached from where the socket is bound; `NetworkUnreachable` for a family that
    /// the host has not; `PermissionDenied` for the broadcast address, unless that is allowed;
    /// `Unsupported` for broadcast and multicast.
    #[track_caller]
    pub fn send_to(&self, bytes: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.udp_send(id, bytes, Some(target), lent)
        })
    }

    /// As [`UdpSocket::recv_from`], without the source.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buffer)?.0)
    }

    /// As [`UdpSocket::peek_from`], without the source.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buffer)?.0)
    }

    /// Receives the next datagram: how much of it `buffer` holds, and where it came from. What
    /// does not fit is lost.
    ///
    /// # Errors
    /// `WouldBlock` if none is here; once, what the peer of a connected socket has answered:
    /// `ConnectionRefused`.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.call(OperationKind::SocketRead, |net, _, id| net.udp_receive(id, buffer, false))
    }

    /// As [`UdpSocket::recv_from`], but the datagram stays to be received.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.call(OperationKind::SocketRead, |net, _, id| net.udp_receive(id, buffer, true))
    }

    /// The error that the peer has answered, once.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.take_error(id))
    }

    /// The address of this socket.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.local_addr(id))
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// `NotConnected` if it is not.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.peer_addr(id))
    }

    /// Whether datagrams to the broadcast address are allowed.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.udp_broadcast(id))
    }

    /// Allows datagrams to the broadcast address, or forbids them. The simulated network carries
    /// none either way.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn set_broadcast(&self, allowed: bool) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.udp_set_broadcast(id, allowed))
    }

    /// How many hops its packets may take.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.ttl(id))
    }

    /// Sets how many hops its packets may take. Simulated links have none, so nothing but
    /// [`UdpSocket::ttl`] changes.
    ///
    /// # Errors
    /// `InvalidInput` unless it is in `1..=255`.
    #[track_caller]
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.set_ttl(id, ttl, lent))
    }
}
