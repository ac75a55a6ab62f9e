//! One operation between the task that asked for it and the ring that does it.
//!
//! ```text
//!              land: the result comes, the task is woken          poll
//!   IN FLIGHT ──────────────────────────────────────────► LANDED ──────► OVER
//!       │                                                    │            ▲
//!       └── abandon: the future is dropped ──────────────────┴────────────┘
//!                                     what lands then, or has landed, wakes
//!                                     nobody, and its payload is told
//! ```
//!
//! What the operation needs, its buffer and its file, is the *payload*. It lies still here from
//! before the operation is submitted until it has completed. The future and the ring's table each
//! have a reference: so a future may go at any time, and the payload goes with the last of the two.
//!
//! Rules:
//! 1. Nobody touches the payload in flight: its lock is free then, and nobody takes it. That is why
//!    it has a lock of its own.
//! 2. The table lets go of its reference when the system has completed the operation, not before.
//! 3. No waker is dropped or called under the lock.

use std::io;
use std::mem;
use std::ptr;
use std::task::{Context, Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::ring::Operation;
use crate::platform::sync::Mutex;

/// What an operation needs.
///
/// # Safety
/// What `describe` names, memory and file, is there until the payload is moved or dropped; and
/// nobody else accesses that memory until then, or of a write changes it.
pub(crate) unsafe trait Payload: Send + 'static {
    /// Whether nobody cares for the operation any more once its future is dropped.
    const ENDS_WITH_FUTURE: bool;

    /// Whether it may wait for somebody else for ever: a ring that ends cancels it.
    const MAY_NOT_END: bool = false;

    /// What the ring is to do; `None` if it cannot.
    fn describe(&mut self) -> Option<Operation<'_>>;

    /// The operation has completed, and its future has gone: who promised that it is done all the
    /// same, or that what it took is not lost, sees to it. Called once, without a lock.
    fn land_alone(self, result: io::Result<usize>);
}

/// What the table of a ring has of an operation.
pub(super) trait Landing: Send + Sync {
    /// The system has completed the operation. The waker is to be called.
    fn land(&self, result: io::Result<usize>) -> Option<Waker>;

    /// See [`Payload::MAY_NOT_END`].
    fn may_not_end(&self) -> bool;
}

enum State {
    InFlight(Option<Waker>),
    Landed(io::Result<usize>),
    Over,
}

/// See the module documentation.
pub(super) struct Flight<P> {
    state: Mutex<State>,
    /// `None` once the future has it.
    payload: Mutex<Option<P>>,
}

impl<P> Flight<P> {
    pub(super) fn new(payload: P) -> Flight<P> {
        let state = Mutex::new(State::InFlight(None));
        Flight { state, payload: Mutex::new(Some(payload)) }
    }

    /// Lends the payload, before it is in flight.
    pub(super) fn with_payload<R>(&self, f: impl FnOnce(&mut P) -> R) -> R {
        f(self.payload.lock().as_mut().expect("nobody took it: nothing has landed"))
    }

    /// A ring has taken the operation. From here on the payload lies still.
    pub(super) fn begins(&self) {
        probe::operation_begun(self.address());
    }

    /// What the laws of a simulation know it by.
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The payload back, of an operation that was not submitted after all.
    pub(super) fn recall(&self) -> P {
        *self.state.lock() = State::Over;
        self.take_payload()
    }

    fn take_payload(&self) -> P {
        probe::memory_given_back(self.address());
        self.payload.lock().take().expect("it is taken once")
    }

    /// What the operation came to, and its payload.
    ///
    /// # Panics
    /// If it has returned `Ready` before.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<(io::Result<usize>, P)> {
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        match mem::replace(&mut *state, State::Over) {
            State::InFlight(before) => {
                *state = State::InFlight(Some(waker));
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Landed(result) => {
                drop(state);
                Poll::Ready((result, self.take_payload()))
            }
            State::Over => panic!("an operation is polled after it gave its output"),
        }
    }
}

impl<P: Payload> Flight<P> {
    /// The future goes. True if the operation is in flight: the payload stays, for as long as the
    /// table has it.
    pub(super) fn abandon(&self) -> bool {
        let before = mem::replace(&mut *self.state.lock(), State::Over);
        let in_flight = matches!(before, State::InFlight(_));
        if mutation!("flight-drops-payload", false, in_flight) {
            drop(self.take_payload());
        }
        if let State::Landed(result) = before {
            self.take_payload().land_alone(result);
        }
        in_flight
    }
}

impl<P> Drop for Flight<P> {
    fn drop(&mut self) {
        // The payload goes with it, if it is still here.
        probe::memory_given_back(self.address());
    }
}

