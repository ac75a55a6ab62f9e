//! The way of a packet: out of a socket, over a path, into another; and the timers.

use std::io::ErrorKind;

use super::packet::{Content, Packet, Pending, Segment};
use super::socket::{Holder, Kind, SocketId};
use super::tcp::State;
use super::{HostId, Net, Surroundings};

/// How long a connection that has ended is kept, so that it can answer what is still on its way:
/// 60 seconds, as on Linux, in nanoseconds.
pub(super) const TIME_WAIT: u64 = 60_000_000_000;

impl Net {
    /// What was scheduled under the number `packet` happens now.
    ///
    /// A number whose host or connection has gone does nothing.
    pub(crate) fn arrive(&mut self, packet: u64, s: &mut impl Surroundings) {
        self.forget_expired(s.now());
        match self.pending.remove(&packet) {
            None => {}
            Some(Pending::Packet(content)) => self.packet_arrives(packet, content, s),
            Some(Pending::Timer { socket, at }) => self.timer_rings(socket, at, s),
            Some(Pending::Unreachable(socket)) => self.nobody_answers(socket, s),
        }
    }

    pub(super) fn schedule(&mut self, at: u64, what: Pending, s: &mut impl Surroundings) {
        self.last_packet += 1;
        self.pending.insert(self.last_packet, what);
        s.deliver_at(at, self.last_packet);
    }

    /// Sends a packet: it arrives once, twice or not at all.
    pub(super) fn send_packet(&mut self, packet: Packet, s: &mut impl Surroundings) {
        let [first, copy] = self.paths.get(packet.from, packet.to).send(packet.size(), s);
        if let Some(at) = copy {
            self.schedule(at, Pending::Packet(packet.clone()), s);
        }
        if let Some(at) = first {
            self.schedule(at, Pending::Packet(packet), s);
        }
    }

    /// Lets go the packets that wait at the end of a path, in order.
    pub(super) fn release_path(&mut self, from: HostId, to: HostId, s: &mut impl Surroundings) {
        for number in self.paths.release(from, to) {
            let Some(Pending::Packet(packet)) = self.pending.get(&number) else { continue };
            let at = self.paths.get(from, to).arrival(packet.size(), s);
            s.deliver_at(at, number);
        }
    }

    fn packet_arrives(&mut self, number: u64, packet: Packet, s: &mut impl Surroundings) {
        let path = self.paths.get(packet.from, packet.to);
        if path.cut || !self.hosts.is_up(packet.to) {
            return;
        }
        if path.keep(number) {
            self.pending.insert(number, Pending::Packet(packet));
            return;
        }
        match &packet.content {
            Content::Segment(segment) => self.segment_reaches_host(&packet, segment, s),
            Content::Datagram(payload) => self.datagram_reaches_host(&packet, payload, s),
            Content::PortUnreachable => self.port_is_unreachable(&packet, s),
        }
    }

    fn segment_reaches_host(
        &mut self,
        packet: &Packet,
        segment: &Segment,
        s: &mut impl Surroundings,
    ) {
        if !segment.payload.is_empty() {
            s.observe(&segment.payload);
        }
        if let Some(id) = self.connection_for(packet, segment, s.now()) {
            self.segment_arrives(id, segment, s);
            return;
        }
        if segment.syn
            && segment.ack.is_none()
            && let Some(listener) = self.listener_for(packet.to, packet.target)
        {
            let peer = (packet.from, packet.source);
            self.answer_syn(listener, peer, packet.target, segment, s);
        } else if let Some(refusal) = segment.refusal() {
            self.send_packet(packet.reply(Content::Segment(refusal)), s);
        }
    }

    /// The connection that a segment belongs to, unless it opens a new one in its place.
    fn connection_for(&mut self, packet: &Packet, segment: &Segment, now: u64) -> Option<SocketId> {
        let key = (packet.to, packet.target.port(), packet.target.ip(), packet.source);
        let id = *self.connections.get(&key)?;
        let Kind::Stream(stream) = &mut self.sockets.get_mut(&id)?.kind else { return None };
        if stream.connection.yields_to(segment) {
            stream.connection.end();
            self.settle(id, now);
            return None;
        }
        Some(id)
    }

