//! The socket table, listeners and connections, and what programs do with them.
//!
//! A socket outlives its program's handle as long as its connection has bytes to deliver or waits
//! for the peer, as in any operating system; [`Holder`] says who still cares.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

use super::address::{FIRST_EPHEMERAL, HostId, LOWEST, loopback_like, mapped, overlap, serves};
use super::options::TcpOptions;
use super::packet::{Pending, Segment};
use super::poller::{Edges, Readiness, Registration};
use super::tcp::{Connection, State};
use super::udp::Udp;
use super::unix::Unix;
use super::{Net, Surroundings};

/// The longest queue of connections that a listener gets, as on Linux.
const LONGEST_BACKLOG: u32 = 4_096;

/// After this many nanoseconds `connect` to an address that no host has fails: three seconds,
/// which three unanswered questions for its owner take.
const NOBODY_ANSWERS: u64 = 3_000_000_000;

/// A socket. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u32);

/// The two ends of a connection as its host sees them, ordered by host and port.
pub(super) type Ends = (HostId, u16, IpAddr, SocketAddr);

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Program,
    /// The listener whose handshake it is.
    Handshake(SocketId),
    /// The queue of a listener.
    Backlog,
    /// Nobody: it goes when its connection has ended.
    Nobody,
}

pub(super) struct Socket {
    pub(super) host: HostId,
    pub(super) local: SocketAddr,
    pub(super) holder: Holder,
    pub(super) registration: Option<Registration>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// TCP that neither listens nor connects yet.
    Idle(TcpOptions),
    Listener(Listener),
    Stream(Box<Stream>),
    Udp(Box<Udp>),
    Unix(Box<Unix>),
}

pub(super) struct Listener {
    backlog: usize,
    /// Those that its connections begin with.
    pub(super) options: TcpOptions,
    /// Connections to be accepted.
    queue: VecDeque<SocketId>,
}

impl Listener {
    /// As on Linux, the queue holds one more than was asked for.
    fn is_full(&self) -> bool {
        self.queue.len() > self.backlog
    }
}

pub(super) struct Stream {
    pub(super) connection: Connection,
    pub(super) remote: SocketAddr,
    /// The host at `remote`, if any.
    pub(super) peer: Option<HostId>,
    /// An IPv6 socket with IPv4 addresses.
    mapped: bool,
    pub(super) options: TcpOptions,
    /// The earliest time that its timer is set for.
    pub(super) timer_at: Option<u64>,
    /// When a connection in this state, which nothing else ends, is forgotten.
    pub(super) expires: Option<(State, u64)>,
}

impl Socket {
    fn connection(host: HostId, local: SocketAddr, holder: Holder, stream: Stream) -> Socket {
        let kind = Kind::Stream(Box::new(stream));
        Socket { host, local, holder, registration: None, kind }
    }

    pub(super) fn ends(&self) -> Option<Ends> {
        match &self.kind {
            Kind::Idle(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_) => None,
            Kind::Stream(stream) => {
                Some((self.host, self.local.port(), self.local.ip(), stream.remote))
            }
        }
    }

    /// One of its addresses as its program sees it.
    pub(super) fn shown(&self, address: SocketAddr) -> SocketAddr {
        match &self.kind {
            Kind::Stream(stream) if stream.mapped => mapped(address),
            Kind::Udp(udp) if udp.is_ipv6 => mapped(address),
            _ => address,
        }
    }

    /// What a report says of it.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Idle(_) if self.local.port() == 0 => "TCP socket, not bound".to_owned(),
            Kind::Idle(_) => format!("TCP socket {}, not connected", self.local),
            Kind::Listener(_) => format!("listener {}", self.local),
            Kind::Unix(unix) => unix.describe(),
            Kind::Udp(udp) => match udp.peer {
                None => format!("UDP socket {}", self.local),
                Some(peer) => format!("UDP socket {} to {peer}", self.local),
            },
            Kind::Stream(stream) => format!(
                "connection {} to {}, {}",
                self.local,
                stream.remote,
                stream.connection.state().label()
            ),
        }
    }
}

