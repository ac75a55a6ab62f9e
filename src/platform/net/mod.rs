//! The readiness queue, and the sockets that it watches.
//!
//! | built with | what it is |
//! |---|---|
//! | `real` alone | mio and its sockets, without a branch or a field more |
//! | `sim` too | what is created on a simulated thread is simulated, all else is real |
//! | `--cfg volt_loom` | a queue that only wake-ups come to |
//!
//! An object belongs to the world that it was created in, and keeps to it.
//!
//! # What both worlds keep to
//!
//! - Events come by edges: one for each change, and for what is ready when a source is registered.
//!   A program that has not tried until `WouldBlock` hears nothing more until the next change.
//!   Where [`SHORT_TRANSFER_DRAINS`] says so, a transfer of fewer bytes than were asked for is as
//!   good as `WouldBlock`.
//! - An event is a hint: what it tells may be untrue by the time of the operation. The end of a
//!   direction is for good, unless [`Source::ENDS`] says that the source has none.
//! - A wait may return without events, and before its time is over. A signal does not fail it.
//! - A wake-up ends a wait, or the next one if none is going on, and makes no event that
//!   [`Events::iter`] gives.
//! - An event that was taken before its source was deregistered may be looked at after that.
//!
//! ```
//! use volt::platform::net::{Events, Poller, TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut poller = Poller::new()?;
//! let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//! poller.registrar()?.register(&mut listener, 7)?;
//! let _client = TcpStream::connect(listener.local_addr()?)?;
//!
//! let mut events = Events::with_capacity(16);
//! while events.iter().next().is_none() {
//!     poller.wait(&mut events, None)?;
//! }
//! assert!(events.iter().any(|event| event.token == 7 && event.readable));
//! # Ok(())
//! # }
//! ```

#[cfg(volt_loom)]
mod loom;
#[cfg_attr(volt_loom, allow(dead_code))]
pub(super) mod real;
#[cfg(all(feature = "sim", not(volt_loom)))]
pub(super) mod simulated;

#[cfg(volt_loom)]
use loom as face;
#[cfg(not(any(feature = "sim", volt_loom)))]
use real as face;
#[cfg(all(feature = "sim", not(volt_loom)))]
use simulated as face;

pub use face::{Events, PollWaker, Poller, Registrar, Source, resolve};
pub use face::{TcpListener, TcpSocket, TcpStream, UdpSocket};
#[cfg(unix)]
pub use face::{UnixDatagram, UnixListener, UnixStream};

/// The listener of the standard library, which layers above must not name themselves.
pub type StdTcpListener = std::net::TcpListener;
/// The stream of the standard library, which layers above must not name themselves.
pub type StdTcpStream = std::net::TcpStream;
/// The UDP socket of the standard library, which layers above must not name themselves.
pub type StdUdpSocket = std::net::UdpSocket;
/// The Unix listener of the standard library, which layers above must not name themselves.
#[cfg(unix)]
pub type StdUnixListener = std::os::unix::net::UnixListener;
/// The Unix stream of the standard library, which layers above must not name themselves.
#[cfg(unix)]
pub type StdUnixStream = std::os::unix::net::UnixStream;
/// The Unix socket for datagrams of the standard library, which layers above must not name
/// themselves.
#[cfg(unix)]
pub type StdUnixDatagram = std::os::unix::net::UnixDatagram;

/// The token of wake-ups.
const WAKE_TOKEN: usize = usize::MAX;

/// Whether a read or write of some bytes, but fewer than asked for, shows that the next one would
/// block until another event comes: so with epoll and kqueue.
pub const SHORT_TRANSFER_DRAINS: bool = cfg!(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "ios",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "openbsd",
));

/// Whether an error says that the system has no more to give to anybody at the moment: no
/// descriptor, or no memory. It lasts until something is given back.
///
/// ```
/// use std::io::ErrorKind;
/// use volt::platform::net::is_exhaustion;
///
/// assert!(is_exhaustion(&ErrorKind::OutOfMemory.into()));
/// assert!(!is_exhaustion(&ErrorKind::ConnectionAborted.into()));
/// ```
pub fn is_exhaustion(error: &std::io::Error) -> bool {
    let number = error.raw_os_error();
    error.kind() == std::io::ErrorKind::OutOfMemory
        || number.is_some_and(|number| EXHAUSTION.contains(&number))
}

