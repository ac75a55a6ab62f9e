//! Processes, and their pipes and ends as sources of the readiness queue.
//!
//! | where | how the end of a process is heard of |
//! |---|---|
//! | Linux | a process descriptor, watched by the readiness queue |
//! | Linux without them, other Unix systems | a thread that waits, without taking the status |
//! | Windows and others | there are no processes: an error |
//! | simulated threads | there are no processes: an error |
//!
//! Nothing here reaps a process that its owner may still send a signal to, or the number would be
//! another one's: whoever waits on a thread leaves the status where it is.

#[cfg(any(not(unix), target_os = "openbsd", target_os = "redox"))]
#[path = "absent.rs"]
mod real;
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
mod real;
#[cfg(all(feature = "sim", not(volt_loom)))]
mod simulated;

use std::io::{self, ErrorKind};

pub use real::{ExitSource, PipeReader, PipeWriter, Process};
#[cfg(unix)]
pub use std::os::unix::process::CommandExt;
pub use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::thread::is_simulated;

/// The command of the standard library, which layers above must not name themselves.
pub type StdCommand = std::process::Command;

/// A process that was just started, and this end of each of its pipes.
#[derive(Debug)]
pub struct Spawned {
    /// The process.
    pub process: Process,
    /// What it reads.
    pub stdin: Option<PipeWriter>,
    /// What it writes.
    pub stdout: Option<PipeReader>,
    /// What it writes of errors.
    pub stderr: Option<PipeReader>,
}

/// Starts a process.
///
/// # Errors
/// What the system says, such as `NotFound`; `Unsupported` on a simulated thread and where there
/// are no processes.
pub fn spawn(command: &mut StdCommand) -> io::Result<Spawned> {
    if is_simulated() {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "processes cannot be simulated: what another program does does not follow the seed. \
             Have the test give the program what the process would, or test this part without the \
             simulation",
        ));
    }
    real::spawn(command)
}
