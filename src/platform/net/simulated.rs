//! The readiness queue and the sockets of `sim` builds. Each object is of the world that it was
//! created in: simulated if that was on a simulated thread, real otherwise.
//!
//! A real object answers an error on a simulated thread, because what it says would not follow the
//! seed; a simulated one answers an error on an ordinary thread, and ends the run of a world that
//! is not its own. Wake-ups alone go from any thread to a real poller.

mod tcp_socket;
mod udp;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use volt_sim::net::{self, Interest};

pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixStream};

use super::{Event, StdTcpListener, StdTcpStream, WAKE_TOKEN, real};
use crate::platform::thread::is_simulated;

const BOTH: Interest = Interest { readable: true, writable: true };

/// An object of either world.
#[derive(Debug)]
pub(in crate::platform) enum World<R, S> {
    Real(R),
    Simulated(S),
}

impl<R, S> World<R, S> {
    fn name(&self) -> &'static str {
        match self {
            World::Real(_) => "real",
            World::Simulated(_) => "simulated",
        }
    }
}

/// Refuses real objects on simulated threads.
pub(in crate::platform) fn check_thread() -> io::Result<()> {
    match is_simulated() {
        true => Err(io::Error::new(
            ErrorKind::Unsupported,
            "an object of the real machine is used on a simulated thread, where what it says does \
             not follow the seed: create it on that thread",
        )),
        false => Ok(()),
    }
}

pub(in crate::platform) fn other_world() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        "an object of the real machine is used with one of a simulated machine: create both on \
         threads of the same world",
    )
}

/// Calls on the object that a facade holds.
macro_rules! call {
    ($facade:expr, $object:ident => $call:expr) => {
        match &$facade.0 {
            World::Real($object) => {
                check_thread()?;
                $call
            }
            World::Simulated($object) => $call,
        }
    };
}

/// Methods that only pass on to the object that a facade holds.
macro_rules! pass_on {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;
    )+) => {$(
        $(#[$attribute])*
        #[track_caller]
        pub fn $name(&self $(, $argument: $type)*) -> io::Result<$result> {
            call!(self, object => object.$name($($argument),*))
        }
    )+};
}

use {call, pass_on};

/// The readiness queue: tells which of its sources may be ready.
pub struct Poller(pub(in crate::platform) World<real::Poller, Arc<net::Poller>>);

impl Poller {
    /// A queue without sources.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn new() -> io::Result<Poller> {
        Ok(Poller(match is_simulated() {
            true => World::Simulated(Arc::new(net::Poller::new()?)),
            false => World::Real(real::Poller::new()?),
        }))
    }

    /// What ends a wait from another thread. A queue has one: this is called once.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn waker(&self) -> io::Result<PollWaker> {
        Ok(PollWaker(match &self.0 {
            World::Real(poller) => World::Real(poller.waker()?),
            World::Simulated(poller) => World::Simulated(Arc::clone(poller)),
        }))
    }

    /// What registers sources, while another thread waits too.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn registrar(&self) -> io::Result<Registrar> {
        Ok(Registrar(match &self.0 {
            World::Real(poller) => World::Real(poller.registrar()?),
            World::Simulated(poller) => World::Simulated(Arc::clone(poller)),
        }))
    }

    /// Waits for events or a wake-up, for at most `timeout`, and puts the events in place of those
    /// in `events`. May return without any, also before the time is over.
    ///
    /// # Errors
    /// On a thread of another world than the queue's, or with events that were created on one.
    #[track_caller]
    pub fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match (&mut self.0, &mut events.0) {
            (World::Real(poller), World::Real(events)) => {
                check_thread()?;
                poller.wait(events, timeout)
            }
            (World::Simulated(poller), World::Simulated(events)) => poller.wait(events, timeout),
            _ => Err(other_world()),
        }
    }
}

/// Registers sources with its [`Poller`].
pub struct Registrar(pub(in crate::platform) World<real::Registrar, Arc<net::Poller>>);

impl Registrar {
    /// Has every event of `source` told under `token`, which is not `usize::MAX`; what is ready
    /// now is told at once.
    ///
    /// # Errors
    /// If the source is registered already or of another world, or the system refuses it.
    #[track_caller]
    pub fn register(&self, source: &mut impl Source, token: usize) -> io::Result<()> {
        source.register(self, token)
    }

