//! A process that was started.

use std::fmt;
use std::io;
use std::panic::Location;
use std::task::{Context, Poll};

use super::pipes::{ChildStderr, ChildStdin, ChildStdout};
use super::reaper::{Kill, Reaped, Wait, Waited};
use super::{ExitStatus, WaitWithOutput};
use crate::signal::SignalKind;

/// A process that was started by [`Command::spawn`](super::Command::spawn).
///
/// Dropping it leaves the process running, unless
/// [`kill_on_drop`](super::Command::kill_on_drop) was asked for. Either way it leaves no zombie:
/// see the [module](super).
///
/// ```
/// use volt::process::Command;
///
/// # if !cfg!(unix) { return }
/// volt::run(|io| async move {
///     let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn(&io)?;
///     assert_eq!(child.wait().await?.code(), Some(3));
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct Child {
    /// What it reads, if that is a pipe. Dropping it is the end of what it reads.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// What it writes of errors, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    process: Reaped,
}

impl Child {
    pub(super) fn new(
        waited: Waited,
        stdin: Option<ChildStdin>,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        kill_on_drop: bool,
        place: &'static Location<'static>,
    ) -> Child {
        Child { stdin, stdout, stderr, process: Reaped::new(waited, kill_on_drop, place) }
    }

    /// Its number. When it has ended and was waited for, the system may give the number to another
    /// process.
    pub fn id(&self) -> u32 {
        self.process.get().process().id()
    }

    /// Waits until the process has ended, and says how. What it reads ends first: `stdin` is
    /// dropped, or the process might wait for input while it is waited for.
    ///
    /// A process that writes more than a pipe holds, which nobody reads, does not end: read its
    /// pipes meanwhile, or use [`wait_with_output`](Child::wait_with_output).
    ///
    /// Cancel safety: nothing is lost. Once the process has ended, each wait gives the same.
    ///
    /// # Errors
    /// If the runtime has shut down; what the system says, such as that other code has waited for
    /// the process.
    #[track_caller]
    pub fn wait(&mut self) -> Wait<'_> {
        drop(self.stdin.take());
        self.process.get_mut().wait(Location::caller())
    }

    /// How the process has ended; `None` if it has not.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// use volt::process::{Command, Stdio};
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let mut child = Command::new("cat").stdin(Stdio::piped()).spawn(&io)?;
    ///     assert!(child.try_wait()?.is_none());
    ///     drop(child.stdin.take());
    ///     let status = child.wait().await?;
    ///     assert_eq!(child.try_wait()?, Some(status));
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.get_mut().process_mut().try_wait()
    }

    /// Ends the process at once, by `SIGKILL`, and waits until it has ended. One that has ended is
    /// left alone.
    ///
    /// Cancel safety: once polled, the process ends even if the wait is dropped.
    ///
    /// # Errors
    /// As [`start_kill`](Child::start_kill) and [`wait`](Child::wait).
    ///
    /// ```
    /// use volt::process::Command;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let mut child = Command::new("sleep").arg("1000").spawn(&io)?;
    ///     child.kill().await?;
    ///     assert!(!child.wait().await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn kill(&mut self) -> Kill<'_> {
        self.process.get_mut().kill(Location::caller())
    }

    /// Sends the process a signal; `SIGTERM` asks it to end. One that has ended is left alone.
    ///
    /// # Errors
    /// Such as `PermissionDenied`, for one that runs as another user.
    ///
    /// ```
    /// use volt::process::Command;
    /// use volt::signal::SignalKind;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let mut child = Command::new("sleep").arg("1000").spawn(&io)?;
    ///     child.signal(SignalKind::Terminate)?;
    ///     assert!(!child.wait().await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[doc(alias = "terminate")]
    pub fn signal(&mut self, kind: SignalKind) -> io::Result<()> {
        self.process.get_mut().process_mut().signal(kind)
    }

    /// Ends the process at once, by `SIGKILL`, and does not wait. One that has ended is left
    /// alone.
    ///
    /// # Errors
    /// Such as `PermissionDenied`, for one that runs as another user.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.process.get_mut().process_mut().kill()
    }

    /// Reads all that the process writes to its pipes, waits until it has ended, and gives both.
    /// `stdin` is dropped first.
    ///
    /// Its memory has no bound: it holds what the process writes.
    ///
    /// Cancel safety: none. What was read is lost; the child is dropped.
    ///
    /// # Errors
    /// As [`wait`](Child::wait); what reading answers.
    #[track_caller]
    pub fn wait_with_output(mut self) -> WaitWithOutput {
        drop(self.stdin.take());
        WaitWithOutput::new(self, Location::caller())
    }

    pub(super) fn poll_wait(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<io::Result<ExitStatus>> {
        self.process.get_mut().poll_wait(context, place)
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).finish_non_exhaustive()
    }
}
