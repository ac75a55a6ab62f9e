//! Pollers: which sockets have something to tell, by edges, as mio's contract has it.
//!
//! - An *edge* is that bytes, a connection or an end have arrived, that the send buffer has room
//!   again, that the connection was established or has failed, that the program has shut it down.
//! - Registering and reregistering report once what is ready then.
//! - An event tells what the edges since the last event were about, as far as it still holds when
//!   the event is taken. So a program that has not drained a socket hears nothing of it until the
//!   next edge, and an event that draining has made untrue is not delivered.
//! - A socket that has ended in both directions, and an error, are told whatever the interest.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::address::HostId;
use super::socket::{Socket, SocketId};
use super::{Net, Surroundings};

/// A report names so many of a poller's sockets.
const SHOWN_SOCKETS: usize = 4;

/// A poller. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PollerId(pub(crate) u32);

/// What a registration with a [`Poller`](crate::net::Poller) asks for; at least one of them.
///
/// ```
/// use volt_sim::net::Interest;
///
/// let interest = Interest { readable: true, writable: false };
/// assert!(interest.readable && !interest.writable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Bytes, connections and ends that arrive.
    pub readable: bool,
    /// Room for bytes to send, and the outcome of connecting.
    pub writable: bool,
}

/// What a [`Poller`](crate::net::Poller) tells of one socket.
///
/// ```
/// use volt_sim::net::Event;
///
/// let event = Event { token: 3, readable: true, ..Event::default() };
/// assert!(!event.writable);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The token of the registration, or of the wake-up.
    pub token: usize,
    /// Reading, or accepting, would not block.
    pub readable: bool,
    /// Writing would not block.
    pub writable: bool,
    /// No more bytes come after those that have arrived.
    pub read_closed: bool,
    /// No more bytes can be sent.
    pub write_closed: bool,
    /// The connection has failed.
    pub error: bool,
}

/// What has happened to a socket, by the interest it concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Edges {
    pub(super) const BOTH: Edges = Edges { read: true, write: true };
    pub(super) const READ: Edges = Edges { read: true, write: false };

    fn any(self) -> bool {
        self.read || self.write
    }
}

/// How a socket stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Reading would not block.
    pub(super) readable: bool,
    /// Writing would not block.
    pub(super) writable: bool,
    /// No bytes come after those that are here.
    pub(super) read_ended: bool,
    /// Both directions have ended.
    pub(super) hang_up: bool,
    pub(super) error: bool,
}

impl Readiness {
    /// The event that `edges` make of it; `None` if nothing of what they tell holds.
    fn event(self, token: usize, edges: Edges) -> Option<Event> {
        let readable = edges.read && self.readable;
        let writable = edges.write && self.writable;
        if !(readable || writable || self.hang_up || self.error) {
            return None;
        }
        Some(Event {
            token,
            readable,
            writable,
            read_closed: self.hang_up || (edges.read && self.read_ended),
            write_closed: self.hang_up || (writable && self.error),
            error: self.error,
        })
    }
}

/// A socket's registration with a poller.
pub(super) struct Registration {
    poller: PollerId,
    token: usize,
    interest: Interest,
    /// Edges since the last event; with any, the socket stands in the poller's queue.
    edges: Edges,
}

#[derive(PartialEq, Eq)]
enum Ready {
    Socket(SocketId),
    Wake(usize),
}

/// A readiness queue.
pub(super) struct Poller {
    pub(super) host: HostId,
    /// In order of the first edge.
    ready: VecDeque<Ready>,
}

impl Net {
    /// A new poller of `host`.
    pub(crate) fn poller_new(&mut self, host: HostId) -> PollerId {
        self.last_poller += 1;
        let id = PollerId(self.last_poller);
        self.pollers.insert(id, Poller { host, ready: VecDeque::new() });
        id
    }

    /// Closes a poller; its sockets stay, registered nowhere. A poller that is closed or whose
    /// host has crashed is left alone.
    pub(crate) fn poller_close(&mut self, poller: PollerId) {
        if self.pollers.remove(&poller).is_none() {
            return;
        }
        for socket in self.sockets.values_mut() {
            if socket.registration.as_ref().is_some_and(|entry| entry.poller == poller) {
                socket.registration = None;
            }
        }
    }

    /// Registers a socket, and reports what is ready now.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered; `InvalidInput` for an empty interest, or a socket or
    /// poller that is closed or of another host.
    pub(crate) fn register(
        &mut self,
        poller: PollerId,
        socket: SocketId,
        token: usize,
        interest: Interest,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let host = self.held(socket)?.host;
        let same_host = self.pollers.get(&poller).is_some_and(|entry| entry.host == host);
        if !same_host || !(interest.readable || interest.writable) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let socket_entry = self.held_mut(socket)?;
        if socket_entry.registration.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let registration = Registration { poller, token, interest, edges: Edges::default() };
        socket_entry.registration = Some(registration);
        if self.readiness(socket).event(token, wanted(interest, Edges::BOTH)).is_some() {
            self.mark(socket, Edges::BOTH, s);
        }
        Ok(())
    }

