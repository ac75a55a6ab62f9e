//! The field's traits for files: reading, writing and seeking at the position, one operation after
//! the other.

use std::io::{self, IoSlice, SeekFrom};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::stream::{Outcome, Rest};
use super::turn::{Operation, Turn};
use super::{File, LONGEST_TRANSFER};
use crate::coop;

impl File {
    /// Waits until no operation runs at the position, spends one of the budget, and takes the state
    /// of the stream.
    fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<Rest> {
        ready!(self.poll_rest(context, place));
        ready!(coop::poll_proceed(context));
        // Nobody else can have begun an operation: they all need the file mutably.
        self.stream.poll_take(context)
    }

    fn put(&mut self, rest: Rest) {
        self.stream.put(rest);
    }

    fn begin(&mut self, rest: Rest, operation: Operation, place: &'static Location<'static>) {
        Turn::begin(self, rest, operation, place);
    }

    fn poll_write_slices(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        place: &'static Location<'static>,
    ) -> Poll<io::Result<usize>> {
        let mut rest = ready!(self.poll_take(context, place));
        rest.forget_seek();
        if let Some(error) = rest.write_error.take() {
            self.put(rest);
            return Poll::Ready(Err(error));
        }
        if slices.iter().all(|slice| slice.is_empty()) {
            self.put(rest);
            return Poll::Ready(Ok(0));
        }
        rest.outcome = None;
        let back = rest.buffer.discard();
        let count = rest.buffer.fill(slices);
        self.begin(rest, Operation::Write { back }, place);
        // Where it is known already that it fails, nothing is gained by saying so later.
        let error = self.stream.take_write_error();
        Poll::Ready(error.map_or(Ok(count), Err))
    }
}

/// Bytes that were read for a future that was dropped are kept, and given to the next read.
///
/// Cancel safety: dropped before it is ready, a read has given nothing, and nothing is lost to the
/// next one; a seek or a write in between begins where that one would have.
impl AsyncRead for File {
    #[track_caller]
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let place = Location::caller();
        loop {
            let mut rest = ready!(self.poll_take(context, place));
            let ended = match rest.outcome.take() {
                Some(Outcome::Read(Ok(0))) => Some(Ok(0)),
                Some(Outcome::Read(Err(error))) => Some(Err(error)),
                _ => None,
            };
            if let Some(result) = ended {
                self.put(rest);
                return Poll::Ready(result);
            }
            if buffer.is_empty() || !rest.buffer.is_empty() {
                let count = rest.buffer.take_into(buffer);
                self.put(rest);
                return Poll::Ready(Ok(count));
            }
            let length = buffer.len().min(LONGEST_TRANSFER);
            self.begin(rest, Operation::Read(length), place);
        }
    }
}

/// A write copies the bytes, at most 2 MiB of them, has a thread write them, and is ready before
/// that has happened. The next operation waits for it; its error is that of the next write or
/// flush, or of `sync_all`, `sync_data` or `into_std`.
///
/// Cancel safety: a write that is dropped before it is ready has written nothing. One that was
/// ready is written, unless the runtime shuts down before a thread has begun it.
///
/// Closing is flushing: the file is closed when it is dropped.
impl AsyncWrite for File {
    #[track_caller]
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, &[IoSlice::new(bytes)], Location::caller())
    }

    #[track_caller]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, slices, Location::caller())
    }

    #[track_caller]
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = ready!(self.poll_take(context, Location::caller()));
        rest.forget_seek();
        let error = rest.write_error.take();
        self.put(rest);
        Poll::Ready(error.map_or(Ok(()), Err))
    }

    #[track_caller]
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// Cancel safety: a seek that is dropped moves the position all the same, later. Asked for again
/// right after that, it is the same seek: it moves once. After a read, a write or a flush it is
/// another one.
impl AsyncSeek for File {
    #[track_caller]
    fn poll_seek(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let place = Location::caller();
        loop {
            let mut rest = ready!(self.poll_take(context, place));
            match rest.outcome.take() {
                Some(Outcome::Seek(asked, moved)) if asked == to => {
                    self.put(rest);
                    return Poll::Ready(moved);
                }
                _ => {}
            }
            let back = rest.buffer.discard();
            self.begin(rest, Operation::Seek { back, to }, place);
        }
    }
}
