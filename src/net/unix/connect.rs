//! Connecting.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::UnixStream;
use crate::platform::net as system;
use crate::runtime::Io;

/// The future of [`UnixStream::connect`].
///
/// Cancel safety: dropping it gives the attempt up. A connection that was made just then is
/// closed.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Connect {
    io: Io,
    path: PathBuf,
    /// The attempt under way.
    stream: Option<UnixStream>,
    place: &'static Location<'static>,
}

impl Connect {
    pub(super) fn new(io: &Io, path: &Path, place: &'static Location<'static>) -> Connect {
        Connect { io: io.clone(), path: path.to_owned(), stream: None, place }
    }
}

impl Future for Connect {
    type Output = io::Result<UnixStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let stream = match this.stream.take() {
            Some(stream) => stream,
            None => {
                let socket = system::UnixStream::connect(&this.path)?;
                UnixStream::register(this.io.scheduler().driver(), socket)?
            }
        };
        let stream = this.stream.insert(stream);
        ready!(stream.poll_connected(context, this.place))?;
        Poll::Ready(Ok(this.stream.take().expect("it was just put there")))
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("path", &self.path).finish_non_exhaustive()
    }
}
