//! Signals: who listens on which host, and what has come. A receiver has no socket: its poller
//! hears of it as of a waker, by a token.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use super::address::HostId;
use super::poller::PollerId;
use super::{Net, Surroundings};

/// A receiver. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiverId(pub(crate) u32);

struct Receiver {
    host: HostId,
    signal: u32,
    /// It has come since it was taken last, once or more often.
    pending: bool,
    watch: Option<(PollerId, usize)>,
}

/// The receivers of all hosts.
#[derive(Default)]
pub(super) struct Receivers {
    table: BTreeMap<ReceiverId, Receiver>,
    last: u32,
}

impl Receivers {
    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.table.len()
    }

    /// What the programs of `host` have not closed, one description each.
    pub(super) fn leftovers(&self, host: HostId) -> impl Iterator<Item = String> {
        let held = self.table.values().filter(move |receiver| receiver.host == host);
        held.map(|receiver| format!("receiver of signal {}", receiver.signal))
    }

    /// A host crashes: its receivers are gone.
    #[cfg(test)]
    pub(super) fn forget(&mut self, host: HostId) {
        self.table.retain(|_, receiver| receiver.host != host);
    }

    fn get(&mut self, id: ReceiverId) -> io::Result<&mut Receiver> {
        self.table.get_mut(&id).ok_or_else(|| ErrorKind::InvalidInput.into())
    }
}

/// Calls of programs.
impl Net {
    /// A receiver of what is sent to `host` from now on.
    pub(crate) fn signal_listen(&mut self, host: HostId, signal: u32) -> ReceiverId {
        self.signals.last += 1;
        let id = ReceiverId(self.signals.last);
        let receiver = Receiver { host, signal, pending: false, watch: None };
        self.signals.table.insert(id, receiver);
        id
    }

    /// Closes a receiver; one that is closed is left alone.
    pub(crate) fn signal_close(&mut self, id: ReceiverId) {
        let receiver = self.signals.table.remove(&id);
        if let Some((poller, token)) = receiver.and_then(|receiver| receiver.watch) {
            self.poller_forget(poller, token);
        }
    }

    /// Takes the signal, however often it has come.
    ///
    /// # Errors
    /// `WouldBlock` if it has not; `InvalidInput` for a closed receiver.
    pub(crate) fn signal_take(&mut self, id: ReceiverId) -> io::Result<()> {
        match std::mem::take(&mut self.signals.get(id)?.pending) {
            true => Ok(()),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Has `poller` told under `token` of each signal, and at once of one that has come.
    ///
    /// # Errors
    /// `AlreadyExists` if it is watched; `InvalidInput` for a closed receiver.
    pub(crate) fn signal_watch(
        &mut self,
        id: ReceiverId,
        poller: PollerId,
        token: usize,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let receiver = self.signals.get(id)?;
        if receiver.watch.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        receiver.watch = Some((poller, token));
        if receiver.pending {
            self.poller_wake(poller, token, s);
        }
        Ok(())
    }

    /// Ends the watch; an event that was not taken is gone.
    ///
    /// # Errors
    /// `NotFound` if `poller` does not watch it; `InvalidInput` for a closed receiver.
    pub(crate) fn signal_unwatch(&mut self, id: ReceiverId, poller: PollerId) -> io::Result<()> {
        let receiver = self.signals.get(id)?;
        match receiver.watch {
            Some((watching, token)) if watching == poller => {
                receiver.watch = None;
                self.poller_forget(poller, token);
                Ok(())
            }
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Sends a signal to the programs of `host`; how many receivers hear it.
    pub(crate) fn signal_send(
        &mut self,
        host: HostId,
        signal: u32,
        s: &mut impl Surroundings,
    ) -> usize {
        let mut watches = Vec::new();
        let mut heard = 0;
        for receiver in self.signals.table.values_mut() {
            if receiver.host == host && receiver.signal == signal {
                receiver.pending = true;
                heard += 1;
                watches.extend(receiver.watch);
            }
        }
        for (poller, token) in watches {
            self.poller_wake(poller, token, s);
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::super::Crash;
    use super::super::poller::Event;
    use super::super::tests::Machine;
    use super::*;

    const TERMINATE: u32 = 15;

    fn told(token: usize) -> Event {
        Event { token, readable: true, ..Event::default() }
    }

    #[test]
    fn a_signal_reaches_the_receivers_of_its_kind_on_its_host() {
        let (mut net, mut s) = (Net::new(), Machine::new(1));
        let [a, b] = ["a", "b"].map(|name| net.add_host(name, None).unwrap());
        let poller = net.poller_new(a);
        let receiver = net.signal_listen(a, TERMINATE);
        let other_kind = net.signal_listen(a, 1);
        let other_host = net.signal_listen(b, TERMINATE);
        net.signal_watch(receiver, poller, 7, &mut s).unwrap();
        net.signal_watch(other_kind, poller, 8, &mut s).unwrap();

        assert_eq!(net.signal_send(a, TERMINATE, &mut s), 1);
        assert_eq!(net.signal_send(a, TERMINATE, &mut s), 1);
        assert_eq!(net.poller_take(poller, 8), [told(7)]);
        net.signal_take(receiver).unwrap();
        for empty in [receiver, other_kind, other_host] {
            assert_eq!(net.signal_take(empty).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(net.signal_send(a, 2, &mut s), 0);
    }

    #[test]
    fn a_watch_tells_of_what_has_come_before_and_of_nothing_after_its_end() {
        let (mut net, mut s) = (Net::new(), Machine::new(1));
        let host = net.add_host("a", None).unwrap();
        let poller = net.poller_new(host);
        let receiver = net.signal_listen(host, TERMINATE);
        net.signal_send(host, TERMINATE, &mut s);
        net.signal_watch(receiver, poller, 7, &mut s).unwrap();
        let again = net.signal_watch(receiver, poller, 7, &mut s).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(net.poller_take(poller, 8), [told(7)]);

        net.signal_send(host, TERMINATE, &mut s);
        net.signal_unwatch(receiver, poller).unwrap();
        assert!(net.poller_take(poller, 8).is_empty());
        let twice = net.signal_unwatch(receiver, poller).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_closed_receiver_leaves_nothing() {
        let (mut net, mut s) = (Net::new(), Machine::new(1));
        let host = net.add_host("a", None).unwrap();
        let poller = net.poller_new(host);
        let receiver = net.signal_listen(host, TERMINATE);
        net.signal_watch(receiver, poller, 7, &mut s).unwrap();
        net.signal_send(host, TERMINATE, &mut s);
        assert_eq!(net.leftovers(host).len(), 2);
        net.signal_close(receiver);
        assert!(net.poller_take(poller, 8).is_empty());
        assert_eq!(net.leftovers(host), ["poller 1"]);
        assert_eq!(net.signal_send(host, TERMINATE, &mut s), 0);
        assert_eq!(net.signal_take(receiver).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_host_that_crashes_hears_nothing() {
        let (mut net, mut s) = (Net::new(), Machine::new(1));
        let host = net.add_host("a", None).unwrap();
        net.signal_listen(host, TERMINATE);
        net.crash_host(host, Crash::Silent, &mut s);
        assert_eq!(net.signal_send(host, TERMINATE, &mut s), 0);
    }
}