    /// Has nothing more told of `source`.
    ///
    /// # Errors
    /// If it is not registered, or of another world.
    #[track_caller]
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
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()>;

    /// See [`Registrar::deregister`].
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()>;

    /// As `register`, of a source that is in use already: `deregister_late` ends it. TCP streams on
    /// Linux can be registered so.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered already; `Unsupported` where this cannot be.
    #[track_caller]
    fn register_late(&self, _: &Registrar, _: usize) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    /// See `register_late`.
    ///
    /// # Errors
    /// As [`Registrar::deregister`].
    #[track_caller]
    fn deregister_late(&self, _: &Registrar) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[track_caller]
fn register<R: real::Source, S: net::Source>(
    source: &mut World<R, S>,
    registrar: &Registrar,
    token: usize,
) -> io::Result<()> {
    match (source, &registrar.0) {
        (World::Real(source), World::Real(registrar)) => {
            check_thread()?;
            registrar.register(source, token)
        }
        (World::Simulated(source), World::Simulated(poller)) => {
            poller.register(&*source, token, BOTH)
        }
        _ => Err(other_world()),
    }
}

#[track_caller]
fn deregister<R: real::Source, S: net::Source>(
    source: &mut World<R, S>,
    registrar: &Registrar,
) -> io::Result<()> {
    match (source, &registrar.0) {
        (World::Real(source), World::Real(registrar)) => {
            check_thread()?;
            registrar.deregister(source)
        }
        (World::Simulated(source), World::Simulated(poller)) => poller.deregister(&*source),
        _ => Err(other_world()),
    }
}

/// Ends a wait of its [`Poller`].
pub struct PollWaker(World<real::PollWaker, Arc<net::Poller>>);

impl PollWaker {
    /// Ends the wait that is going on, or else the next one.
    ///
    /// # Errors
    /// None that a program could cause.
    ///
    /// # Panics
    /// For a simulated queue, on an ordinary thread.
    #[track_caller]
    pub fn wake(&self) -> io::Result<()> {
        match &self.0 {
            // From whichever thread: nothing that the caller does depends on the answer.
            World::Real(waker) => waker.wake(),
            World::Simulated(poller) => {
                poller.wake(WAKE_TOKEN);
                Ok(())
            }
        }
    }
}

/// The events of one wait.
pub struct Events(World<real::Events, Vec<net::Event>>);

impl Events {
    /// Room for `capacity` events, for a queue that is created on this thread, too.
    pub fn with_capacity(capacity: usize) -> Events {
        Events(match is_simulated() {
            true => World::Simulated(Vec::with_capacity(capacity)),
            false => World::Real(real::Events::with_capacity(capacity)),
        })
    }

    /// The events of sources.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        let (real, simulated) = match &self.0 {
            World::Real(events) => (Some(events), None),
            World::Simulated(events) => (None, Some(events)),
        };
        let real = real.into_iter().flat_map(|events| events.iter());
        let simulated = simulated.into_iter().flatten();
        let of_sources = simulated.filter(|event| event.token != WAKE_TOKEN);
        real.chain(of_sources.map(|event| Event {
            token: event.token,
            readable: event.readable,
            writable: event.writable,
            read_closed: event.read_closed,
            write_closed: event.write_closed,
            error: event.error,
        }))
    }
}

/// A TCP socket that connections come to. None of its calls blocks.
pub struct TcpListener(World<real::TcpListener, net::TcpListener>);

impl TcpListener {
    /// A listener on `address`; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    #[track_caller]
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        Ok(TcpListener(match is_simulated() {
            true => World::Simulated(net::TcpListener::bind(address)?),
            false => World::Real(real::TcpListener::bind(address)?),
        }))
    }

    /// A listener that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(listener: StdTcpListener) -> io::Result<TcpListener> {
        check_thread()?;
        real::TcpListener::from_std(listener).map(World::Real).map(TcpListener)
    }

    /// The listener as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdTcpListener> {
        match self.0 {
            World::Real(listener) => listener.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    /// The next connection, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.0 {
            World::Real(listener) => {
                check_thread()?;
                listener.accept().map(|(stream, peer)| (TcpStream(World::Real(stream)), peer))
            }
            World::Simulated(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((TcpStream(World::Simulated(stream)), peer))
            }
        }
    }

    pass_on! {
        /// The address that it listens on.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr(&self) -> SocketAddr;
    }
}

