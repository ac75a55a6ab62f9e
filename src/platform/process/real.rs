//! The real machine's processes, on Unix.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::process::Child;

#[cfg(target_os = "linux")]
use mio::unix::SourceFd;
use mio::unix::pipe;
use mio::{Interest, Token};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open};

use super::{ExitStatus, Spawned, StdCommand, Stdio};
use crate::platform::net::real::{Registrar, Source};
use crate::platform::signal::SignalKind;
use crate::platform::signal::real::signal;

/// Processes that nobody owns and that had not ended when they were last looked at. They are
/// reaped when the next process is started, so there are never more zombies than there were
/// processes at once.
static ORPHANS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn reap_orphans() {
    // One that cannot be waited for has been reaped by somebody else.
    ORPHANS.lock().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

/// See the [module](super).
///
/// # Errors
/// As there.
pub(super) fn spawn(command: &mut StdCommand) -> io::Result<Spawned> {
    reap_orphans();
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().map(OwnedFd::from).map(PipeWriter::new);
    let stdout = child.stdout.take().map(OwnedFd::from).map(PipeReader::new);
    let stderr = child.stderr.take().map(OwnedFd::from).map(PipeReader::new);
    let mut process = Process(Some(child));
    match (stdin.transpose(), stdout.transpose(), stderr.transpose()) {
        (Ok(stdin), Ok(stdout), Ok(stderr)) => Ok(Spawned { process, stdin, stdout, stderr }),
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
            // The first error is the one to tell.
            let _ = process.kill();
            Err(error)
        }
    }
}

/// A process that was started. Dropping it leaves it running, and has it reaped in time.
#[derive(Debug)]
pub struct Process(Option<Child>);

impl Process {
    fn child(&self) -> &Child {
        self.0.as_ref().expect("it is there until the process is dropped")
    }

    fn child_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is there until the process is dropped")
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// How it ended, if it has: then it is reaped, and the answer stays the same.
    ///
    /// # Errors
    /// What the system says; such as that somebody else has reaped it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child_mut().try_wait()
    }

    /// Ends it at once. One that has ended is left alone.
    ///
    /// # Errors
    /// Such as `PermissionDenied`, for one that runs as another user.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child_mut().kill()
    }

    /// Sends it a signal. One that has ended is left alone.
    ///
    /// # Errors
    /// Such as `PermissionDenied`, for one that runs as another user.
    pub fn signal(&mut self, kind: SignalKind) -> io::Result<()> {
        // Nobody else reaps it, so until we do the number is its own.
        if self.try_wait()?.is_none() {
            kill_process(Pid::from_child(self.child()), signal(kind))?;
        }
        Ok(())
    }

    /// What tells of its end, where the system has that.
    pub fn exit_source(&self) -> Option<ExitSource> {
        ExitSource::of(self.child())
    }

    /// A function that waits until it has ended, and leaves it to be reaped.
    ///
    /// # Errors
    /// The function's: what the system says.
    pub fn exit_wait(&self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let process = Pid::from_child(self.child());
        // Before the first call, or between two of them when a signal ends one, the owner may reap
        // the process, and the system may give its number to another. If that is a child of this
        // process too, the call waits for the end of a stranger. It reaps nothing, and the owner
        // has the status already: what it costs is that this thread is held up for so long, and
        // with it the end of a runtime that waits for its threads.
        move || loop {
            match waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                // With `CHILD` somebody has reaped it, who looked between two of our calls.
                Ok(_) | Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && matches!(child.try_wait(), Ok(None))
        {
            ORPHANS.lock().push(child);
        }
    }
}

/// Tells of the end of a process: it becomes readable.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct ExitSource(OwnedFd);

#[cfg(target_os = "linux")]
impl ExitSource {
    /// `None` if the kernel has none, a sandbox forbids it, or there are no descriptors left: then
    /// a thread must wait.
    fn of(child: &Child) -> Option<ExitSource> {
        pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok().map(ExitSource)
    }
}

#[cfg(target_os = "linux")]
impl Source for ExitSource {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        let descriptor = self.0.as_raw_fd();
        registrar.0.register(&mut SourceFd(&descriptor), Token(token), Interest::READABLE)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut SourceFd(&self.0.as_raw_fd()))
    }
}

/// Tells of the end of a process. There is none on this system: what kqueue could tell, mio does
/// not pass on.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub enum ExitSource {}

#[cfg(not(target_os = "linux"))]
impl ExitSource {
    fn of(_: &Child) -> Option<ExitSource> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
impl Source for ExitSource {
    fn register(&mut self, _: &Registrar, _: usize) -> io::Result<()> {
        match *self {}
    }

