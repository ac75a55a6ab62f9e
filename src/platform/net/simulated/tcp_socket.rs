//! TCP sockets of either world before they listen or connect.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use volt_sim::net;

use super::{TcpListener, TcpStream, World, call, check_thread, pass_on};
use crate::platform::net::real;
use crate::platform::thread::is_simulated;

/// A TCP socket that neither listens nor connects yet.
pub struct TcpSocket(pub(super) World<real::TcpSocket, net::TcpSocket>);

impl TcpSocket {
    /// A socket for IPv6 addresses, or for IPv4 ones.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn new(is_ipv6: bool) -> io::Result<TcpSocket> {
        Ok(TcpSocket(match is_simulated() {
            true => World::Simulated(net::TcpSocket::new(is_ipv6)?),
            false => World::Real(real::TcpSocket::new(is_ipv6)?),
        }))
    }

    /// Listens, with a queue of `backlog` connections.
    ///
    /// # Errors
    /// What the system says.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        Ok(TcpListener(match self.0 {
            World::Real(socket) => {
                check_thread()?;
                World::Real(socket.listen(backlog)?)
            }
            World::Simulated(socket) => World::Simulated(socket.listen(backlog)?),
        }))
    }

    /// Begins to connect, as [`TcpStream::connect`] does.
    ///
    /// # Errors
    /// What the system says at once.
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        Ok(TcpStream(match self.0 {
            World::Real(socket) => {
                check_thread()?;
                World::Real(socket.connect(address)?)
            }
            World::Simulated(socket) => World::Simulated(socket.connect(address)?),
        }))
    }

    /// Whether other sockets may be bound to the same address.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub fn reuse_port(&self) -> io::Result<bool> {
        match &self.0 {
            World::Real(socket) => {
                check_thread()?;
                socket.reuse_port()
            }
            World::Simulated(_) => Ok(false),
        }
    }

    /// Lets other sockets be bound to the same address, or not.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation.
    #[cfg(unix)]
    pub fn set_reuse_port(&self, reuse: bool) -> io::Result<()> {
        match &self.0 {
            World::Real(socket) => {
                check_thread()?;
                socket.set_reuse_port(reuse)
            }
            World::Simulated(_) if !reuse => Ok(()),
            World::Simulated(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a port of the simulated network has one listener: accept in several tasks",
            )),
        }
    }

    pass_on! {
        /// Gives the socket its address; port 0 stands for one that is free.
        ///
        /// # Errors
        /// What the system says, such as `AddrInUse`.
        fn bind(&self, address: SocketAddr) -> ();

        /// The address that it is bound to; a wildcard with port 0 before that.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr(&self) -> SocketAddr;

        /// Whether binding minds no connections of the port.
        ///
        /// # Errors
        /// What the system says.
        fn reuse_address(&self) -> bool;

        /// Has binding mind no connections of the port, or mind them.
        ///
        /// # Errors
        /// What the system says.
        fn set_reuse_address(&self, reuse: bool) -> ();

        /// Whether small writes will be sent at once.
        ///
        /// # Errors
        /// What the system says.
        fn nodelay(&self) -> bool;

        /// Has small writes sent at once, or gathered.
        ///
        /// # Errors
        /// What the system says.
        fn set_nodelay(&self, nodelay: bool) -> ();

        /// How long closing goes on sending what was written; `None` is the system's own way.
        ///
        /// # Errors
        /// What the system says.
        fn linger(&self) -> Option<Duration>;

        /// Sets how long closing goes on sending what was written; zero resets the connection.
        ///
        /// # Errors
        /// What the system says.
        fn set_linger(&self, linger: Option<Duration>) -> ();

        /// After how much silence the peer is asked whether it is there; `None` is never.
        ///
        /// # Errors
        /// What the system says; `Unsupported` where it does not tell the time.
        fn keepalive(&self) -> Option<Duration>;

        /// Sets after how much silence the peer is asked whether it is there.
        ///
        /// # Errors
        /// What the system says.
        fn set_keepalive(&self, keepalive: Option<Duration>) -> ();

        /// How many bytes the system keeps until the peer has them.
        ///
        /// # Errors
        /// What the system says.
        fn send_buffer_size(&self) -> usize;

        /// Asks the system to keep so many bytes until the peer has them.
        ///
        /// # Errors
        /// What the system says.
        fn set_send_buffer_size(&self, size: usize) -> ();

        /// How many bytes the system keeps until they are read.
        ///
        /// # Errors
        /// What the system says.
        fn recv_buffer_size(&self) -> usize;

        /// Asks the system to keep so many bytes until they are read.
        ///
        /// # Errors
        /// What the system says.
        fn set_recv_buffer_size(&self, size: usize) -> ();
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("world", &self.0.name()).finish_non_exhaustive()
    }
}
