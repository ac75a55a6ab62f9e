//! Hosts: whose threads have which address.

use std::io;
use std::net::IpAddr;
use std::panic::Location;
use std::sync::Arc;

use super::handle::{Handle, call, running_world};
use crate::kernel::World;
use crate::kernel::event::{Operation, OperationKind};
use crate::network::{HostId, Net};
use crate::thread::{Builder, JoinHandle};

/// A host of the simulated network. It belongs to one run.
///
/// A thread belongs to the host of the thread that spawned it, or to the one it was started on
/// with [`Host::spawn`]; its sockets and pollers belong to that host. The first thread of a run is
/// on a host of its own, named `world`.
///
/// ```
/// use volt_sim::net::{self, Host};
/// use volt_sim::thread;
///
/// volt_sim::check(|| {
///     let server = net::add_host("server", None).unwrap();
///     let started = server.spawn(thread::Builder::new(), || Host::current().address()).unwrap();
///     assert_eq!(started.join().unwrap(), server.address());
///     assert_eq!(Host::current().name(), "world");
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Host {
    handle: Handle,
    name: Arc<str>,
    address: IpAddr,
}

/// Adds a host to the network. Without an address it gets the next free one of 10.0.0.1,
/// 10.0.0.2, ...; programs reach it by its name too.
///
/// # Errors
/// `AlreadyExists` if the name is empty or taken; `AddrInUse` if the address is taken;
/// `InvalidInput` if it cannot be a host's: a wildcard, loopback or multicast; `Unsupported` on an
/// ordinary thread.
///
/// ```
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let server = net::add_host("server", Some("10.1.0.1".parse().unwrap())).unwrap();
///     assert_eq!(net::resolve("server").unwrap(), [server.address()]);
/// });
/// ```
#[track_caller]
pub fn add_host(name: &str, address: Option<IpAddr>) -> io::Result<Host> {
    let place = Location::caller();
    let world = running_world()?;
    let operation = Operation::new(OperationKind::SocketOther, 0, place);
    let id = call(world, operation, |net, _| Ok(net.add_host(name, address)?.0))?;
    Ok(Host::of(world, HostId(id), place))
}

impl Host {
    fn of(world: &World, id: HostId, place: &'static Location<'static>) -> Host {
        let handle = Handle::new("Host", world, id.0, place);
        let (name, address) = world.network(|net, _| (net.host_name(id).into(), net.address(id)));
        Host { handle, name, address }
    }

    /// The host of the running thread.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn current() -> Host {
        match running_world() {
            Ok(world) => Host::of(world, world.host(), Location::caller()),
            Err(error) => panic!("an ordinary thread is on no host: {error}"),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Starts a thread on this host; what it spawns is on this host too.
    ///
    /// # Errors
    /// If there is no memory for its stack; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn spawn<F, T>(&self, builder: Builder, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (_, id) = self.enter(Location::caller())?;
        builder.on_host(id).spawn(f)
    }

    /// What programs of this host have not closed, a line for each: for tests that expect
    /// nothing.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::net::{Host, TcpListener};
    ///
    /// volt_sim::check(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:80".parse().unwrap()).unwrap();
    ///     assert_eq!(Host::current().leftovers(), ["listener 127.0.0.1:80"]);
    ///     drop(listener);
    ///     assert!(Host::current().leftovers().is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn leftovers(&self) -> Vec<String> {
        match self.enter(Location::caller()) {
            Ok((world, id)) => world.network(|net, _| net.leftovers(id)),
            Err(error) => panic!("a simulated host is asked from outside: {error}"),
        }
    }

    /// Its world and its number there.
    pub(crate) fn enter(
        &self,
        place: &'static Location<'static>,
    ) -> io::Result<(&'static World, HostId)> {
        Ok((self.handle.enter(place)?, HostId(self.handle.number)))
    }
}

/// How many sockets the programs of all hosts have not closed; 0 on an ordinary thread.
///
/// ```
/// use volt_sim::net::{self, TcpListener};
///
/// volt_sim::check(|| {
///     let listener = TcpListener::bind("127.0.0.1:80".parse().unwrap()).unwrap();
///     assert_eq!(net::open_sockets(), 1);
///     drop(listener);
///     assert_eq!(net::open_sockets(), 0);
/// });
/// ```
pub fn open_sockets() -> usize {
    ask(Net::open_sockets)
}

/// How many pollers the programs of all hosts have not closed; 0 on an ordinary thread.
///
/// ```
/// use volt_sim::net::{self, Poller};
///
/// volt_sim::check(|| {
///     let poller = Poller::new().unwrap();
///     assert_eq!(net::open_pollers(), 1);
///     drop(poller);
///     assert_eq!(net::open_pollers(), 0);
/// });
/// ```
pub fn open_pollers() -> usize {
    ask(Net::open_pollers)
}

fn ask(question: fn(&Net) -> usize) -> usize {
    running_world().map_or(0, |world| world.network(|net, _| question(net)))
}

/// The addresses of a name: a host's name, `localhost`, or an address as text.
///
/// # Errors
/// `NotFound` if no host has the name, `Unsupported` on an ordinary thread.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let server = net::add_host("server", None).unwrap();
///     assert_eq!(net::resolve("server").unwrap(), [server.address()]);
///     assert_eq!(net::resolve("nobody").unwrap_err().kind(), ErrorKind::NotFound);
/// });
/// ```
#[track_caller]
pub fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let world = running_world()?;
    let operation = Operation::new(OperationKind::SocketOther, 0, Location::caller());
    let address = call(world, operation, |net, _| {
        let literal = name.parse().ok();
        literal.or_else(|| net.resolve(name)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no host has the name {name:?}"))
        })
    })?;
    Ok(vec![address])
}
