//! What to start, and how.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::panic::Location;
use std::path::Path;

use super::pipes::{ChildStderr, ChildStdin, ChildStdout};
use super::reaper::Waited;
use super::{Child, CommandOutput, CommandStatus, Stdio};
#[cfg(unix)]
use crate::platform::process::CommandExt;
use crate::platform::process::{self as system, CommandArgs, CommandEnvs, Spawned, StdCommand};
use crate::runtime::Io;

/// Sets up a process, as `std::process::Command` does, and starts it.
///
/// It can start several. Unless said otherwise, a process inherits the environment, the working
/// directory and the three standard streams of this one.
///
/// ```
/// use volt::process::Command;
///
/// # if !cfg!(unix) { return }
/// volt::run(|io| async move {
///     let mut command = Command::new("sh");
///     command.args(["-c", "echo $GREETING from $PWD"]).env("GREETING", "hello").current_dir("/");
///     let output = command.output(&io).await?;
///     assert_eq!(output.stdout, b"hello from /\n");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct Command {
    command: StdCommand,
    kill_on_drop: bool,
    /// Which of the three streams the program has set.
    is_set: [bool; 3],
}

impl Command {
    /// Starts `program`, which is looked for in `PATH` unless it is a path.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command::from_std(StdCommand::new(program))
    }

    /// Takes a command of the standard library over. What that has set for standard input, output
    /// and errors holds for [`spawn`](Command::spawn); [`output`](Command::output) captures both
    /// outputs and closes the input unless they are set here.
    pub fn from_std(command: StdCommand) -> Command {
        Command { command, kill_on_drop: false, is_set: [false; 3] }
    }

    /// The command of the standard library.
    pub fn as_std(&self) -> &StdCommand {
        &self.command
    }

    /// One more argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(
        &mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> &mut Command {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.command.env(name, value);
        self
    }

    /// Sets variables of its environment.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Command {
        self.command.envs(variables);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.command.env_remove(name);
        self
    }

    /// Takes all variables out of its environment, also those that it would inherit.
    pub fn env_clear(&mut self) -> &mut Command {
        self.command.env_clear();
        self
    }

    /// Sets its working directory.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.command.current_dir(directory);
        self
    }

    /// Sets what it reads.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.command.stdin(stdin);
        self.is_set[0] = true;
        self
    }

    /// Sets where it writes.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.command.stdout(stdout);
        self.is_set[1] = true;
        self
    }

    /// Sets where it writes errors.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.command.stderr(stderr);
        self.is_set[2] = true;
        self
    }

    /// Whether a process ends, by `SIGKILL`, when its [`Child`] is dropped; also when a task that
    /// holds it is cancelled, and when the runtime shuts down. It does not unless set.
    ///
    /// ```
    /// use volt::process::Command;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn(&io)?;
    ///     drop(child); // `sleep` ends
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.kill_on_drop = kill;
        self
    }

    /// What it starts.
    pub fn get_program(&self) -> &OsStr {
        self.command.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.command.get_args()
    }

    /// What is set of the environment; a variable without a value is one to be taken out.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.command.get_envs()
    }

    /// The working directory, if it is set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.command.get_current_dir()
    }

    /// Starts a process, on the calling thread, which takes about as long as the system takes to
    /// load the program.
    ///
    /// # Errors
    /// What the system says, such as `NotFound` for a program that is not there; if the runtime
    /// has shut down; `Unsupported` in a simulation, and on Windows.
    ///
    /// ```
    /// use volt::process::Command;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let error = Command::new("no such program").spawn(&io).unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn(&mut self, io: &Io) -> io::Result<Child> {
        let place = Location::caller();
        let Spawned { process, stdin, stdout, stderr } = system::spawn(&mut self.command)?;
        let mut waited = Waited::new(io, process)?;
        let driver = io.scheduler().driver();
        let stdin = stdin.map(|pipe| ChildStdin::new(driver, pipe)).transpose();
        let stdout = stdout.map(|pipe| ChildStdout::new(driver, pipe)).transpose();
        let stderr = stderr.map(|pipe| ChildStderr::new(driver, pipe)).transpose();
        match (stdin, stdout, stderr) {
            (Ok(stdin), Ok(stdout), Ok(stderr)) => {
                Ok(Child::new(waited, stdin, stdout, stderr, self.kill_on_drop, place))
            }
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                // The first error is the one to tell.
                let _ = waited.process_mut().kill();
                Err(error)
            }
        }
    }

    /// Starts a process, at once, and waits until it has ended.
    ///
    /// Cancel safety: dropping the future drops the [`Child`].
    ///
    /// # Errors
    /// The future's: as [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// ```
    /// use volt::process::Command;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     assert!(Command::new("true").status(&io).await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn status(&mut self, io: &Io) -> CommandStatus {
        let place = Location::caller();
        CommandStatus::new(self.spawn(io), place)
    }

    /// Starts a process, at once, waits until it has ended, and gives all that it has written.
    /// Standard output and errors are captured, and there is nothing to read, unless they are set
    /// otherwise.
    ///
    /// Cancel safety: dropping the future drops the [`Child`].
    ///
    /// # Errors
    /// The future's: as [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// ```
    /// use volt::process::Command;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let output = Command::new("echo").arg("hello").output(&io).await?;
    ///     assert_eq!(output.stdout, b"hello\n");
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn output(&mut self, io: &Io) -> CommandOutput {
        let place = Location::caller();
        let [has_stdin, has_stdout, has_stderr] = self.is_set;
        if !has_stdin {
            self.command.stdin(Stdio::null());
        }
        if !has_stdout {
            self.command.stdout(Stdio::piped());
        }
        if !has_stderr {
            self.command.stderr(Stdio::piped());
        }
        let started = self.spawn(io).map(|mut child| {
            drop(child.stdin.take());
            child
        });
        // For the processes that it starts next.
        if !has_stdin {
            self.command.stdin(Stdio::inherit());
        }
        if !has_stdout {
            self.command.stdout(Stdio::inherit());
        }
        if !has_stderr {
            self.command.stderr(Stdio::inherit());
        }
        CommandOutput::new(started, place)
    }
}

#[cfg(unix)]
impl Command {
    /// The user that it runs as.
    pub fn uid(&mut self, user: u32) -> &mut Command {
        self.command.uid(user);
        self
    }

    /// The group that it runs as.
    pub fn gid(&mut self, group: u32) -> &mut Command {
        self.command.gid(group);
        self
    }

    /// The name that it sees itself by, in place of the program's.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.command.arg0(name);
        self
    }

    /// The group of processes that it belongs to; 0 is a new one of its own, which a Ctrl-C at the
    /// terminal does not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.command.process_group(group);
        self
    }

    /// Has `f` called in the new process, before the program is loaded.
    ///
    /// # Safety
    /// `f` runs where only the thread that forks is left: it may make no call that a signal
    /// handler must not make. It must not allocate, lock, or touch what other threads left half
    /// done.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller vouches for it.
        unsafe { self.command.pre_exec(f) };
        self
    }
}

impl From<StdCommand> for Command {
    fn from(command: StdCommand) -> Command {
        Command::from_std(command)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}
