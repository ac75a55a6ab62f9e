//! A reader and a writer that own one stream together.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::sync::Arc;

use super::halves::{addresses, reading, writing};
use super::{Peek, Read, ReadExact, ReadVectored, Readiness, UnixStream};
use super::{Write, WriteAll, WriteVectored};

pub(super) fn split(stream: UnixStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf { stream: Arc::clone(&stream) }, OwnedWriteHalf { stream: Some(stream) })
}

/// The reading half of [`UnixStream::into_split`]. Dropping it ends nothing.
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<UnixStream>,
}

impl OwnedReadHalf {
    pub(super) fn as_stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The stream that both halves came from.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they came from different streams.
    pub fn reunite(self, mut writer: OwnedWriteHalf) -> Result<UnixStream, ReuniteError> {
        match writer.stream.take_if(|stream| Arc::ptr_eq(stream, &self.stream)) {
            None => Err(ReuniteError(self, writer)),
            Some(other) => {
                drop(other);
                let stream = Arc::into_inner(self.stream);
                Ok(stream.expect("a stream has two halves, and one is gone"))
            }
        }
    }

    reading!();
    addresses!();
}

/// The writing half of [`UnixStream::into_split`]. Dropping it ends the writing direction, so that
/// the peer reads to the end.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    /// `None` once it is to go without ending anything.
    stream: Option<Arc<UnixStream>>,
}

impl OwnedWriteHalf {
    pub(super) fn as_stream(&self) -> &UnixStream {
        self.stream.as_ref().expect("the stream is there until `self` is gone")
    }

    /// As [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they came from different streams.
    pub fn reunite(self, reader: OwnedReadHalf) -> Result<UnixStream, ReuniteError> {
        reader.reunite(self)
    }

    /// Drops the half without ending the writing direction, which lasts as long as the other half.
    pub fn forget(mut self) {
        self.stream = None;
    }

    writing!();
    addresses!();
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            // A connection that is gone has no writing direction to end.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

/// Two halves came from different streams; here they are again.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves came from different streams")
    }
}

impl Error for ReuniteError {}
