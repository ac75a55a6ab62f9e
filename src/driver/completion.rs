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
//! message and wakes the owner. So a worker that is stuck in a poll holds up what is in flight on
//! its ring, and nothing else, unless rings are *shared*: then the sentinel
//! [rescues](Completions::rescue) them.
//!
//! # How a worker goes to sleep
//!
//! In its ring, if something is in flight there: one call of the system submits and waits. A worker
//! that finds nobody in the driver is there meanwhile, *through* its ring: a poll of the readiness
//! queue is in flight on the ring too, and what that tells is taken from the queue when it
//! completes ([`Driver::turn_through`](super::Driver::turn_through)). Else it hears of completions
//! alone, and of wake-ups that are meant for it ([`Completions::interrupt`]).
//!
//! # How a ring ends
//!
//! When its thread ceases to be the worker, it cancels what may never end, such as a receive, and
//! waits until nothing is in flight: memory stays the kernel's until then. Whoever still wants what
//! was cancelled finds a refusal, and does it another way. The next thread that is the worker has a
//! ring of its own.

use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tracing::warn;

use super::flight::{Flight, Landing, Payload};
use super::operations::Operations;
use crate::platform::mutation::mutation;
use crate::platform::net::Poller;
use crate::platform::probe;
use crate::platform::ring::{Completion, Ring, RingWaker};
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::waiter::{contain, wake};

/// How many operations a ring takes between two turns. Beyond that it turns by itself.
const ENTRIES: u32 = 128;

/// The ring of one worker. See the module documentation.
pub(crate) struct Completions {
    /// Locked while the worker waits in the ring.
    own: Mutex<Own>,
    /// Whether something is in flight, perhaps. The worker's own thread alone writes it, and reads
    /// it.
    busy: AtomicBool,
    messages: Mutex<Messages>,
    /// Whether rings are made so that another thread may rescue them.
    shared: bool,
}

/// What the worker's own thread uses, and who rescues it.
struct Own {
    operations: Operations,
    ring: Option<Ring>,
    /// A ring could not be made: this thread does not try again.
    failed: bool,
    /// Taken out of the ring, and not yet told.
    completions: Vec<Completion>,
}

#[derive(Default)]
struct Messages {
    /// Operations whose futures were dropped.
    abandoned: Vec<u64>,
    /// The runtime has shut down: what may never end is to be cancelled.
    ends: bool,
    /// Wakes the worker, wherever it is.
    waker: Option<Waker>,
    /// Ends its wait in the ring.
    ring_waker: Option<Arc<RingWaker>>,
}