    /// Changes a registration, and reports what is ready now.
    ///
    /// # Errors
    /// `NotFound` if it is not registered with `poller`; else as [`Net::register`].
    pub(crate) fn reregister(
        &mut self,
        poller: PollerId,
        socket: SocketId,
        token: usize,
        interest: Interest,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        if !(interest.readable || interest.writable) {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.deregister(poller, socket)?;
        self.register(poller, socket, token, interest, s)
    }

    /// Ends a registration; events of it that were not taken are gone.
    ///
    /// # Errors
    /// `NotFound` if it is not registered with `poller`; `InvalidInput` for a closed socket.
    pub(crate) fn deregister(&mut self, poller: PollerId, socket: SocketId) -> io::Result<()> {
        let registration = &self.held(socket)?.registration;
        if registration.as_ref().is_none_or(|entry| entry.poller != poller) {
            return Err(ErrorKind::NotFound.into());
        }
        self.unregister(socket);
        Ok(())
    }

    /// Ends whatever registration the socket has.
    pub(super) fn unregister(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if let Some(registration) = socket.registration.take()
            && let Some(poller) = self.pollers.get_mut(&registration.poller)
        {
            poller.ready.retain(|entry| *entry != Ready::Socket(id));
        }
    }

    /// What a report says of a poller: itself and the sockets that are registered with it.
    pub(crate) fn describe_poller(&self, poller: PollerId) -> String {
        let registered = |socket: &&Socket| {
            socket.registration.as_ref().is_some_and(|entry| entry.poller == poller)
        };
        let mut sockets = self.sockets.values().filter(registered).map(Socket::describe);
        let shown: Vec<String> = sockets.by_ref().take(SHOWN_SOCKETS).collect();
        let shown = if shown.is_empty() { "no sockets".to_owned() } else { shown.join("; ") };
        match sockets.count() {
            0 => format!("poller {} ({shown})", poller.0),
            more => format!("poller {} ({shown}; and {more} more)", poller.0),
        }
    }

    /// Takes up to `max` events. None at all is possible after [`Surroundings::poller_ready`],
    /// when another thread took them or they are no longer true.
    pub(crate) fn poller_take(&mut self, poller: PollerId, max: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < max {
            let Some(entry) = self.pollers.get_mut(&poller) else { break };
            match entry.ready.pop_front() {
                None => break,
                Some(Ready::Wake(token)) => {
                    events.push(Event { token, readable: true, ..Event::default() });
                }
                Some(Ready::Socket(id)) => events.extend(self.take_event(id)),
            }
        }
        events
    }

    fn take_event(&mut self, id: SocketId) -> Option<Event> {
        let readiness = self.readiness(id);
        let registration = self.sockets.get_mut(&id)?.registration.as_mut()?;
        let edges = std::mem::take(&mut registration.edges);
        readiness.event(registration.token, edges)
    }

    /// Makes an event of a waker's `token`; one that was not taken yet is enough.
    pub(crate) fn poller_wake(
        &mut self,
        poller: PollerId,
        token: usize,
        s: &mut impl Surroundings,
    ) {
        let Some(entry) = self.pollers.get_mut(&poller) else { return };
        if !entry.ready.contains(&Ready::Wake(token)) {
            entry.ready.push_back(Ready::Wake(token));
            s.poller_ready(poller);
        }
    }

    /// Whether a poller has events, perhaps: see [`Net::poller_take`].
    pub(crate) fn poller_has_events(&self, poller: PollerId) -> bool {
        self.pollers.get(&poller).is_some_and(|entry| !entry.ready.is_empty())
    }

    /// Takes the event of a waker's `token` back, if it was not taken.
    pub(crate) fn poller_forget(&mut self, poller: PollerId, token: usize) {
        if let Some(entry) = self.pollers.get_mut(&poller) {
            entry.ready.retain(|entry| *entry != Ready::Wake(token));
        }
    }

    /// Something has happened to a socket: its poller hears of it, and rings do.
    pub(super) fn mark(&mut self, id: SocketId, edges: Edges, s: &mut impl Surroundings) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if edges.read {
            s.socket_readable(id);
        }
        let Some(registration) = &mut socket.registration else { return };
        let edges = wanted(registration.interest, edges);
        if !edges.any() {
            return;
        }
        let queued = registration.edges.any();
        registration.edges.read |= edges.read;
        registration.edges.write |= edges.write;
        if !queued && let Some(poller) = self.pollers.get_mut(&registration.poller) {
            poller.ready.push_back(Ready::Socket(id));
            s.poller_ready(registration.poller);
        }
    }
}

/// The edges that a registration hears of.
fn wanted(interest: Interest, edges: Edges) -> Edges {
    Edges { read: edges.read && interest.readable, write: edges.write && interest.writable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_only_what_its_edges_were_about() {
        let both = Readiness { readable: true, writable: true, ..Readiness::default() };
        let event = both.event(3, Edges::READ).expect("it is readable");
        assert_eq!(event, Event { token: 3, readable: true, ..Event::default() });
        assert_eq!(Readiness::default().event(3, Edges::BOTH), None);
    }

    #[test]
    fn the_end_of_both_directions_is_told_whatever_the_interest() {
        let gone = Readiness {
            readable: true,
            writable: true,
            read_ended: true,
            hang_up: true,
            error: false,
        };
        let event = gone.event(0, Edges { read: false, write: true }).expect("it hung up");
        assert!(event.read_closed && event.write_closed && event.writable && !event.readable);
    }

    #[test]
    fn a_waker_makes_one_event_until_it_is_taken() {
        let mut net = Net::new();
        let host = net.add_host("host", None).unwrap();
        let poller = net.poller_new(host);
        let mut s = super::super::tests::Machine::new(1);
        net.poller_wake(poller, 9, &mut s);
        net.poller_wake(poller, 9, &mut s);
        let woken = Event { token: 9, readable: true, ..Event::default() };
        assert_eq!(net.poller_take(poller, 8), [woken]);
        assert!(net.poller_take(poller, 8).is_empty());
        net.poller_wake(poller, 9, &mut s);
        assert_eq!(net.poller_take(poller, 8), [woken]);
    }
}
