//! The completion front: the ring of one worker, and the operations on it.
//!
//! ```text
//!   future, on the worker ──► begin ──► table, ring ──► turn: submit ──► kernel
//!        ▲                                                                │
//!        └── wake ◄── land ◄── table ◄── turn: take ◄── completion ◄──────┘
//!                                 ▲
//!   future dropped, anywhere ──► message to the owner: cancel
//! ```
//!
//! An operation stays on the ring that took it, whichever worker its task is polled by later. Only
//! the ring's own thread submits and takes; who gives an operation up on another one leaves a
//! message and wakes the owner. A worker does not wait in its ring but in the driver, as for
//! sockets: the ring is a source there. Whoever turns the driver hears of its completions, and
//! wakes the owner. So a worker that is stuck in a poll holds up what is in flight on its ring,
//! and nothing else.
//!
//! # How a worker goes to sleep
//!
//! It turns its ring, leaves its waker with the source, and turns the ring once more. Whatever
//! completes later makes an event, which finds the waker.
//!
//! # How a ring ends
//!
//! When its thread ceases to be the worker, it waits until nothing is in flight: memory stays the
//! kernel's until then. The next thread that is the worker has a ring of its own.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tracing::warn;

use super::flight::{Flight, Landing, Payload};
use super::operations::Operations;
use super::{Direction, Driver, Registration};
use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::ring::{Completion, Ring, RingSignal};
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::waiter::{contain, wake};

/// How many operations a ring takes between two turns. Beyond that it turns by itself.
const ENTRIES: u32 = 128;

/// The ring of one worker. See the module documentation.
pub(crate) struct Completions {
    own: Mutex<Own>,
    /// Whether something is in flight. The worker's own thread alone writes it, and reads it.
    busy: AtomicBool,
    messages: Mutex<Messages>,
}

/// What the worker's own thread uses, and nobody else.
struct Own {
    operations: Operations,
    ring: Option<OpenRing>,
    /// A ring could not be made: this thread does not try again.
    failed: bool,
    /// Taken out of the ring, and not yet told.
    completions: Vec<Completion>,
}

struct OpenRing {
    ring: Ring,
    signal: Registration<RingSignal>,
    waker: Waker,
}

#[derive(Default)]
struct Messages {
    /// Operations whose futures were dropped.
    abandoned: Vec<u64>,
    /// Wakes the worker.
    waker: Option<Waker>,
}

impl Completions {
    pub(crate) fn new() -> Completions {
        let own = Own {
            operations: Operations::default(),
            ring: None,
            failed: false,
            completions: Vec::new(),
        };
        Completions {
            own: Mutex::new(own),
            busy: AtomicBool::new(false),
            messages: Mutex::new(Messages::default()),
        }
    }

    /// Begins an operation. Only the worker itself calls this; `waker` wakes it.
    ///
    /// # Errors
    /// The payload, if the ring cannot do it: it has to be done another way.
    pub(crate) fn begin<P: Payload>(
        self: &Arc<Completions>,
        driver: &Arc<Driver>,
        waker: impl FnOnce() -> Waker,
        payload: P,
    ) -> Result<InFlight<P>, P> {
        let flight = Arc::new(Flight::new(payload));
        // What describes itself may be anybody's code: the ring is not locked yet.
        let begun = flight.with_payload(|payload| {
            let operation = payload.describe()?;
            let own = &mut *self.own.lock();
            own.open(driver, waker, &self.messages);
            let Own { operations, ring, completions, .. } = own;
            let OpenRing { ring, .. } = ring.as_mut()?;
            let token = operations.insert(Arc::clone(&flight) as Arc<dyn Landing>);
            // SAFETY: the payload lies still in the flight, of which the table has a reference
            // until the operation has completed; until then nobody else touches it.
            let mut taken = unsafe { ring.submit(token, &operation) };
            if !taken {
                turn(ring, false, completions);
                // SAFETY: as above.
                taken = unsafe { ring.submit(token, &operation) };
            }
            if !taken {
                operations.withdraw(token);
                return None;
            }
            flight.begins();
            // Relaxed: see the field.
            self.busy.store(true, Ordering::Relaxed);
            Some(token)
        });
        match begun {
            Some(token) => Ok(InFlight { flight, token, completions: Arc::clone(self) }),
            None => Err(flight.recall()),
        }
    }

