//! One operation on a socket, pipe or other source: wait until it may be ready, spend budget, try.
//!
//! It waits before it spends: a task that holds more sources than its budget has operations would
//! otherwise spend it all on those that are not ready, again and again, and never reach the rest.

use std::io;
use std::panic::Location;
use std::task::{Context, Poll, ready};

use crate::coop;
use crate::driver::{Direction, Registration, Waiting};
use crate::platform::net::Source;
use crate::platform::probe;

/// What an operation waits for, and where the program asked for it.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    direction: Direction,
    /// As reports put it.
    what: &'static str,
    place: &'static Location<'static>,
}

impl Request {
    /// The request of an operation on a socket.
    pub(crate) fn new(direction: Direction, place: &'static Location<'static>) -> Request {
        let what = match direction {
            Direction::Read => "a socket to become readable",
            Direction::Write => "a socket to become writable",
        };
        Request::of(what, direction, place)
    }

    /// The request of an operation on another source. `what` is what it waits for.
    pub(crate) fn of(
        what: &'static str,
        direction: Direction,
        place: &'static Location<'static>,
    ) -> Request {
        Request { direction, what, place }
    }

    /// Goes on with `waited`, which says whether the socket may be ready: spends one operation of
    /// the budget if it may.
    fn proceed(
        self,
        context: &mut Context<'_>,
        waited: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        ready!(self.tell(waited))?;
        coop::poll_proceed(context).map(Ok)
    }

    /// Tells reports what the running task waits for, if it does.
    fn tell<R>(self, polled: Poll<R>) -> Poll<R> {
        if polled.is_pending() {
            probe::task_waits(self.what, self.place);
        }
        polled
    }

    /// Tries `operation` whenever it may succeed, until it answers something else than
    /// `WouldBlock`. While it is pending nothing has been done. The task waits, not a future.
    pub(crate) fn poll_io<S: Source, R>(
        self,
        registration: &Registration<S>,
        context: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let waited = registration.poll_ready(context, self.direction);
        ready!(self.proceed(context, waited))?;
        self.tell(registration.poll_io(context, self.direction, operation))
    }

    /// As [`Request::poll_io`], for an operation that transfers up to `requested` bytes.
    pub(crate) fn poll_transfer<S: Source>(
        self,
        registration: &Registration<S>,
        context: &mut Context<'_>,
        requested: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let waited = registration.poll_ready(context, self.direction);
        ready!(self.proceed(context, waited))?;
        self.tell(registration.poll_transfer(context, self.direction, requested, operation))
    }
}

/// Declares the futures of operations on a kind of socket: what each has beside the operation, and
/// what it gives. Each has a method `advance`, which is its poll.
macro_rules! operations {
    (
        of $socket:ty;

        $(
            $(#[$attribute:meta])*
            $name:ident<$lifetime:lifetime $(, $inner:lifetime)?> {
                $($field:ident: $type:ty),*
            } -> $output:ty;
        )+
    ) => {$(
        $(#[$attribute])*
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $name<$lifetime $(, $inner)?> {
            pub(super) operation: Operation<$lifetime, $socket>,
            $(pub(super) $field: $type,)*
        }

        impl<$lifetime $(, $inner)?> Future for $name<$lifetime $(, $inner)?> {
            type Output = io::Result<$output>;

            fn poll(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<$output>> {
                self.advance(context)
            }
        }

        impl<$lifetime $(, $inner)?> fmt::Debug for $name<$lifetime $(, $inner)?> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

pub(super) use operations;

/// The operation of one future: what waits for it goes with it.
pub(crate) struct Operation<'a, S: Source> {
    waiting: Waiting<'a, S>,
    request: Request,
}

impl<'a, S: Source> Operation<'a, S> {
    pub(crate) fn new(registration: &'a Registration<S>, request: Request) -> Operation<'a, S> {
        Operation { waiting: registration.waiting(request.direction), request }
    }

    /// What it is an operation on.
    pub(crate) fn registration(&self) -> &'a Registration<S> {
        self.waiting.registration()
    }

    /// Where the program asked for it.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.request.place
    }

    /// Waits until the socket may be ready.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waited = self.waiting.poll_ready(context);
        self.request.proceed(context, waited)
    }

    /// Waits until the system has told that the socket may be ready.
    pub(crate) fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waited = self.waiting.poll_told(context);
        self.request.proceed(context, waited)
    }

    /// As [`Request::poll_io`].
    pub(crate) fn poll_io<R>(
        &mut self,
        context: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(self.poll_ready(context))?;
        self.request.tell(self.waiting.poll_io(context, operation))
    }

    /// As [`Request::poll_transfer`].
    pub(crate) fn poll_transfer(
        &mut self,
        context: &mut Context<'_>,
        requested: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_ready(context))?;
        self.request.tell(self.waiting.poll_transfer(context, requested, operation))
    }
}
