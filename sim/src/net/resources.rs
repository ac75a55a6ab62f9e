//! What the operating system of a host has to give, as a test directs it.

use std::panic::Location;

use super::Host;
use super::fault::rate;
use super::handle::Handle;
use crate::kernel::World;
use crate::kernel::event::{Operation, OperationKind};
use crate::network::{HostId, Net};

/// What the operating system of a simulated host has to give to its programs, for tests: how many
/// descriptors, and whether there is memory for buffers. Both are without end at first.
///
/// ```
/// use volt_sim::net::{Resources, UdpSocket};
///
/// volt_sim::check(|| {
///     let resources = Resources::current();
///     resources.set_descriptor_limit(Some(1));
///     let socket = UdpSocket::bind("127.0.0.1:53".parse().unwrap()).unwrap();
///     assert_eq!(resources.descriptors(), 1);
///     assert!(UdpSocket::bind("127.0.0.1:54".parse().unwrap()).is_err()); // EMFILE
///     drop(socket);
///     UdpSocket::bind("127.0.0.1:54".parse().unwrap()).unwrap();
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Resources(Handle);

impl Resources {
    /// Those of `host`.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::net::{self, Resources};
    ///
    /// volt_sim::check(|| {
    ///     let server = net::add_host("server", None).unwrap();
    ///     assert_eq!(Resources::of(&server).descriptors(), 0);
    /// });
    /// ```
    #[track_caller]
    pub fn of(host: &Host) -> Resources {
        let place = Location::caller();
        match host.enter(place) {
            Ok((world, host)) => Resources(Handle::new("Resources", world, host.0, place)),
            Err(error) => panic!("a simulated host is used from outside: {error}"),
        }
    }

    /// Those of the running thread's host.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::net::{Poller, Resources};
    ///
    /// volt_sim::check(|| {
    ///     let _poller = Poller::new().unwrap();
    ///     assert_eq!(Resources::current().descriptors(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn current() -> Resources {
        Resources::of(&Host::current())
    }

    /// How many descriptors programs of the host may have at once; `None` is no limit. What they
    /// have beyond a new limit stays theirs.
    ///
    /// Sockets, pollers and receivers of signals have one each, and so has a connection from when
    /// it is accepted. Without one left, whatever would make another fails with the system's
    /// `EMFILE`, an accept also if there is no connection. Open files have none here.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn set_descriptor_limit(&self, limit: Option<usize>) {
        self.change(|net, host| net.set_descriptor_limit(host, limit));
    }

    /// How many descriptors programs of the host have.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        let (world, host) = self.enter();
        world.network(|net, _| net.descriptors(host))
    }

    /// How many requests of the host's programs for buffers are refused, with the system's
    /// `ENOBUFS`; a share from 0, as at first, to 1. Which ones, the seed says.
    ///
    /// Buffers are needed to make a socket, to accept a connection, to write to a stream and to
    /// send a datagram; and for an operation on a completion queue, which fails with `ENOMEM`. What
    /// is refused has done nothing.
    ///
    /// # Panics
    /// If the share is not from 0 to 1; on an ordinary thread.
    ///
    /// ```
    /// use volt_sim::net::{Resources, UdpSocket};
    ///
    /// volt_sim::check(|| {
    ///     let socket = UdpSocket::bind("127.0.0.1:53".parse().unwrap()).unwrap();
    ///     Resources::current().set_refused_buffers(1.0);
    ///     assert!(socket.send_to(b"x", "127.0.0.1:54".parse().unwrap()).is_err()); // ENOBUFS
    /// });
    /// ```
    #[track_caller]
    pub fn set_refused_buffers(&self, share: f64) {
        let rate = rate("share of refused buffers", share);
        self.change(|net, host| net.set_refused_buffers(host, rate));
    }

    #[track_caller]
    fn enter(&self) -> (&'static World, HostId) {
        match self.0.enter(Location::caller()) {
            Ok(world) => (world, HostId(self.0.number)),
            Err(error) => panic!("a simulated host is used from outside: {error}"),
        }
    }

    #[track_caller]
    fn change(&self, f: impl FnOnce(&mut Net, HostId)) {
        let place = Location::caller();
        let (world, host) = self.enter();
        let operation = Operation::new(OperationKind::SocketOther, host.0, place);
        world.point(operation);
        world.network(|net, _| f(net, host));
        world.complete(operation, 0);
    }
}
