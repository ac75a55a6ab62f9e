//! Signals to the programs of a host. They come from the test alone.

use std::io;
use std::panic::Location;

use super::handle::{Handle, call, running_world};
use super::{Host, Poller};
use crate::kernel::event::{Operation, OperationKind};
use crate::network::ReceiverId;

/// Receives one kind of signal that the running thread's host is sent. Closed when dropped.
///
/// Signals are told apart by numbers, which mean nothing here.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::net::{Host, Poller, SignalReceiver};
///
/// volt_sim::check(|| {
///     let receiver = SignalReceiver::open(15).unwrap();
///     let poller = Poller::new().unwrap();
///     receiver.watch(&poller, 7).unwrap();
///     assert_eq!(Host::current().signal(15), 1);
///
///     let mut events = Vec::new();
///     while events.is_empty() {
///         poller.wait(&mut events, None).unwrap();
///     }
///     assert!(events[0].token == 7 && events[0].readable);
///     receiver.take().unwrap();
///     assert_eq!(receiver.take().unwrap_err().kind(), ErrorKind::WouldBlock);
/// });
/// ```
#[derive(Debug)]
pub struct SignalReceiver(Handle);

impl SignalReceiver {
    /// A receiver of what is sent from now on.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread; and what [`Resources`](super::Resources) refuse.
    #[track_caller]
    pub fn open(signal: u32) -> io::Result<SignalReceiver> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, _| {
            net.check_descriptors(host, 1)?;
            Ok(net.signal_listen(host, signal).0)
        })?;
        Ok(SignalReceiver(Handle::new("SignalReceiver", world, id, place)))
    }

    /// Takes the signal, however often it has come.
    ///
    /// # Errors
    /// `WouldBlock` if it has not; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn take(&self) -> io::Result<()> {
        let place = Location::caller();
        let world = self.0.enter(place)?;
        let operation = Operation::new(OperationKind::SocketRead, self.0.number, place);
        call(world, operation, |net, _| net.signal_take(self.id()))
    }

    /// Has `poller` tell of each signal under `token`, as readable, and at once of one that has
    /// come.
    ///
    /// # Errors
    /// `AlreadyExists` if a poller watches it; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn watch(&self, poller: &Poller, token: usize) -> io::Result<()> {
        let place = Location::caller();
        let world = self.0.enter(place)?;
        let (_, poller) = poller.enter()?;
        let operation = Operation::new(OperationKind::SocketOther, self.0.number, place);
        call(world, operation, |net, lent| net.signal_watch(self.id(), poller, token, lent))
    }

    /// Has nothing more told, not even what was not taken yet.
    ///
    /// # Errors
    /// `NotFound` if `poller` does not watch it; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn unwatch(&self, poller: &Poller) -> io::Result<()> {
        let place = Location::caller();
        let world = self.0.enter(place)?;
        let (_, poller) = poller.enter()?;
        let operation = Operation::new(OperationKind::SocketOther, self.0.number, place);
        call(world, operation, |net, _| net.signal_unwatch(self.id(), poller))
    }

    fn id(&self) -> ReceiverId {
        ReceiverId(self.0.number)
    }
}

impl Drop for SignalReceiver {
    fn drop(&mut self) {
        let Some((world, place)) = self.0.leave() else { return };
        let operation = Operation::new(OperationKind::SocketOther, self.0.number, place);
        world.point(operation);
        world.network(|net, _| net.signal_close(self.id()));
        world.complete(operation, 0);
    }
}

impl Host {
    /// Sends a signal to the programs of this host; how many receivers hear it. Nothing else
    /// happens: a program that does not listen goes on.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::net::{self, SignalReceiver};
    /// use volt_sim::thread;
    ///
    /// volt_sim::check(|| {
    ///     let server = net::add_host("server", None).unwrap();
    ///     assert_eq!(server.signal(15), 0);
    ///     let open = || SignalReceiver::open(15).unwrap();
    ///     let opened = server.spawn(thread::Builder::new(), open).unwrap();
    ///     let receiver = opened.join().unwrap();
    ///     assert_eq!(server.signal(15), 1);
    ///     receiver.take().unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn signal(&self, signal: u32) -> usize {
        let place = Location::caller();
        let sent = self.enter(place).and_then(|(world, host)| {
            let operation = Operation::new(OperationKind::SocketOther, 0, place);
            call(world, operation, |net, lent| Ok(net.signal_send(host, signal, lent)))
        });
        match sent {
            Ok(heard) => heard,
            Err(error) => panic!("a simulated host cannot be sent a signal from here: {error}"),
        }
    }
}
