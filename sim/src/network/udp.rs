//! UDP sockets. A datagram goes out at once, whole, and arrives once, twice or not at all. As on
//! Linux,
//! - a socket that is connected receives from its peer alone;
//! - a datagram for a port on which nobody receives is answered, and if its sender is connected,
//!   its next operation fails with `ConnectionRefused`, once;
//! - what finds no room in the socket's buffer is dropped, and nobody is told;
//! - a datagram that is longer than the buffer it is received into loses its end.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::address::{HostId, LOWEST, loopback_like, overlap, serves};
use super::options::DEFAULT_TTL;
use super::packet::{Content, Packet};
use super::poller::{Edges, Readiness};
use super::socket::{Holder, Kind, Socket, SocketId};
use super::{Net, Surroundings};

/// Bytes of datagrams that a socket keeps for its program, as on Linux.
pub(super) const RECEIVE_BUFFER: usize = 212_992;

/// What each datagram takes of the buffer besides its bytes, so that empty ones take some too.
const BOOKKEEPING: usize = 256;

/// The longest datagram over IPv4, and over IPv6: what a packet holds besides its headers.
const LONGEST_IPV4: usize = 65_507;
const LONGEST_IPV6: usize = 65_527;

/// The numbers of the system's errors that have no kind of their own.
#[cfg(windows)]
const MESSAGE_TOO_LONG: i32 = 10_040;
#[cfg(not(windows))]
const MESSAGE_TOO_LONG: i32 = libc::EMSGSIZE;
#[cfg(windows)]
const NO_DESTINATION: i32 = 10_039;
#[cfg(not(windows))]
const NO_DESTINATION: i32 = libc::EDESTADDRREQ;

/// What has arrived.
struct Received {
    source: SocketAddr,
    payload: Vec<u8>,
}

impl Received {
    /// What it takes of the buffer.
    fn cost(&self) -> usize {
        self.payload.len() + BOOKKEEPING
    }
}

pub(super) struct Udp {
    /// Its program sees IPv4 addresses as IPv6 ones.
    pub(super) is_ipv6: bool,
    /// Where it is connected to.
    pub(super) peer: Option<SocketAddr>,
    received: VecDeque<Received>,
    /// What `received` takes of the buffer.
    held: usize,
    /// Reported to the program once.
    error: Option<ErrorKind>,
    /// Datagrams may go to everybody. Merely remembered.
    broadcast: bool,
    /// Hops that its packets may take. Links have no hops, so it is merely remembered.
    pub(super) ttl: u8,
}

impl Udp {
    fn new(is_ipv6: bool) -> Udp {
        Udp {
            is_ipv6,
            peer: None,
            received: VecDeque::new(),
            held: 0,
            error: None,
            broadcast: false,
            ttl: DEFAULT_TTL,
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        Readiness {
            readable: self.error.is_some() || !self.received.is_empty(),
            writable: true,
            error: self.error.is_some(),
            ..Readiness::default()
        }
    }

    pub(super) fn take_error(&mut self) -> Option<ErrorKind> {
        self.error.take()
    }

    /// Keeps what has arrived; false if there is no room.
    fn keep(&mut self, received: Received) -> bool {
        let held = self.held + received.cost();
        if held > RECEIVE_BUFFER {
            return false;
        }
        self.held = held;
        self.received.push_back(received);
        true
    }

    /// Copies as much of the first datagram as `into` holds; how much, and where it came from.
    fn look(&self, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let Received { source, payload } = self.received.front()?;
        let count = payload.len().min(into.len());
        into[..count].copy_from_slice(&payload[..count]);
        Some((count, *source))
    }

    fn forget_first(&mut self) {
        if let Some(received) = self.received.pop_front() {
            self.held -= received.cost();
        }
    }
}

/// Where a datagram goes.
struct Route {
    source: SocketAddr,
    target: SocketAddr,
    /// The host there, if any.
    peer: Option<HostId>,
}

/// Calls of programs, which answer what Linux answers to a non-blocking socket. Each answers
/// `InvalidInput` for a socket of TCP, or one that is closed.
impl Net {
    /// A UDP socket; port 0 stands for the next free ephemeral port.
    ///
    /// # Errors
    /// `AddrInUse` if another UDP socket has the port, or none is free; `AddrNotAvailable` for an
    /// address that the host does not have.
    pub(crate) fn udp_bind(&mut self, host: HostId, address: SocketAddr) -> io::Result<SocketId> {
        let ip = address.ip().to_canonical();
        if !self.hosts.may_bind(host, ip) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port = match address.port() {
            0 => self.free_port(host, |net, port| net.udp_on(host, port).next().is_some())?,
            port => port,
        };
        if self.udp_on(host, port).any(|(other, _)| overlap(other, ip)) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let id = self.add_socket(Socket {
            host,
            local: SocketAddr::new(ip, port),
            holder: Holder::Program,
            registration: None,
            kind: Kind::Udp(Box::new(Udp::new(address.is_ipv6()))),
        });
        self.udp.insert((host, port, ip), id);
        Ok(id)
    }

