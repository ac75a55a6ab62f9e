//! The kernel's side of the network: what the state machine is lent with each call. Its packets
//! are alarms of the clock, its decisions are the run's, its events wake the threads that wait.

use std::net::{IpAddr, Ipv4Addr};

use super::clock::{Alarm, Clock};
use super::hash::RunHash;
use super::ring::Rings;
use super::thread_table::{Resumed, ThreadTable, WaitFor};
use super::{State, World};
use crate::decide::{Decider, Kind};
use crate::network::{HostId, Net, PollerId, SocketId, Surroundings};

/// Its address: the last of the range from which hosts get theirs, out of their way.
const WORLD_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 255, 255, 254));

/// A network with the world's own host.
pub(super) fn new() -> Net {
    let mut net = Net::new();
    let host = net.add_host("world", Some(WORLD_ADDRESS));
    debug_assert_eq!(host.ok(), Some(HostId::WORLD));
    net
}

/// The parts of the state that the network works with.
pub(crate) struct Lent<'a> {
    clock: &'a mut Clock,
    decider: &'a mut Decider,
    hash: &'a mut RunHash,
    threads: &'a mut ThreadTable,
    rings: &'a mut Rings,
}

impl Surroundings for Lent<'_> {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.decider.choose(Kind::Network, n)
    }

    fn deliver_at(&mut self, at: u64, packet: u64) {
        self.clock.set(at, Alarm::Packet(packet));
    }

    fn poller_ready(&mut self, poller: PollerId) {
        let waiting: Vec<u32> = self.threads.waiting_for(WaitFor::Poller(poller)).collect();
        for thread in waiting {
            self.threads.wake(thread, Resumed::Woken);
            self.decider.runnable_changed();
        }
        self.rings.poller_ready(poller, self.threads, self.decider);
    }

    fn socket_readable(&mut self, socket: SocketId) {
        self.rings.socket_readable(socket, self.clock, self.decider);
    }

    fn observe(&mut self, bytes: &[u8]) {
        self.hash.fold_bytes(bytes);
    }
}

impl State {
    pub(super) fn network<R>(&mut self, f: impl FnOnce(&mut Net, &mut Lent<'_>) -> R) -> R {
        let State { net, clock, decider, hash, threads, rings, .. } = self;
        f(net, &mut Lent { clock, decider, hash, threads, rings })
    }
}

impl World {
    /// Lends the network, and what it works with, to `f`, which calls no code of the user.
    pub(crate) fn network<R>(&self, f: impl FnOnce(&mut Net, &mut Lent<'_>) -> R) -> R {
        self.with(|state| state.network(f))
    }

    /// The host of the running thread.
    pub(crate) fn host(&self) -> HostId {
        self.with(|state| {
            let current = state.current;
            state.threads.get(current).host
        })
    }
}
