//! The simulated network: hosts, links between them, TCP, UDP and Unix sockets, pollers. Programs
//! see it as [`net`](crate::net).
//!
//! A deterministic state machine. It has no thread, no clock and no source of chance of its own:
//! whoever owns the [`Net`] lends it [`Surroundings`] with each call, which tell the time, take
//! decisions, and have [`Net::arrive`] called when a packet or a timer is due. The same calls with
//! the same answers lead to the same state.
//!
//! ```text
//!   program ──► socket table ──► connection ──► path: latency, loss, partition ──► deliver_at
//!                                    ▲                                                 │
//!   program ◄── poller ◄── edges ────┴───────────────── arrive ◄── virtual time ◄──────┘
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `address` | hosts, names, addresses, ports |
//! | `link` | links and paths: latency, bandwidth, loss, order, holds |
//! | `packet` | segments, datagrams and packets |
//! | `tcp`, `send`, `receive`, `retransmit` | one connection: states, both halves, its timer |
//! | `socket` | the socket table, listeners and connections, and what programs call |
//! | `idle`, `options` | TCP sockets before they listen or connect, and what programs set on all |
//! | `udp` | UDP sockets: binding, sending, and what is received |
//! | `unix` | Unix sockets, which stay on their host |
//! | `poller` | readiness by edges |
//! | `resources` | descriptors, and memory for buffers |
//! | `signal` | signals that the test sends to a host |
//! | `delivery` | the way of a packet, timers, the end of connections |
//!
//! What is simplified against a real network: there is no congestion window, acknowledgements are
//! not delayed, sequence numbers do not wrap, keepalive sends nothing, and buffers have a fixed
//! size (64 KiB each way) unless a program sets another. A datagram travels whole, in one packet.
//! There is neither broadcast nor multicast.
//!
//! Every wait in here ends: a connection whose peer is silent fails after [`USER_TIMEOUT`], one
//! that its program has closed sooner. The one exception is a peer that answers but whose program
//! does not read: its window is asked for again and again, at most every 120 seconds. So when no
//! poller has become ready for [`QUIET`] nanoseconds, while no thread ran and no fault changed,
//! none will.

mod address;
mod delivery;
mod idle;
mod link;
mod options;
mod packet;
mod poller;
mod receive;
mod resources;
mod retransmit;
mod send;
mod signal;
mod socket;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod unix;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

pub(crate) use address::HostId;
pub(crate) use link::{Link, MILLION};
pub(crate) use poller::PollerId;
pub use poller::{Event, Interest};
pub(crate) use retransmit::USER_TIMEOUT;
pub(crate) use signal::ReceiverId;
pub(crate) use socket::SocketId;

use address::Hosts;
use link::Paths;
use packet::Pending;
use poller::Poller;
use resources::Resources;
use signal::Receivers;
#[cfg(test)]
use socket::Kind;
use socket::{Ends, Holder, Socket};

/// After this time without a ready poller the network has nothing more to tell, in nanoseconds:
/// the last time-out may be noticed one longest retransmission interval late.
pub(crate) const QUIET: u64 = USER_TIMEOUT + 2 * retransmit::LONGEST_INTERVAL;

/// What the owner of a [`Net`] lends to its calls. None of it may call the [`Net`].
pub(crate) trait Surroundings {
    /// Virtual time in nanoseconds. It never goes back.
    fn now(&self) -> u64;

    /// A decision among `0..n`; 0 is the answer of a network where all goes well.
    fn choose(&mut self, n: u64) -> u64;

    /// Has [`Net::arrive`] called with `packet` at virtual time `at` or as soon after as may be;
    /// what is due at the same time, in the order of these calls.
    fn deliver_at(&mut self, at: u64, packet: u64);

    /// A poller has an event, perhaps: threads that wait in it wake and take it.
    fn poller_ready(&mut self, poller: PollerId);

    /// A socket may be readable now, or may be so anew.
    fn socket_readable(&mut self, _: SocketId) {}

    /// Bytes have reached a host: they belong to the run's hash.
    fn observe(&mut self, bytes: &[u8]);
}

/// How a host ends.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The machine loses its power: peers hear nothing, and nothing is answered until
    /// [`Net::restart_host`]. From then on, what peers still send is refused.
    Silent,
    /// The program dies and its operating system lives: peers are reset, and new connections are
    /// refused.
    Reset,
}

/// A network.
pub(crate) struct Net {
    hosts: Hosts,
    paths: Paths,
    sockets: BTreeMap<SocketId, Socket>,
    /// Every connection that can be reached.
    connections: BTreeMap<Ends, SocketId>,
    /// Every listener, by host, port and address.
    listeners: BTreeMap<(HostId, u16, IpAddr), SocketId>,
    /// Every TCP socket that is bound and neither listens nor connects yet.
    bound: BTreeSet<(HostId, u16, IpAddr, SocketId)>,
    /// Every UDP socket, by host, port and address.
    udp: BTreeMap<(HostId, u16, IpAddr), SocketId>,
    /// Every Unix socket that is bound, by host and path.
    unix: BTreeMap<(HostId, PathBuf), SocketId>,
    pollers: BTreeMap<PollerId, Poller>,
    signals: Receivers,
    /// Of the hosts on which they may run out.
    resources: BTreeMap<HostId, Resources>,
    /// What `arrive` will be called for, and packets that are held.
    pending: BTreeMap<u64, Pending>,
    /// Connections that nothing but time ends, in order of that time.
    expiring: VecDeque<(u64, SocketId)>,
    last_socket: u32,
    last_poller: u32,
    last_packet: u64,
    connections_begun: u64,
}