    /// Has the socket send to `remote` and receive from there alone. What had arrived before stays
    /// to be received. A socket on a wildcard takes the address from which it reaches `remote`.
    ///
    /// # Errors
    /// As [`Net::udp_send`] for the address.
    pub(crate) fn udp_connect(&mut self, id: SocketId, remote: SocketAddr) -> io::Result<()> {
        let route = self.udp_route(id, remote)?;
        let socket = self.held_mut(id)?;
        let (host, before) = (socket.host, socket.local);
        socket.local = route.source;
        if let Kind::Udp(udp) = &mut socket.kind {
            udp.peer = Some(route.target);
        }
        self.udp.remove(&(host, before.port(), before.ip()));
        self.udp.insert((host, before.port(), route.source.ip()), id);
        Ok(())
    }

    /// Sends a datagram to `target`, or to the peer without one.
    ///
    /// # Errors
    /// Once, what the peer of a connected socket has answered: `ConnectionRefused`. The system's
    /// `EMSGSIZE` for a datagram that fits no packet, and its `EDESTADDRREQ` without target and
    /// peer. For the address: `InvalidInput` for port 0, another family, or one that is not
    /// reached from where the socket is bound; `NetworkUnreachable` for a family that the host has
    /// not; `PermissionDenied` for the broadcast address, unless that is allowed; `Unsupported` for
    /// broadcast and multicast.
    pub(crate) fn udp_send(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        target: Option<SocketAddr>,
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let udp = self.udp_mut(id)?;
        let Some(target) = target.or(udp.peer) else {
            return Err(io::Error::from_raw_os_error(NO_DESTINATION));
        };
        if let Some(error) = udp.error.take() {
            return Err(error.into());
        }
        let Route { source, target, peer } = self.udp_route(id, target)?;
        let longest = if target.is_ipv4() { LONGEST_IPV4 } else { LONGEST_IPV6 };
        if bytes.len() > longest {
            return Err(io::Error::from_raw_os_error(MESSAGE_TOO_LONG));
        }
        let from = self.held(id)?.host;
        if let Some(to) = peer {
            let content = Content::Datagram(bytes.to_vec());
            self.send_packet(Packet { from, to, source, target, content }, s);
        }
        Ok(bytes.len())
    }

    /// Copies the next datagram into `into`, and what does not fit is lost: how much, and where it
    /// came from. With `stays`, it can be received again.
    ///
    /// # Errors
    /// Once, what the peer of a connected socket has answered: `ConnectionRefused`. `WouldBlock`
    /// if nothing is here.
    pub(crate) fn udp_receive(
        &mut self,
        id: SocketId,
        into: &mut [u8],
        stays: bool,
    ) -> io::Result<(usize, SocketAddr)> {
        let udp = self.udp_mut(id)?;
        if let Some(error) = udp.error.take() {
            return Err(error.into());
        }
        let (count, source) = udp.look(into).ok_or(ErrorKind::WouldBlock)?;
        if !stays {
            udp.forget_first();
        }
        Ok((count, self.held(id)?.shown(source)))
    }