/// Calls of programs. They answer what Linux answers to a non-blocking socket; a socket that is
/// closed, or went with its host, answers `InvalidInput`.
impl Net {
    /// A listener; port 0 stands for the next free ephemeral port. As with the option
    /// `SO_REUSEADDR`, which std and mio set, connections of the port do not matter.
    ///
    /// # Errors
    /// `AddrInUse` if the port has a listener or is bound, or no port is free; `AddrNotAvailable`
    /// for an address that the host does not have.
    pub(crate) fn listen(
        &mut self,
        host: HostId,
        address: SocketAddr,
        backlog: u32,
    ) -> io::Result<SocketId> {
        self.listen_with(host, address, backlog, TcpOptions::default())
    }

    /// As [`Net::listen`], with options of the program's.
    pub(super) fn listen_with(
        &mut self,
        host: HostId,
        address: SocketAddr,
        backlog: u32,
        options: TcpOptions,
    ) -> io::Result<SocketId> {
        let ip = address.ip();
        if !self.hosts.may_bind(host, ip) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port = match address.port() {
            0 => self.free_port(host, |net, port| net.is_in_use(host, port))?,
            port => port,
        };
        if self.is_listened_on(host, port, ip) || self.is_reserved(host, port, ip) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let backlog = backlog.min(LONGEST_BACKLOG) as usize;
        let id = self.add_socket(Socket {
            host,
            local: SocketAddr::new(ip, port),
            holder: Holder::Program,
            registration: None,
            kind: Kind::Listener(Listener { backlog, options, queue: VecDeque::new() }),
        });
        self.listeners.insert((host, port, ip), id);
        Ok(id)
    }

    /// The next connection of a listener's queue, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; `InvalidInput` if `listener` is none.
    pub(crate) fn accept(&mut self, listener: SocketId) -> io::Result<(SocketId, SocketAddr)> {
        let Kind::Listener(entry) = &mut self.held_mut(listener)?.kind else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let id = entry.queue.pop_front().ok_or(ErrorKind::WouldBlock)?;
        let socket = self.sockets.get_mut(&id).expect("a queued connection is in the table");
        socket.holder = Holder::Program;
        let Kind::Stream(stream) = &socket.kind else { unreachable!("a listener in a queue") };
        Ok((id, socket.shown(stream.remote)))
    }

    /// Begins to connect. The outcome shows as a write edge: [`Net::take_error`] then has the
    /// error (`ConnectionRefused`, `HostUnreachable` after three seconds, `TimedOut` after 127),
    /// or [`Net::peer_addr`] the peer.
    ///
    /// `local` is what the program has bound, if anything; without a port, the next free ephemeral
    /// one serves.
    ///
    /// # Errors
    /// `AddrInUse` if the local port has a listener, the connection exists or no port is free;
    /// `AddrNotAvailable` for a local address that the host does not have; `NetworkUnreachable`
    /// for an address of a family that it has not; `InvalidInput` if the two do not go together.
    pub(crate) fn connect(
        &mut self,
        host: HostId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        s: &mut impl Surroundings,
    ) -> io::Result<SocketId> {
        self.connect_with(host, local, remote, TcpOptions::default(), s)
    }

