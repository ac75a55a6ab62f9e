//! One direction of a pipe in memory: bytes, and who waits for them or for room.
//!
//! ```text
//!              write: some              write: full
//!   empty ◄─────────────────► some ◄─────────────────► full
//!     │        read: all        │         read            │
//!     │ read waits              │                         │ write waits
//!     └──────── end: what is there is read, then 0 ───────┘
//!               abandon: nothing is read any more, writes fail
//! ```
//!
//! Rules:
//! 1. There is one reader and one writer, which need the pipe's end mutably: each has one waker at
//!    most, that of the task that came last.
//! 2. A waker is stored by whoever found nothing to do, under the lock under which it looked. So
//!    whoever changes that afterwards finds the waker.
//! 3. No waker is called, cloned or dropped under the lock: it is anybody's code.
//!
//! The tasks wait, not futures: a future that is dropped leaves its waker, which is called in
//! vain, once.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::waiter::{discard, wake};

/// See the module documentation.
pub(super) struct Pipe {
    /// The most bytes in it, at least one.
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Nothing more is written.
    is_ended: bool,
    /// Nothing more is read.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// Moves as many bytes to `buffer` as it holds; `None` if there are none yet.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.bytes.is_empty() && !self.is_ended && !buffer.is_empty() {
            return None;
        }
        let count = buffer.len().min(self.bytes.len());
        for (target, byte) in buffer.iter_mut().zip(self.bytes.drain(..count)) {
            *target = byte;
        }
        Some(count)
    }

    /// Takes as many of `bytes` as there is room for; `None` if there is none yet.
    fn write(&mut self, bytes: &[u8], capacity: usize) -> Option<io::Result<usize>> {
        if self.is_ended || self.is_abandoned {
            return Some(Err(ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(capacity - self.bytes.len());
        if count == 0 && !bytes.is_empty() {
            return None;
        }
        self.bytes.extend(&bytes[..count]);
        Some(Ok(count))
    }
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Pipe {
        Pipe { capacity, state: Mutex::new(State::default()) }
    }

    /// Reads what is there, and waits if there is nothing; 0 is the end.
    pub(super) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        self.poll(
            context,
            |state| {
                let count = state.read(buffer)?;
                let waker = if count > 0 { state.writer.take() } else { None };
                Some((count, mutation!("pipe-read-wakes-nobody", waker, None)))
            },
            |state| &mut state.reader,
        )
    }

    /// Writes as much as there is room for, and waits if there is none.
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(
            context,
            |state| {
                let result = state.write(bytes, self.capacity)?;
                let has_moved = matches!(result, Ok(count) if count > 0);
                let waker = if has_moved { state.reader.take() } else { None };
                Some((result, waker))
            },
            |state| &mut state.writer,
        )
    }

    /// Nothing more is written: the reader reads to the end.
    pub(super) fn end(&self) {
        let reader = {
            let mut state = self.state.lock();
            state.is_ended = true;
            state.reader.take()
        };
        wake(reader);
    }

    /// Nothing more is read: the writer hears of it.
    pub(super) fn abandon(&self) {
        let (writer, bytes) = {
            let mut state = self.state.lock();
            state.is_abandoned = true;
            (state.writer.take(), std::mem::take(&mut state.bytes))
        };
        drop(bytes);
        wake(writer);
    }

    /// Does `operation`, under the lock, and wakes whom it names; if there is nothing to do,
    /// leaves the task's waker in `slot`.
    fn poll<R>(
        &self,
        context: &mut Context<'_>,
        mut operation: impl FnMut(&mut State) -> Option<(R, Option<Waker>)>,
        slot: impl Fn(&mut State) -> &mut Option<Waker>,
    ) -> Poll<R> {
        let mut state = self.state.lock();
        if let Some((result, waker)) = operation(&mut state) {
            drop(state);
            wake(waker);
            return Poll::Ready(result);
        }
        if slot(&mut state).as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // Rule 3 has the lock released meanwhile, so there may be something to do now.
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        let second_look = mutation!("pipe-no-second-look", operation(&mut state), None);
        if let Some((result, other)) = second_look {
            drop(state);
            discard(Some(waker));
            wake(other);
            return Poll::Ready(result);
        }
        let replaced = slot(&mut state).replace(waker);
        drop(state);
        discard(replaced);
        Poll::Pending
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn read(pipe: &Pipe, length: usize) -> Poll<Vec<u8>> {
        let mut buffer = vec![0; length];
        pipe.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).map(|count| {
            buffer.truncate(count);
            buffer
        })
    }

    fn write(pipe: &Pipe, bytes: &[u8]) -> Poll<Result<usize, ErrorKind>> {
        pipe.poll_write(&mut Context::from_waker(Waker::noop()), bytes)
            .map_err(|error| error.kind())
    }

    #[test]
    fn bytes_come_in_order_and_no_more_than_fit() {
        let pipe = Pipe::new(4);
        assert_eq!(read(&pipe, 2), Poll::Pending);
        assert_eq!(write(&pipe, b"abcdef"), Poll::Ready(Ok(4)));
        assert_eq!(write(&pipe, b"ef"), Poll::Pending);
        assert_eq!(write(&pipe, b""), Poll::Ready(Ok(0)));
        assert_eq!(read(&pipe, 3), Poll::Ready(b"abc".to_vec()));
        assert_eq!(write(&pipe, b"ef"), Poll::Ready(Ok(2)));
        assert_eq!(read(&pipe, 9), Poll::Ready(b"def".to_vec()));
        assert_eq!(read(&pipe, 9), Poll::Pending);
    }

    #[test]
    fn what_was_written_is_read_before_the_end() {
        let pipe = Pipe::new(4);
        assert_eq!(write(&pipe, b"ab"), Poll::Ready(Ok(2)));
        pipe.end();
        assert_eq!(write(&pipe, b"c"), Poll::Ready(Err(ErrorKind::BrokenPipe)));
        assert_eq!(read(&pipe, 9), Poll::Ready(b"ab".to_vec()));
        assert_eq!(read(&pipe, 9), Poll::Ready(Vec::new()));
        assert_eq!(read(&pipe, 9), Poll::Ready(Vec::new()));
    }

    #[test]
    fn a_pipe_that_nobody_reads_refuses_bytes() {
        let pipe = Pipe::new(1);
        assert_eq!(write(&pipe, b"a"), Poll::Ready(Ok(1)));
        pipe.abandon();
        assert_eq!(write(&pipe, b"b"), Poll::Ready(Err(ErrorKind::BrokenPipe)));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicU32, Ordering};

    /// Counts its wake-ups.
    struct Waiter(AtomicU32);

    impl Wake for Waiter {
        fn wake(self: Arc<Waiter>) {
            // Relaxed: read after the threads are joined.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiter() -> (Arc<Waiter>, Waker) {
        let waiter = Arc::new(Waiter(AtomicU32::new(0)));
        (Arc::clone(&waiter), Waker::from(waiter))
    }

    fn woken(waiter: &Waiter) -> u32 {
        waiter.0.load(Ordering::Relaxed)
    }

    fn write(pipe: &Pipe) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(pipe.poll_write(&mut context, b"x"), Poll::Ready(Ok(1))));
    }

    /// A byte comes while a task begins to wait for it: it reads it, or it is woken.
    fn a_byte_comes_while_the_reader_begins_to_wait() {
        let pipe = Arc::new(Pipe::new(1));
        let other = Arc::clone(&pipe);
        let writes = loom::thread::spawn(move || write(&other));
        let (waiter, waker) = waiter();
        let waits = pipe.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending();
        writes.join().unwrap();
        assert_eq!(u32::from(waits), woken(&waiter), "the task sleeps and nobody wakes it");
    }

    /// Room comes while a task begins to wait for it: it writes, or it is woken.
    fn room_comes_while_the_writer_begins_to_wait() {
        let pipe = Arc::new(Pipe::new(1));
        write(&pipe);
        let other = Arc::clone(&pipe);
        let reads = loom::thread::spawn(move || {
            let mut context = Context::from_waker(Waker::noop());
            assert_eq!(other.poll_read(&mut context, &mut [0]), Poll::Ready(1));
        });
        let (waiter, waker) = waiter();
        let waits = pipe.poll_write(&mut Context::from_waker(&waker), b"y").is_pending();
        reads.join().unwrap();
        assert_eq!(u32::from(waits), woken(&waiter), "the task sleeps and nobody wakes it");
    }

    #[test]
    fn a_byte_is_not_missed() {
        model(a_byte_comes_while_the_reader_begins_to_wait);
    }

    #[test]
    fn room_is_not_missed() {
        model(room_comes_while_the_writer_begins_to_wait);
    }

    #[test]
    fn an_end_is_not_missed() {
        model(|| {
            let pipe = Arc::new(Pipe::new(1));
            let other = Arc::clone(&pipe);
            let ends = loom::thread::spawn(move || other.end());
            let (waiter, waker) = waiter();
            let waits = pipe.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending();
            ends.join().unwrap();
            assert_eq!(u32::from(waits), woken(&waiter));
        });
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        let model = || model(a_byte_comes_while_the_reader_begins_to_wait);
        assert!(is_noticed("pipe-no-second-look", model));
    }

    #[test]
    fn read_wakes_nobody_mutant_is_noticed() {
        let model = || model(room_comes_while_the_writer_begins_to_wait);
        assert!(is_noticed("pipe-read-wakes-nobody", model));
    }
}
