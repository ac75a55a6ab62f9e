//! The error of what took too long.

use std::error::Error;
use std::fmt;
use std::io;

/// A deadline has passed: the error of [`timeout`](super::timeout),
/// [`timeout_at`](super::timeout_at) and [`Deadline::check`](super::Deadline::check).
///
/// It converts into an [`io::Error`]:
///
/// ```
/// use std::io;
/// use volt::time::Deadline;
///
/// fn step(deadline: &Deadline) -> io::Result<()> {
///     deadline.check()?;
///     Ok(())
/// }
///
/// assert_eq!(step(&Deadline::expired()).unwrap_err().kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(super) fn new() -> Elapsed {
        Elapsed(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
