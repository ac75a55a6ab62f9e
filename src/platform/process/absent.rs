//! Processes where Volt cannot wait for them without a thread for each.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};

use super::{ExitStatus, Spawned, StdCommand, Stdio};
use crate::platform::net::real::{Registrar, Source};
use crate::platform::signal::SignalKind;

/// Refuses.
///
/// # Errors
/// `Unsupported`.
pub(super) fn spawn(_: &mut StdCommand) -> io::Result<Spawned> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "processes cannot be started on this system yet: run `std::process::Command` on the \
         blocking pool, by `io.spawn_blocking`",
    ))
}

/// A process. There is none.
#[derive(Debug)]
pub enum Process {}

impl Process {
    /// Its number.
    pub fn id(&self) -> u32 {
        match *self {}
    }

    /// How it ended.
    ///
    /// # Errors
    /// None, as there is no process.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match *self {}
    }

    /// Ends it.
    ///
    /// # Errors
    /// None, as there is no process.
    pub fn kill(&mut self) -> io::Result<()> {
        match *self {}
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// None, as there is no process.
    pub fn signal(&mut self, _: SignalKind) -> io::Result<()> {
        match *self {}
    }

    /// What tells of its end.
    pub fn exit_source(&self) -> Option<ExitSource> {
        match *self {}
    }

    /// A function that waits until it has ended.
    pub fn exit_wait(&self) -> Box<dyn FnOnce() -> io::Result<()> + Send> {
        match *self {}
    }
}

/// Declares sources that there are none of.
macro_rules! absent {
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $(#[$attribute])*
        #[derive(Debug)]
        pub enum $name {}

        impl Source for $name {
            fn register(&mut self, _: &Registrar, _: usize) -> io::Result<()> {
                match *self {}
            }

            fn deregister(&mut self, _: &Registrar) -> io::Result<()> {
                match *self {}
            }
        }
    )+};
}

absent! {
    /// Tells of the end of a process. There is none.
    ExitSource;
    /// The end of a pipe that a process reads from. There is none.
    PipeWriter;
    /// The end of a pipe that a process writes to. There is none.
    PipeReader;
}

impl PipeWriter {
    /// Writes.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn write(&self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    /// Writes.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        match *self {}
    }

    /// The pipe for another process.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn into_stdio(self) -> io::Result<Stdio> {
        match self {}
    }
}

impl PipeReader {
    /// Reads.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    /// Reads.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn read_vectored(&self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match *self {}
    }

    /// The pipe for another process.
    ///
    /// # Errors
    /// None, as there is no pipe.
    pub fn into_stdio(self) -> io::Result<Stdio> {
        match self {}
    }
}
