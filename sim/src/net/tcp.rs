//! TCP sockets of simulated threads. None of their calls blocks: a [`Poller`](super::Poller) tells
//! when to call again.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::Location;
use std::time::Duration;

use super::handle::{Socket, call, running_world};
use crate::kernel::event::{Operation, OperationKind};
use crate::network::SocketId;

/// The length of a listener's queue, as real listeners have it.
const BACKLOG: u32 = 1_024;

/// Waits for connections to an address of the running thread's host. Closed when dropped.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::net::{TcpListener, TcpStream};
/// use volt_sim::thread;
/// use std::time::Duration;
///
/// volt_sim::check(|| {
///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
///     assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
///     thread::sleep(Duration::from_millis(1));
///     let (_server, peer) = listener.accept().unwrap();
///     assert_eq!(peer, client.local_addr().unwrap());
/// });
/// ```
#[derive(Debug)]
pub struct TcpListener(pub(super) Socket);

impl TcpListener {
    /// A listener on `address`; port 0 stands for the next free one.
    ///
    /// # Errors
    /// `AddrInUse` if the port has a listener, `AddrNotAvailable` for an address that the host
    /// does not have, `Unsupported` on an ordinary thread; and what
    /// [`Resources`](super::Resources) refuse.
    #[track_caller]
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, lent| {
            net.check_socket(host, lent)?;
            net.listen(host, address, BACKLOG)
        })?;
        Ok(TcpListener(Socket::new("TcpListener", world, id, place)))
    }

    /// The next connection, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `Unsupported` on an ordinary thread; and what
    /// [`Resources`](super::Resources) refuse, after which the connection stays in the queue.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let place = Location::caller();
        let (id, peer) = self.0.call(OperationKind::SocketOther, |net, lent, id| {
            net.check_socket(net.host_of(id)?, lent)?;
            net.accept(id)
        })?;
        let (world, _) = self.0.enter(place)?;
        Ok((TcpStream(Socket::new("TcpStream", world, id, place)), peer))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.local_addr(id))
    }
}

/// The options that sockets have before they connect and after.
macro_rules! options {
    () => {
        /// What `set_keepalive` has set.
        ///
        /// # Errors
        /// None but `Unsupported`.
        #[track_caller]
        pub fn keepalive(&self) -> io::Result<Option<Duration>> {
            self.0.call(OperationKind::SocketOther, |net, _, id| net.keepalive(id))
        }

        /// Sets after how much silence the peer would be asked whether it is there, in whole
        /// seconds. Simulated connections ask nothing, so nothing but `keepalive` changes.
        ///
        /// # Errors
        /// `InvalidInput` for less than a second or more than 32,767.
        #[track_caller]
        pub fn set_keepalive(&self, keepalive: Option<Duration>) -> io::Result<()> {
            self.0.call(OperationKind::SocketOther, |net, lent, id| {
                net.set_keepalive(id, keepalive, lent)
            })
        }

        /// How many bytes wait for acknowledgement before a write blocks.
        ///
        /// # Errors
        /// None but `Unsupported`.
        #[track_caller]
        pub fn send_buffer_size(&self) -> io::Result<usize> {
            self.0.call(OperationKind::SocketOther, |net, _, id| net.send_buffer(id))
        }

        /// Sets how many bytes wait for acknowledgement, from 4,608 to 425,984: what is less or
        /// more becomes these.
        ///
        /// # Errors
        /// None but `Unsupported`.
        #[track_caller]
        pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
            self.0.call(OperationKind::SocketOther, |net, lent, id| {
                net.set_send_buffer(id, size, lent)
            })
        }

        /// How many bytes wait to be read before the peer is held back.
        ///
        /// # Errors
        /// None but `Unsupported`.
        #[track_caller]
        pub fn recv_buffer_size(&self) -> io::Result<usize> {
            self.0.call(OperationKind::SocketOther, |net, _, id| net.receive_buffer(id))
        }

        /// Sets how many bytes wait to be read, from 2,304 to 425,984: what is less or more
        /// becomes these. What the peer was told to send may still come.
        ///
        /// # Errors
        /// None but `Unsupported`.
        #[track_caller]
        pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
            self.0.call(OperationKind::SocketOther, |net, lent, id| {
                net.set_receive_buffer(id, size, lent)
            })
        }
    };
}