    /// Whether something is in flight. Only the worker itself asks.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Submits what has begun and tells of what has completed; if `waits`, waits for a completion
    /// when there is none. False if something could not be submitted yet. Only the worker itself
    /// calls this.
    ///
    /// # Panics
    /// If the ring fails, which nothing explains but a descriptor that was closed by code that did
    /// not own it.
    pub(crate) fn turn(&self, waits: bool) -> bool {
        if !self.is_busy() {
            return true;
        }
        let mut own = self.own.lock();
        let Own { operations, ring, completions, .. } = &mut *own;
        let Some(OpenRing { ring, .. }) = ring else { return true };
        let mut all_submitted = self.cancel_abandoned(operations, ring);
        let waits = waits && completions.is_empty();
        all_submitted &= turn(ring, waits, completions);
        let mut landed = Vec::new();
        for Completion { token, result, more } in completions.drain(..) {
            landed.extend(operations.complete(token, more).map(|operation| (operation, result)));
        }
        self.busy.store(!operations.is_empty(), Ordering::Relaxed);
        drop(own);
        // Payloads may go here, and they and wakers are anybody's code: the others land all the
        // same.
        for (operation, result) in landed {
            let waker = contain(|| operation.land(result)).flatten();
            contain(|| drop(operation));
            wake(waker);
        }
        all_submitted
    }

    /// Has the kernel cancel what nobody waits for. False if there was no room for all of it.
    fn cancel_abandoned(&self, operations: &mut Operations, ring: &mut Ring) -> bool {
        let mut abandoned = std::mem::take(&mut self.messages.lock().abandoned);
        while let Some(token) = abandoned.pop() {
            let Some(cancel) = operations.cancel(token) else { continue };
            if !ring.cancel(cancel, token) {
                operations.withdraw(cancel);
                abandoned.push(token);
                self.messages.lock().abandoned.append(&mut abandoned);
                return false;
            }
        }
        true
    }

    /// Has the worker woken by what completes from now on: it turns once more before it sleeps.
    /// False if the driver is closed, and tells nobody any more: the worker waits in its ring.
    pub(crate) fn arm(&self) -> bool {
        let own = self.own.lock();
        let Some(OpenRing { signal, waker, .. }) = &own.ring else { return true };
        let mut context = Context::from_waker(waker);
        loop {
            match signal.poll_ready(&mut context, Direction::Read) {
                Poll::Pending => return true,
                Poll::Ready(Err(_)) => return false,
                // What has been told is used up: the turn that follows sees it.
                Poll::Ready(Ok(())) => {
                    let blocks = |_: &RingSignal| Err::<(), _>(ErrorKind::WouldBlock.into());
                    drop(signal.try_io(Direction::Read, blocks));
                }
            }
        }
    }

    /// The calling thread ceases to be the worker: waits for what is in flight, and closes the
    /// ring.
    ///
    /// # Panics
    /// As [`Completions::turn`].
    pub(crate) fn close(&self) {
        while mutation!("ring-closes-over-operations", self.is_busy(), false) {
            self.turn(true);
        }
        let mut own = self.own.lock();
        probe::ring_closed(own.operations.taken());
        let ring = own.ring.take();
        // What was short may be there for the next thread.
        own.failed = false;
        drop(own);
        let waker = self.messages.lock().waker.take();
        drop((ring, waker));
    }

