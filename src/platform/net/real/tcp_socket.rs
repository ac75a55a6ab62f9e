//! TCP sockets of the real machine before they listen or connect, and the options that mio leaves
//! out.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{TcpListener, TcpStream};
use crate::platform::net::{StdTcpListener, StdTcpStream};

/// A TCP socket that neither listens nor connects yet.
pub struct TcpSocket(Socket);

impl TcpSocket {
    /// A socket for IPv6 addresses, or for IPv4 ones.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn new(is_ipv6: bool) -> io::Result<TcpSocket> {
        let domain = if is_ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(TcpSocket(socket))
    }

    /// Gives the socket its address; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.0.bind(&address.into())
    }

    /// Listens, with a queue of `backlog` connections.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener(mio::net::TcpListener::from_std(StdTcpListener::from(self.0))))
    }

    /// Begins to connect, as [`TcpStream::connect`] does.
    ///
    /// # Errors
    /// What the system says at once.
    pub fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        match self.0.connect(&address.into()) {
            Err(error) if !has_begun(&error) => Err(error),
            _ => Ok(TcpStream(mio::net::TcpStream::from_std(StdTcpStream::from(self.0)))),
        }
    }

    /// The address that it is bound to; a wildcard with port 0 before that.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?.as_socket();
        address.ok_or_else(|| io::Error::other("the system gave an address that is none of IP"))
    }

    /// Whether binding minds no connections of the port.
    ///
    /// # Errors
    /// What the system says.
    pub fn reuse_address(&self) -> io::Result<bool> {
        self.0.reuse_address()
    }

    /// Has binding mind no connections of the port, or mind them.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_reuse_address(&self, reuse: bool) -> io::Result<()> {
        self.0.set_reuse_address(reuse)
    }

    /// Whether other sockets may be bound to the same address.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub fn reuse_port(&self) -> io::Result<bool> {
        shared_port::is_allowed(&self.0)
    }

    /// Lets other sockets be bound to the same address, or not.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where it has no such option.
    #[cfg(unix)]
    pub fn set_reuse_port(&self, reuse: bool) -> io::Result<()> {
        shared_port::allow(&self.0, reuse)
    }

    /// Whether small writes will be sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.tcp_nodelay()
    }

    /// Has small writes sent at once, or gathered.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_tcp_nodelay(nodelay)
    }

    /// How long closing goes on sending what was written; `None` is the system's own way.
    ///
    /// # Errors
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.0.linger()
    }

    /// Sets how long closing goes on sending what was written; zero resets the connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.0.set_linger(linger)
    }
}

/// The options that sockets have before they connect and after.
macro_rules! options {
    ($type:ty) => {
        impl $type {
            /// After how much silence the peer is asked whether it is there; `None` is never.
            ///
            /// # Errors
            /// What the system says; `Unsupported` where it does not tell the time.
            pub fn keepalive(&self) -> io::Result<Option<Duration>> {
                keepalive(&SockRef::from(&self.0))
            }

            /// Sets after how much silence the peer is asked whether it is there.
            ///
            /// # Errors
            /// What the system says; `InvalidInput` for less than a second.
            pub fn set_keepalive(&self, keepalive: Option<Duration>) -> io::Result<()> {
                let socket = SockRef::from(&self.0);
                match keepalive {
                    None => socket.set_keepalive(false),
                    // Windows takes it, though others refuse it.
                    Some(time) if time < Duration::from_secs(1) => {
                        Err(io::ErrorKind::InvalidInput.into())
                    }
                    Some(time) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time)),
                }
            }

            /// How many bytes the system keeps until the peer has them.
            ///
            /// # Errors
            /// What the system says.
            pub fn send_buffer_size(&self) -> io::Result<usize> {
                SockRef::from(&self.0).send_buffer_size()
            }

            /// Asks the system to keep so many bytes until the peer has them.
            ///
            /// # Errors
            /// What the system says.
            pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
                SockRef::from(&self.0).set_send_buffer_size(size)
            }

            /// How many bytes the system keeps until they are read.
            ///
            /// # Errors
            /// What the system says.
            pub fn recv_buffer_size(&self) -> io::Result<usize> {
                SockRef::from(&self.0).recv_buffer_size()
            }

            /// Asks the system to keep so many bytes until they are read.
            ///
            /// # Errors
            /// What the system says.
            pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
                SockRef::from(&self.0).set_recv_buffer_size(size)
            }
        }
    };
}

options!(TcpSocket);
options!(TcpStream);

fn keepalive(socket: &Socket) -> io::Result<Option<Duration>> {
    match socket.keepalive()? {
        true => keepalive_time(socket).map(Some),
        false => Ok(None),
    }
}

#[cfg(not(any(windows, target_os = "haiku", target_os = "openbsd")))]
fn keepalive_time(socket: &Socket) -> io::Result<Duration> {
    socket.tcp_keepalive_time()
}

#[cfg(any(windows, target_os = "haiku", target_os = "openbsd"))]
fn keepalive_time(_: &Socket) -> io::Result<Duration> {
    let message = "this system does not tell the time of keepalive: note what you set";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Several sockets on one port.
#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
mod shared_port {
    use std::io;

    use socket2::Socket;

    pub(super) fn is_allowed(socket: &Socket) -> io::Result<bool> {
        socket.reuse_port()
    }

    pub(super) fn allow(socket: &Socket, reuse: bool) -> io::Result<()> {
        socket.set_reuse_port(reuse)
    }
}

/// Several sockets on one port: not on this system.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod shared_port {
    use std::io;

    use socket2::Socket;

    pub(super) fn is_allowed(_: &Socket) -> io::Result<bool> {
        Ok(false)
    }

    pub(super) fn allow(_: &Socket, reuse: bool) -> io::Result<()> {
        match reuse {
            false => Ok(()),
            true => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system has one listener for a port: accept in several tasks",
            )),
        }
    }
}

/// Whether connecting goes on, as it does on a socket that does not block.
#[cfg(unix)]
fn has_begun(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Whether connecting goes on, as it does on a socket that does not block.
#[cfg(not(unix))]
fn has_begun(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(unix)]
impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
