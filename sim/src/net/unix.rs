//! Unix sockets of simulated threads. None of their calls blocks: a [`Poller`](super::Poller)
//! tells when to call again.
//!
//! Paths belong to the host of the thread that binds them, and are free again when the socket is
//! closed. They are compared as they are written: the simulated disk has no files for them.
//!
//! Calls that make sockets or send also answer what [`Resources`](super::Resources) refuse.

use std::io;
use std::net::Shutdown;
use std::panic::Location;
use std::path::{Path, PathBuf};

use super::handle::{Answer, Socket, call, running_world};
use crate::kernel::World;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::network::Lent;
use crate::network::{HostId, Net, SocketId};

/// The length of a listener's queue, as real listeners have it.
const BACKLOG: u32 = 1_024;

/// A call that makes so many sockets on the running thread's host.
fn make<R: Answer>(
    count: usize,
    place: &'static Location<'static>,
    f: impl FnOnce(&mut Net, &mut Lent<'_>, HostId) -> io::Result<R>,
) -> io::Result<(&'static World, R)> {
    let world = running_world()?;
    let host = world.host();
    let operation = Operation::new(OperationKind::SocketOther, 0, place);
    let made = call(world, operation, |net, lent| {
        net.check_descriptors(host, count)?;
        net.check_buffers(host, lent)?;
        f(net, lent, host)
    })?;
    Ok((world, made))
}

/// Waits for connections to a path of the running thread's host. Closed when dropped.
///
/// ```
/// use volt_sim::net::{UnixListener, UnixStream};
///
/// volt_sim::check(|| {
///     let listener = UnixListener::bind("/run/server".as_ref()).unwrap();
///     let client = UnixStream::connect("/run/server".as_ref()).unwrap();
///     client.write(b"hello").unwrap();
///     let server = listener.accept().unwrap();
///     let mut bytes = [0; 8];
///     assert_eq!(server.read(&mut bytes).unwrap(), 5);
/// });
/// ```
#[derive(Debug)]
pub struct UnixListener(pub(super) Socket);

impl UnixListener {
    /// A listener at `path`.
    ///
    /// # Errors
    /// `AddrInUse` if a socket has the path, `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn bind(path: &Path) -> io::Result<UnixListener> {
        let place = Location::caller();
        let (world, id) = make(1, place, |net, _, host| net.unix_listen(host, path, BACKLOG))?;
        Ok(UnixListener(Socket::new("UnixListener", world, id, place)))
    }

    /// The next connection. Its peer has no path.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn accept(&self) -> io::Result<UnixStream> {
        let place = Location::caller();
        let id = self.0.call(OperationKind::SocketOther, |net, lent, id| {
            net.check_socket(net.host_of(id)?, lent)?;
            net.unix_accept(id)
        })?;
        let (world, _) = self.0.enter(place)?;
        Ok(UnixStream(Socket::new("UnixStream", world, id, place)))
    }

    /// The path that it listens at.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<Option<PathBuf>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_local(id))
    }

    /// No error ever waits on a listener.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.take_error(id))
    }
}

/// A connection within a host. Closed when dropped.
///
/// Every call answers `Unsupported` on an ordinary thread.
///
/// ```
/// use volt_sim::net::UnixStream;
///
/// volt_sim::check(|| {
///     let (first, second) = UnixStream::pair().unwrap();
///     assert_eq!(first.write(b"hello").unwrap(), 5);
///     let mut bytes = [0; 8];
///     assert_eq!(second.peek(&mut bytes).unwrap(), 5);
///     assert_eq!(second.read(&mut bytes).unwrap(), 5);
/// });
/// ```
#[derive(Debug)]
pub struct UnixStream(pub(super) Socket);

impl UnixStream {
    /// Connects to the listener at `path`, which need not accept for that.
    ///
    /// # Errors
    /// `NotFound` if nothing has the path; `WouldBlock` if the listener's queue is full; the
    /// system's `EPROTOTYPE` for a socket for datagrams; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn connect(path: &Path) -> io::Result<UnixStream> {
        let place = Location::caller();
        let (world, id) = make(1, place, |net, lent, host| net.unix_connect(host, path, lent))?;
        Ok(UnixStream(Socket::new("UnixStream", world, id, place)))
    }

    /// Both ends of a connection.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let place = Location::caller();
        let (world, (first, second)) = make(2, place, |net, _, host| Ok(net.unix_pair(host)))?;
        let end = |id: SocketId| UnixStream(Socket::new("UnixStream", world, id, place));
        Ok((end(first), end(second)))
    }

    /// Reads what has arrived; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; `ConnectionReset`, once, if the peer has closed without
    /// reading all.
    #[track_caller]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .call(OperationKind::SocketRead, |net, lent, id| net.unix_read(id, buffer, false, lent))
    }

    /// Copies what [`UnixStream::read`] would read, and leaves it there.
    ///
    /// # Errors
    /// As [`UnixStream::read`].
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .call(OperationKind::SocketRead, |net, lent, id| net.unix_read(id, buffer, true, lent))
    }

    /// Sends as many of `bytes` as the peer has room for.
    ///
    /// # Errors
    /// `WouldBlock` if it has none; `BrokenPipe` if it reads no more, or writing was shut down.
    #[track_caller]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.unix_write(id, bytes, lent)
        })
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.unix_shutdown(id, how, lent))
    }

    /// The error that ended the connection, once.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.take_error(id))
    }

    /// The path of this end, if it was accepted.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<Option<PathBuf>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_local(id))
    }

    /// The path of the other end, if that was accepted.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<Option<PathBuf>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_peer(id))
    }
}

