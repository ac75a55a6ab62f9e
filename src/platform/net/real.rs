//! The real machine's readiness queue and sockets: mio's.

mod tcp_socket;
mod udp;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

#[cfg(target_os = "linux")]
use mio::unix::SourceFd;
use mio::{Interest, Token};
use socket2::SockRef;

pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixStream};

use super::{Event, StdTcpListener, StdTcpStream, WAKE_TOKEN};

/// The readiness queue: tells which of its sources may be ready.
#[derive(Debug)]
pub struct Poller(mio::Poll);

impl Poller {
    /// A queue without sources.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn new() -> io::Result<Poller> {
        mio::Poll::new().map(Poller)
    }

    /// What ends a wait from another thread. A queue has one: this is called once.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn waker(&self) -> io::Result<PollWaker> {
        mio::Waker::new(self.0.registry(), Token(WAKE_TOKEN)).map(PollWaker)
    }

    /// What registers sources, while another thread waits too.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn registrar(&self) -> io::Result<Registrar> {
        self.0.registry().try_clone().map(Registrar)
    }

    /// Waits for events or a wake-up, for at most `timeout`, and puts the events in place of those
    /// in `events`. May return without any, also before the time is over.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.0.poll(&mut events.0, timeout) {
            // A signal has come: as good as a time-out.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.0.clear();
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(unix)]
impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Registers sources with its [`Poller`].
#[derive(Debug)]
pub struct Registrar(pub(in crate::platform) mio::Registry);

impl Registrar {
    /// Has every event of `source` told under `token`, which is not `usize::MAX`; what is ready
    /// now is told at once.
    ///
    /// # Errors
    /// If the source is registered already, or the system refuses it.
    pub fn register(&self, source: &mut impl Source, token: usize) -> io::Result<()> {
        source.register(self, token)
    }

    /// Has nothing more told of `source`.
    ///
    /// # Errors
    /// If it is not registered.
    pub fn deregister(&self, source: &mut impl Source) -> io::Result<()> {
        source.deregister(self)
    }
}

/// What a [`Poller`] can watch: sockets, and what processes and signals are heard of by.
pub trait Source {
    /// Whether a direction of it can end for good. That of a socket for datagrams cannot, though
    /// the system may say so when one was refused.
    const ENDS: bool = true;

    /// See [`Registrar::register`].
    ///
    /// # Errors
    /// As there.
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()>;

    /// See [`Registrar::deregister`].
    ///
    /// # Errors
    /// As there.
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()>;

    /// As `register`, of a source that is in use already: `deregister_late` ends it. TCP streams on
    /// Linux can be registered so.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered already; `Unsupported` where this cannot be.
    fn register_late(&self, _: &Registrar, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// See `register_late`.
    ///
    /// # Errors
    /// As [`Registrar::deregister`].
    fn deregister_late(&self, _: &Registrar) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn register(
    source: &mut impl mio::event::Source,
    registrar: &Registrar,
    token: usize,
) -> io::Result<()> {
    debug_assert!(token != WAKE_TOKEN, "the token of wake-ups is given to a source");
    registrar.0.register(source, Token(token), Interest::READABLE | Interest::WRITABLE)
}

/// Ends a wait of its [`Poller`].
#[derive(Debug)]
pub struct PollWaker(mio::Waker);

impl PollWaker {
    /// Ends the wait that is going on, or else the next one.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

/// The events of one wait.
#[derive(Debug)]
pub struct Events(mio::Events);

impl Events {
    /// Room for `capacity` events; what does not fit comes with the next wait.
    pub fn with_capacity(capacity: usize) -> Events {
        Events(mio::Events::with_capacity(capacity))
    }

    /// The events of sources.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        let of_sources = self.0.iter().filter(|event| event.token() != Token(WAKE_TOKEN));
        of_sources.map(|event| Event {
            token: event.token().0,
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            write_closed: event.is_write_closed(),
            error: event.is_error(),
        })
    }
}

/// How many connections wait in a listener's queue before they are accepted, unless the system
/// allows fewer.
const BACKLOG: u32 = 1_024;

/// A TCP socket that connections come to. None of its calls blocks.
pub struct TcpListener(mio::net::TcpListener);

impl TcpListener {
    /// A listener on `address`; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = TcpSocket::new(address.is_ipv6())?;
        // A server that starts again need not wait until its old connections are forgotten.
        // Windows would let two servers have one address.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(address)?;
        // Not mio's: its 128 are soon full, and who finds them full tries again after a second.
        socket.listen(BACKLOG)
    }

    /// A listener that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(listener: StdTcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener(mio::net::TcpListener::from_std(listener)))
    }

    /// The listener as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdTcpListener> {
        Ok(self.0.into())
    }

    /// The next connection, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().map(|(stream, peer)| (TcpStream(stream), peer))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Source for TcpListener {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.0)
    }
}

#[cfg(unix)]
impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A TCP connection, or the attempt to make one. None of its calls blocks.
pub struct TcpStream(mio::net::TcpStream);

impl TcpStream {
    /// Begins to connect. A writable event tells that the outcome is known: then
    /// [`take_error`](TcpStream::take_error) has the error, or
    /// [`peer_addr`](TcpStream::peer_addr) the peer.
    ///
    /// # Errors
    /// What the system says at once.
    pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        mio::net::TcpStream::connect(address).map(TcpStream)
    }

    /// A stream that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(stream: StdTcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        Ok(TcpStream(mio::net::TcpStream::from_std(stream)))
    }

    /// The stream as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdTcpStream> {
        Ok(self.0.into())
    }

    /// Reads what has arrived; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; else what the system says.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Reads what has arrived into one buffer after the other.
    ///
    /// # Errors
    /// As [`TcpStream::read`].
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0).read_vectored(buffers)
    }

    /// Copies what [`TcpStream::read`] would read, and leaves it there.
    ///
    /// # Errors
    /// As [`TcpStream::read`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buffer)
    }

    /// Sends as many of `bytes` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    /// Sends as many bytes of one slice after the other as there is room for.
    ///
    /// # Errors
    /// As [`TcpStream::write`].
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// What the system says, such as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// The error that waits on the socket, once.
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` while there is none; else what the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.nodelay()
    }

    /// Has small writes sent at once, or gathered.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }

    /// How many hops a packet may make.
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// Sets how many hops a packet may make.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }

    /// How long closing goes on sending what was written; `None` is the system's own way.
    ///
    /// # Errors
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(&self.0).linger()
    }

    /// Sets how long closing goes on sending what was written; zero resets the connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(&self.0).set_linger(linger)
    }
}

impl Source for TcpStream {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.0)
    }

    #[cfg(target_os = "linux")]
    fn register_late(&self, registrar: &Registrar, token: usize) -> io::Result<()> {
        let descriptor = self.0.as_raw_fd();
        register(&mut SourceFd(&descriptor), registrar, token)
    }

    #[cfg(target_os = "linux")]
    fn deregister_late(&self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut SourceFd(&self.0.as_raw_fd()))
    }
}

#[cfg(unix)]
impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The addresses of a host, which may be an address itself. Blocks.
///
/// # Errors
/// What the system's resolver says.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}
