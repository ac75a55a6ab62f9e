//! Signals of `sim` builds: a receiver that is opened on a simulated thread hears what the test
//! sends to its host, any other one what the process is sent.

use std::fmt;
use std::io;

use volt_sim::net;

use super::{SignalKind, real};
use crate::platform::net::simulated::{Registrar, Source, World, check_thread, other_world};
use crate::platform::thread::is_simulated;

/// Receives one kind of signal.
pub struct SignalReceiver(World<real::SignalReceiver, net::SignalReceiver>);

impl SignalReceiver {
    /// A receiver of what is sent from now on.
    ///
    /// # Errors
    /// If the system has no descriptors for it, or refuses the handler.
    #[track_caller]
    pub fn open(kind: SignalKind) -> io::Result<SignalReceiver> {
        Ok(SignalReceiver(match is_simulated() {
            true => World::Simulated(net::SignalReceiver::open(kind as u32)?),
            false => World::Real(real::SignalReceiver::open(kind)?),
        }))
    }

    /// Takes the signal, however often it has come.
    ///
    /// # Errors
    /// `WouldBlock` if it has not.
    #[track_caller]
    pub fn take(&self) -> io::Result<()> {
        match &self.0 {
            World::Real(receiver) => {
                check_thread()?;
                receiver.take()
            }
            World::Simulated(receiver) => receiver.take(),
        }
    }
}

impl Source for SignalReceiver {
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        match (&mut self.0, &registrar.0) {
            (World::Real(receiver), World::Real(registrar)) => {
                check_thread()?;
                registrar.register(receiver, token)
            }
            (World::Simulated(receiver), World::Simulated(poller)) => receiver.watch(poller, token),
            _ => Err(other_world()),
        }
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        match (&mut self.0, &registrar.0) {
            (World::Real(receiver), World::Real(registrar)) => {
                check_thread()?;
                registrar.deregister(receiver)
            }
            (World::Simulated(receiver), World::Simulated(poller)) => receiver.unwatch(poller),
            _ => Err(other_world()),
        }
    }
}

impl fmt::Debug for SignalReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            World::Real(receiver) => receiver.fmt(f),
            World::Simulated(receiver) => receiver.fmt(f),
        }
    }
}
