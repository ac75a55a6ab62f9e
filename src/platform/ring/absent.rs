//! Where there are no rings.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::{Completion, Operation};
use crate::platform::net::Poller;

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
    pub fn new(_: u32, _: bool) -> io::Result<Ring> {
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
    pub fn wait(
        &mut self,
        _: Option<Duration>,
        _: Option<&Poller>,
        _: &mut Vec<Completion>,
    ) -> io::Result<bool> {
        match *self {}
    }

    /// See the [module](super).
    ///
    /// # Errors
    /// Nothing can call it.
    pub fn waker(&self) -> io::Result<RingWaker> {
        match *self {}
    }
}

/// Ends a wait in a ring; there is none here.
#[derive(Debug)]
pub enum RingWaker {}

impl RingWaker {
    /// See the [module](super).
    ///
    /// # Errors
    /// Nothing can call it.
    pub fn wake(&self) -> io::Result<()> {
        match *self {}
    }
}