/// A socket for datagrams within a host. Closed when dropped.
///
/// Datagrams arrive once and in order. A socket keeps up to 208 KiB of them that were not
/// received, 256 bytes for each included, and blocks who sends more.
///
/// Every call answers `Unsupported` on an ordinary thread.
///
/// ```
/// use volt_sim::net::UnixDatagram;
///
/// volt_sim::check(|| {
///     let server = UnixDatagram::bind("/run/server".as_ref()).unwrap();
///     let client = UnixDatagram::unbound().unwrap();
///     client.send_to(b"hello", "/run/server".as_ref()).unwrap();
///     let mut bytes = [0; 8];
///     assert_eq!(server.recv_from(&mut bytes).unwrap(), (5, None));
/// });
/// ```
#[derive(Debug)]
pub struct UnixDatagram(pub(super) Socket);

impl UnixDatagram {
    /// A socket at `path`.
    ///
    /// # Errors
    /// `AddrInUse` if a socket has the path, `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
        let place = Location::caller();
        let (world, id) = make(1, place, |net, _, host| net.unix_datagram(host, Some(path)))?;
        Ok(UnixDatagram(Socket::new("UnixDatagram", world, id, place)))
    }

    /// A socket without a path: it can send, and receive from whom it is connected to.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        let place = Location::caller();
        let (world, id) = make(1, place, |net, _, host| net.unix_datagram(host, None))?;
        Ok(UnixDatagram(Socket::new("UnixDatagram", world, id, place)))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let place = Location::caller();
        let (world, (first, second)) =
            make(2, place, |net, _, host| Ok(net.unix_datagram_pair(host)))?;
        let end = |id: SocketId| UnixDatagram(Socket::new("UnixDatagram", world, id, place));
        Ok((end(first), end(second)))
    }

    /// Sends to `path` and receives from there alone, from now on.
    ///
    /// # Errors
    /// As [`UnixDatagram::send_to`] for the path.
    #[track_caller]
    pub fn connect(&self, path: &Path) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_datagram_connect(id, path))
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; `NotConnected` without a peer; `ConnectionRefused` if it
    /// is gone; the system's `EMSGSIZE` for more than 212,736 bytes.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.unix_send(id, bytes, None, lent)
        })
    }

    /// Sends a datagram to `path`.
    ///
    /// # Errors
    /// As [`UnixDatagram::send`]. `NotFound` if nothing has the path; `PermissionDenied` if who
    /// has it is connected elsewhere; the system's `EPROTOTYPE` for a listener.
    #[track_caller]
    pub fn send_to(&self, bytes: &[u8], path: &Path) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.unix_send(id, bytes, Some(path), lent)
        })
    }

    /// As [`UnixDatagram::recv_from`], without the source.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buffer)?.0)
    }

    /// Receives the next datagram: how much of it `buffer` holds, and the path of its sender, if
    /// that has one. What does not fit is lost.
    ///
    /// # Errors
    /// `WouldBlock` if none is here.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<PathBuf>)> {
        self.0.call(OperationKind::SocketRead, |net, lent, id| {
            net.unix_receive(id, buffer, false, lent)
        })
    }

    /// As [`UnixDatagram::recv`], but the datagram stays to be received.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = self.0.call(OperationKind::SocketRead, |net, lent, id| {
            net.unix_receive(id, buffer, true, lent)
        })?;
        Ok(count)
    }

    /// No error ever waits on a socket for datagrams.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.take_error(id))
    }

    /// The path of this socket, if it has one.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<Option<PathBuf>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_local(id))
    }

    /// The path that it is connected to, if that is one.
    ///
    /// # Errors
    /// `NotConnected` if it is not connected.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<Option<PathBuf>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.unix_peer(id))
    }
}