    /// Whether [`Net::udp_set_broadcast`] has allowed it.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn udp_broadcast(&mut self, id: SocketId) -> io::Result<bool> {
        Ok(self.udp_mut(id)?.broadcast)
    }

    /// Allows datagrams to the broadcast address, or forbids them.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn udp_set_broadcast(&mut self, id: SocketId, allowed: bool) -> io::Result<()> {
        self.udp_mut(id)?.broadcast = allowed;
        Ok(())
    }

    fn udp_mut(&mut self, id: SocketId) -> io::Result<&mut Udp> {
        match &mut self.held_mut(id)?.kind {
            Kind::Udp(udp) => Ok(udp.as_mut()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// The way of a datagram from a socket to `asked`.
    fn udp_route(&mut self, id: SocketId, asked: SocketAddr) -> io::Result<Route> {
        let udp = self.udp_mut(id)?;
        let (is_ipv6, broadcast) = (udp.is_ipv6, udp.broadcast);
        let canonical = asked.ip().to_canonical();
        if asked.port() == 0 || (asked.is_ipv6() && !is_ipv6) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let is_broadcast = canonical == IpAddr::V4(Ipv4Addr::BROADCAST);
        if is_broadcast && !broadcast {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if is_broadcast || canonical.is_multicast() {
            let message = "the simulated network has neither broadcast nor multicast: send to \
                           each host by itself";
            return Err(io::Error::new(ErrorKind::Unsupported, message));
        }
        let ip = if canonical.is_unspecified() { loopback_like(canonical) } else { canonical };
        let socket = self.held(id)?;
        let source = self.hosts.source(socket.host, Some(socket.local.ip()), ip)?;
        let peer = if ip.is_loopback() { Some(socket.host) } else { self.hosts.at(ip) };
        Ok(Route {
            source: SocketAddr::new(source, socket.local.port()),
            target: SocketAddr::new(ip, asked.port()),
            peer,
        })
    }
}

/// What the rest of the network asks.
impl Net {
    fn udp_on(&self, host: HostId, port: u16) -> impl Iterator<Item = (IpAddr, SocketId)> {
        self.udp
            .range((host, port, LOWEST)..)
            .take_while(move |(key, _)| (key.0, key.1) == (host, port))
            .map(|(key, id)| (key.2, *id))
    }

    /// The socket on `host` that receives what `source` sends to `target`: no two are bound to
    /// addresses that overlap.
    fn udp_receiver(
        &self,
        host: HostId,
        target: SocketAddr,
        source: SocketAddr,
    ) -> Option<SocketId> {
        let mut sockets = self.udp_on(host, target.port());
        let (_, id) = sockets.find(|(ip, _)| serves(*ip, target.ip()))?;
        match &self.sockets.get(&id)?.kind {
            Kind::Udp(udp) if udp.peer.is_none_or(|peer| peer == source) => Some(id),
            _ => None,
        }
    }

    pub(super) fn datagram_reaches_host(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        s: &mut impl Surroundings,
    ) {
        if !payload.is_empty() {
            s.observe(payload);
        }
        let Some(id) = self.udp_receiver(packet.to, packet.target, packet.source) else {
            self.send_packet(packet.reply(Content::PortUnreachable), s);
            return;
        };
        let received = Received { source: packet.source, payload: payload.to_vec() };
        if let Ok(udp) = self.udp_mut(id)
            && udp.keep(received)
        {
            self.mark(id, Edges::READ, s);
        }
    }

    /// The answer to a datagram has come: its sender hears of it if it is connected.
    pub(super) fn port_is_unreachable(&mut self, packet: &Packet, s: &mut impl Surroundings) {
        let sender = self.udp_receiver(packet.to, packet.target, packet.source);
        if let Some(id) = sender
            && let Ok(udp) = self.udp_mut(id)
            && udp.peer.is_some()
        {
            udp.error = Some(ErrorKind::ConnectionRefused);
            self.mark(id, Edges::BOTH, s);
        }
    }
}
