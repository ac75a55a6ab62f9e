//! Reading and writing with buffers that go into the operation and come back out of it.
//!
//! ```text
//!   asked ──► at once, without waiting? ──► on a ring? ──► when the socket is readable
//!                      │                     │     └─ refused ─▲        │
//!                      └─────────────────────┴──────► over ◄────────────┘
//! ```
//!
//! A read that has nothing to read goes to the ring of the worker that polls it: the kernel writes
//! into the buffer when something comes. If its future is dropped before that, the ring is told to
//! cancel it; what it has brought nonetheless is left over for the next read (`leftover`). A write
//! waits for room instead, which the kernel tells of: on a ring it could not be taken back.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::connection::Connection;
use crate::coop;
use crate::driver::{Direction, InFlight, Payload, Registration};
use crate::net::operation::Operation;
use crate::platform::{probe, ring};
use crate::runtime::scheduler::begin_operation;

const AGAIN: &str = "the operation is polled after it gave its buffer back";

/// How much one receive may ask for; the system takes no more either.
const LONGEST: usize = 1 << 30;

/// A receive on a ring, which keeps the connection open.
struct Receive<B> {
    connection: Registration<Connection>,
    buffer: B,
}

// SAFETY: it holds the connection and the buffer that it names, which lies still with it; nobody
// else can reach the buffer.
unsafe impl<B: AsMut<[u8]> + Send + 'static> Payload for Receive<B> {
    const ENDS_WITH_FUTURE: bool = true;
    const MAY_NOT_END: bool = true;

    fn describe(&mut self) -> Option<ring::Operation<'_>> {
        let Receive { connection, buffer } = self;
        let bytes = buffer.as_mut();
        let length = bytes.len().min(LONGEST) as u32;
        let socket = connection.source().socket();
        Some(ring::Operation::Receive { socket, buffer: bytes.as_mut_ptr(), length })
    }

    /// What it has taken is the next read's.
    fn land_alone(mut self, result: io::Result<usize>) {
        let bytes = result.map(|count| self.buffer.as_mut().get(..count).unwrap_or_default());
        self.connection.source().leftover().land(bytes);
        self.connection.announce(Direction::Read);
    }
}

enum State<B: AsMut<[u8]> + Send + 'static> {
    Asked(B),
    OnRing(InFlight<Receive<B>>),
    Waiting(B),
    Over,
}

/// The future of [`TcpStream::read_owned`](super::TcpStream::read_owned).
///
/// Cancel safety: dropped before it is ready, it has read nothing; the buffer goes with it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReadOwned<'a, B: AsMut<[u8]> + Send + 'static> {
    operation: Operation<'a, Connection>,
    state: State<B>,
}

impl<'a, B: AsMut<[u8]> + Send + 'static> ReadOwned<'a, B> {
    pub(super) fn new(operation: Operation<'a, Connection>, buffer: B) -> ReadOwned<'a, B> {
        ReadOwned { operation, state: State::Asked(buffer) }
    }

    /// Begins the read: at once, on a ring, or by waiting.
    fn begin(&mut self, mut buffer: B) -> Result<(io::Result<usize>, B), State<B>> {
        let registration = self.operation.registration();
        let bytes = buffer.as_mut();
        let requested = bytes.len();
        let read = |connection: &Connection| connection.read(bytes);
        match registration.try_transfer(Direction::Read, requested, read) {
            Err(error) if is_to_wait(&error) => {}
            outcome => return Ok((outcome, buffer)),
        }
        // What is left over, or is still to land, comes before what a ring would give.
        if requested == 0 || !registration.source().leftover().is_empty() {
            return Err(State::Waiting(buffer));
        }
        let receive = Receive { connection: registration.share(), buffer };
        Err(match begin_operation(registration.driver(), receive) {
            Ok(in_flight) => State::OnRing(in_flight),
            Err(Receive { buffer, .. }) => State::Waiting(buffer),
        })
    }
}

fn is_to_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The buffer is never pinned.
impl<B: AsMut<[u8]> + Send + 'static> Unpin for ReadOwned<'_, B> {}

impl<B: AsMut<[u8]> + Send + 'static> Future for ReadOwned<'_, B> {
    type Output = (io::Result<usize>, B);

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match mem::replace(&mut this.state, State::Over) {
                State::Asked(buffer) => {
                    if coop::poll_proceed(context).is_pending() {
                        this.state = State::Asked(buffer);
                        return Poll::Pending;
                    }
                    match this.begin(buffer) {
                        Ok(output) => return Poll::Ready(output),
                        Err(state) => this.state = state,
                    }
                }
                State::OnRing(in_flight) => match in_flight.poll(context) {
                    Poll::Ready((Err(error), Receive { buffer, .. }))
                        if ring::is_refusal(&error) =>
                    {
                        this.state = State::Waiting(buffer);
                    }
                    Poll::Ready((outcome, Receive { buffer, .. })) => {
                        return Poll::Ready((outcome, buffer));
                    }
                    Poll::Pending => {
                        this.state = State::OnRing(in_flight);
                        probe::task_waits("bytes from a ring", this.operation.place());
                        return Poll::Pending;
                    }
                },
                State::Waiting(mut buffer) => {
                    let bytes = buffer.as_mut();
                    let requested = bytes.len();
                    let read = |connection: &Connection| connection.read(bytes);
                    let polled = this.operation.poll_transfer(context, requested, read);
                    let Poll::Ready(outcome) = polled else {
                        this.state = State::Waiting(buffer);
                        return Poll::Pending;
                    };
                    return Poll::Ready((outcome, buffer));
                }
                State::Over => panic!("{AGAIN}"),
            }
        }
    }
}

impl<B: AsMut<[u8]> + Send + 'static> Drop for ReadOwned<'_, B> {
    fn drop(&mut self) {
        if let State::OnRing(in_flight) = mem::replace(&mut self.state, State::Over) {
            self.operation.registration().source().leftover().expect();
            drop(in_flight);
        }
    }
}

impl<B: AsMut<[u8]> + Send + 'static> fmt::Debug for ReadOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOwned").finish_non_exhaustive()
    }
}

/// The future of [`TcpStream::write_owned`](super::TcpStream::write_owned).
///
/// Cancel safety: dropped before it is ready, it has written nothing; the buffer goes with it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WriteOwned<'a, B> {
    pub(super) operation: Operation<'a, Connection>,
    /// `None` once it was given back.
    pub(super) buffer: Option<B>,
}

/// The buffer is never pinned.
impl<B> Unpin for WriteOwned<'_, B> {}

impl<B: AsRef<[u8]>> Future for WriteOwned<'_, B> {
    type Output = (io::Result<usize>, B);

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let bytes = this.buffer.as_ref().expect(AGAIN).as_ref();
        let write = |connection: &Connection| connection.write(bytes);
        let outcome = ready!(this.operation.poll_transfer(context, bytes.len(), write));
        Poll::Ready((outcome, this.buffer.take().expect(AGAIN)))
    }
}

impl<B> fmt::Debug for WriteOwned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOwned").finish_non_exhaustive()
    }
}