    /// A future was dropped whose operation nobody waits for any more.
    fn abandon(&self, token: u64) {
        let mut messages = self.messages.lock();
        messages.abandoned.push(token);
        let waker = messages.waker.clone();
        drop(messages);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Own {
    /// Makes the ring, when it is first needed.
    fn open(
        &mut self,
        driver: &Arc<Driver>,
        waker: impl FnOnce() -> Waker,
        messages: &Mutex<Messages>,
    ) {
        if self.ring.is_none() && !self.failed {
            let made = Ring::new(ENTRIES).and_then(|ring| {
                let signal = driver.register(ring.signal()?)?;
                Ok((ring, signal))
            });
            match made {
                Ok((ring, signal)) => {
                    let waker = waker();
                    messages.lock().waker = Some(waker.clone());
                    self.ring = Some(OpenRing { ring, signal, waker });
                }
                Err(error) => {
                    self.failed = true;
                    warn!(target: "volt::driver", %error, "no ring: threads do its operations");
                }
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody closed the ring, as a panic may see to: the kernel still uses what is in flight.
        if !self.operations.is_empty() {
            mem::forget(mem::take(&mut self.operations));
        }
    }
}

fn turn(ring: &mut Ring, waits: bool, completions: &mut Vec<Completion>) -> bool {
    match ring.turn(waits, completions) {
        Ok(all_submitted) => all_submitted,
        Err(error) => panic!("the completion queue of the system fails: {error}"),
    }
}

/// A future's part of an operation that has begun. Dropping it gives the operation up, if that is
/// in flight: its payload stays until the system has completed it.
pub(crate) struct InFlight<P: Payload> {
    flight: Arc<Flight<P>>,
    token: u64,
    completions: Arc<Completions>,
}

impl<P: Payload> InFlight<P> {
    /// What the operation came to, and its payload.
    ///
    /// # Panics
    /// If it has returned `Ready` before.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<(io::Result<usize>, P)> {
        self.flight.poll(context)
    }
}

impl<P: Payload> Drop for InFlight<P> {
    fn drop(&mut self) {
        if self.flight.abandon() && P::ENDS_WITH_FUTURE {
            self.completions.abandon(self.token);
        }
    }
}

#[cfg(all(test, target_os = "linux", not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::platform::fs::{File, OpenFlags, open};
    use crate::platform::ring::{Operation, is_refusal, probe};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Read {
        file: Arc<File>,
        bytes: Vec<u8>,
    }

    // SAFETY: the file is open and the vector's memory there as long as this is.
    unsafe impl Payload for Read {
        const ENDS_WITH_FUTURE: bool = true;

        fn describe(&mut self) -> Option<Operation<'_>> {
            let Read { file, bytes } = self;
            let length = bytes.len() as u32;
            Some(Operation::Read { file, buffer: bytes.as_mut_ptr(), length, offset: 0 })
        }

        fn land_alone(self, _: io::Result<usize>) {}
    }

    fn waker(task: &Arc<Task>) -> Waker {
        Waker::from(Arc::clone(task))
    }

    /// Reads complete, are dropped in flight, outnumber the ring; then it is closed, and another
    /// one opened.
    fn life(path: &Path) {
        let driver = Arc::new(Driver::new().unwrap());
        let completions = Arc::new(Completions::new());
        let file = Arc::new(open(path, &OpenFlags::READ).unwrap());
        let (owner, task) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let (wakes_task, wakes_owner) = (waker(&task), || waker(&owner));
        let mut context = Context::from_waker(&wakes_task);
        for _ in 0..2 {
            let begin = || {
                let mut payload = Read { file: Arc::clone(&file), bytes: vec![0; 4] };
                for _ in 0..100 {
                    match completions.begin(&driver, wakes_owner, payload) {
                        Ok(read) => return read,
                        // The kernel has no memory now for what was there before.
                        Err(refused) => payload = refused,
                    }
                }
                panic!("the ring takes nothing");
            };
            assert!(completions.turn(false) && !completions.is_busy());
            // More than the ring has room for; every third one is dropped.
            let mut reads: Vec<_> = (0..3 * ENTRIES).map(|_| Some(begin())).collect();
            reads.iter_mut().step_by(3).for_each(|read| *read = None);
            assert!(reads.iter().flatten().all(|read| read.poll(&mut context).is_pending()));
            while completions.is_busy() {
                completions.turn(false);
                completions.arm();
                completions.turn(false);
                if completions.is_busy() {
                    driver.turn(Some(Duration::from_secs(10)));
                }
            }
            for read in reads.into_iter().flatten() {
                match read.poll(&mut context) {
                    Poll::Ready((Ok(count), Read { bytes, .. })) => {
                        assert_eq!(bytes[..count], b"[wor"[..count]);
                    }
                    Poll::Ready((Err(error), _)) => assert!(is_refusal(&error), "{error}"),
                    Poll::Pending => panic!("it has completed"),
                }
            }
            // Dropped in flight, and closed.
            drop(begin());
            completions.close();
            assert!(!completions.is_busy());
        }
        assert_eq!(Arc::strong_count(&file), 1, "an operation is left behind");
        assert!(task.0.load(Ordering::SeqCst) > 0 && owner.0.load(Ordering::SeqCst) > 0);
    }

    #[test]
    fn operations_complete_and_are_given_up() {
        if probe().is_ok() {
            life(Path::new("Cargo.toml"));
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn operations_on_a_simulated_ring_complete_and_are_given_up() {
        volt_sim::check(|| {
            volt_sim::fs::write("/file", b"[workspace]").unwrap();
            life(Path::new("/file"));
        });
    }
}
