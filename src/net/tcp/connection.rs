//! A connection, and what receives that were dropped have left of it.

use std::io::{self, ErrorKind, IoSliceMut};
use std::ops::Deref;

use super::leftover::Leftover;
use crate::platform::net as system;
#[cfg(not(volt_loom))]
use crate::platform::net::Registrar;
use crate::platform::net::Source;

/// The system's connection; reading it gives what is left over first.
pub(super) struct Connection {
    socket: system::TcpStream,
    leftover: Leftover,
}

impl Connection {
    pub(super) fn new(socket: system::TcpStream) -> Connection {
        Connection { socket, leftover: Leftover::new() }
    }

    pub(super) fn socket(&self) -> &system::TcpStream {
        &self.socket
    }

    pub(super) fn leftover(&self) -> &Leftover {
        &self.leftover
    }

    /// As the system's `read`.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.leftover.read(&mut [IoSliceMut::new(buffer)]) {
            Some(outcome) => outcome,
            None => self.socket.read(buffer),
        }
    }

    /// As the system's `read_vectored`.
    pub(super) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.leftover.read(buffers) {
            Some(outcome) => outcome,
            None => self.socket.read_vectored(buffers),
        }
    }

    /// As the system's `peek`.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.leftover.peek(buffer) {
            Some(outcome) => outcome,
            None => self.socket.peek(buffer),
        }
    }

    /// The standard library's connection.
    ///
    /// # Errors
    /// If bytes would be lost, or as the system's `into_std`.
    pub(super) fn into_std(self) -> io::Result<system::StdTcpStream> {
        match self.leftover.is_empty() {
            true => self.socket.into_std(),
            false => Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "the stream has bytes that a dropped `read_owned` has received: read them first",
            )),
        }
    }
}

/// All that is not reading is the system's.
impl Deref for Connection {
    type Target = system::TcpStream;

    fn deref(&self) -> &system::TcpStream {
        &self.socket
    }
}

#[cfg(volt_loom)]
impl Source for Connection {}

#[cfg(not(volt_loom))]
impl Source for Connection {
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        self.socket.register(registrar, token)
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        self.socket.deregister(registrar)
    }

    #[track_caller]
    fn register_late(&self, registrar: &Registrar, token: usize) -> io::Result<()> {
        self.socket.register_late(registrar, token)
    }

    #[track_caller]
    fn deregister_late(&self, registrar: &Registrar) -> io::Result<()> {
        self.socket.deregister_late(registrar)
    }
}
