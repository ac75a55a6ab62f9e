//! One operation on files: described as data, then done by whoever can.
//!
//! ```text
//!   asked ──► at once, without waiting? ──► on a ring? ──► on a thread of the blocking pool
//!                      │                     │     └─ refused ─▲        │
//!                      └─────────────────────┴────────► known ◄─────────┘
//! ```
//!
//! The description is kept apart from the running, so that a ring can take the one and leave the
//! other.

use std::future::Future;
use std::io;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::coop;
use crate::driver::{InFlight, Payload};
use crate::platform::probe;
use crate::platform::ring::{self, Operation};
use crate::runtime::Io;
use crate::task::{JoinError, JoinHandle};

/// What an operation does, with all that it needs.
pub(super) trait Work: Sized + Send + 'static {
    type Output: Send + 'static;

    /// What reports say that a task waits for.
    const WHAT: &'static str;

    /// For what a ring can do: how it does that.
    const ON_RING: Option<OnRing<Self>> = None;

    /// Does it, if that needs no waiting.
    fn run_now(&mut self) -> Option<io::Result<Self::Output>> {
        None
    }

    /// Does it, and blocks meanwhile.
    fn run(self) -> io::Result<Self::Output>;
}

/// How a ring does some work.
pub(super) struct OnRing<W: Work> {
    /// What the ring is to do. The memory that it names is there until the work is moved or
    /// dropped, and nobody else touches it until then.
    pub(super) describe: for<'a> fn(&'a mut W) -> Operation<'a>,
    /// What the work gives when the ring has done it.
    pub(super) finish: fn(W, io::Result<usize>) -> io::Result<W::Output>,
    /// Whether nobody cares for it any more once its future is dropped.
    pub(super) ends_with_future: bool,
}

/// Work on a ring.
struct Ringed<W> {
    work: W,
    io: Io,
    place: &'static Location<'static>,
}

// SAFETY: the contract of `describe` in `OnRing`, which every work in this module's folder keeps:
// each names the file that it holds, and memory on the heap that it alone holds.
unsafe impl<W: Work> Payload for Ringed<W> {
    const ENDS_WITH_FUTURE: bool = match W::ON_RING {
        Some(OnRing { ends_with_future, .. }) => ends_with_future,
        None => false,
    };

    fn describe(&mut self) -> Option<Operation<'_>> {
        W::ON_RING.map(|OnRing { describe, .. }| describe(&mut self.work))
    }

    /// What is to be done although nobody waits for it is not left undone because the ring refused
    /// it.
    fn land_alone(self, result: io::Result<usize>) {
        let Ringed { work, io, place } = self;
        if !Self::ENDS_WITH_FUTURE && result.is_err_and(|error| ring::is_refusal(&error)) {
            drop(io.scheduler().spawn_blocking(move || work.run(), place));
        }
    }
}

/// An operation and its state.
pub(super) struct Job<W: Work> {
    state: State<W>,
    place: &'static Location<'static>,
}

enum State<W: Work> {
    Asked { io: Io, work: W },
    InFlight(InFlight<Ringed<W>>),
    Running(JoinHandle<io::Result<W::Output>>),
    Known(io::Result<W::Output>),
    Taken,
}

// Neither the work nor its output is ever pinned.
impl<W: Work> Unpin for Job<W> {}

impl<W: Work> Job<W> {
    /// An operation that begins when it is first polled.
    pub(super) fn new(io: &Io, work: W, place: &'static Location<'static>) -> Job<W> {
        Job { state: State::Asked { io: io.clone(), work }, place }
    }

    /// # Panics
    /// If it has returned `Ready` before. A panic of the work goes on here.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<W::Output>> {
        loop {
            match std::mem::replace(&mut self.state, State::Taken) {
                State::Asked { io, mut work } => {
                    let runs = !io.scheduler().is_shut_down();
                    if let Some(known) = runs.then(|| work.run_now()).flatten() {
                        self.state = State::Known(known);
                    } else if W::ON_RING.is_none() {
                        self.run_on_thread(&io, work);
                    } else {
                        let scheduler = Arc::clone(io.scheduler());
                        match scheduler.begin_operation(Ringed { work, io, place: self.place }) {
                            Ok(operation) => self.state = State::InFlight(operation),
                            Err(Ringed { work, io, .. }) => self.run_on_thread(&io, work),
                        }
                    }
                }
                State::InFlight(operation) => match operation.poll(context) {
                    Poll::Ready((Err(error), Ringed { work, io, .. }))
                        if ring::is_refusal(&error) =>
                    {
                        self.run_on_thread(&io, work);
                    }
                    Poll::Ready((result, Ringed { work, .. })) => {
                        let OnRing { finish, .. } = W::ON_RING.expect("it was on a ring");
                        self.state = State::Known(finish(work, result));
                    }
                    Poll::Pending => {
                        self.state = State::InFlight(operation);
                        probe::task_waits(W::WHAT, self.place);
                        return Poll::Pending;
                    }
                },
                State::Running(mut running) => match Pin::new(&mut running).poll(context) {
                    Poll::Ready(ended) => self.state = State::Known(ended.unwrap_or_else(not_run)),
                    Poll::Pending => {
                        self.state = State::Running(running);
                        probe::task_waits(W::WHAT, self.place);
                        return Poll::Pending;
                    }
                },
                State::Known(known) => {
                    if coop::poll_proceed(context).is_pending() {
                        self.state = State::Known(known);
                        return Poll::Pending;
                    }
                    return Poll::Ready(known);
                }
                State::Taken => panic!("an operation on files is polled after it gave its output"),
            }
        }
    }
}

impl<W: Work> Job<W> {
    fn run_on_thread(&mut self, io: &Io, work: W) {
        let running = io.scheduler().spawn_blocking(move || work.run(), self.place);
        self.state = State::Running(running);
    }
}

/// The answer of an operation that gave none.
fn not_run<T>(error: JoinError) -> io::Result<T> {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(cancelled) => Err(io::Error::other(cancelled)),
    }
}

/// Declares the futures of operations that take no more than owned values: the work, its fields and
/// its output, what reports say, and what it does.
macro_rules! operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident = $work:ident { $($field:ident: $type:ty),* } -> $output:ty,
            $what:literal, |$this:ident| $run:expr;
    )+) => {$(
        pub(super) struct $work {
            $(pub(super) $field: $type,)*
        }

        impl $crate::fs::job::Work for $work {
            type Output = $output;

            const WHAT: &'static str = $what;

            fn run(self) -> std::io::Result<$output> {
                let $this = self;
                $run
            }
        }

        $(#[$attribute])*
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $name {
            job: $crate::fs::job::Job<$work>,
        }

        impl $name {
            pub(super) fn new(
                io: &$crate::runtime::Io,
                work: $work,
                place: &'static std::panic::Location<'static>,
            ) -> $name {
                $name { job: $crate::fs::job::Job::new(io, work, place) }
            }
        }

        impl std::future::Future for $name {
            type Output = std::io::Result<$output>;

            /// # Panics
            /// If it has returned `Ready` before.
            fn poll(
                mut self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<$output>> {
                self.job.poll(context)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}
pub(super) use operations;

/// Polls a job and makes something else of what it gives.
pub(super) fn poll_map<W: Work, R>(
    job: &mut Job<W>,
    context: &mut Context<'_>,
    f: impl FnOnce(W::Output) -> R,
) -> Poll<io::Result<R>> {
    Poll::Ready(ready!(job.poll(context)).map(f))
}