/// The system's numbers for such errors: the limit of the process and that of the system, then
/// memory for sockets.
#[cfg(all(unix, feature = "real"))]
const EXHAUSTION: &[i32] = &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
/// `WSAEMFILE` and `WSAENOBUFS`.
#[cfg(not(all(unix, feature = "real")))]
const EXHAUSTION: &[i32] = &[10_024, 10_055];

/// What the readiness queue tells of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The token that the source was registered with.
    pub token: usize,
    /// Reading, or accepting, may succeed.
    pub readable: bool,
    /// Writing may succeed, or connecting has ended.
    pub writable: bool,
    /// No more bytes come after those that are here.
    pub read_closed: bool,
    /// No more bytes can be sent.
    pub write_closed: bool,
    /// The source has failed; the next operation tells how.
    pub error: bool,
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// How long a test waits for what must happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().expect("it is an address")
    }

    /// Tries `operation` until it does not block.
    fn retry<R>(mut operation: impl FnMut() -> std::io::Result<R>) -> R {
        let began = Instant::now();
        loop {
            match operation() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(began.elapsed() < PATIENCE, "it blocks for good");
                    thread::sleep(Duration::from_millis(1));
                }
                result => return result.expect("the operation succeeds"),
            }
        }
    }

    /// Both ends of a connection; the first is the one that connected.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(any_port()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = retry(|| listener.accept());
        assert_eq!(peer, client.local_addr().unwrap());
        (client, server)
    }

    /// More than 128 of them, which is what some ask the system for: the next one would not be
    /// answered, and try again after a second.
    #[cfg(target_os = "linux")]
    #[test]
    fn hundreds_of_connections_are_made_before_the_first_is_accepted() {
        let listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..400).map(|_| TcpStream::connect(address).unwrap()).collect();
        // On the loopback device a connection is there when the call returns.
        let made = clients.iter().filter(|client| client.peer_addr().is_ok()).count();
        assert_eq!(made, clients.len());
        retry(|| listener.accept());
    }

    #[test]
    fn a_wake_up_ends_a_wait_and_makes_no_event() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker().unwrap();
        let mut events = Events::with_capacity(4);
        waker.wake().unwrap();
        poller.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().count(), 0);
        thread::scope(|scope| {
            scope.spawn(|| waker.wake().unwrap());
            poller.wait(&mut events, None).unwrap();
        });
        assert_eq!(events.iter().count(), 0);
    }

    #[test]
    fn events_name_their_source_until_it_is_deregistered() {
        let mut poller = Poller::new().unwrap();
        let registrar = poller.registrar().unwrap();
        let (mut client, server) = pair();
        registrar.register(&mut client, 3).unwrap();
        assert_eq!(server.write(b"x").unwrap(), 1);
        let mut events = Events::with_capacity(4);
        let began = Instant::now();
        while !events.iter().any(|event| event.readable) {
            assert!(began.elapsed() < PATIENCE, "the byte makes no event");
            poller.wait(&mut events, Some(PATIENCE)).unwrap();
        }
        assert!(events.iter().all(|event| event.token == 3 && !event.read_closed));

        registrar.deregister(&mut client).unwrap();
        assert_eq!(server.write(b"y").unwrap(), 1);
        let mut bytes = [0; 2];
        while retry(|| client.peek(&mut bytes)) < 2 {
            assert!(began.elapsed() < PATIENCE, "the second byte does not arrive");
        }
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events.iter().count(), 0);
    }

    #[test]
    fn vectored_transfers_use_every_buffer() {
        let (client, server) = pair();
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(client.write_vectored(&slices).unwrap(), 5);
        let mut all = [0; 5];
        while retry(|| server.peek(&mut all)) < 5 {}
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(retry(|| server.read_vectored(&mut buffers)), 5);
        assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));
    }

    #[test]
    fn options_are_kept() {
        let (client, _server) = pair();
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_ttl(42).unwrap();
        assert_eq!(client.ttl().unwrap(), 42);
        client.set_linger(Some(Duration::from_secs(2))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(2)));
        client.set_linger(None).unwrap();
        assert_eq!(client.linger().unwrap(), None);
        assert!(client.take_error().unwrap().is_none());
        client.set_keepalive(Some(Duration::from_secs(75))).unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(client.keepalive().unwrap(), Some(Duration::from_secs(75)));
        }
        client.set_keepalive(None).unwrap();
        assert_eq!(client.keepalive().unwrap(), None);
        client.set_send_buffer_size(30_000).unwrap();
        assert!(client.send_buffer_size().unwrap() >= 30_000);
        client.set_recv_buffer_size(30_000).unwrap();
        assert!(client.recv_buffer_size().unwrap() >= 30_000);
    }

    #[test]
    fn a_socket_is_set_up_before_it_listens_or_connects() {
        let socket = TcpSocket::new(false).unwrap();
        assert!(!socket.reuse_address().unwrap());
        socket.set_reuse_address(true).unwrap();
        assert!(socket.reuse_address().unwrap());
        socket.bind(any_port()).unwrap();
        let address = socket.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let listener = socket.listen(16).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);

        let socket = TcpSocket::new(false).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        let client = socket.connect(address).unwrap();
        assert!(client.nodelay().unwrap());
        let (_server, peer) = retry(|| listener.accept());
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_port_can_be_shared() {
        let first = TcpSocket::new(false).unwrap();
        first.set_reuse_port(true).unwrap();
        assert!(first.reuse_port().unwrap());
        first.bind(any_port()).unwrap();
        let second = TcpSocket::new(false).unwrap();
        second.set_reuse_port(true).unwrap();
        second.bind(first.local_addr().unwrap()).unwrap();
    }

    #[test]
    fn datagrams_keep_their_bounds_and_tell_their_source() {
        let server = UdpSocket::bind(any_port()).unwrap();
        let client = UdpSocket::bind(any_port()).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(server.recv_from(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(retry(|| client.send(b"one")), 3);
        assert_eq!(retry(|| client.send(b"second")), 6);
        let source = client.local_addr().unwrap();
        assert_eq!(retry(|| server.peek_from(&mut bytes)), (3, source));
        assert_eq!(retry(|| server.peek(&mut bytes)), 3);
        assert_eq!(retry(|| server.recv_from(&mut bytes)), (3, source));
        assert_eq!(retry(|| server.recv(&mut bytes)), 6);
        assert_eq!(&bytes[..6], b"second");
        assert_eq!(retry(|| server.send_to(b"answer", source)), 6);
        assert_eq!(retry(|| client.recv(&mut bytes)), 6);
        assert!(client.take_error().unwrap().is_none());

        let client: StdUdpSocket = client.into_std().unwrap();
        let client = UdpSocket::from_std(client).unwrap();
        assert_eq!(client.local_addr().unwrap(), source);
    }

    #[test]
    fn options_of_udp_are_kept() {
        let socket = UdpSocket::bind(any_port()).unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(7).unwrap();
        assert_eq!(socket.ttl().unwrap(), 7);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        let (group, near) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
        socket.join_multicast_v4(&group, &near).unwrap();
        assert!(socket.join_multicast_v4(&group, &near).is_err(), "it has joined");
        socket.leave_multicast_v4(&group, &near).unwrap();
        assert!(socket.leave_multicast_v4(&group, &near).is_err(), "it has left");
    }

    #[test]
    fn streams_go_to_std_and_come_back() {
        let (client, server) = pair();
        let mut client: StdTcpStream = client.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        client.write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        while retry(|| server.peek(&mut bytes)) < 5 {}
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut bytes).unwrap(), 0);
        // It does not block any more, though it did.
        let client = TcpStream::from_std(client).unwrap();
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(retry(|| client.read(&mut bytes)), 0);

        let listener = StdTcpListener::bind(any_port()).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let address = listener.local_addr().unwrap();
        assert_eq!(listener.into_std().unwrap().local_addr().unwrap(), address);
    }

    #[test]
    fn exhaustion_is_told_from_other_errors() {
        for number in EXHAUSTION {
            assert!(is_exhaustion(&std::io::Error::from_raw_os_error(*number)), "{number}");
        }
        assert!(is_exhaustion(&ErrorKind::OutOfMemory.into()));
        for kind in [ErrorKind::ConnectionAborted, ErrorKind::WouldBlock, ErrorKind::Other] {
            assert!(!is_exhaustion(&kind.into()), "{kind}");
        }
    }

    #[test]
    fn an_address_resolves_to_itself() {
        assert_eq!(resolve("127.0.0.1", 80).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("::1", 80).unwrap(), ["[::1]:80".parse().unwrap()]);
        assert!(resolve("no\0name", 80).is_err());
    }
}
