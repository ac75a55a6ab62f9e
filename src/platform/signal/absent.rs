//! Signals where the system has none that a readiness queue could hear of.

use std::io::{self, ErrorKind};

use super::SignalKind;
use crate::platform::net::real::{Registrar, Source};

/// Receives one kind of signal. There is none.
#[derive(Debug)]
pub enum SignalReceiver {}

impl SignalReceiver {
    /// Refuses.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn open(kind: SignalKind) -> io::Result<SignalReceiver> {
        let message = format!(
            "{kind} cannot be listened to: signals are there on Unix alone; on this system have \
             the program told to end in another way, by a connection for example"
        );
        Err(io::Error::new(ErrorKind::Unsupported, message))
    }

    /// Takes the signal.
    ///
    /// # Errors
    /// None, as there is no receiver.
    pub fn take(&self) -> io::Result<()> {
        match *self {}
    }
}

impl Source for SignalReceiver {
    fn register(&mut self, _: &Registrar, _: usize) -> io::Result<()> {
        match *self {}
    }

    fn deregister(&mut self, _: &Registrar) -> io::Result<()> {
        match *self {}
    }
}
