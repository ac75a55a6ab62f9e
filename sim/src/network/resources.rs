//! What the operating system of a host has to give: descriptors, and memory for buffers. Both are
//! without end unless a test says otherwise.
//!
//! A descriptor is a socket, a poller or a receiver of signals that a program has not closed.
//! Connections in a listener's queue have none yet: an accept takes it, and as on Linux it is
//! refused for want of one before it looks into the queue. Open files have none here; they belong
//! to the disk.

use std::io;

use super::address::HostId;
use super::link::happens;
use super::socket::Holder;
use super::{Net, Surroundings};

/// The numbers of the system's errors, which have no kind of their own.
#[cfg(windows)]
const TOO_MANY_DESCRIPTORS: i32 = 10_024;
#[cfg(not(windows))]
const TOO_MANY_DESCRIPTORS: i32 = libc::EMFILE;
#[cfg(windows)]
const NO_BUFFERS: i32 = 10_055;
#[cfg(not(windows))]
const NO_BUFFERS: i32 = libc::ENOBUFS;

/// What a host has to give.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resources {
    /// Descriptors that programs may have at once; `None` is no limit.
    descriptors: Option<usize>,
    /// So many of a million requests for buffers are refused.
    refused_buffers: u32,
}

/// Calls of the test.
impl Net {
    /// How many descriptors programs of `host` may have at once; `None` is no limit. What they
    /// have already stays theirs.
    pub(crate) fn set_descriptor_limit(&mut self, host: HostId, limit: Option<usize>) {
        self.resources.entry(host).or_default().descriptors = limit;
    }

    /// How many of a million requests for buffers are refused.
    pub(crate) fn set_refused_buffers(&mut self, host: HostId, rate: u32) {
        self.resources.entry(host).or_default().refused_buffers = rate;
    }

    /// How many descriptors programs of `host` have.
    pub(crate) fn descriptors(&self, host: HostId) -> usize {
        let sockets = self.sockets.values();
        let held = sockets.filter(|socket| socket.host == host && socket.holder == Holder::Program);
        let pollers = self.pollers.values().filter(|poller| poller.host == host).count();
        held.count() + pollers + self.signals.leftovers(host).count()
    }
}

/// What calls of programs ask first.
impl Net {
    /// Whether `host` has `count` descriptors left.
    ///
    /// # Errors
    /// The system's `EMFILE` if not.
    pub(crate) fn check_descriptors(&self, host: HostId, count: usize) -> io::Result<()> {
        let limit = self.resources.get(&host).and_then(|resources| resources.descriptors);
        match limit {
            Some(limit) if self.descriptors(host) + count > limit => {
                Err(io::Error::from_raw_os_error(TOO_MANY_DESCRIPTORS))
            }
            _ => Ok(()),
        }
    }

    /// Whether `host` has memory for a buffer.
    ///
    /// # Errors
    /// The system's `ENOBUFS` if not.
    pub(crate) fn check_buffers(&self, host: HostId, s: &mut impl Surroundings) -> io::Result<()> {
        let rate = self.resources.get(&host).map_or(0, |resources| resources.refused_buffers);
        match happens(rate, s) {
            true => Err(io::Error::from_raw_os_error(NO_BUFFERS)),
            false => Ok(()),
        }
    }

    /// Whether `host` has what a new socket takes.
    ///
    /// # Errors
    /// As [`Net::check_descriptors`] and [`Net::check_buffers`].
    pub(crate) fn check_socket(&self, host: HostId, s: &mut impl Surroundings) -> io::Result<()> {
        self.check_descriptors(host, 1)?;
        self.check_buffers(host, s)
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::MILLION;
    use super::super::tests::Machine;
    use super::*;

    fn number(result: io::Result<()>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn what_is_closed_gives_its_descriptor_back() {
        let (mut net, mut s) = (Net::new(), Machine::new(1));
        let [a, b] = ["a", "b"].map(|name| net.add_host(name, None).unwrap());
        net.set_descriptor_limit(a, Some(3));
        net.poller_new(a);
        let receiver = net.signal_listen(a, 15);
        let socket = net.udp_bind(a, "0.0.0.0:53".parse().unwrap()).unwrap();
        assert_eq!((net.descriptors(a), net.descriptors(b)), (3, 0));
        assert_eq!(number(net.check_descriptors(a, 1)), Some(TOO_MANY_DESCRIPTORS));
        assert_eq!(number(net.check_socket(a, &mut s)), Some(TOO_MANY_DESCRIPTORS));
        net.check_descriptors(b, 1).unwrap();
        net.close(socket, &mut s);
        net.check_socket(a, &mut s).unwrap();
        assert_eq!(number(net.check_descriptors(a, 2)), Some(TOO_MANY_DESCRIPTORS));
        net.signal_close(receiver);
        assert_eq!(net.descriptors(a), 1);
        net.check_descriptors(a, 2).unwrap();
        net.set_descriptor_limit(a, Some(1));
        assert_eq!(number(net.check_descriptors(a, 1)), Some(TOO_MANY_DESCRIPTORS));
        net.set_descriptor_limit(a, None);
        net.check_descriptors(a, 1).unwrap();
    }

    #[test]
    fn buffers_are_refused_at_their_rate() {
        let (mut net, mut s) = (Net::new(), Machine::new(2));
        let host = net.add_host("a", None).unwrap();
        net.check_buffers(host, &mut s).unwrap();
        assert_eq!(s.decisions, 0, "a decision without alternative");
        net.set_refused_buffers(host, MILLION);
        assert_eq!(number(net.check_buffers(host, &mut s)), Some(NO_BUFFERS));
        net.set_refused_buffers(host, MILLION / 2);
        let refused = (0..1_000).filter(|_| net.check_buffers(host, &mut s).is_err()).count();
        assert!((300..700).contains(&refused), "{refused} of 1,000 were refused");
    }
}
