//! One operation on a socket: wait until the socket may be ready, spend budget, try.

use std::io;
use std::panic::Location;
use std::task::{Context, Poll, ready};

use crate::coop;
use crate::driver::{Direction, Registration};
use crate::platform::net::Source;
use crate::platform::probe;

/// Waits until the socket may be ready in `direction`, and spends one operation of the budget.
///
/// It waits before it spends: a task that holds more sockets than its budget has operations would
/// otherwise spend it all on those that are not ready, again and again, and never reach the rest.
pub(super) fn poll_ready<S: Source>(
    registration: &Registration<S>,
    context: &mut Context<'_>,
    direction: Direction,
    place: &'static Location<'static>,
) -> Poll<io::Result<()>> {
    match registration.poll_ready(context, direction) {
        Poll::Ready(Ok(_)) => coop::poll_proceed(context).map(Ok),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => {
            task_waits(direction, place);
            Poll::Pending
        }
    }
}

/// Tries `operation` each time that the socket may be ready in `direction`, until it answers
/// something else than `WouldBlock`. While it is pending nothing has been done.
pub(super) fn poll_operation<S: Source, R>(
    registration: &Registration<S>,
    context: &mut Context<'_>,
    direction: Direction,
    place: &'static Location<'static>,
    operation: impl FnMut(&S) -> io::Result<R>,
) -> Poll<io::Result<R>> {
    ready!(poll_ready(registration, context, direction, place))?;
    let polled = registration.poll_io(context, direction, operation);
    if polled.is_pending() {
        task_waits(direction, place);
    }
    polled
}

/// Tells reports what the running task waits for.
fn task_waits(direction: Direction, place: &'static Location<'static>) {
    let what = match direction {
        Direction::Read => "a socket to become readable",
        Direction::Write => "a socket to become writable",
    };
    probe::task_waits(what, place);
}