    /// As [`Net::connect`], with options of the program's.
    pub(super) fn connect_with(
        &mut self,
        host: HostId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: TcpOptions,
        s: &mut impl Surroundings,
    ) -> io::Result<SocketId> {
        let now = s.now();
        self.forget_expired(now);
        let asked = remote.ip();
        let canonical = asked.to_canonical();
        let ip = if canonical.is_unspecified() { loopback_like(canonical) } else { canonical };
        let remote = SocketAddr::new(ip, remote.port());
        let source = self.hosts.source(host, local.map(|local| local.ip().to_canonical()), ip)?;
        let taken = |net: &Net, port: u16| {
            net.listeners_on(host, port).next().is_some()
                || net.connections.contains_key(&(host, port, source, remote))
        };
        let port = match local.map_or(0, |local| local.port()) {
            // A port equal to the remote one of this host would connect to itself.
            0 => self.free_port(host, |net, port| {
                taken(net, port)
                    || net.bound_on(host, port).next().is_some()
                    || SocketAddr::new(source, port) == remote
            })?,
            port if taken(self, port) => return Err(ErrorKind::AddrInUse.into()),
            port => port,
        };
        let peer = if ip.is_loopback() { Some(host) } else { self.hosts.at(ip) };
        let stream = Stream {
            connection: Connection::connect(self.initial_number(), &options, now),
            remote,
            peer,
            mapped: canonical != asked,
            options,
            timer_at: None,
            expires: None,
        };
        let local = SocketAddr::new(source, port);
        let id = self.add_socket(Socket::connection(host, local, Holder::Program, stream));
        self.connections.insert((host, port, source, remote), id);
        if peer.is_none() {
            self.schedule(now + NOBODY_ANSWERS, Pending::Unreachable(id), s);
        }
        self.drive(id, s);
        Ok(id)
    }

    /// Reads into `into`; 0 is the end. After a reset, what had arrived can be read first.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is here; once, what ended the connection: `ConnectionReset`,
    /// `TimedOut`.
    pub(crate) fn read(
        &mut self,
        socket: SocketId,
        into: &mut [u8],
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let now = s.now();
        let result = self.stream_mut(socket)?.connection.read(into, now);
        self.drive(socket, s);
        result
    }

    /// Copies what [`Net::read`] would read.
    ///
    /// # Errors
    /// As [`Net::read`].
    pub(crate) fn peek(&mut self, socket: SocketId, into: &mut [u8]) -> io::Result<usize> {
        self.stream_mut(socket)?.connection.peek(into)
    }