    fn segment_arrives(&mut self, id: SocketId, segment: &Segment, s: &mut impl Surroundings) {
        let now = s.now();
        let Some(holder) = self.sockets.get(&id).map(|socket| socket.holder) else { return };
        let handshake = match holder {
            Holder::Handshake(listener) => Some(listener),
            _ => None,
        };
        // The peer believes itself connected, and is heard once the queue has room.
        if handshake.is_some_and(|listener| self.is_full(listener)) && !segment.rst {
            return;
        }
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Kind::Stream(stream) = &mut socket.kind else { return };
        stream.connection.on_segment(segment, now);
        let state = stream.connection.state();
        if let Some(listener) = handshake
            && !matches!(state, State::SynReceived | State::Closed)
        {
            self.queue(listener, id, s);
        }
        self.drive(id, s);
    }

    fn timer_rings(&mut self, id: SocketId, at: u64, s: &mut impl Surroundings) {
        let now = s.now();
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Kind::Stream(stream) = &mut socket.kind else { return };
        if stream.timer_at != Some(at) {
            return;
        }
        stream.timer_at = None;
        // It may have been put off since it was set.
        if stream.connection.deadline().is_some_and(|deadline| deadline <= now) {
            stream.connection.on_timer(now);
        }
        self.drive(id, s);
    }

    fn nobody_answers(&mut self, id: SocketId, s: &mut impl Surroundings) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Kind::Stream(stream) = &mut socket.kind else { return };
        if stream.connection.state() == State::SynSent {
            stream.connection.fail(ErrorKind::HostUnreachable);
            self.drive(id, s);
        }
    }

    /// After any call of a connection: sends what it wants sent, tells its poller, sets its timer,
    /// forgets it when it is over.
    pub(super) fn drive(&mut self, id: SocketId, s: &mut impl Surroundings) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let (host, local) = (socket.host, socket.local);
        let Kind::Stream(stream) = &mut socket.kind else { return };
        let (segments, edges) = stream.connection.take_output(s.now());
        let (peer, remote) = (stream.peer, stream.remote);
        // One timer is on its way at most, unless the deadline comes nearer.
        let timer = stream.connection.deadline();
        let timer = timer.filter(|at| stream.timer_at.is_none_or(|set| set > *at));
        if timer.is_some() {
            stream.timer_at = timer;
        }
        if let Some(to) = peer {
            for segment in segments {
                let content = Content::Segment(segment);
                let packet = Packet { from: host, to, source: local, target: remote, content };
                self.send_packet(packet, s);
            }
        }
        self.mark(id, edges, s);
        if let Some(at) = timer {
            self.schedule(at, Pending::Timer { socket: id, at }, s);
        }
        self.settle(id, s.now());
    }

    /// Takes a connection that is over from the tables, and notes when to forget one that only
    /// waits.
    fn settle(&mut self, id: SocketId, now: u64) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let (holder, ends) = (socket.holder, socket.ends());
        let Kind::Stream(stream) = &mut socket.kind else { return };
        let state = stream.connection.state();
        if state == State::Closed {
            if let Some(ends) = ends
                && self.connections.get(&ends) == Some(&id)
            {
                self.connections.remove(&ends);
            }
            if matches!(holder, Holder::Nobody | Holder::Handshake(_)) {
                self.sockets.remove(&id);
            }
        } else if stream.connection.waits_out()
            && stream.expires.is_none_or(|(noted, _)| noted != state)
        {
            stream.expires = Some((state, now + TIME_WAIT));
            self.expiring.push_back((now + TIME_WAIT, id));
        }
    }

    /// Forgets the connections whose time is over. That needs no timer: it matters only to what
    /// happens later.
    pub(super) fn forget_expired(&mut self, now: u64) {
        while let Some(&(at, id)) = self.expiring.front()
            && at <= now
        {
            self.expiring.pop_front();
            if let Some(socket) = self.sockets.get_mut(&id)
                && let Kind::Stream(stream) = &mut socket.kind
                && stream.expires.is_some_and(|(_, noted)| noted == at)
            {
                stream.connection.end();
                self.settle(id, now);
            }
        }
    }
}
