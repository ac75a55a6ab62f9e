//! Waiting for the end of a process, and who does so when its handle is dropped.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::driver::{Direction, Registration};
use crate::net::operation::{Operation, Request};
use crate::platform::probe;
use crate::platform::process::{ExitSource, ExitStatus, Process};
use crate::runtime::Io;
use crate::task::AbortOnDrop;

/// What reports say of a task that waits.
const WHAT: &str = "a process to end";

/// How the end of a process is heard of.
enum Exit {
    /// The driver tells.
    Watched(Registration<ExitSource>),
    /// A job waits, from when somebody does.
    OnThread(Option<AbortOnDrop<io::Result<()>>>),
}

/// A process, and how its end is heard of. Dropping it leaves it to whoever starts the next one.
pub(super) struct Waited {
    process: Process,
    exit: Exit,
    io: Io,
}

impl Waited {
    /// # Errors
    /// If the runtime has shut down, or the driver cannot watch; the process is ended then.
    pub(super) fn new(io: &Io, mut process: Process) -> io::Result<Waited> {
        let exit = match process.exit_source() {
            None => Exit::OnThread(None),
            Some(source) => match io.scheduler().driver().register(source) {
                Ok(registration) => Exit::Watched(registration),
                Err(error) => {
                    // The first error is the one to tell.
                    let _ = process.kill();
                    return Err(error);
                }
            },
        };
        Ok(Waited { process, exit, io: io.clone() })
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    pub(super) fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    pub(super) fn wait(&mut self, place: &'static Location<'static>) -> Wait<'_> {
        let hears = match &mut self.exit {
            Exit::Watched(registration) => {
                let request = Request::of(WHAT, Direction::Read, place);
                Hears::Driver(Operation::new(registration, request))
            }
            Exit::OnThread(job) => Hears::Job { job, io: &self.io, place },
        };
        Wait { process: &mut self.process, hears }
    }

    pub(super) fn kill(&mut self, place: &'static Location<'static>) -> Kill<'_> {
        Kill { wait: self.wait(place), is_sent: false }
    }

    /// As [`Waited::wait`], for a task that waits by itself.
    pub(super) fn poll_wait(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<io::Result<ExitStatus>> {
        let Waited { process, exit, io } = self;
        match exit {
            Exit::Watched(registration) => {
                let request = Request::of(WHAT, Direction::Read, place);
                request.poll_io(registration, context, |_| ended(process))
            }
            Exit::OnThread(job) => poll_job(process, job, io, context, place),
        }
    }
}

/// How the process has ended.
///
/// # Errors
/// `WouldBlock` if it has not.
fn ended(process: &mut Process) -> io::Result<ExitStatus> {
    process.try_wait()?.ok_or_else(|| ErrorKind::WouldBlock.into())
}

/// Waits by a job on the blocking pool, which a later wait goes on with.
fn poll_job(
    process: &mut Process,
    job: &mut Option<AbortOnDrop<io::Result<()>>>,
    io: &Io,
    context: &mut Context<'_>,
    place: &'static Location<'static>,
) -> Poll<io::Result<ExitStatus>> {
    if let Some(status) = process.try_wait()? {
        return Poll::Ready(Ok(status));
    }
    let running = job.get_or_insert_with(|| {
        AbortOnDrop::new(io.scheduler().spawn_blocking(process.exit_wait(), place))
    });
    let Poll::Ready(waited) = Pin::new(running).poll(context) else {
        probe::task_waits(WHAT, place);
        return Poll::Pending;
    };
    *job = None;
    waited.map_err(io::Error::other)??;
    Poll::Ready(match process.try_wait()? {
        Some(status) => Ok(status),
        None => Err(io::Error::other("the system says that a process has ended, and that it runs")),
    })
}

/// A process that is waited for in any case: by its owner, or by a task when that is dropped.
pub(super) struct Reaped {
    /// `None` only in the drop.
    waited: Option<Waited>,
    kill_on_drop: bool,
    /// Where it was started.
    place: &'static Location<'static>,
}

impl Reaped {
    pub(super) fn new(
        waited: Waited,
        kill_on_drop: bool,
        place: &'static Location<'static>,
    ) -> Reaped {
        Reaped { waited: Some(waited), kill_on_drop, place }
    }

    pub(super) fn get(&self) -> &Waited {
        self.waited.as_ref().expect("it is there until it is dropped")
    }

    pub(super) fn get_mut(&mut self) -> &mut Waited {
        self.waited.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        let Some(mut waited) = self.waited.take() else { return };
        if self.kill_on_drop {
            // One that cannot be killed is waited for all the same.
            let _ = waited.process.kill();
        }
        // One that cannot be waited for has been reaped by somebody else.
        if !matches!(waited.process.try_wait(), Ok(None)) {
            return;
        }
        let (io, place) = (waited.io.clone(), self.place);
        // Its handle is dropped: the task runs on. If the runtime has shut down, it is dropped, and
        // the process is left to whoever starts the next one.
        let reap = async move { waited.wait(place).await };
        drop(io.spawn_named("reap a process", reap, place));
    }
}

/// What a wait hears of the end by.
enum Hears<'a> {
    Driver(Operation<'a, ExitSource>),
    Job {
        job: &'a mut Option<AbortOnDrop<io::Result<()>>>,
        io: &'a Io,
        place: &'static Location<'static>,
    },
}

/// The future of [`Child::wait`](super::Child::wait).
///
/// Cancel safety: nothing is lost; another wait gives the status.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Wait<'a> {
    process: &'a mut Process,
    hears: Hears<'a>,
}

impl Future for Wait<'_> {
    type Output = io::Result<ExitStatus>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Wait { process, hears } = &mut *self;
        match hears {
            Hears::Driver(operation) => operation.poll_io(context, |_| ended(process)),
            Hears::Job { job, io, place } => poll_job(process, job, io, context, place),
        }
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("id", &self.process.id()).finish_non_exhaustive()
    }
}

/// The future of [`Child::kill`](super::Child::kill).
///
/// Cancel safety: once polled, the process ends even if the wait is dropped.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Kill<'a> {
    wait: Wait<'a>,
    is_sent: bool,
}

impl Future for Kill<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_sent {
            self.wait.process.kill()?;
            self.is_sent = true;
        }
        ready!(Pin::new(&mut self.wait).poll(context))?;
        Poll::Ready(Ok(()))
    }
}
