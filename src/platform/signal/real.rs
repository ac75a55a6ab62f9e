//! The real machine's signals, on Unix.

use std::io::{self, ErrorKind, Read};

use mio::unix::pipe;
use mio::{Interest, Token};
use rustix::process::Signal;
use signal_hook_registry::SigId;

use super::SignalKind;
use crate::platform::net::real::{Registrar, Source};

/// Receives one kind of signal that the process is sent.
#[derive(Debug)]
pub struct SignalReceiver {
    pipe: pipe::Receiver,
    action: SigId,
}

impl SignalReceiver {
    /// A receiver of what is sent from now on. The signal's default action does not happen any
    /// more, not even when the receiver is gone.
    ///
    /// # Errors
    /// If the system has no descriptors for the pipe, or refuses the handler.
    pub fn open(kind: SignalKind) -> io::Result<SignalReceiver> {
        let (sender, pipe) = pipe::new()?;
        let tell = move || {
            // A pipe that is full tells already.
            let _ = rustix::io::write(&sender, &[0]);
        };
        // SAFETY: the action is one system call, `write`, which handlers may make. It does not
        // block, allocate, lock or panic; its descriptor is open for as long as the action is
        // registered, which owns it; the registry keeps `errno`.
        let action = unsafe { signal_hook_registry::register(signal(kind).as_raw(), tell) }?;
        Ok(SignalReceiver { pipe, action })
    }

    /// Takes the signal, however often it has come.
    ///
    /// # Errors
    /// `WouldBlock` if it has not.
    pub fn take(&self) -> io::Result<()> {
        let mut bytes = [0; 256];
        let mut has_come = false;
        loop {
            match (&self.pipe).read(&mut bytes) {
                Ok(count) if count == bytes.len() => has_come = true,
                // The other end is open for as long as this one, so it is not the pipe's.
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock && has_come => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for SignalReceiver {
    fn drop(&mut self) {
        // No handler runs the action any more when this returns.
        signal_hook_registry::unregister(self.action);
    }
}

impl Source for SignalReceiver {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        registrar.0.register(&mut self.pipe, Token(token), Interest::READABLE)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut self.pipe)
    }
}

/// As the system has it.
pub(in crate::platform) fn signal(kind: SignalKind) -> Signal {
    match kind {
        SignalKind::Hangup => Signal::HUP,
        SignalKind::Interrupt => Signal::INT,
        SignalKind::Quit => Signal::QUIT,
        SignalKind::User1 => Signal::USR1,
        SignalKind::User2 => Signal::USR2,
        SignalKind::Pipe => Signal::PIPE,
        SignalKind::Terminate => Signal::TERM,
        SignalKind::Child => Signal::CHILD,
        SignalKind::WindowChange => Signal::WINCH,
    }
}