    /// Takes what fits into the send buffer of `bytes`.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits or the connection is not established yet; once, what ended
    /// it; `BrokenPipe` after that, or after the program has shut down writing.
    pub(crate) fn write(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let now = s.now();
        let result = self.stream_mut(socket)?.connection.write(bytes, now);
        self.drive(socket, s);
        result
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// `NotConnected` before it is established and after it has ended.
    pub(crate) fn shutdown(
        &mut self,
        socket: SocketId,
        how: Shutdown,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let now = s.now();
        let result = self.stream_mut(socket)?.connection.shutdown(how, now);
        self.drive(socket, s);
        result
    }

    /// Closes a socket. The bytes of a connection are delivered still, unless bytes from its peer
    /// were not read or linger is zero: then it is reset. A listener resets the connections that
    /// nobody accepted; what a UDP socket has received is gone, and the path of a Unix socket is
    /// free. A socket that is closed, or went with its host, is left alone.
    pub(crate) fn close(&mut self, id: SocketId, s: &mut impl Surroundings) {
        if self.held(id).is_err() {
            return;
        }
        self.unregister(id);
        let Ok(socket) = self.held_mut(id) else { return };
        socket.holder = Holder::Nobody;
        match &mut socket.kind {
            Kind::Idle(_) => self.forget_idle(id),
            Kind::Unix(_) => self.close_unix(id, s),
            Kind::Udp(_) => {
                let key = (socket.host, socket.local.port(), socket.local.ip());
                self.udp.remove(&key);
                self.sockets.remove(&id);
            }
            Kind::Listener(listener) => {
                let queue = std::mem::take(&mut listener.queue);
                let key = (socket.host, socket.local.port(), socket.local.ip());
                self.listeners.remove(&key);
                self.sockets.remove(&id);
                self.close_backlog(id, queue, s);
            }
            Kind::Stream(stream) => {
                let reset = stream.options.linger == Some(Duration::ZERO);
                stream.connection.close(reset, s.now());
                self.drive(id, s);
            }
        }
    }

    fn close_backlog(
        &mut self,
        listener: SocketId,
        queue: VecDeque<SocketId>,
        s: &mut impl Surroundings,
    ) {
        for id in queue {
            if let Some(socket) = self.sockets.get_mut(&id)
                && let Kind::Stream(stream) = &mut socket.kind
            {
                socket.holder = Holder::Nobody;
                stream.connection.abort();
                self.drive(id, s);
            }
        }
        // Half-open ones are forgotten: what their peers send next is refused.
        let half_open: Vec<SocketId> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.holder == Holder::Handshake(listener))
            .map(|(id, _)| *id)
            .collect();
        for id in half_open {
            if let Some(ends) = self.sockets.remove(&id).and_then(|socket| socket.ends()) {
                self.connections.remove(&ends);
            }
        }
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn local_addr(&self, socket: SocketId) -> io::Result<SocketAddr> {
        let socket = self.held(socket)?;
        Ok(socket.shown(socket.local))
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// `NotConnected` before the connection is established, and after it has ended; of a UDP
    /// socket that is not connected.
    pub(crate) fn peer_addr(&self, socket: SocketId) -> io::Result<SocketAddr> {
        let socket = self.held(socket)?;
        let peer = match &socket.kind {
            Kind::Stream(stream) if stream.connection.is_connected() => Some(stream.remote),
            Kind::Udp(udp) => udp.peer,
            _ => None,
        };
        peer.map(|peer| socket.shown(peer)).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// The error that ended the connection, or that a UDP socket's peer has answered, once; others
    /// have none.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn take_error(&mut self, socket: SocketId) -> io::Result<Option<io::Error>> {
        match &mut self.held_mut(socket)?.kind {
            Kind::Idle(_) | Kind::Listener(_) => Ok(None),
            Kind::Stream(stream) => Ok(stream.connection.take_error().map(io::Error::from)),
            Kind::Udp(udp) => Ok(udp.take_error().map(io::Error::from)),
            Kind::Unix(unix) => Ok(unix.take_error().map(io::Error::from)),
        }
    }
}

/// What the rest of the network asks of the table.
impl Net {
    pub(super) fn add_socket(&mut self, socket: Socket) -> SocketId {
        self.last_socket += 1;
        let id = SocketId(self.last_socket);
        self.sockets.insert(id, socket);
        id
    }

    /// The host of a socket that its program holds.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn host_of(&self, id: SocketId) -> io::Result<HostId> {
        Ok(self.held(id)?.host)
    }

    /// A socket that its program holds.
    pub(super) fn held(&self, id: SocketId) -> io::Result<&Socket> {
        let socket = self.sockets.get(&id).filter(|socket| socket.holder == Holder::Program);
        socket.ok_or_else(closed)
    }

    pub(super) fn held_mut(&mut self, id: SocketId) -> io::Result<&mut Socket> {
        let socket = self.sockets.get_mut(&id).filter(|socket| socket.holder == Holder::Program);
        socket.ok_or_else(closed)
    }

    fn stream_mut(&mut self, id: SocketId) -> io::Result<&mut Stream> {
        match &mut self.held_mut(id)?.kind {
            Kind::Stream(stream) => Ok(stream.as_mut()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn readiness(&self, id: SocketId) -> Readiness {
        match self.sockets.get(&id).map(|socket| &socket.kind) {
            None | Some(Kind::Idle(_)) => Readiness::default(),
            Some(Kind::Stream(stream)) => stream.connection.readiness(),
            Some(Kind::Udp(udp)) => udp.readiness(),
            Some(Kind::Unix(unix)) => self.unix_readiness(unix),
            Some(Kind::Listener(listener)) => {
                Readiness { readable: !listener.queue.is_empty(), ..Readiness::default() }
            }
        }
    }

    fn listeners_on(&self, host: HostId, port: u16) -> impl Iterator<Item = (IpAddr, SocketId)> {
        self.listeners
            .range((host, port, LOWEST)..)
            .take_while(move |(key, _)| (key.0, key.1) == (host, port))
            .map(|(key, id)| (key.2, *id))
    }

    /// Whether a listener on the port serves `ip`, or something that `ip` serves.
    pub(super) fn is_listened_on(&self, host: HostId, port: u16, ip: IpAddr) -> bool {
        self.listeners_on(host, port).any(|(other, _)| overlap(other, ip))
    }

    /// The local addresses of the connections of a port.
    pub(super) fn connected_on(&self, host: HostId, port: u16) -> impl Iterator<Item = IpAddr> {
        self.connections
            .range((host, port, LOWEST, SocketAddr::new(LOWEST, 0))..)
            .take_while(move |(key, _)| (key.0, key.1) == (host, port))
            .map(|(key, _)| key.2)
    }

    pub(super) fn is_in_use(&self, host: HostId, port: u16) -> bool {
        self.listeners_on(host, port).next().is_some()
            || self.bound_on(host, port).next().is_some()
            || self.connected_on(host, port).next().is_some()
    }

    pub(super) fn free_port(
        &mut self,
        host: HostId,
        taken: impl Fn(&Net, u16) -> bool,
    ) -> io::Result<u16> {
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = self.hosts.next_port(host);
            if !taken(self, port) {
                return Ok(port);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }

    /// The listener that serves `target` on `host`.
    pub(super) fn listener_for(&self, host: HostId, target: SocketAddr) -> Option<SocketId> {
        let mut listeners = self.listeners_on(host, target.port());
        listeners.find(|(ip, _)| serves(*ip, target.ip())).map(|(_, id)| id)
    }

    /// Whether the queue of `listener` takes no more connections.
    pub(super) fn is_full(&self, listener: SocketId) -> bool {
        match self.sockets.get(&listener).map(|socket| &socket.kind) {
            Some(Kind::Listener(listener)) => listener.is_full(),
            _ => true,
        }
    }

    /// Answers a SYN that `peer` sent from `source` to `target`, which `listener` serves.
    pub(super) fn answer_syn(
        &mut self,
        listener: SocketId,
        (peer, source): (HostId, SocketAddr),
        target: SocketAddr,
        syn: &Segment,
        s: &mut impl Surroundings,
    ) {
        if self.is_full(listener) {
            return;
        }
        let Some(socket) = self.sockets.get(&listener) else { return };
        let Kind::Listener(Listener { options, .. }) = socket.kind else { return };
        let host = socket.host;
        let mapped = socket.local.is_ipv6() && target.is_ipv4();
        let stream = Stream {
            connection: Connection::answer(self.initial_number(), syn, &options, s.now()),
            remote: source,
            peer: Some(peer),
            mapped,
            options,
            timer_at: None,
            expires: None,
        };
        let holder = Holder::Handshake(listener);
        let id = self.add_socket(Socket::connection(host, target, holder, stream));
        self.connections.insert((host, target.port(), target.ip(), source), id);
        self.drive(id, s);
    }

    /// Queues a connection of `listener` whose handshake is complete.
    pub(super) fn queue(&mut self, listener: SocketId, id: SocketId, s: &mut impl Surroundings) {
        let Some(Socket { kind: Kind::Listener(entry), .. }) = self.sockets.get_mut(&listener)
        else {
            return;
        };
        entry.queue.push_back(id);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.holder = Holder::Backlog;
        }
        self.mark(listener, Edges::READ, s);
    }

    /// The number of a connection's SYN. Connections are so far apart that no segment of one is
    /// taken for one of another.
    fn initial_number(&mut self) -> u64 {
        self.connections_begun += 1;
        self.connections_begun << 40
    }
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "the socket is closed")
}
