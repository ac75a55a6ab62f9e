//! Processes: starting them, talking to them by pipes, waiting for their end.
//!
//! | file | what it is |
//! |---|---|
//! | `command` | what to start, and how |
//! | `child` | a process that was started |
//! | `reaper` | waiting for its end, and who does so when its handle is dropped |
//! | `pipes` | what it reads and writes |
//! | `output` | waiting while reading all that it writes |
//!
//! ```
//! use volt::process::{Command, Stdio};
//!
//! # if !cfg!(unix) { return }
//! volt::run(|io| async move {
//!     let mut child =
//!         Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn(&io)?;
//!     let input = child.stdin.take().expect("it has a pipe");
//!     input.write_all(b"hello").await?;
//!     drop(input); // the end of what it reads
//!     let output = child.wait_with_output().await?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello");
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```
//!
//! # How the end of a process is heard of
//!
//! On Linux the runtime's driver watches a descriptor of the process, so that nobody waits on a
//! thread and nothing is asked again and again. Where there is none (before Linux 5.3, in
//! sandboxes that forbid it, on other Unix systems, whose kqueue cannot be asked for it through the
//! driver) a thread of the blocking pool waits, from the first [`Child::wait`] on: shutting the
//! runtime down waits for that thread, too. On Windows processes cannot be started yet; in a
//! simulation they cannot be. Both are errors of kind `Unsupported` that say so.
//!
//! # No zombies
//!
//! A process that has ended stays in the system's table until somebody asks how: a [`Child`] that
//! is dropped leaves that to a task of its runtime. When the runtime shuts down before the process
//! ends, it is left to the next process that is started.

mod child;
mod command;
mod output;
mod pipes;
mod reaper;

pub use crate::platform::process::{ExitStatus, Output, Stdio};
pub use child::Child;
pub use command::Command;
pub use output::{CommandOutput, CommandStatus, WaitWithOutput};
pub use pipes::{ChildStderr, ChildStdin, ChildStdout, Read, Write, WriteAll};
pub use reaper::{Kill, Wait};
