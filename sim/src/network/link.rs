//! Links: how long a packet takes from one host to another, and whether it arrives.
//!
//! Each ordered pair of hosts has a path of its own. A path is first in, first out, whatever its
//! jitter, but for packets that are drawn to be reordered. Packets that leave at the same moment
//! share one draw of the latency: a full window of segments is one decision.

use std::collections::BTreeMap;

use super::Surroundings;
use super::address::HostId;

/// Rates are in parts of this.
pub(crate) const MILLION: u32 = 1_000_000;

/// A draw within a range takes one of this many values.
const STEPS: u64 = 256;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// How a link treats its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The least time a packet takes, in nanoseconds.
    pub(crate) latency: u64,
    /// How much longer it may take, in nanoseconds.
    pub(crate) jitter: u64,
    /// How many of a million packets are lost.
    pub(crate) loss: u32,
    /// How many of a million packets arrive twice.
    pub(crate) duplicate: u32,
    /// How many of a million packets are overtaken by later ones.
    pub(crate) reorder: u32,
    /// Bytes per second, headers included; `None` is as fast as one likes.
    pub(crate) bandwidth: Option<u64>,
}

impl Default for Link {
    /// A good local network: 100 to 500 microseconds, nothing lost.
    fn default() -> Link {
        Link {
            latency: 100_000,
            jitter: 400_000,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            bandwidth: None,
        }
    }
}

impl Link {
    /// A host's link to itself: ten microseconds, always the same.
    pub(crate) fn loopback() -> Link {
        Link { latency: 10_000, jitter: 0, ..Link::default() }
    }
}

/// One direction between two hosts.
pub(super) struct Path {
    link: Link,
    /// Cut by a partition: what is sent, and what is on its way, is lost.
    pub(super) cut: bool,
    /// While the path is held: the packets that have come to its end, in order.
    held: Option<Vec<u64>>,
    /// When the link has sent all that it was given.
    busy_until: u64,
    /// When the last packet in order arrives.
    last_arrival: u64,
    /// The moment of the last draw, and the latency drawn.
    drawn: Option<(u64, u64)>,
}

impl Path {
    fn new(link: Link) -> Path {
        Path { link, cut: false, held: None, busy_until: 0, last_arrival: 0, drawn: None }
    }

    /// When a packet of `size` bytes that is sent now arrives, and when its copy does.
    pub(super) fn send(&mut self, size: u64, s: &mut impl Surroundings) -> [Option<u64>; 2] {
        if self.cut || happens(self.link.loss, s) {
            return [None, None];
        }
        let first = if happens(self.link.reorder, s) {
            self.straggle(size, s)
        } else {
            self.arrival(size, s)
        };
        let copy = happens(self.link.duplicate, s).then(|| self.straggle(size, s));
        [Some(first), copy]
    }

    /// The arrival of a packet that keeps its place.
    pub(super) fn arrival(&mut self, size: u64, s: &mut impl Surroundings) -> u64 {
        let at = self.pass(size, s).max(self.last_arrival);
        self.last_arrival = at;
        at
    }

    /// The arrival of a packet that later ones may overtake.
    fn straggle(&mut self, size: u64, s: &mut impl Surroundings) -> u64 {
        let most = 4 * (self.link.latency + self.link.jitter);
        self.pass(size, s) + draw(most, s)
    }

    /// When a packet that is sent now has passed the link.
    fn pass(&mut self, size: u64, s: &mut impl Surroundings) -> u64 {
        let now = s.now();
        let sent = match self.link.bandwidth {
            None => now,
            Some(bandwidth) => {
                let takes = size * NANOSECONDS_PER_SECOND / bandwidth.max(1);
                self.busy_until = self.busy_until.max(now) + takes;
                self.busy_until
            }
        };
        let latency = match self.drawn {
            Some((at, latency)) if at == now => latency,
            _ => self.link.latency + draw(self.link.jitter, s),
        };
        self.drawn = Some((now, latency));
        sent + latency
    }

    /// Keeps the packet if the path is held; false if it is not.
    pub(super) fn keep(&mut self, packet: u64) -> bool {
        match &mut self.held {
            None => false,
            Some(held) => {
                held.push(packet);
                true
            }
        }
    }
}

