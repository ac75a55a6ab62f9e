//! What every object of the machine is known by, and how a thread calls into the network with one.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::FailureKind;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::network::Lent;
use crate::kernel::{self, World};
use crate::network::{Net, SocketId};

/// Marks the answer of a call that failed; the rest is the kind of its error.
pub(crate) const FAILED: u64 = 1 << 63;

/// Which object of which world this is.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    what: &'static str,
    world: u32,
    pub(crate) number: u32,
    made_at: &'static Location<'static>,
}

impl Handle {
    pub(crate) fn new(
        what: &'static str,
        world: &World,
        number: u32,
        made_at: &'static Location<'static>,
    ) -> Handle {
        Handle { what, world: world.number(), number, made_at }
    }

    /// The world of the object, to which the running thread must belong.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    pub(crate) fn enter(&self, place: &'static Location<'static>) -> io::Result<&'static World> {
        let world = running_world()?;
        if world.number() != self.world {
            let Handle { what, number, made_at, .. } = self;
            world.fail(
                FailureKind::Nondeterminism,
                format!(
                    "{what} {number} of another world is used at {place}: it was made at \
                     {made_at}, in another run. What outlives its run, in a static for example, \
                     makes a seed not replay. Make it inside the simulation"
                ),
            );
        }
        Ok(world)
    }

    /// The world in which the object is to be closed at the end of its life, and where it was
    /// made, as a drop has no place; `None` where its world cannot be reached.
    pub(crate) fn leave(&self) -> Option<(&'static World, &'static Location<'static>)> {
        let world = kernel::current().filter(|world| world.number() == self.world)?;
        Some((world, self.made_at))
    }
}

/// The world of the running thread.
///
/// # Errors
/// `Unsupported` on an ordinary thread.
pub(crate) fn running_world() -> io::Result<&'static World> {
    kernel::current().ok_or_else(|| {
        let message = "the simulated machine is there for simulated threads alone";
        io::Error::new(ErrorKind::Unsupported, message)
    })
}

/// One call into the network: a scheduling point, then `f`, whose result goes into the hash.
pub(super) fn call<R: Answer>(
    world: &World,
    operation: Operation,
    f: impl FnOnce(&mut Net, &mut Lent<'_>) -> io::Result<R>,
) -> io::Result<R> {
    world.point(operation);
    let result = world.network(f);
    let answer = match &result {
        Ok(value) => value.word(),
        Err(error) => FAILED | error.kind() as u64,
    };
    world.complete(operation, answer);
    result
}

/// What a call answers, as the run's hash has it.
pub(crate) trait Answer {
    fn word(&self) -> u64;
}

impl Answer for () {
    fn word(&self) -> u64 {
        0
    }
}

impl Answer for bool {
    fn word(&self) -> u64 {
        u64::from(*self)
    }
}

impl Answer for u32 {
    fn word(&self) -> u64 {
        u64::from(*self)
    }
}

impl Answer for usize {
    fn word(&self) -> u64 {
        *self as u64
    }
}

impl Answer for SocketId {
    fn word(&self) -> u64 {
        u64::from(self.0)
    }
}

impl Answer for (SocketId, SocketAddr) {
    fn word(&self) -> u64 {
        self.0.word()
    }
}

impl Answer for (usize, SocketAddr) {
    fn word(&self) -> u64 {
        self.0.word() << 16 | self.1.word()
    }
}

impl Answer for (SocketId, SocketId) {
    fn word(&self) -> u64 {
        self.0.word()
    }
}

impl Answer for (usize, Option<PathBuf>) {
    fn word(&self) -> u64 {
        self.0.word()
    }
}

impl Answer for Option<PathBuf> {
    fn word(&self) -> u64 {
        self.as_ref().map_or(0, |path| 1 + path.as_os_str().len() as u64)
    }
}

impl Answer for SocketAddr {
    fn word(&self) -> u64 {
        u64::from(self.port())
    }
}

impl Answer for IpAddr {
    fn word(&self) -> u64 {
        match self {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() ^ (ip.to_bits() >> 64)) as u64,
        }
    }
}

impl Answer for Option<Duration> {
    fn word(&self) -> u64 {
        self.map_or(0, |duration| (1 + duration.as_nanos()) as u64)
    }
}

impl Answer for Option<io::Error> {
    fn word(&self) -> u64 {
        self.as_ref().map_or(0, |error| 1 + error.kind() as u64)
    }
}

/// A socket, which is closed when this is dropped.
#[derive(Debug)]
pub struct Socket(Handle);

impl Socket {
    pub(super) fn new(
        what: &'static str,
        world: &World,
        id: SocketId,
        place: &'static Location<'static>,
    ) -> Socket {
        Socket(Handle::new(what, world, id.0, place))
    }

    /// Its number in its world.
    pub(super) fn id(&self) -> SocketId {
        SocketId(self.0.number)
    }

    /// Its world and its number there, for a thread of that world.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    pub(super) fn enter(
        &self,
        place: &'static Location<'static>,
    ) -> io::Result<(&'static World, SocketId)> {
        Ok((self.0.enter(place)?, SocketId(self.0.number)))
    }

    /// A call that concerns this socket.
    #[track_caller]
    pub(super) fn call<R: Answer>(
        &self,
        kind: OperationKind,
        f: impl FnOnce(&mut Net, &mut Lent<'_>, SocketId) -> io::Result<R>,
    ) -> io::Result<R> {
        let place = Location::caller();
        let (world, id) = self.enter(place)?;
        call(world, Operation::new(kind, id.0, place), |net, lent| f(net, lent, id))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some((world, place)) = self.0.leave() else { return };
        let id = SocketId(self.0.number);
        let operation = Operation::new(OperationKind::SocketOther, id.0, place);
        world.point(operation);
        world.network(|net, lent| net.close(id, lent));
        world.complete(operation, 0);
    }
}