    fn deregister(&mut self, _: &Registrar) -> io::Result<()> {
        match *self {}
    }
}

/// The end of a pipe that a process reads from. None of its calls blocks.
#[derive(Debug)]
pub struct PipeWriter(pipe::Sender);

impl PipeWriter {
    fn new(descriptor: OwnedFd) -> io::Result<PipeWriter> {
        let pipe = pipe::Sender::from(descriptor);
        pipe.set_nonblocking(true)?;
        Ok(PipeWriter(pipe))
    }

    /// Writes as many of `bytes` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; `BrokenPipe` if nobody reads.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    /// Writes as many bytes of one slice after the other as there is room for.
    ///
    /// # Errors
    /// As [`PipeWriter::write`].
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }

    /// The pipe for another process, whose writes block.
    ///
    /// # Errors
    /// If it cannot be told to block.
    pub fn into_stdio(self) -> io::Result<Stdio> {
        self.0.set_nonblocking(false)?;
        Ok(OwnedFd::from(self.0).into())
    }
}

impl Source for PipeWriter {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        registrar.0.register(&mut self.0, Token(token), Interest::WRITABLE)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.0)
    }
}

/// The end of a pipe that a process writes to. None of its calls blocks.
#[derive(Debug)]
pub struct PipeReader(pipe::Receiver);

impl PipeReader {
    fn new(descriptor: OwnedFd) -> io::Result<PipeReader> {
        let pipe = pipe::Receiver::from(descriptor);
        pipe.set_nonblocking(true)?;
        Ok(PipeReader(pipe))
    }

    /// Reads what is there; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Reads what is there into one buffer after the other.
    ///
    /// # Errors
    /// As [`PipeReader::read`].
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0).read_vectored(buffers)
    }

    /// The pipe for another process, whose reads block.
    ///
    /// # Errors
    /// If it cannot be told to block.
    pub fn into_stdio(self) -> io::Result<Stdio> {
        self.0.set_nonblocking(false)?;
        Ok(OwnedFd::from(self.0).into())
    }
}

impl Source for PipeReader {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        registrar.0.register(&mut self.0, Token(token), Interest::READABLE)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.0)
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::io::ErrorKind;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn shell(script: &str) -> StdCommand {
        let mut command = StdCommand::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn waiting_on_a_thread_leaves_the_status_to_the_owner() {
        let mut process = spawn(&mut shell("exit 3")).unwrap().process;
        process.exit_wait()().unwrap();
        let status = process.try_wait().unwrap().expect("it has ended");
        assert_eq!(status.code(), Some(3));
        // It is reaped now: whoever comes too late does not wait.
        process.exit_wait()().unwrap();
        assert_eq!(process.try_wait().unwrap(), Some(status));
        process.kill().unwrap();
    }

    #[test]
    fn an_orphan_is_reaped_once_it_has_ended_and_another_process_starts() {
        let mut spawned = spawn(shell("read line").stdin(Stdio::piped())).unwrap();
        let id = spawned.process.id();
        let input = spawned.stdin.take();
        drop(spawned);
        assert!(ORPHANS.lock().iter().any(|child| child.id() == id));
        drop(input);
        let began = Instant::now();
        while ORPHANS.lock().iter().any(|child| child.id() == id) {
            assert!(began.elapsed() < Duration::from_secs(30), "it is not reaped");
            thread::sleep(Duration::from_millis(1));
            drop(spawn(&mut shell("true")).unwrap());
        }
    }

    #[test]
    fn pipes_do_not_block_until_they_are_another_ones() {
        let spawned =
            spawn(shell("read line; echo $line").stdin(Stdio::piped()).stdout(Stdio::piped()));
        let spawned = spawned.unwrap();
        let (input, output) = (spawned.stdin.unwrap(), spawned.stdout.unwrap());
        let blocks = output.read(&mut [0; 8]).unwrap_err();
        assert_eq!(blocks.kind(), ErrorKind::WouldBlock);
        let next = spawn(shell("cat").stdin(output.into_stdio().unwrap()).stdout(Stdio::piped()));
        let next = next.unwrap();
        let slices = [IoSlice::new(b"he"), IoSlice::new(b"llo\n")];
        assert_eq!(input.write_vectored(&slices).unwrap(), 6);
        next.process.exit_wait()().unwrap();
        let (mut first, mut second) = ([0; 2], [0; 8]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(next.stdout.unwrap().read_vectored(&mut buffers).unwrap(), 6);
        assert_eq!((&first, &second[..4]), (b"he", &b"llo\n"[..]));
    }
}
