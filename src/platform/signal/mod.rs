//! Signals, as sources of the readiness queue: each receiver is a pipe of its own, into which the
//! signal's handler writes.
//!
//! | built with | what it is |
//! |---|---|
//! | `real` alone | a pipe, on Unix; elsewhere an error |
//! | `sim` too | what is opened on a simulated thread hears what its host is sent |
//!
//! A handler may do next to nothing: it interrupts a thread wherever that is. Writing a byte into a
//! pipe that does not block is allowed, and needs no thread that waits, no lock and no table.

#[cfg(not(unix))]
#[path = "absent.rs"]
mod real;
#[cfg(unix)]
pub(super) mod real;
#[cfg(all(feature = "sim", not(volt_loom)))]
mod simulated;

#[cfg(not(all(feature = "sim", not(volt_loom))))]
use real as face;
#[cfg(all(feature = "sim", not(volt_loom)))]
use simulated as face;

pub use face::SignalReceiver;

/// What a signal is about.
///
/// ```
/// use volt::signal::SignalKind;
///
/// assert_eq!(SignalKind::Terminate.to_string(), "SIGTERM");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignalKind {
    /// `SIGHUP`: the terminal is gone; to a server, often: read the configuration anew.
    Hangup,
    /// `SIGINT`: the user has pressed Ctrl-C.
    Interrupt,
    /// `SIGQUIT`: the user has pressed Ctrl-\.
    Quit,
    /// `SIGUSR1`: what the program makes of it.
    User1,
    /// `SIGUSR2`: what the program makes of it.
    User2,
    /// `SIGPIPE`: a write to a pipe or socket that nobody reads.
    Pipe,
    /// `SIGTERM`: the program is asked to end.
    Terminate,
    /// `SIGCHLD`: a child has ended, stopped or gone on.
    Child,
    /// `SIGWINCH`: the terminal has another size.
    WindowChange,
}

impl SignalKind {
    fn name(self) -> &'static str {
        match self {
            SignalKind::Hangup => "SIGHUP",
            SignalKind::Interrupt => "SIGINT",
            SignalKind::Quit => "SIGQUIT",
            SignalKind::User1 => "SIGUSR1",
            SignalKind::User2 => "SIGUSR2",
            SignalKind::Pipe => "SIGPIPE",
            SignalKind::Terminate => "SIGTERM",
            SignalKind::Child => "SIGCHLD",
            SignalKind::WindowChange => "SIGWINCH",
        }
    }
}

/// Its name in C.
impl std::fmt::Display for SignalKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
