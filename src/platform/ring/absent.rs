//! Where there are no rings.

use std::io::{self, ErrorKind};

use super::{Completion, Operation};

/// There are none.
///
/// # Errors
/// `Unsupported`, always.
pub fn probe() -> io::Result<()> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "io_uring is Linux's: choose `Backend::Auto`, which takes what this system has",
    ))
}

/// A completion queue; there is none here.
#[derive(Debug)]
pub enum Ring {}

impl Ring {
    /// There is none.
    ///
    /// # Errors
    /// `Unsupported`, always.
    pub fn new(_: u32) -> io::Result<Ring> {
        probe().map(|()| unreachable!("the probe fails"))
    }

    /// See the [module](super).
    ///
    /// # Safety
    /// Nothing can call it.
    pub unsafe fn submit(&mut self, _: u64, _: &Operation<'_>) -> bool {
        match *self {}
    }

    /// See the [module](super).
    pub fn cancel(&mut self, _: u64, _: u64) -> bool {
        match *self {}
    }

    /// See the [module](super).
    ///
    /// # Errors
    /// Nothing can call it.
    pub fn turn(&mut self, _: bool, _: &mut Vec<Completion>) -> io::Result<bool> {
        match *self {}
    }

    /// See the [module](super).
    ///
    /// # Errors
    /// Nothing can call it.
    pub fn signal(&self) -> io::Result<RingSignal> {
        match *self {}
    }
}

/// Tells of the completions of a ring; there is none here.
#[derive(Debug)]
pub enum RingSignal {}

#[cfg(not(volt_loom))]
impl crate::platform::net::Source for RingSignal {
    fn register(&mut self, _: &crate::platform::net::Registrar, _: usize) -> io::Result<()> {
        match *self {}
    }

    fn deregister(&mut self, _: &crate::platform::net::Registrar) -> io::Result<()> {
        match *self {}
    }
}

#[cfg(volt_loom)]
impl crate::platform::net::Source for RingSignal {}