/// Every path that was ever used or configured.
pub(super) struct Paths {
    paths: BTreeMap<(HostId, HostId), Path>,
    default: Link,
}

impl Paths {
    pub(super) fn new() -> Paths {
        Paths { paths: BTreeMap::new(), default: Link::default() }
    }

    pub(super) fn get(&mut self, from: HostId, to: HostId) -> &mut Path {
        let Paths { paths, default } = self;
        paths.entry((from, to)).or_insert_with(|| {
            Path::new(if from == to { Link::loopback() } else { default.clone() })
        })
    }

    /// The link of every pair of hosts that has exchanged no packet and has none of its own.
    pub(super) fn set_default(&mut self, link: Link) {
        self.default = link;
    }

    pub(super) fn set(&mut self, from: HostId, to: HostId, link: Link) {
        let path = self.get(from, to);
        path.link = link;
        path.drawn = None;
    }

    pub(super) fn hold(&mut self, from: HostId, to: HostId) {
        self.get(from, to).held.get_or_insert_default();
    }

    /// Ends a hold: the packets that were kept.
    pub(super) fn release(&mut self, from: HostId, to: HostId) -> Vec<u64> {
        self.get(from, to).held.take().unwrap_or_default()
    }

    pub(super) fn heal(&mut self) {
        for path in self.paths.values_mut() {
            path.cut = false;
        }
    }
}

/// Whether something that happens in `rate` of a million cases happens in this one. The first
/// answers mean that all goes well.
pub(super) fn happens(rate: u32, s: &mut impl Surroundings) -> bool {
    rate > 0 && s.choose(u64::from(MILLION)) >= u64::from(MILLION.saturating_sub(rate))
}

/// A value in `0..=most`; no decision when there is but one.
fn draw(most: u64, s: &mut impl Surroundings) -> u64 {
    if most == 0 {
        return 0;
    }
    let steps = most.min(STEPS - 1);
    // Divided first: `most` may be hours, in nanoseconds.
    let answer = s.choose(steps + 1);
    most / steps * answer + most % steps * answer / steps
}

#[cfg(test)]
mod tests {
    use super::super::tests::Machine;
    use super::*;

    #[test]
    fn a_path_keeps_order_whatever_its_jitter() {
        let mut s = Machine::new(3);
        let mut path = Path::new(Link::default());
        let mut last = 0;
        for now in (0..1_000_000).step_by(10_000) {
            s.now = now;
            let [Some(at), None] = path.send(40, &mut s) else { panic!("lost or duplicated") };
            assert!(at >= last);
            assert!(at >= now + 100_000 && at <= last.max(now + 500_000));
            last = at;
        }
    }

    #[test]
    fn packets_of_one_moment_share_a_decision() {
        let mut s = Machine::new(5);
        let mut path = Path::new(Link::default());
        for _ in 0..45 {
            path.send(1_500, &mut s);
        }
        assert_eq!(s.decisions, 1);
        let mut loopback = Path::new(Link::loopback());
        loopback.send(1_500, &mut s);
        assert_eq!(s.decisions, 1);
    }

    #[test]
    fn bandwidth_spaces_packets_out() {
        let mut s = Machine::new(1);
        let link = Link { latency: 0, jitter: 0, bandwidth: Some(1_000), ..Link::default() };
        let mut path = Path::new(link);
        assert_eq!(path.send(500, &mut s), [Some(500_000_000), None]);
        assert_eq!(path.send(500, &mut s), [Some(1_000_000_000), None]);
    }

    #[test]
    fn certain_faults_always_happen() {
        let mut s = Machine::new(1);
        let mut lossy = Path::new(Link { loss: MILLION, ..Link::default() });
        assert_eq!(lossy.send(40, &mut s), [None, None]);
        let mut double = Path::new(Link { duplicate: MILLION, ..Link::default() });
        assert!(double.send(40, &mut s)[1].is_some());
    }

    #[test]
    fn a_draw_reaches_both_ends_of_its_range() {
        let mut s = Machine::new(1);
        let drawn: Vec<u64> = (0..10_000).map(|_| draw(1_000, &mut s)).collect();
        assert_eq!(drawn.iter().min(), Some(&0));
        assert_eq!(drawn.iter().max(), Some(&1_000));
    }
}