impl Source for TcpListener {
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        deregister(&mut self.0, registrar)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("world", &self.0.name()).finish_non_exhaustive()
    }
}

/// A TCP connection, or the attempt to make one. None of its calls blocks.
pub struct TcpStream(World<real::TcpStream, net::TcpStream>);

#[cfg(all(target_os = "linux", not(volt_loom)))]
impl TcpStream {
    /// The simulated connection, if it is one.
    pub(in crate::platform) fn simulated(&self) -> Option<&net::TcpStream> {
        match &self.0 {
            World::Real(_) => None,
            World::Simulated(stream) => Some(stream),
        }
    }
}

impl TcpStream {
    /// Begins to connect. A writable event tells that the outcome is known: then
    /// [`take_error`](TcpStream::take_error) has the error, or
    /// [`peer_addr`](TcpStream::peer_addr) the peer.
    ///
    /// # Errors
    /// What the system says at once.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        Ok(TcpStream(match is_simulated() {
            true => World::Simulated(net::TcpStream::connect(address)?),
            false => World::Real(real::TcpStream::connect(address)?),
        }))
    }

    /// A stream that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(stream: StdTcpStream) -> io::Result<TcpStream> {
        check_thread()?;
        real::TcpStream::from_std(stream).map(World::Real).map(TcpStream)
    }

    /// The stream as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdTcpStream> {
        match self.0 {
            World::Real(stream) => stream.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    /// Reads what has arrived into one buffer after the other.
    ///
    /// # Errors
    /// As [`TcpStream::read`].
    #[track_caller]
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.0 {
            World::Real(stream) => {
                check_thread()?;
                stream.read_vectored(buffers)
            }
            World::Simulated(stream) => {
                // One call, so that one answer holds for all buffers.
                let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
                let mut bytes = vec![0; length];
                let count = stream.read(&mut bytes)?;
                let mut rest = &bytes[..count];
                for buffer in buffers {
                    let (part, behind) = rest.split_at(rest.len().min(buffer.len()));
                    buffer[..part.len()].copy_from_slice(part);
                    rest = behind;
                }
                Ok(count)
            }
        }
    }

    /// Sends as many bytes of one slice after the other as there is room for.
    ///
    /// # Errors
    /// As [`TcpStream::write`].
    #[track_caller]
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            World::Real(stream) => {
                check_thread()?;
                stream.write_vectored(slices)
            }
            World::Simulated(stream) => {
                let bytes: Vec<u8> =
                    slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                stream.write(&bytes)
            }
        }
    }

    pass_on! {
        /// Reads what has arrived; 0 is the end.
        ///
        /// # Errors
        /// `WouldBlock` if nothing has; else what the system says.
        fn read(&self, buffer: &mut [u8]) -> usize;

        /// Copies what [`TcpStream::read`] would read, and leaves it there.
        ///
        /// # Errors
        /// As [`TcpStream::read`].
        fn peek(&self, buffer: &mut [u8]) -> usize;

        /// Sends as many of `bytes` as there is room for.
        ///
        /// # Errors
        /// `WouldBlock` if there is none; else what the system says.
        fn write(&self, bytes: &[u8]) -> usize;

        /// Ends one direction or both.
        ///
        /// # Errors
        /// What the system says, such as `NotConnected`.
        fn shutdown(&self, how: Shutdown) -> ();

        /// The error that waits on the socket, once.
        ///
        /// # Errors
        /// If it cannot be asked for.
        fn take_error(&self) -> Option<io::Error>;

        /// The address of this end.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr(&self) -> SocketAddr;

        /// The address of the other end.
        ///
        /// # Errors
        /// `NotConnected` while there is none; else what the system says.
        fn peer_addr(&self) -> SocketAddr;

        /// Whether small writes are sent at once.
        ///
        /// # Errors
        /// What the system says.
        fn nodelay(&self) -> bool;

        /// Has small writes sent at once, or gathered.
        ///
        /// # Errors
        /// What the system says.
        fn set_nodelay(&self, nodelay: bool) -> ();

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

impl Source for TcpStream {
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        register(&mut self.0, registrar, token)
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        deregister(&mut self.0, registrar)
    }

    #[track_caller]
    fn register_late(&self, registrar: &Registrar, token: usize) -> io::Result<()> {
        match (&self.0, &registrar.0) {
            (World::Real(stream), World::Real(registrar)) => {
                check_thread()?;
                real::Source::register_late(stream, registrar, token)
            }
            (World::Simulated(stream), World::Simulated(poller)) => {
                poller.register(stream, token, BOTH)
            }
            _ => Err(other_world()),
        }
    }

    #[track_caller]
    fn deregister_late(&self, registrar: &Registrar) -> io::Result<()> {
        match (&self.0, &registrar.0) {
            (World::Real(stream), World::Real(registrar)) => {
                check_thread()?;
                real::Source::deregister_late(stream, registrar)
            }
            (World::Simulated(stream), World::Simulated(poller)) => poller.deregister(stream),
            _ => Err(other_world()),
        }
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream").field("world", &self.0.name()).finish_non_exhaustive()
    }
}