impl Net {
    /// A network without hosts.
    pub(crate) fn new() -> Net {
        Net {
            hosts: Hosts::new(),
            paths: Paths::new(),
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            bound: BTreeSet::new(),
            udp: BTreeMap::new(),
            unix: BTreeMap::new(),
            pollers: BTreeMap::new(),
            signals: Receivers::default(),
            resources: BTreeMap::new(),
            pending: BTreeMap::new(),
            expiring: VecDeque::new(),
            last_socket: 0,
            last_poller: 0,
            last_packet: 0,
            connections_begun: 0,
        }
    }

    /// Adds a host. Without an address it gets the next free one of 10.0.0.1, 10.0.0.2, ...
    ///
    /// # Errors
    /// `AlreadyExists` if the name is empty or taken; `AddrInUse` if the address is taken;
    /// `InvalidInput` if it cannot be a host's: a wildcard, loopback or multicast.
    pub(crate) fn add_host(&mut self, name: &str, address: Option<IpAddr>) -> io::Result<HostId> {
        self.hosts.add(name, address)
    }

    /// The address of the host with this name; `localhost` is known too.
    pub(crate) fn resolve(&self, name: &str) -> Option<IpAddr> {
        self.hosts.resolve(name)
    }

    /// The name of a host.
    pub(crate) fn host_name(&self, host: HostId) -> &str {
        self.hosts.name(host)
    }

    /// The address of a host.
    pub(crate) fn address(&self, host: HostId) -> IpAddr {
        self.hosts.address(host)
    }

    /// Ends a host: its sockets and pollers go, and their numbers mean nothing any more.
    #[cfg(test)]
    pub(crate) fn crash_host(&mut self, host: HostId, crash: Crash, s: &mut impl Surroundings) {
        let mut ids = Vec::new();
        for (id, socket) in &mut self.sockets {
            if socket.host == host {
                // Its own threads hear nothing of what follows.
                socket.registration = None;
                ids.push(*id);
            }
        }
        if crash == Crash::Reset {
            for id in ids {
                if let Some(socket) = self.sockets.get_mut(&id)
                    && let Kind::Stream(stream) = &mut socket.kind
                {
                    stream.connection.abort();
                    self.drive(id, s);
                }
            }
        }
        self.sockets.retain(|_, socket| socket.host != host);
        self.connections.retain(|ends, _| ends.0 != host);
        self.listeners.retain(|key, _| key.0 != host);
        self.bound.retain(|key| key.0 != host);
        self.udp.retain(|key, _| key.0 != host);
        self.unix.retain(|key, _| key.0 != host);
        self.pollers.retain(|_, poller| poller.host != host);
        self.signals.forget(host);
        self.hosts.set_up(host, crash == Crash::Reset);
    }

    /// A host that crashed is up again, without sockets; it keeps its name and address.
    #[cfg(test)]
    pub(crate) fn restart_host(&mut self, host: HostId) {
        self.hosts.set_up(host, true);
    }

    /// What programs of `host` have not closed, one description each.
    pub(crate) fn leftovers(&self, host: HostId) -> Vec<String> {
        let held = |socket: &&Socket| socket.host == host && socket.holder == Holder::Program;
        let sockets = self.sockets.values().filter(held).map(Socket::describe);
        let pollers = self.pollers.iter().filter(|(_, poller)| poller.host == host);
        let pollers = pollers.map(|(id, _)| format!("poller {}", id.0));
        sockets.chain(pollers).chain(self.signals.leftovers(host)).collect()
    }

    /// How many sockets the programs of all hosts have not closed.
    pub(crate) fn open_sockets(&self) -> usize {
        self.sockets.values().filter(|socket| socket.holder == Holder::Program).count()
    }

    /// How many pollers the programs of all hosts have not closed.
    pub(crate) fn open_pollers(&self) -> usize {
        self.pollers.len()
    }

    /// How many receivers of signals the programs of all hosts have not closed.
    pub(crate) fn open_receivers(&self) -> usize {
        self.signals.open()
    }

    /// Cuts two hosts off from each other: what they send, and what is on its way, is lost. A
    /// host cannot be cut off from itself.
    pub(crate) fn partition(&mut self, a: HostId, b: HostId) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// What `from` sends to `to`, and what is on its way, is lost.
    pub(crate) fn partition_one_way(&mut self, from: HostId, to: HostId) {
        if from != to {
            self.paths.get(from, to).cut = true;
        }
    }

    /// Ends every partition.
    pub(crate) fn heal_all(&mut self) {
        self.paths.heal();
    }

    /// From now on packets between the two, also those on their way, wait at the end of the path.
    pub(crate) fn hold(&mut self, a: HostId, b: HostId) {
        self.paths.hold(a, b);
        self.paths.hold(b, a);
    }

    /// Ends a hold: the packets that waited arrive in order, after a new latency.
    pub(crate) fn release(&mut self, a: HostId, b: HostId, s: &mut impl Surroundings) {
        self.release_path(a, b, s);
        self.release_path(b, a, s);
    }

    /// How packets between the two fare from now on; with one host twice, over its loopback.
    pub(crate) fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        self.paths.set(a, b, link.clone());
        self.paths.set(b, a, link);
    }

    /// How packets fare between hosts that have no link of their own and exchanged none so far.
    pub(crate) fn set_default_link(&mut self, link: Link) {
        self.paths.set_default(link);
    }
}
