//! Sockets that are set up before they listen or connect.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::Duration;

use super::{Connect, TcpListener};
use crate::platform::net as system;
use crate::runtime::Io;

/// A TCP socket that neither listens nor connects yet, for options that have to be set before.
///
/// Its options go with it to the [`TcpListener`] or [`TcpStream`](super::TcpStream) that it
/// becomes, and from a listener to its connections. In a simulation sizes of buffers, `nodelay` and
/// a linger of zero take effect; the others are merely remembered.
///
/// ```
/// use volt::net::{TcpSocket, TcpStream};
///
/// volt::run(|io| async move {
///     let socket = TcpSocket::new_v4(&io)?;
///     socket.set_reuseaddr(true)?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let listener = socket.listen(1_024)?;
///
///     let socket = TcpSocket::new_v4(&io)?;
///     socket.set_nodelay(true)?;
///     let client: TcpStream = socket.connect(listener.local_addr()?).await?;
///     let (_server, peer) = listener.accept().await?;
///     assert_eq!(peer, client.local_addr()?);
///     assert!(client.nodelay()?);
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct TcpSocket {
    io: Io,
    socket: system::TcpSocket,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn new_v4(io: &Io) -> io::Result<TcpSocket> {
        Ok(TcpSocket { io: io.clone(), socket: system::TcpSocket::new(false)? })
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn new_v6(io: &Io) -> io::Result<TcpSocket> {
        Ok(TcpSocket { io: io.clone(), socket: system::TcpSocket::new(true)? })
    }

    /// Gives the socket its address. Port 0 stands for any free port, which
    /// [`local_addr`](TcpSocket::local_addr) tells.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    #[track_caller]
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(address)
    }

    /// Waits for connections from now on. Up to `backlog` of them, or as many as the system
    /// allows, wait to be accepted.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`; if the runtime has shut down.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        TcpListener::register(&self.io, self.socket.listen(backlog)?)
    }

    /// Connects to `address`.
    ///
    /// Cancel safety: dropping the future gives the attempt up.
    ///
    /// # Errors
    /// What the system says, such as `ConnectionRefused`; if the runtime has shut down.
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> Connect {
        Connect::with_socket(&self.io, self.socket, address, Location::caller())
    }

    /// The address that the socket is bound to; a wildcard with port 0 before that.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether the socket may be bound to an address that has old connections (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// What the system says.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Lets the socket be bound to an address that has old connections, or not (`SO_REUSEADDR`). A
    /// server that is to come back on its port at once needs it, but on Windows, where it does
    /// more than that and is not needed.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuse)
    }

    /// Whether several sockets may listen on the same address (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Lets several sockets, each with this option, listen on the same address (`SO_REUSEPORT`).
    /// The system then shares the connections out among them.
    ///
    /// # Errors
    /// What the system says; `Unsupported` in a simulation, where a port has one listener.
    #[cfg(unix)]
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuse)
    }

    /// Whether small writes will be sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay()
    }

    /// Whether small writes are to be sent at once, instead of being gathered (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_nodelay(nodelay)
    }

    /// See [`TcpStream::keepalive`](super::TcpStream::keepalive).
    ///
    /// # Errors
    /// As there.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.socket.keepalive()
    }

    /// See [`TcpStream::set_keepalive`](super::TcpStream::set_keepalive).
    ///
    /// # Errors
    /// As there.
    pub fn set_keepalive(&self, keepalive: Option<Duration>) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// See [`TcpStream::linger`](super::TcpStream::linger).
    ///
    /// # Errors
    /// As there.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// See [`TcpStream::set_linger`](super::TcpStream::set_linger).
    ///
    /// # Errors
    /// As there.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(linger)
    }

    /// See [`TcpStream::send_buffer_size`](super::TcpStream::send_buffer_size).
    ///
    /// # Errors
    /// As there.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket.send_buffer_size()
    }

    /// See [`TcpStream::set_send_buffer_size`](super::TcpStream::set_send_buffer_size).
    ///
    /// # Errors
    /// As there.
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_send_buffer_size(size)
    }

    /// See [`TcpStream::recv_buffer_size`](super::TcpStream::recv_buffer_size).
    ///
    /// # Errors
    /// As there.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// See [`TcpStream::set_recv_buffer_size`](super::TcpStream::set_recv_buffer_size). A window
    /// that grows beyond 64 KiB has to be asked for before the socket connects.
    ///
    /// # Errors
    /// As there.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(size)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("local", &self.local_addr().ok()).finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl AsFd for TcpSocket {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