fn not_in_std() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "a simulated socket cannot be one of the standard library",
    )
}

macro_rules! descriptors {
    ($($type:ty),+) => {$(
        #[cfg(unix)]
        impl AsFd for $type {
            /// # Panics
            /// For a simulated socket, which has no descriptor.
            #[track_caller]
            fn as_fd(&self) -> BorrowedFd<'_> {
                match &self.0 {
                    World::Real(socket) => socket.as_fd(),
                    World::Simulated(_) => panic!("a simulated socket has no descriptor"),
                }
            }
        }
    )+};
}

descriptors!(TcpListener, TcpSocket, TcpStream, UdpSocket);

/// The addresses of a host, which may be an address itself. Blocks.
///
/// # Errors
/// What the system's resolver says.
#[track_caller]
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if !is_simulated() {
        return real::resolve(host, port);
    }
    let addresses: Vec<IpAddr> = net::resolve(host)?;
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    /// Waits for events until `operation` does not block.
    fn retry<R>(
        poller: &mut Poller,
        events: &mut Events,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> R {
        loop {
            match operation() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poller.wait(events, None).unwrap();
                }
                result => return result.unwrap(),
            }
        }
    }

    #[test]
    fn simulated_sockets_connect_and_transfer() {
        volt_sim::check(|| {
            let mut poller = Poller::new().unwrap();
            let registrar = poller.registrar().unwrap();
            let mut events = Events::with_capacity(8);
            let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            registrar.register(&mut listener, 1).unwrap();
            let port = listener.local_addr().unwrap().port();
            let address = resolve("localhost", port).unwrap()[0];
            let mut client = TcpStream::connect(address).unwrap();
            registrar.register(&mut client, 2).unwrap();

            let (mut server, _) = retry(&mut poller, &mut events, || listener.accept());
            registrar.register(&mut server, 3).unwrap();
            let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
            let sent = retry(&mut poller, &mut events, || client.write_vectored(&slices));
            assert_eq!(sent, 5);
            let mut all = [0; 5];
            while retry(&mut poller, &mut events, || server.peek(&mut all)) < 5 {
                poller.wait(&mut events, None).unwrap();
            }
            let (mut first, mut second) = ([0; 3], [0; 8]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            assert_eq!(server.read_vectored(&mut buffers).unwrap(), 5);
            assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));

            registrar.deregister(&mut server).unwrap();
            let error = server.into_std().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        });
    }

    #[test]
    fn a_wake_up_ends_a_wait_and_makes_no_event() {
        volt_sim::check(|| {
            let mut poller = Poller::new().unwrap();
            let waker = poller.waker().unwrap();
            let mut events = Events::with_capacity(8);
            let thread = volt_sim::thread::spawn(move || waker.wake().unwrap());
            poller.wait(&mut events, None).unwrap();
            assert_eq!(events.iter().count(), 0);
            thread.join().unwrap();
        });
    }

    #[test]
    fn real_objects_are_refused_on_simulated_threads() {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let registrar = Poller::new().unwrap().registrar().unwrap();
        volt_sim::check(move || {
            let error = listener.local_addr().unwrap_err();
            assert!(error.to_string().contains("on a simulated thread"), "{error}");
            let mut simulated = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let error = registrar.register(&mut simulated, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    }
}