impl Completions {
    /// Rings that are `shared` can be [rescued](Completions::rescue).
    pub(crate) fn new(shared: bool) -> Completions {
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
            shared,
        }
    }

    /// Begins an operation. Only the worker itself calls this; `waker` wakes it.
    ///
    /// # Errors
    /// The payload, if the ring cannot do it: it has to be done another way.
    pub(crate) fn begin<P: Payload>(
        self: &Arc<Completions>,
        waker: impl FnOnce() -> Waker,
        payload: P,
    ) -> Result<InFlight<P>, P> {
        let flight = Arc::new(Flight::new(payload));
        // What describes itself may be anybody's code: the ring is not locked yet.
        let begun = flight.with_payload(|payload| {
            let operation = payload.describe()?;
            let own = &mut *self.own.lock();
            own.open(self.shared, waker, &self.messages);
            let Own { operations, ring, completions, .. } = own;
            let ring = ring.as_mut()?;
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
    /// when there is none. Only the worker itself calls this.
    ///
    /// # Panics
    /// If the ring fails, which nothing explains but a descriptor that was closed by code that did
    /// not own it.
    pub(crate) fn turn(&self, waits: bool) {
        if self.is_busy() {
            let mut own = self.own.lock();
            let landed = self.turn_own(&mut own, waits);
            // Relaxed: see the field.
            self.busy.store(!own.operations.is_empty(), Ordering::Relaxed);
            drop(own);
            land(landed);
        }
    }

    /// Does what [`Completions::turn`] does for a worker that cannot, on another thread. Nothing if
    /// the ring is not shared, or the worker uses it right now.
    ///
    /// # Panics
    /// As [`Completions::turn`].
    pub(crate) fn rescue(&self) {
        if self.shared
            && let Some(mut own) = self.own.try_lock()
        {
            let landed = self.turn_own(&mut own, false);
            drop(own);
            land(landed);
        }
    }

    /// Submits, and takes what has completed out of the ring and the table.
    fn turn_own(&self, own: &mut Own, waits: bool) -> Vec<Landed> {
        let Own { operations, ring, completions, .. } = own;
        let Some(ring) = ring else { return Vec::new() };
        self.cancel_abandoned(operations, ring);
        // A rescuer may have left nothing to wait for.
        let waits = waits && completions.is_empty() && !operations.is_empty();
        turn(ring, waits, completions);
        let mut landed = Vec::new();
        for Completion { token, result, more } in completions.drain(..) {
            landed.extend(operations.complete(token, more).map(|operation| (operation, result)));
        }
        landed
    }

    /// Submits what has begun, and waits for at most `timeout` for a completion, an
    /// [`interrupt`](Completions::interrupt), or what `poller` has to tell: true if it has
    /// something. Tells nobody: a [`turn`](Completions::turn) is to follow. Only the worker itself
    /// calls this, while the ring is busy.
    ///
    /// # Panics
    /// As [`Completions::turn`].
    pub(crate) fn wait(&self, timeout: Option<Duration>, poller: Option<&Poller>) -> bool {
        let mut own = self.own.lock();
        let Own { operations, ring, completions, .. } = &mut *own;
        let Some(ring) = ring else { return false };
        let all_cancelled = self.cancel_abandoned(operations, ring);
        // What has completed is told first; and a rescuer may have left nothing to wait for.
        let may_wait = all_cancelled && completions.is_empty() && !operations.is_empty();
        let timeout = if may_wait { timeout } else { Some(Duration::ZERO) };
        match ring.wait(timeout, poller, completions) {
            Ok(told) => told,
            Err(error) => panic!("the completion queue of the system fails: {error}"),
        }
    }

    /// Ends the wait of a worker that is in its ring, or about to be.
    ///
    /// # Panics
    /// As [`Completions::turn`].
    pub(crate) fn interrupt(&self) {
        // The system is called without the lock; a ring that is closed meanwhile hears nothing.
        let waker = self.messages.lock().ring_waker.clone();
        if let Some(waker) = waker
            && let Err(error) = waker.wake()
        {
            panic!("the completion queue of the system cannot be woken: {error}");
        }
    }

    /// Has the kernel cancel what nobody waits for. False if there was no room for all of it.
    fn cancel_abandoned(&self, operations: &mut Operations, ring: &mut Ring) -> bool {
        let mut messages = self.messages.lock();
        let mut abandoned = mem::take(&mut messages.abandoned);
        if mem::take(&mut messages.ends) {
            abandoned.extend(operations.endless());
        }
        drop(messages);
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

    /// The calling thread ceases to be the worker: waits for what is in flight, and closes the
    /// ring.
    ///
    /// # Panics
    /// As [`Completions::turn`].
    pub(crate) fn close(&self) {
        let endless = self.own.lock().operations.endless();
        mutation!(
            "ring-ends-with-receives",
            self.messages.lock().abandoned.extend(endless),
            drop(endless)
        );
        while mutation!("ring-closes-over-operations", self.is_busy(), false) {
            self.turn(true);
        }
        let mut own = self.own.lock();
        probe::ring_closed(own.operations.taken());
        let ring = own.ring.take();
        // What was short may be there for the next thread.
        own.failed = false;
        drop(own);
        let mut messages = self.messages.lock();
        let wakers = (messages.waker.take(), messages.ring_waker.take());
        drop(messages);
        drop((ring, wakers));
    }

    /// The runtime has shut down, and takes no new operations: whoever waits for one that may
    /// never end finds a refusal. Called on any thread; the owner of the ring may outlive this.
    pub(crate) fn end(&self) {
        let mut messages = self.messages.lock();
        messages.ends = true;
        let waker = messages.waker.clone();
        drop(messages);
        waker.into_iter().for_each(Waker::wake);
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
    fn open(&mut self, shared: bool, waker: impl FnOnce() -> Waker, messages: &Mutex<Messages>) {
        if self.ring.is_none() && !self.failed {
            let made = Ring::new(ENTRIES, shared).and_then(|ring| {
                let ring_waker = ring.waker()?;
                Ok((ring, ring_waker))
            });
            match made {
                Ok((ring, ring_waker)) => {
                    let waker = waker();
                    let mut messages = messages.lock();
                    (messages.waker, messages.ring_waker) =
                        (Some(waker), Some(Arc::new(ring_waker)));
                    self.ring = Some(ring);
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

/// What has ended, and how.
type Landed = (Arc<dyn Landing>, io::Result<usize>);

/// Tells of what has ended. No lock is held: payloads may go here, and they and wakers are
/// anybody's code; whatever one of them does, the others land all the same.
fn land(landed: Vec<Landed>) {
    for (operation, result) in landed {
        let waker = contain(|| operation.land(result)).flatten();
        contain(|| drop(operation));
        wake(waker);
    }
}

fn turn(ring: &mut Ring, waits: bool, completions: &mut Vec<Completion>) {
    if let Err(error) = ring.turn(waits, completions) {
        panic!("the completion queue of the system fails: {error}");
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

    use super::*;
    use crate::driver::Driver;
    use crate::platform::fs::{File, OpenFlags, open};
    use crate::platform::net::{TcpListener, TcpStream};
    use crate::platform::ring::{Operation, is_refusal, probe};
    use crate::platform::thread;

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
    /// one opened. The worker waits in the driver through its ring, and in the ring alone.
    fn life(path: &Path) {
        let driver = Driver::new().unwrap();
        let completions = Arc::new(Completions::new(false));
        let file = Arc::new(open(path, &OpenFlags::READ).unwrap());
        let (owner, task) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let (wakes_task, wakes_owner) = (waker(&task), || waker(&owner));
        let mut context = Context::from_waker(&wakes_task);
        for in_driver in [true, false] {
            let begin = || {
                let mut payload = Read { file: Arc::clone(&file), bytes: vec![0; 4] };
                for _ in 0..100 {
                    match completions.begin(wakes_owner, payload) {
                        Ok(read) => return read,
                        // The kernel has no memory now for what was there before.
                        Err(refused) => payload = refused,
                    }
                }
                panic!("the ring takes nothing");
            };
            completions.turn(false);
            assert!(!completions.is_busy());
            // More than the ring has room for; every third one is dropped.
            let mut reads: Vec<_> = (0..3 * ENTRIES).map(|_| Some(begin())).collect();
            reads.iter_mut().step_by(3).for_each(|read| *read = None);
            assert!(reads.iter().flatten().all(|read| read.poll(&mut context).is_pending()));
            while completions.is_busy() {
                if in_driver {
                    assert!(driver.turn_through(&completions, None, || false));
                } else {
                    assert!(!completions.wait(None, None), "no poller was asked");
                    completions.turn(false);
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

    /// Waits for ever on a connection where nothing comes.
    struct Receive {
        socket: TcpStream,
        byte: [u8; 1],
    }

    // SAFETY: it holds the socket; the byte lies still with it.
    unsafe impl Payload for Receive {
        const ENDS_WITH_FUTURE: bool = true;
        const MAY_NOT_END: bool = true;

        fn describe(&mut self) -> Option<Operation<'_>> {
            let Receive { socket, byte } = self;
            Some(Operation::Receive { socket, buffer: byte.as_mut_ptr(), length: 1 })
        }

        fn land_alone(self, _: io::Result<usize>) {}
    }

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        loop {
            match listener.accept() {
                Ok((server, _)) => return (client, server),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn receive(completions: &Arc<Completions>) -> (TcpStream, InFlight<Receive>) {
        let (socket, peer) = pair();
        let owner = Arc::new(Task::default());
        let payload = Receive { socket, byte: [0] };
        let in_flight = completions.begin(|| waker(&owner), payload);
        (peer, in_flight.unwrap_or_else(|_| panic!("ring")))
    }

    /// Whoever waits in its ring, or in the driver through it, is told to come out; a message that
    /// an operation is given up is such a wake-up too.
    fn comes_out(in_driver: bool) {
        let driver = Arc::new(Driver::new().unwrap());
        let completions = Arc::new(Completions::new(false));
        let (_peer, in_flight) = receive(&completions);
        for _ in 0..2 {
            let woken = Arc::new(AtomicBool::new(false));
            let other = (Arc::clone(&driver), Arc::clone(&completions), Arc::clone(&woken));
            let waker = thread::spawn("waker", None, move || {
                let (driver, completions, woken) = other;
                thread::sleep(Duration::from_millis(1));
                woken.store(true, Ordering::SeqCst);
                if in_driver { driver.unpark() } else { completions.interrupt() }
            });
            while !woken.load(Ordering::SeqCst) {
                if !completions.is_busy() {
                    // The receive was refused: there is nothing to wait for.
                    thread::sleep(Duration::from_millis(1));
                } else if in_driver {
                    let is_woken = || woken.load(Ordering::SeqCst);
                    assert!(driver.turn_through(&completions, None, is_woken));
                } else {
                    completions.wait(None, None);
                    completions.turn(false);
                }
            }
            waker.unwrap().join().unwrap();
        }
        drop(in_flight);
        completions.close();
    }

    /// Another thread takes what has completed on the ring of a worker that does not.
    fn is_rescued() {
        let completions = Arc::new(Completions::new(true));
        let (peer, in_flight) = receive(&completions);
        completions.turn(false);
        assert!(in_flight.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(peer.write(b"x").unwrap(), 1);
        let rescuer = Arc::clone(&completions);
        let rescuer = thread::spawn("rescuer", None, move || {
            // The worker is stuck: nobody else looks at its ring.
            let mut context = Context::from_waker(Waker::noop());
            loop {
                rescuer.rescue();
                match in_flight.poll(&mut context) {
                    Poll::Ready((Ok(count), Receive { byte, .. })) => {
                        break assert_eq!((count, &byte), (1, b"x"));
                    }
                    Poll::Ready((Err(error), _)) => break assert!(is_refusal(&error), "{error}"),
                    Poll::Pending => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        rescuer.unwrap().join().unwrap();
        completions.close();
        assert!(!completions.is_busy());
    }

    #[test]
    fn a_worker_in_its_ring_is_told_to_come_out_and_rescued() {
        if probe().is_ok() {
            comes_out(true);
            comes_out(false);
            is_rescued();
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_worker_in_a_simulated_ring_is_told_to_come_out_and_rescued() {
        let report = volt_sim::Sim::builder().sweep(0..50).check(|| {
            comes_out(true);
            comes_out(false);
            is_rescued();
        });
        assert!(report.failure().is_none());
    }
}
