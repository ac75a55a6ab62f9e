//! From names to addresses, off the workers.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::address::{Target, ToSocketAddrs};
use crate::coop;
use crate::platform::net;
use crate::runtime::Io;
use crate::task::AbortOnDrop;

/// Looks up the addresses of a host: one at least, in the order in which the system prefers them.
///
/// The system's resolver blocks, so it runs on a thread of the blocking pool. Addresses that need
/// no resolver are given without one.
///
/// Cancel safety: a lookup that is dropped before it has begun does not begin; one that runs is
/// forgotten.
///
/// # Errors
/// `InvalidInput` for what is no address, naming it; otherwise what the resolver says.
///
/// ```
/// use volt::net::lookup_host;
///
/// volt::run(|io| async move {
///     let addresses = lookup_host(&io, ("127.0.0.1", 80)).await.unwrap();
///     assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
///
///     let error = lookup_host(&io, "no port").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// });
/// ```
#[track_caller]
pub fn lookup_host(io: &Io, host: impl ToSocketAddrs) -> LookupHost {
    LookupHost::new(io, &host, Location::caller())
}

/// The future of [`lookup_host`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct LookupHost {
    state: State,
    place: &'static Location<'static>,
}

enum State {
    Asked { io: Io, host: String, port: u16 },
    Running { host: String, job: AbortOnDrop<io::Result<Vec<SocketAddr>>> },
    Known(io::Result<Vec<SocketAddr>>),
    Taken,
}

impl LookupHost {
    pub(super) fn new(
        io: &Io,
        host: &impl ToSocketAddrs,
        place: &'static Location<'static>,
    ) -> LookupHost {
        let state = match host.target() {
            Ok(Target::Addresses(addresses)) => State::Known(Ok(addresses)),
            Ok(Target::Name { host, port }) => State::Asked { io: io.clone(), host, port },
            Err(error) => State::Known(Err(error)),
        };
        LookupHost { state, place }
    }
}

/// A resolver that found nothing is one that failed: callers count on an address.
fn not_empty(host: &str, addresses: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    match addresses.is_empty() {
        true => Err(io::Error::new(ErrorKind::NotFound, format!("`{host}` has no address"))),
        false => Ok(addresses),
    }
}

impl Future for LookupHost {
    type Output = io::Result<Vec<SocketAddr>>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Asked { io, host, port } => {
                    let (name, port) = (host.clone(), *port);
                    let resolve = move || net::resolve(&name, port);
                    let job = io.scheduler().spawn_blocking(resolve, this.place);
                    let host = std::mem::take(host);
                    this.state = State::Running { host, job: AbortOnDrop::new(job) };
                }
                State::Running { host, job } => {
                    let known = match ready!(Pin::new(job).poll(context)) {
                        Ok(resolved) => resolved.and_then(|addresses| not_empty(host, addresses)),
                        Err(error) => Err(io::Error::other(error)),
                    };
                    this.state = State::Known(known);
                }
                State::Known(_) => {
                    ready!(coop::poll_proceed(context));
                    let State::Known(known) = std::mem::replace(&mut this.state, State::Taken)
                    else {
                        unreachable!("it was just known");
                    };
                    return Poll::Ready(known);
                }
                State::Taken => panic!("a `LookupHost` is polled after it gave its output"),
            }
        }
    }
}

impl fmt::Debug for LookupHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupHost").finish_non_exhaustive()
    }
}
