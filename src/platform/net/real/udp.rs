//! UDP on the real machine.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

use super::{Registrar, Source, register};
use crate::platform::net::StdUdpSocket;

/// A UDP socket. None of its calls blocks.
pub struct UdpSocket(mio::net::UdpSocket);

/// Methods that mio's socket has under the same name.
macro_rules! of_mio {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;
    )+) => {$(
        $(#[$attribute])*
        pub fn $name(&self $(, $argument: $type)*) -> io::Result<$result> {
            self.0.$name($($argument),*)
        }
    )+};
}

impl UdpSocket {
    /// A socket on `address`; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        mio::net::UdpSocket::bind(address).map(UdpSocket)
    }

    /// A socket that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(socket: StdUdpSocket) -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        Ok(UdpSocket(mio::net::UdpSocket::from_std(socket)))
    }

    /// The socket as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdUdpSocket> {
        Ok(self.0.into())
    }

    of_mio! {
        /// Sends to `address` and receives from there alone, from now on.
        ///
        /// # Errors
        /// What the system says.
        fn connect(&self, address: SocketAddr) -> ();

        /// Sends a datagram to the peer.
        ///
        /// # Errors
        /// `WouldBlock` if there is no room; else what the system says.
        fn send(&self, bytes: &[u8]) -> usize;

        /// Sends a datagram to `target`.
        ///
        /// # Errors
        /// As [`UdpSocket::send`].
        fn send_to(&self, bytes: &[u8], target: SocketAddr) -> usize;

        /// Receives the next datagram: how much of it `buffer` holds.
        ///
        /// # Errors
        /// `WouldBlock` if none is here; else what the system says.
        fn recv(&self, buffer: &mut [u8]) -> usize;

        /// Receives the next datagram, and tells where it came from.
        ///
        /// # Errors
        /// As [`UdpSocket::recv`].
        fn recv_from(&self, buffer: &mut [u8]) -> (usize, SocketAddr);

        /// As [`UdpSocket::recv`], but the datagram stays to be received.
        ///
        /// # Errors
        /// As there.
        fn peek(&self, buffer: &mut [u8]) -> usize;

        /// As [`UdpSocket::recv_from`], but the datagram stays to be received.
        ///
        /// # Errors
        /// As there.
        fn peek_from(&self, buffer: &mut [u8]) -> (usize, SocketAddr);

        /// The error that waits on the socket, once.
        ///
        /// # Errors
        /// If it cannot be asked for.
        fn take_error(&self) -> Option<io::Error>;

        /// The address of the socket.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr(&self) -> SocketAddr;

        /// The address that it is connected to.
        ///
        /// # Errors
        /// `NotConnected` if it is not.
        fn peer_addr(&self) -> SocketAddr;

        /// Whether datagrams to the broadcast address are allowed.
        ///
        /// # Errors
        /// What the system says.
        fn broadcast(&self) -> bool;

        /// Allows datagrams to the broadcast address, or forbids them.
        ///
        /// # Errors
        /// What the system says.
        fn set_broadcast(&self, allowed: bool) -> ();

        /// How many hops a packet may make.
        ///
        /// # Errors
        /// What the system says.
        fn ttl(&self) -> u32;

        /// Sets how many hops a packet may make.
        ///
        /// # Errors
        /// What the system says.
        fn set_ttl(&self, ttl: u32) -> ();

        /// Whether multicasts over IPv4 reach sockets of this machine too.
        ///
        /// # Errors
        /// What the system says.
        fn multicast_loop_v4(&self) -> bool;

        /// Has multicasts over IPv4 reach sockets of this machine too, or not.
        ///
        /// # Errors
        /// What the system says.
        fn set_multicast_loop_v4(&self, reaches: bool) -> ();

        /// Whether multicasts over IPv6 reach sockets of this machine too.
        ///
        /// # Errors
        /// What the system says.
        fn multicast_loop_v6(&self) -> bool;

        /// Has multicasts over IPv6 reach sockets of this machine too, or not.
        ///
        /// # Errors
        /// What the system says.
        fn set_multicast_loop_v6(&self, reaches: bool) -> ();

        /// How many hops a multicast over IPv4 may make.
        ///
        /// # Errors
        /// What the system says.
        fn multicast_ttl_v4(&self) -> u32;

        /// Sets how many hops a multicast over IPv4 may make.
        ///
        /// # Errors
        /// What the system says.
        fn set_multicast_ttl_v4(&self, ttl: u32) -> ();

        /// Receives what is sent to `group` and comes in at the interface with this address.
        ///
        /// # Errors
        /// What the system says.
        fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();

        /// Ends what [`UdpSocket::join_multicast_v4`] began.
        ///
        /// # Errors
        /// What the system says.
        fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();

        /// Receives what is sent to `group` and comes in at the interface with this number.
        ///
        /// # Errors
        /// What the system says.
        fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();

        /// Ends what [`UdpSocket::join_multicast_v6`] began.
        ///
        /// # Errors
        /// What the system says.
        fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
    }
}

impl Source for UdpSocket {
    const ENDS: bool = false;

    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.0)
    }
}

#[cfg(unix)]
impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
