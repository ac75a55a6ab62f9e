//! What receives have brought after their futures were dropped: the next read gets it first.
//!
//! ```text
//!            expect: a future is dropped             land: nothing came
//!   EMPTY ────────────────────────────► EXPECTING ──────────────────────► EMPTY
//!     ▲                                     │ land: bytes, or an error      ▲
//!     │                                     ▼                               │
//!     └────── read: the last of them ───── FULL ────────────────────────────┘
//! ```
//!
//! Rules:
//! 1. While a receive is expected, a read would block: what it found in the system might come after
//!    what the receive has taken. Whoever lands one announces it to who waits.
//! 2. A dropped receive is expected before it may land.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSliceMut, Read};

use crate::platform::mutation::mutation;
use crate::platform::ring::is_refusal;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
struct State {
    /// How many receives may still bring something.
    expected: usize,
    bytes: VecDeque<u8>,
    error: Option<io::Error>,
}

/// See the module documentation.
pub(super) struct Leftover {
    /// Whether there ever was anything: spares the others the lock.
    used: AtomicBool,
    /// Few connections have any.
    state: Mutex<Option<Box<State>>>,
}

impl Leftover {
    pub(super) fn new() -> Leftover {
        Leftover { used: AtomicBool::new(false), state: Mutex::new(None) }
    }

    /// The future of a receive is being dropped: the receive lands now or later.
    pub(super) fn expect(&self) {
        // Relaxed: the task that drops the future reads next, or tells another one to, which orders
        // the two; reads that nothing orders may come before.
        self.used.store(true, Ordering::Relaxed);
        self.state.lock().get_or_insert_default().expected += 1;
    }

    /// A receive that was expected has come to this.
    pub(super) fn land(&self, outcome: io::Result<&[u8]>) {
        let mut state = self.state.lock();
        let state = state.get_or_insert_default();
        mutation!("leftover-expects-for-ever", state.expected -= 1, ());
        match outcome {
            Ok(bytes) => mutation!("leftover-loses-bytes", state.bytes.extend(bytes), ()),
            // Nothing was done of it: the next read tries again.
            Err(error) if is_refusal(&error) => {}
            Err(error) => state.error = Some(error),
        }
    }

    /// Whether a read would take nothing of it.
    pub(super) fn is_empty(&self) -> bool {
        self.with(|_| ()).is_none()
    }

    /// What a read into `buffers` gives; `None` if it is the system's turn.
    pub(super) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Option<io::Result<usize>> {
        self.with(|state| {
            if state.bytes.is_empty() {
                return Err(state.error.take().unwrap_or(ErrorKind::WouldBlock.into()));
            }
            state.bytes.read_vectored(buffers)
        })
    }

    /// As [`Leftover::read`], and leaves it there.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.with(|state| {
            if state.bytes.is_empty() {
                return Err(state.error.take().unwrap_or(ErrorKind::WouldBlock.into()));
            }
            let (mut first, mut second) = state.bytes.as_slices();
            let count = first.read(buffer)?;
            Ok(count + second.read(&mut buffer[count..])?)
        })
    }

    /// Shows what there is, if that concerns a read.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        // Relaxed: see `expect`.
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        let state = state.as_mut()?;
        let concerns = state.expected > 0 || !state.bytes.is_empty() || state.error.is_some();
        concerns.then(|| f(state))
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn read(leftover: &Leftover, length: usize) -> Option<Result<Vec<u8>, ErrorKind>> {
        let mut bytes = vec![0; length];
        let outcome = leftover.read(&mut [IoSliceMut::new(&mut bytes)])?;
        Some(outcome.map(|count| bytes[..count].to_vec()).map_err(|error| error.kind()))
    }

    #[test]
    fn bytes_are_read_in_order_then_the_error_then_the_system() {
        let leftover = Leftover::new();
        assert!(leftover.is_empty() && read(&leftover, 4).is_none());
        leftover.expect();
        leftover.expect();
        assert_eq!(read(&leftover, 4), Some(Err(ErrorKind::WouldBlock)));
        leftover.land(Ok(b"hello"));
        let mut bytes = [0; 3];
        assert_eq!(leftover.peek(&mut bytes).unwrap().unwrap(), 3);
        assert_eq!(&bytes, b"hel");
        assert_eq!(read(&leftover, 2), Some(Ok(b"he".to_vec())));
        assert_eq!(read(&leftover, 8), Some(Ok(b"llo".to_vec())));
        assert!(!leftover.is_empty());
        leftover.land(Err(ErrorKind::ConnectionReset.into()));
        assert_eq!(read(&leftover, 8), Some(Err(ErrorKind::ConnectionReset)));
        assert!(leftover.is_empty() && read(&leftover, 8).is_none());
        leftover.expect();
        leftover.land(Ok(b""));
        assert!(leftover.is_empty(), "the system tells of the end");
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    /// A receive lands while the task that gave it up reads.
    fn landing_meets_a_read() {
        let leftover = Arc::new(Leftover::new());
        leftover.expect();
        let other = Arc::clone(&leftover);
        let landing = loom::thread::spawn(move || other.land(Ok(b"x")));
        let mut byte = [0];
        let mut read = || leftover.read(&mut [IoSliceMut::new(&mut byte)]);
        let first = read().expect("it is not the system's turn before the byte is read");
        landing.join().unwrap();
        let count = first.or_else(|_| read().expect("the byte is lost"));
        assert_eq!(count.unwrap(), 1);
        assert!(read().is_none(), "it is expected for ever");
    }

    #[test]
    fn a_receive_lands_while_another_one_reads() {
        model(landing_meets_a_read);
    }

    #[test]
    fn lost_bytes_mutant_is_noticed() {
        assert!(is_noticed("leftover-loses-bytes", || model(landing_meets_a_read)));
    }

    #[test]
    fn endless_expectation_mutant_is_noticed() {
        assert!(is_noticed("leftover-expects-for-ever", || model(landing_meets_a_read)));
    }
}
