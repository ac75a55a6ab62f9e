//! What travels: TCP segments, in packets from host to host.

use std::net::SocketAddr;

use super::address::HostId;
use super::socket::SocketId;

/// The most payload that one segment carries, in bytes.
pub(crate) const MAX_SEGMENT: u64 = 1_460;

/// What the headers of a packet add to its size on the link.
const HEADERS: u64 = 40;

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

/// A segment on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) source: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) segment: Segment,
}

impl Packet {
    /// Bytes that it takes on the link.
    pub(super) fn size(&self) -> u64 {
        HEADERS + self.segment.payload.len() as u64
    }

    /// The packet that carries `segment` back to where this one came from.
    pub(super) fn reply(&self, segment: Segment) -> Packet {
        Packet { from: self.to, to: self.from, source: self.target, target: self.source, segment }
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
