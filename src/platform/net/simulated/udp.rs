//! UDP of either world.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use volt_sim::net;

use super::{
    Registrar, Source, World, call, check_thread, deregister, not_in_std, pass_on, register,
};
use crate::platform::net::{StdUdpSocket, real};
use crate::platform::thread::is_simulated;

/// A UDP socket. None of its calls blocks.
pub struct UdpSocket(pub(super) World<real::UdpSocket, net::UdpSocket>);

/// Methods that a simulated socket does not have.
macro_rules! real_alone {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;
    )+) => {$(
        $(#[$attribute])*
        pub fn $name(&self $(, $argument: $type)*) -> io::Result<$result> {
            match &self.0 {
                World::Real(socket) => {
                    check_thread()?;
                    socket.$name($($argument),*)
                }
                World::Simulated(_) => Err(no_multicast()),
            }
        }
    )+};
}

fn no_multicast() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "the simulated network has no multicast: send to each host by itself",
    )
}

impl UdpSocket {
    /// A socket on `address`; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    #[track_caller]
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        Ok(UdpSocket(match is_simulated() {
            true => World::Simulated(net::UdpSocket::bind(address)?),
            false => World::Real(real::UdpSocket::bind(address)?),
        }))
    }

    /// A socket that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(socket: StdUdpSocket) -> io::Result<UdpSocket> {
        check_thread()?;
        real::UdpSocket::from_std(socket).map(World::Real).map(UdpSocket)
    }

    /// The socket as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdUdpSocket> {
        match self.0 {
            World::Real(socket) => socket.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    pass_on! {
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
    }

    real_alone! {
        /// Whether multicasts over IPv4 reach sockets of this machine too.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn multicast_loop_v4(&self) -> bool;

        /// Has multicasts over IPv4 reach sockets of this machine too, or not.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn set_multicast_loop_v4(&self, reaches: bool) -> ();

        /// Whether multicasts over IPv6 reach sockets of this machine too.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn multicast_loop_v6(&self) -> bool;

        /// Has multicasts over IPv6 reach sockets of this machine too, or not.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn set_multicast_loop_v6(&self, reaches: bool) -> ();

        /// How many hops a multicast over IPv4 may make.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn multicast_ttl_v4(&self) -> u32;

        /// Sets how many hops a multicast over IPv4 may make.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn set_multicast_ttl_v4(&self, ttl: u32) -> ();

        /// Receives what is sent to `group` and comes in at the interface with this address.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();

        /// Ends what [`UdpSocket::join_multicast_v4`] began.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();

        /// Receives what is sent to `group` and comes in at the interface with this number.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();

        /// Ends what [`UdpSocket::join_multicast_v6`] began.
        ///
        /// # Errors
        /// What the system says; `Unsupported` in a simulation.
        fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
    }
}

impl Source for UdpSocket {
    const ENDS: bool = <real::UdpSocket as real::Source>::ENDS;

    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        deregister(&mut self.0, registrar)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("world", &self.0.name()).finish_non_exhaustive()
    }
}
