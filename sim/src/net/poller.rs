//! The readiness queue of simulated threads.

use std::io;
use std::panic::Location;
use std::time::Duration;

use super::handle::{Handle, Socket, call, running_world};
use super::{Event, Interest, TcpListener, TcpStream, UdpSocket};
use super::{UnixDatagram, UnixListener, UnixStream};
use crate::kernel::World;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::thread_table::WaitFor;
use crate::network::PollerId;
use crate::thread::deadline_in;

/// Tells which sockets have become ready, as mio's `Poll` does: by edges. Closed when dropped.
///
/// - An event is told once for each change: bytes, a connection or an end that arrives, room in a
///   send buffer that was full, a connection that is established or has failed. A program that
///   has not read until `WouldBlock` hears nothing more until the next change.
/// - Registering tells once what is ready then.
/// - What has become untrue before it was taken is not told.
/// - The end of both directions, and an error, are told whatever the interest.
///
/// ```
/// use volt_sim::net::{Interest, Poller, TcpListener, TcpStream};
///
/// volt_sim::check(|| {
///     let poller = Poller::new().unwrap();
///     let listener = TcpListener::bind("127.0.0.1:80".parse().unwrap()).unwrap();
///     let interest = Interest { readable: true, writable: false };
///     poller.register(&listener, 7, interest).unwrap();
///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
///
///     let mut events = Vec::new();
///     while events.is_empty() {
///         poller.wait(&mut events, None).unwrap();
///     }
///     assert_eq!(events[0].token, 7);
///     let (server, _) = listener.accept().unwrap();
///     assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
/// });
/// ```
#[derive(Debug)]
pub struct Poller(Handle);

/// What a [`Poller`] can watch: the sockets of this module.
///
/// ```
/// use volt_sim::net::{Interest, Poller, Source};
///
/// fn watch(poller: &Poller, source: &impl Source) -> std::io::Result<()> {
///     poller.register(source, 1, Interest { readable: true, writable: true })
/// }
/// ```
pub trait Source: Watched {}

/// Keeps [`Source`] to this module.
pub trait Watched {
    fn socket(&self) -> &Socket;
}

impl Source for TcpListener {}
impl Source for TcpStream {}
impl Source for UdpSocket {}
impl Source for UnixDatagram {}
impl Source for UnixListener {}
impl Source for UnixStream {}

impl Watched for TcpListener {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Watched for TcpStream {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Watched for UdpSocket {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Watched for UnixDatagram {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Watched for UnixListener {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Watched for UnixStream {
    fn socket(&self) -> &Socket {
        &self.0
    }
}

impl Poller {
    /// A poller of the running thread's host.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread; and what [`Resources`](super::Resources) refuse.
    #[track_caller]
    pub fn new() -> io::Result<Poller> {
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::SocketOther, 0, place);
        let id = call(world, operation, |net, _| {
            net.check_descriptors(host, 1)?;
            Ok(net.poller_new(host).0)
        })?;
        Ok(Poller(Handle::new("Poller", world, id, place)))
    }

    /// Its world and its number there, for a thread of that world.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    #[track_caller]
    pub(crate) fn enter(&self) -> io::Result<(&'static World, PollerId)> {
        Ok((self.0.enter(Location::caller())?, PollerId(self.0.number)))
    }

    /// Has events of `source` told under `token`, and what is ready now told at once.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered with a poller; `InvalidInput` for an empty interest or
    /// a socket of another host; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn register(
        &self,
        source: &impl Source,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let (_, poller) = self.enter()?;
        source.socket().call(OperationKind::SocketOther, |net, lent, id| {
            net.register(poller, id, token, interest, lent)
        })
    }

    /// Changes the token and the interest of `source`, and has what is ready now told once.
    ///
    /// # Errors
    /// `NotFound` if it is not registered with this poller; `InvalidInput` for an empty interest;
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn reregister(
        &self,
        source: &impl Source,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let (_, poller) = self.enter()?;
        source.socket().call(OperationKind::SocketOther, |net, lent, id| {
            net.reregister(poller, id, token, interest, lent)
        })
    }

    /// Has nothing more told of `source`, not even what was not taken yet.
    ///
    /// # Errors
    /// `NotFound` if it is not registered with this poller; `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn deregister(&self, source: &impl Source) -> io::Result<()> {
        let (_, poller) = self.enter()?;
        source.socket().call(OperationKind::SocketOther, |net, _, id| net.deregister(poller, id))
    }

    /// Waits for events, for at most `timeout`, and puts them into `events` in place of what was
    /// there. May return without any, also before the time is over.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let (world, poller) = self.enter()?;
        let operation = Operation::new(OperationKind::PollerWait, poller.0, Location::caller());
        world.point(operation);
        let take = || world.network(|net, _| net.poller_take(poller, usize::MAX));
        let mut taken = take();
        let may_block = timeout != Some(Duration::ZERO);
        if taken.is_empty() && may_block && !world.wakes_spuriously() {
            let deadline = timeout.map(|timeout| deadline_in(world, timeout));
            world.block(WaitFor::Poller(poller), deadline);
            taken = take();
        }
        world.complete(operation, digest(&taken));
        events.append(&mut taken);
        Ok(())
    }

    /// Makes an event of `token`, which is readable, for a thread that waits or the next that
    /// does; until that is taken, further calls make no other one.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::{net::Poller, thread};
    /// use std::sync::Arc;
    ///
    /// volt_sim::check(|| {
    ///     let poller = Arc::new(Poller::new().unwrap());
    ///     let waker = Arc::clone(&poller);
    ///     let thread = thread::spawn(move || waker.wake(9));
    ///     let mut events = Vec::new();
    ///     while events.is_empty() {
    ///         poller.wait(&mut events, None).unwrap();
    ///     }
    ///     assert!(events[0].token == 9 && events[0].readable);
    ///     thread.join().unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn wake(&self, token: usize) {
        let (world, poller) = match self.enter() {
            Ok(entered) => entered,
            Err(error) => panic!("a simulated poller cannot be woken from here: {error}"),
        };
        let operation = Operation::new(OperationKind::PollerWake, poller.0, Location::caller());
        world.point(operation);
        world.network(|net, lent| net.poller_wake(poller, token, lent));
        world.complete(operation, 0);
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let Some((world, place)) = self.0.leave() else { return };
        let operation = Operation::new(OperationKind::SocketOther, self.0.number, place);
        world.point(operation);
        world.network(|net, _| net.poller_close(PollerId(self.0.number)));
        world.complete(operation, 0);
    }
}

/// Events as the run's hash has them. Not the tokens: a program may use addresses.
fn digest(events: &[Event]) -> u64 {
    events.iter().fold(events.len() as u64, |digest, event| {
        let Event { token: _, readable, writable, read_closed, write_closed, error } = *event;
        [readable, writable, read_closed, write_closed, error]
            .into_iter()
            .fold(digest.wrapping_mul(31), |digest, bit| digest << 1 | u64::from(bit))
    })
}
