//! What travels: TCP segments and UDP datagrams, in packets from host to host.

use std::net::SocketAddr;

use super::address::HostId;
use super::socket::SocketId;

/// The most payload that one segment carries, in bytes.
pub(crate) const MAX_SEGMENT: u64 = 1_460;

/// What the headers of IP and TCP add to the size of a segment on the link.
const SEGMENT_HEADERS: u64 = 40;

/// What the headers of IP and UDP add to the size of a datagram.
const DATAGRAM_HEADERS: u64 = 28;

/// The size of the answer that nobody receives on a port: headers, and those of what it answers.
const PORT_UNREACHABLE_SIZE: u64 = 56;

/// A TCP segment. Sequence numbers are 64 bits wide and never wrap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first byte, or of its SYN or FIN.
    pub(super) seq: u64,
    /// The number that its sender expects next.
    pub(super) ack: Option<u64>,
    /// How many bytes its sender has room for.
    pub(super) window: u64,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// When it was sent: the timestamp option.
    pub(super) sent: u64,
    /// When what it acknowledges was sent.
    pub(super) echo: u64,
    pub(super) payload: Vec<u8>,
}

impl Segment {
    /// How many sequence numbers it takes: one for each byte, for SYN and for FIN.
    pub(super) fn length(&self) -> u64 {
        self.payload.len() as u64 + u64::from(self.syn) + u64::from(self.fin)
    }

    /// How a host answers a segment that belongs to none of its connections; a reset is not
    /// answered.
    pub(super) fn refusal(&self) -> Option<Segment> {
        if self.rst {
            return None;
        }
        let reset = match self.ack {
            Some(ack) => Segment { seq: ack, rst: true, ..Segment::default() },
            None => {
                Segment { ack: Some(self.seq + self.length()), rst: true, ..Segment::default() }
            }
        };
        Some(reset)
    }
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Segment(Segment),
    Datagram(Vec<u8>),
    /// ICMP's answer to a datagram for a port on which nobody receives.
    PortUnreachable,
}

/// Something on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) source: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) content: Content,
}

impl Packet {
    /// Bytes that it takes on the link.
    pub(super) fn size(&self) -> u64 {
        match &self.content {
            Content::Segment(segment) => SEGMENT_HEADERS + segment.payload.len() as u64,
            Content::Datagram(payload) => DATAGRAM_HEADERS + payload.len() as u64,
            Content::PortUnreachable => PORT_UNREACHABLE_SIZE,
        }
    }

    /// The packet that carries `content` back to where this one came from.
    pub(super) fn reply(&self, content: Content) -> Packet {
        Packet { from: self.to, to: self.from, source: self.target, target: self.source, content }
    }
}

/// What happens when a number that was given to `deliver_at` comes back.
pub(super) enum Pending {
    Packet(Packet),
    /// The timer of a connection, which was set for this time.
    Timer {
        socket: SocketId,
        at: u64,
    },
    /// No host answers to the address that this socket connects to.
    Unreachable(SocketId),
}
