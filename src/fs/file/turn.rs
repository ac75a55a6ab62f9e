//! One operation at the position of a file, from its beginning to its end, on whichever thread.

use std::io::{self, IoSlice, SeekFrom};
use std::panic::Location;
use std::sync::Arc;

use super::stream::{Outcome, Rest, Stream};
use super::{File, LONGEST_TRANSFER};
use crate::platform::fs as system;

/// Bytes on their way: what was read and nobody has taken, or what is to be written.
#[derive(Default)]
pub(super) struct Buffer {
    /// The room; longer than what is in it.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn content(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves as many bytes to `target` as it holds.
    pub(super) fn take_into(&mut self, target: &mut [u8]) -> usize {
        let content = self.content();
        let count = content.len().min(target.len());
        target[..count].copy_from_slice(&content[..count]);
        self.start += count;
        count
    }

    /// Forgets what is in it; how many bytes that are.
    pub(super) fn discard(&mut self) -> i64 {
        let count = self.content().len();
        (self.start, self.end) = (0, 0);
        // No longer than the longest transfer.
        count as i64
    }

    /// Room for `length` bytes, in place of what is in it.
    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        (self.start, self.end) = (0, 0);
        &mut self.bytes[..length]
    }

    /// Copies as many bytes of the slices as one transfer takes, in place of what is in it; how
    /// many.
    pub(super) fn fill(&mut self, slices: &[IoSlice<'_>]) -> usize {
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>().min(LONGEST_TRANSFER);
        let mut room = self.room(length);
        for slice in slices {
            let count = slice.len().min(room.len());
            let (here, rest) = std::mem::take(&mut room).split_at_mut(count);
            here.copy_from_slice(&slice[..count]);
            room = rest;
        }
        self.end = length;
        length
    }

    /// Reads up to `length` bytes, in place of what is in it.
    fn read(&mut self, file: &system::File, length: usize) -> io::Result<usize> {
        let count = file.read(self.room(length))?;
        self.end = count;
        Ok(count)
    }
}

/// What is to be done at the position.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    /// Reads up to this many bytes into the buffer.
    Read(usize),
    /// Writes what is in the buffer, after a move back over bytes that nobody has taken.
    Write { back: i64 },
    /// Moves, from before the bytes that nobody has taken.
    Seek { back: i64, to: SeekFrom },
}

/// The right to do one operation, with the state of the stream. Whatever becomes of it, it puts the
/// state back: rule 1 of `stream`.
pub(super) struct Turn {
    stream: Arc<Stream>,
    operation: Operation,
    /// `None` once the state is put back. The file goes first: whoever waits for the end of the
    /// operation may count on it that no thread has the file any more.
    held: Option<(Arc<system::File>, Rest)>,
}

impl Turn {
    /// Has a thread do `operation`, later.
    pub(super) fn begin(
        file: &File,
        rest: Rest,
        operation: Operation,
        place: &'static Location<'static>,
    ) {
        let held = Some((Arc::clone(&file.system), rest));
        let turn = Turn { stream: Arc::clone(&file.stream), operation, held };
        // The job goes on without its handle: it is the turn that tells of its end.
        drop(file.io.scheduler().spawn_blocking(move || turn.run(), place));
    }

    fn run(mut self) {
        let Some((file, mut rest)) = self.held.take() else { return };
        match self.operation {
            Operation::Read(length) => {
                let read = rest.buffer.read(&file, length);
                rest.outcome = Some(Outcome::Read(read));
            }
            Operation::Write { back } => {
                let written =
                    move_back(&file, back).and_then(|()| file.write_all(rest.buffer.content()));
                rest.buffer.discard();
                rest.write_error = written.err();
            }
            Operation::Seek { back, to } => {
                // Other moves do not depend on where the position is.
                let back = if matches!(to, SeekFrom::Current(_)) { back } else { 0 };
                let moved = move_back(&file, back).and_then(|()| file.seek(to));
                rest.outcome = Some(Outcome::Seek(to, moved));
            }
        }
        drop(file);
        self.stream.put(rest);
    }
}

fn move_back(file: &system::File, count: i64) -> io::Result<()> {
    if count > 0 {
        file.seek(SeekFrom::Current(-count))?;
    }
    Ok(())
}

impl Drop for Turn {
    /// A turn that was not done: its job was refused.
    fn drop(&mut self) {
        let Some((file, mut rest)) = self.held.take() else { return };
        drop(file);
        let refused = || {
            io::Error::other(
                "the operation on the file did not begin: its runtime has shut down, or has no \
                 thread for it",
            )
        };
        match self.operation {
            Operation::Read(_) => rest.outcome = Some(Outcome::Read(Err(refused()))),
            Operation::Write { .. } => {
                rest.buffer.discard();
                rest.write_error = Some(refused());
            }
            Operation::Seek { to, .. } => rest.outcome = Some(Outcome::Seek(to, Err(refused()))),
        }
        self.stream.put(rest);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_gives_what_it_was_given_in_parts() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.fill(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")]), 5);
        let mut part = [0; 3];
        assert_eq!(buffer.take_into(&mut part), 3);
        assert_eq!(&part, b"abc");
        assert_eq!(buffer.discard(), 2);
        assert!(buffer.is_empty());
        assert_eq!(buffer.fill(&[IoSlice::new(b"x")]), 1);
        assert_eq!(buffer.content(), b"x");
    }

    #[test]
    fn a_buffer_takes_one_transfer_at_most() {
        let mut buffer = Buffer::default();
        let long = vec![7; LONGEST_TRANSFER];
        assert_eq!(buffer.fill(&[IoSlice::new(&long), IoSlice::new(b"x")]), LONGEST_TRANSFER);
        assert_eq!(buffer.content().len(), LONGEST_TRANSFER);
    }
}
