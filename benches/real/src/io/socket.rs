//! What servers and load do to their sockets with the system directly.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use super::Service;
use super::epoll::check;

/// Room for those who connect faster than a server accepts: without it a client's first packet is
/// dropped, and it comes again a second later.
const BACKLOG: libc::c_int = 4_096;

/// Where a server is asked. Opened here for everyone, so that all have the same backlog.
pub(super) enum Socket {
    Stream(TcpListener),
    Datagram(UdpSocket),
}

impl Socket {
    /// A blocking socket, on any free port.
    pub(super) fn open(service: Service) -> io::Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, 0);
        if service == Service::UdpEcho {
            return Ok(Self::Datagram(UdpSocket::bind(address)?));
        }
        let listener = TcpListener::bind(address)?;
        // SAFETY: it takes no memory of ours. A second call sets the backlog anew.
        check(unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) })?;
        Ok(Self::Stream(listener))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Stream(listener) => listener.local_addr(),
            Self::Datagram(socket) => socket.local_addr(),
        }
    }
}

/// Lets the process have as many descriptors as the system ever allows it.
pub(super) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives until the call returns, which fills it.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` lives until the call returns, which reads it.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(())
}

/// Makes closing `stream` leave nothing behind in the system: a port in `TIME_WAIT` for each
/// connection would use them up.
pub(super) fn leave_nothing_behind(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = mem::size_of_val(&linger) as libc::socklen_t;
    let value = (&raw const linger).cast();
    let socket = stream.as_raw_fd();
    // SAFETY: `value` points to `length` bytes that live until the call returns.
    check(unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_LINGER, value, length) })?;
    Ok(())
}