pub(super) use options;

/// A TCP connection, or the attempt to make one. Closed when dropped.
///
/// Every call answers `Unsupported` on an ordinary thread.
///
/// ```
/// use volt_sim::net::{TcpListener, TcpStream};
/// use volt_sim::thread;
/// use std::time::Duration;
///
/// volt_sim::check(|| {
///     let listener = TcpListener::bind("127.0.0.1:80".parse().unwrap()).unwrap();
///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
///     thread::sleep(Duration::from_millis(1));
///     let (server, _) = listener.accept().unwrap();
///     client.write(b"hello").unwrap();
///     thread::sleep(Duration::from_millis(1));
///     let mut bytes = [0; 8];
///     assert_eq!(server.peek(&mut bytes).unwrap(), 5);
///     assert_eq!(server.read(&mut bytes).unwrap(), 5);
///     assert_eq!(&bytes[..5], b"hello");
/// });
/// ```
#[derive(Debug)]
pub struct TcpStream(pub(super) Socket);

impl TcpStream {
    pub(crate) fn id(&self) -> SocketId {
        self.0.id()
    }

    /// Begins to connect to `address`. A writable event tells that the outcome is known; then
    /// [`TcpStream::take_error`] has the error, or [`TcpStream::peer_addr`] the peer.
    ///
    /// # Errors
    /// `NetworkUnreachable` for an address of a family that the host has not, `AddrInUse` if no
    /// port is free, `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, lent| {
            net.check_socket(host, lent)?;
            net.connect(host, None, address, lent)
        })?;
        Ok(TcpStream(Socket::new("TcpStream", world, id, place)))
    }

    /// Reads what has arrived; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; once, what ended the connection: `ConnectionReset`,
    /// `TimedOut`.
    #[track_caller]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketRead, |net, lent, id| net.read(id, buffer, lent))
    }

    /// Copies what [`TcpStream::read`] would read, and leaves it there.
    ///
    /// # Errors
    /// As [`TcpStream::read`].
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketRead, |net, _, id| net.peek(id, buffer))
    }

    /// Sends as many of `bytes` as the send buffer has room for.
    ///
    /// # Errors
    /// `WouldBlock` if it has none or the connection is not established yet; once, what ended the
    /// connection; `BrokenPipe` after that, and after writing was shut down.
    #[track_caller]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.call(OperationKind::SocketWrite, |net, lent, id| {
            net.check_buffers(net.host_of(id)?, lent)?;
            net.write(id, bytes, lent)
        })
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// `NotConnected` before the connection is established and after it has ended.
    #[track_caller]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.shutdown(id, how, lent))
    }

    /// The error that ended the connection, once.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.take_error(id))
    }

    /// The address of this end.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.local_addr(id))
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` before the connection is established and after it has ended.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.peer_addr(id))
    }

    /// Whether small segments are sent at once.
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

    /// How many hops its packets may take.
    ///
    /// # Errors
    /// None but `Unsupported`.
    #[track_caller]
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.call(OperationKind::SocketOther, |net, _, id| net.ttl(id))
    }

    /// Sets how many hops its packets may take. Simulated links have none, so nothing but
    /// [`TcpStream::ttl`] changes.
    ///
    /// # Errors
    /// `InvalidInput` unless it is in `1..=255`.
    #[track_caller]
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.call(OperationKind::SocketOther, |net, lent, id| net.set_ttl(id, ttl, lent))
    }

    /// What [`TcpStream::set_linger`] has set.
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
