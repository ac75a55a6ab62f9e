//! A laboratory for the network: an event heap, a seeded source of decisions, and scenarios.

mod datagrams;
mod faults;
mod idle;
mod readiness;
mod streams;
mod unix;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::{HostId, Net, PollerId, SocketId, Surroundings};

pub(super) const MILLISECOND: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

/// More events than any scenario has.
const ENDLESS: usize = 1_000_000;

/// Time, decisions and deliveries.
pub(super) struct Machine {
    pub(super) now: u64,
    pub(super) decisions: u64,
    /// Bytes that reached a host, folded.
    observed: u64,
    woken: Vec<PollerId>,
    due: BTreeMap<(u64, u64), u64>,
    deliveries: u64,
    stream: u64,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Machine {
        Machine {
            now: 0,
            decisions: 0,
            observed: 0,
            woken: Vec::new(),
            due: BTreeMap::new(),
            deliveries: 0,
            stream: seed,
        }
    }
}

impl Surroundings for Machine {
    fn now(&self) -> u64 {
        self.now
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.decisions += 1;
        self.stream =
            self.stream.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.stream >> 33) % n
    }

    fn deliver_at(&mut self, at: u64, packet: u64) {
        assert!(at >= self.now, "a delivery in the past");
        self.deliveries += 1;
        self.due.insert((at, self.deliveries), packet);
    }

    fn poller_ready(&mut self, poller: PollerId) {
        self.woken.push(poller);
    }

    fn observe(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.observed = self.observed.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }
}

/// A network with two hosts, `a` and `b`, and its machine.
struct Lab {
    net: Net,
    s: Machine,
    a: HostId,
    b: HostId,
}

impl Lab {
    fn new(seed: u64) -> Lab {
        let mut net = Net::new();
        let a = net.add_host("a", None).unwrap();
        let b = net.add_host("b", None).unwrap();
        Lab { net, s: Machine::new(seed), a, b }
    }

    /// The next event happens; false if there is none.
    fn step(&mut self) -> bool {
        let Some(((at, _), packet)) = self.s.due.pop_first() else { return false };
        self.s.now = self.s.now.max(at);
        self.net.arrive(packet, &mut self.s);
        true
    }

    /// Time passes.
    fn run_for(&mut self, nanoseconds: u64) {
        let until = self.s.now + nanoseconds;
        while self.s.due.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.step();
        }
        self.s.now = until;
    }

    /// Time passes until nothing is left to happen.
    fn run(&mut self) {
        for _ in 0..ENDLESS {
            if !self.step() {
                return;
            }
        }
        panic!("the network does not come to rest");
    }

    fn listen(&mut self, host: HostId, address: &str) -> SocketId {
        self.net.listen(host, socket_address(address), 128).unwrap()
    }

    fn connect(&mut self, host: HostId, address: &str) -> SocketId {
        self.net.connect(host, None, socket_address(address), &mut self.s).unwrap()
    }

    /// A connection from `a` to a listener of `b`, which is closed again: client and server.
    fn connected(&mut self) -> (SocketId, SocketId) {
        let listener = self.listen(self.b, "0.0.0.0:80");
        let client = self.connect(self.a, "10.0.0.2:80");
        self.run_for(10 * SECOND);
        let (server, _) = self.net.accept(listener).unwrap();
        self.net.close(listener, &mut self.s);
        (client, server)
    }

    fn write(&mut self, socket: SocketId, bytes: &[u8]) -> io::Result<usize> {
        self.net.write(socket, bytes, &mut self.s)
    }

    fn read(&mut self, socket: SocketId, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count = self.net.read(socket, &mut bytes, &mut self.s)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn close(&mut self, socket: SocketId) {
        self.net.close(socket, &mut self.s);
    }

    /// The kind of the error that ended a connection.
    fn error(&mut self, socket: SocketId) -> Option<ErrorKind> {
        self.net.take_error(socket).unwrap().map(|error| error.kind())
    }

    fn is_connected(&self, socket: SocketId) -> bool {
        self.net.peer_addr(socket).is_ok()
    }
}

fn socket_address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The kind of the error that a call answered.
fn refused<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("the call did not fail"),
        Err(error) => error.kind(),
    }
}
