//! What keeps a loop of accepts from spinning while the system has nothing to give.
//!
//! When there is no descriptor left, or no memory, a listener stays ready, and every attempt fails
//! at once, until something is closed elsewhere. A program that takes errors of accepts for those
//! of single connections, and goes on, would burn a processor and fill its log. So the answer
//! takes its time: [`PAUSE`] for each error.

use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::platform::mutation::mutation;
use crate::platform::net::is_exhaustion;
use crate::runtime::Io;
use crate::time::{Instant, Sleep};

/// How late an error of exhaustion is told. A hundred errors a second cost nothing to speak of,
/// and a connection that could be had again comes this much later at most.
const PAUSE: Duration = Duration::from_millis(10);

/// Accepts for a future, and keeps the error that is about to be told.
pub(super) struct Patience(Option<Exhausted>);

impl Patience {
    pub(super) fn new() -> Patience {
        Patience(None)
    }

    /// Makes the `attempt`, which the program asked for at `place`. That descriptors or memory
    /// have run out is told late.
    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        io: &Io,
        place: &'static Location<'static>,
        attempt: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.0.is_none() {
            match ready!(attempt(context)) {
                Err(error) if mutation!("accept-spins", is_exhaustion(&error), false) => {
                    self.0 = Some(Exhausted::new(io, error, place));
                }
                result => return Poll::Ready(result),
            }
        }
        let exhausted = self.0.as_mut().expect("it was set above, or before");
        let error = ready!(Pin::new(exhausted).poll(context));
        self.0 = None;
        Poll::Ready(Err(error))
    }
}

/// The future of an error of exhaustion: it is told after the pause, or when the runtime has shut
/// down, if that is earlier.
struct Exhausted {
    /// `None` once it has been told.
    error: Option<io::Error>,
    pause: Pause,
}

/// A time in which nothing is tried and nothing is told, which a shutdown ends.
// Boxed, so that the future that has it may be moved, and is small.
pub(super) struct Pause(Pin<Box<Sleep>>);

impl Pause {
    /// One that begins now, for an operation that the program asked for at `place`.
    pub(super) fn new(io: &Io, place: &'static Location<'static>) -> Pause {
        Pause(Box::pin(Sleep::new(io, Instant::now() + PAUSE, place)))
    }

    /// Whether it is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll_unless_shut_down(context).map(drop)
    }
}

impl Exhausted {
    /// Of `error`, which the system has answered just now to an operation that the program asked
    /// for at `place`.
    fn new(io: &Io, error: io::Error, place: &'static Location<'static>) -> Exhausted {
        Exhausted { error: Some(error), pause: Pause::new(io, place) }
    }
}

impl Future for Exhausted {
    type Output = io::Error;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Error> {
        // A runtime that has shut down has no timers; what the system said is true all the same.
        if self.pause.poll(context).is_pending() {
            return Poll::Pending;
        }
        let error = self.error.take();
        Poll::Ready(error.expect("an `Exhausted` is polled after it gave its output"))
    }
}