impl<P: Payload> Landing for Flight<P> {
    fn land(&self, result: io::Result<usize>) -> Option<Waker> {
        probe::operation_completed(self.address());
        let mut state = self.state.lock();
        match mem::replace(&mut *state, State::Over) {
            State::InFlight(waker) => {
                *state = State::Landed(result);
                mutation!("flight-wakes-nobody", waker, waker.filter(|_| false))
            }
            // The future has gone, and nothing lands twice.
            State::Landed(_) | State::Over => {
                drop(state);
                let payload = self.payload.lock().take();
                if let Some(payload) = payload {
                    payload.land_alone(result);
                }
                None
            }
        }
    }

    fn may_not_end(&self) -> bool {
        P::MAY_NOT_END
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Write(Arc<AtomicUsize>);

    // SAFETY: it describes nothing.
    unsafe impl Payload for Write {
        const ENDS_WITH_FUTURE: bool = false;

        fn describe(&mut self) -> Option<Operation<'_>> {
            None
        }

        fn land_alone(self, result: io::Result<usize>) {
            assert!(result.is_err());
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a ring has refused is done elsewhere, also when nobody has looked at the refusal.
    #[test]
    fn a_payload_is_told_once_whether_it_lands_before_or_after_its_future_goes() {
        let refusal = || Err(io::ErrorKind::WouldBlock.into());
        for lands_first in [true, false] {
            let told = Arc::new(AtomicUsize::new(0));
            let flight = Flight::new(Write(Arc::clone(&told)));
            if lands_first {
                assert!(flight.land(refusal()).is_none());
                assert!(!flight.abandon());
            } else {
                assert!(flight.abandon());
                assert!(flight.land(refusal()).is_none());
            }
            assert_eq!((told.load(Ordering::Relaxed), Arc::strong_count(&told)), (1, 1));
        }
        // Whoever polls has it.
        let told = Arc::new(AtomicUsize::new(0));
        let flight = Flight::new(Write(Arc::clone(&told)));
        assert!(flight.land(refusal()).is_none());
        assert!(flight.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(!flight.abandon());
        assert_eq!(told.load(Ordering::Relaxed), 0);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicBool, Ordering};

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// A payload that must not go before the system has done with it.
    struct Buffer(Arc<AtomicBool>);

    // SAFETY: it names nothing.
    unsafe impl Payload for Buffer {
        const ENDS_WITH_FUTURE: bool = true;

        fn describe(&mut self) -> Option<Operation<'_>> {
            None
        }

        fn land_alone(self, _: io::Result<usize>) {}
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            assert!(self.0.load(Ordering::Relaxed), "the system still writes into it");
        }
    }

    /// The owner of the ring: the system completes the operation, it lands, the table forgets it.
    fn complete(flight: Arc<Flight<Buffer>>, done: &AtomicBool) {
        done.store(true, Ordering::Relaxed);
        let waker = flight.land(Ok(1));
        drop(flight);
        waker.into_iter().for_each(Waker::wake);
    }

    fn begin() -> (Arc<Flight<Buffer>>, loom::thread::JoinHandle<()>) {
        let done = Arc::new(AtomicBool::new(false));
        let flight = Arc::new(Flight::new(Buffer(Arc::clone(&done))));
        let landing = Arc::clone(&flight);
        (flight, loom::thread::spawn(move || complete(landing, &done)))
    }

    fn landing_meets_a_poll() {
        let (flight, owner) = begin();
        let task = Arc::new(Task(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&task));
        let mut context = Context::from_waker(&waker);
        let first = flight.poll(&mut context);
        owner.join().unwrap();
        if first.is_pending() {
            assert!(task.0.load(Ordering::Relaxed), "the task waits for ever");
            assert!(matches!(flight.poll(&mut context), Poll::Ready((Ok(1), _))));
        }
    }

    #[test]
    fn an_operation_lands_while_it_is_polled() {
        model(landing_meets_a_poll);
    }

    #[test]
    fn silent_landing_mutant_is_noticed() {
        assert!(is_noticed("flight-wakes-nobody", || model(landing_meets_a_poll)));
    }

    fn landing_meets_a_drop() {
        let (flight, owner) = begin();
        flight.abandon();
        drop(flight);
        owner.join().unwrap();
    }

    #[test]
    fn an_operation_lands_while_its_future_is_dropped() {
        model(landing_meets_a_drop);
    }

    #[test]
    fn dropped_payload_mutant_is_noticed() {
        assert!(is_noticed("flight-drops-payload", || model(landing_meets_a_drop)));
    }
}
