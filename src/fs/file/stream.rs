//! Who may begin an operation at the position of a file: the state that operations leave to each
//! other, and the tasks that wait for it.
//!
//! ```text
//!              poll_take: moved out           put: moved in,
//!   at rest ───────────────────────► held ───────────────────────► at rest
//!      ▲                              │ poll_take, poll_rest:          │ then
//!      │                              ▼ the task waits                 ▼
//!      └── poll_rest: Ready         held, tasks wait ── put ──► waiters woken, outside the lock
//! ```
//!
//! Rules:
//! 1. Whoever has taken the state puts it back: the task that looked at it, or the thread that does
//!    an operation, also when that never begins.
//! 2. A task is among the waiters only while the state is held: both change under the lock alone.
//! 3. No waker is called, cloned or dropped under the lock: it is anybody's code.
//!
//! A future that is dropped leaves its waker. It is called in vain, once, when the operation ends.

use std::io::{self, SeekFrom};
use std::task::{Context, Poll, Waker};

use super::turn::Buffer;
use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::waiter::wake;

/// See the module documentation.
pub(super) struct Stream {
    state: Mutex<State>,
}

struct State {
    /// `None` while it is held.
    rest: Option<Rest>,
    waiters: Vec<Waker>,
}

/// What an operation leaves to the next.
#[derive(Default)]
pub(super) struct Rest {
    /// What was read and nobody has taken.
    pub(super) buffer: Buffer,
    /// What the last operation came to, until somebody asks; a write leaves its error alone.
    pub(super) outcome: Option<Outcome>,
    /// The error of a write of which nobody has heard.
    pub(super) write_error: Option<io::Error>,
}

impl Rest {
    /// Forgets what a seek has come to: another operation comes in between, so that the next seek
    /// is not the same one.
    pub(super) fn forget_seek(&mut self) {
        if matches!(self.outcome, Some(Outcome::Seek(..))) {
            self.outcome = None;
        }
    }
}

/// What an operation has come to.
pub(super) enum Outcome {
    Read(io::Result<usize>),
    Seek(SeekFrom, io::Result<u64>),
}

impl Stream {
    pub(super) fn new() -> Stream {
        Stream { state: Mutex::new(State { rest: Some(Rest::default()), waiters: Vec::new() }) }
    }

    /// Waits until no operation runs.
    pub(super) fn poll_rest(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(context, |_| ())
    }

