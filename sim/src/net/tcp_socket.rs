//! TCP sockets before they listen or connect.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use super::handle::{Socket, call, running_world};
use super::tcp::options;
use super::{TcpListener, TcpStream};
use crate::kernel::event::{Operation, OperationKind};
use crate::network::SocketId;

/// A TCP socket of the running thread's host that neither listens nor connects yet. Closed when
/// dropped.
///
/// Every call answers `Unsupported` on an ordinary thread.
///
/// ```
/// use volt_sim::net::TcpSocket;
/// use volt_sim::thread;
/// use std::time::Duration;
///
/// volt_sim::check(|| {
///     let socket = TcpSocket::new(false).unwrap();
///     socket.bind("127.0.0.1:80".parse().unwrap()).unwrap();
///     let listener = socket.listen(16).unwrap();
///
///     let socket = TcpSocket::new(false).unwrap();
///     socket.set_nodelay(true).unwrap();
///     let client = socket.connect(listener.local_addr().unwrap()).unwrap();
///     assert!(client.nodelay().unwrap());
///     thread::sleep(Duration::from_millis(1));
///     listener.accept().unwrap();
/// });
/// ```
#[derive(Debug)]
pub struct TcpSocket(Socket);

impl TcpSocket {
    /// A socket for IPv6 addresses, or for IPv4 ones.
    ///
    /// # Errors
    /// `Unsupported`; and what [`Resources`](super::Resources) refuse.
    #[track_caller]
    pub fn new(is_ipv6: bool) -> io::Result<TcpSocket> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, lent| {
            net.check_socket(host, lent)?;
            Ok(net.tcp_socket(host, is_ipv6))
        })?;
        Ok(TcpSocket(Socket::new("TcpSocket", world, id, place)))
    }

    /// Gives the socket its address; port 0 stands for the next free one.
    ///
    /// # Errors
    /// `AddrInUse` if the port has a listener or is bound, or, unless the address is to be reused,
    /// has connections; `AddrNotAvailable` for an address that the host does not have;
    /// `InvalidInput` for one of the other family, and for a socket that is bound.
    #[track_caller]
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.bind(id, address, lent))
    }

    /// Listens, with a queue of `backlog` connections, on a free port if it is not bound.
    ///
    /// # Errors
    /// As [`TcpListener::bind`].
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let id =
            self.0.call(OperationKind::SocketOther, |net, _, id| net.listen_from(id, backlog))?;
        self.successor("TcpListener", id).map(TcpListener)
    }

    /// Begins to connect to `address`, as [`TcpStream::connect`] does.
    ///
    /// # Errors
    /// As there; `InvalidInput` for an address of the other family.
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let id = self.0.call(OperationKind::SocketOther, |net, lent, id| {
            net.connect_from(id, address, lent)
        })?;
        self.successor("TcpStream", id).map(TcpStream)
    }

    #[track_caller]
    fn successor(&self, what: &'static str, id: SocketId) -> io::Result<Socket> {
        let place = Location::caller();
        let (world, _) = self.0.enter(place)?;
        Ok(Socket::new(what, world, id, place))
    }

    /// The address that it is bound to; a wildcard with port 0 before that.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.local_addr(id))
    }

    /// Whether binding minds no connections of the port.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn reuse_address(&self) -> io::Result<bool> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.reuse_address(id))
    }

    /// Has binding mind no connections of the port, or mind them.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn set_reuse_address(&self, reuse: bool) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| {
            net.set_reuse_address(id, reuse, lent)
        })
    }

    /// Whether small segments will be sent at once.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.nodelay(id))
    }

    /// Has small segments sent at once, or lets them wait while others are in flight.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.set_nodelay(id, nodelay, lent))
    }

    /// What [`TcpSocket::set_linger`] has set.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.linger(id))
    }

    /// With zero, closing resets the connection. Other values change nothing: a socket that does
    /// not block does not wait in close.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.set_linger(id, linger, lent))
    }

    options!();
}