    /// Waits until no operation runs, and takes the state.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Rest> {
        self.poll(context, |rest| rest.take().unwrap_or_default())
    }

    /// Calls `f`, under the lock, with the state that is there.
    fn poll<R>(
        &self,
        context: &mut Context<'_>,
        f: impl FnOnce(&mut Option<Rest>) -> R,
    ) -> Poll<R> {
        {
            let mut state = self.state.lock();
            if state.rest.is_some() {
                return Poll::Ready(f(&mut state.rest));
            }
            if state.waiters.iter().any(|waiter| waiter.will_wake(context.waker())) {
                return Poll::Pending;
            }
        }
        // Rule 3 has the lock released meanwhile, so the operation may have ended now.
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        if mutation!("file-no-second-look", state.rest.is_some(), false) {
            return Poll::Ready(f(&mut state.rest));
        }
        state.waiters.push(waker);
        Poll::Pending
    }

    /// Puts the state back, and wakes all that wait for it.
    pub(super) fn put(&self, rest: Rest) {
        let waiters = {
            let mut state = self.state.lock();
            state.rest = Some(rest);
            std::mem::take(&mut state.waiters)
        };
        for waiter in waiters {
            // One that panics keeps none of the others from being woken, nor the operation's answer
            // from whoever waits for that.
            wake(Some(waiter));
        }
    }

    /// The error of a write of which nobody has heard; `None` also while an operation runs.
    pub(super) fn take_write_error(&self) -> Option<io::Error> {
        self.state.lock().rest.as_mut()?.write_error.take()
    }

    /// Forgets what was read and nobody has taken; how many bytes that are.
    pub(super) fn discard_unread(&self) -> i64 {
        self.state.lock().rest.as_mut().map_or(0, |rest| rest.buffer.discard())
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    /// A waiter that uses the stream when it is woken.
    struct ComesBack {
        stream: Arc<Stream>,
        woken: AtomicU32,
    }

    impl Wake for ComesBack {
        fn wake(self: Arc<ComesBack>) {
            assert!(self.stream.state.try_lock().is_some(), "woken under the lock");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_wait_are_woken_once_and_outside_the_lock() {
        let stream = Arc::new(Stream::new());
        let mut noop = Context::from_waker(Waker::noop());
        let Poll::Ready(rest) = stream.poll_take(&mut noop) else { panic!("nothing runs") };
        let waiters = [0; 2]
            .map(|_| Arc::new(ComesBack { stream: Arc::clone(&stream), woken: AtomicU32::new(0) }));
        for waiter in &waiters {
            let waker = Waker::from(Arc::clone(waiter));
            let mut context = Context::from_waker(&waker);
            assert!(stream.poll_rest(&mut context).is_pending());
            assert!(stream.poll_take(&mut context).is_pending());
        }
        stream.put(rest);
        assert!(waiters.iter().all(|waiter| waiter.woken.load(Ordering::Relaxed) == 1));
        assert!(stream.poll_rest(&mut noop).is_ready());
    }

    /// A waiter whose waker panics.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Panics>) {
            panic!("planned");
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_being_woken() {
        let stream = Arc::new(Stream::new());
        let mut noop = Context::from_waker(Waker::noop());
        let Poll::Ready(rest) = stream.poll_take(&mut noop) else { panic!("nothing runs") };
        let panics = Waker::from(Arc::new(Panics));
        assert!(stream.poll_rest(&mut Context::from_waker(&panics)).is_pending());
        let calm = Arc::new(ComesBack { stream: Arc::clone(&stream), woken: AtomicU32::new(0) });
        let waker = Waker::from(Arc::clone(&calm));
        assert!(stream.poll_rest(&mut Context::from_waker(&waker)).is_pending());
        stream.put(rest);
        assert_eq!(calm.woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_write_error_is_told_once_and_after_the_operation() {
        let stream = Stream::new();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(mut rest) = stream.poll_take(&mut context) else { panic!("nothing runs") };
        rest.write_error = Some(io::ErrorKind::StorageFull.into());
        assert!(stream.take_write_error().is_none());
        stream.put(rest);
        let error = stream.take_write_error().expect("it is told");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(stream.take_write_error().is_none());
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

    fn take(stream: &Stream) -> Rest {
        match stream.poll_take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(rest) => rest,
            Poll::Pending => panic!("an operation runs"),
        }
    }

    /// An operation ends while a task begins to wait: it takes the state, or it is woken.
    fn ends_while_a_task_begins_to_wait() {
        let stream = Arc::new(Stream::new());
        let rest = take(&stream);
        let other = Arc::clone(&stream);
        let ends = loom::thread::spawn(move || other.put(rest));
        let (waiter, waker) = waiter();
        let waits = stream.poll_take(&mut Context::from_waker(&waker)).is_pending();
        ends.join().unwrap();
        assert_eq!(u32::from(waits), woken(&waiter), "the task sleeps and nobody wakes it");
        if waits {
            drop(take(&stream));
        }
    }

    #[test]
    fn an_end_while_a_task_begins_to_wait_is_not_lost() {
        model(ends_while_a_task_begins_to_wait);
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("file-no-second-look", || model(ends_while_a_task_begins_to_wait)));
    }

    #[test]
    fn an_end_wakes_two_tasks_that_wait() {
        model(|| {
            let stream = Arc::new(Stream::new());
            let rest = take(&stream);
            let (first, first_waker) = waiter();
            assert!(stream.poll_rest(&mut Context::from_waker(&first_waker)).is_pending());
            let other = Arc::clone(&stream);
            let ends = loom::thread::spawn(move || other.put(rest));
            let (second, second_waker) = waiter();
            let waits = stream.poll_rest(&mut Context::from_waker(&second_waker)).is_pending();
            ends.join().unwrap();
            assert_eq!((woken(&first), woken(&second)), (1, u32::from(waits)));
        });
    }
}
