//! The driver: waits for the readiness of sources, and wakes who waits for it.
//!
//! ```text
//!   operation ──► would block ──► clear, leave a waiter ──────────┐
//!       ▲                                                         ▼
//!       └── wake ◄── take the waiters ◄── set ◄── table ◄── event: token, what is ready
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `gate` | who is in the poller, and how that thread is told to come out |
//! | `slab` | what the tokens of events stand for |
//! | `readiness` | whether a source may be ready, and who waits for it |
//! | `registration` | a source, and operations that wait for it |
//! | `completion` | the ring of a worker, and the operations on it |
//! | `flight` | one operation between its future and the ring |
//! | `operations` | what the tokens of a ring stand for |
//!
//! A runtime has one driver. Any of its threads may [turn](Driver::turn) it, one at a time: the
//! thread waits in the system's queue, leaves that to the next, then deals with its events. No
//! lock is held while a waker is called.
//!
//! # How a worker waits here
//!
//! [`Driver::unpark`] is for whoever is inside, not for a worker by name. A worker that sleeps here
//! must not miss what is meant for it:
//!
//! 1. It says where all can see it that it sleeps in the driver, and calls
//!    [`Driver::turn_unless`] with a look at whether it was woken.
//! 2. If that returns false, another thread is inside, and it sleeps elsewhere.
//! 3. Whoever wakes it first marks it as woken, then calls `unpark` if it may be in the driver.
//!
//! A worker that has operations in flight on its ring waits there meanwhile: see `completion`.
//!
//! A worker that only passes by turns the driver with a time-out of zero, which takes no wake-up
//! from anybody.

mod completion;
#[cfg(all(test, target_os = "linux", not(any(volt_loom, volt_shuttle))))]
mod completion_tests;
mod flight;
mod gate;
mod operations;
mod readiness;
mod registration;
mod slab;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use completion::{Completions, InFlight};
pub(crate) use flight::Payload;
pub(crate) use readiness::Direction;
pub(crate) use registration::{Registration, Waiting};

use crate::platform::net::{Events, PollWaker, Poller, Registrar, Source};
use crate::platform::probe;
use crate::platform::sync::Mutex;
use crate::waiter::WakeBatch;
use gate::Gate;
use readiness::{Readiness, Ready};
use slab::{BATCH, Refusal, Slab};

/// How many events one turn takes from the system.
const EVENTS: usize = 1024;

/// See the [module](self).
pub(crate) struct Driver {
    gate: Gate<Inside>,
    registrar: Registrar,
    waker: PollWaker,
    sources: Slab<Readiness>,
    /// Room for events that no turn uses now. A turn deals with its events after it has left the
    /// poller, so there may be as many in use as threads.
    buffers: Mutex<Vec<Events>>,
}

/// What the thread uses that is in the gate.
struct Inside {
    poller: Poller,
    /// What a turn without events leaves to the next, which so takes no other lock.
    spare: Option<Events>,
}

impl Driver {
    /// A driver without sources.
    ///
    /// # Errors
    /// If the system has no queue to give.
    pub(crate) fn new() -> io::Result<Driver> {
        let poller = Poller::new()?;
        let registrar = poller.registrar()?;
        let waker = poller.waker()?;
        Ok(Driver {
            gate: Gate::new(Inside { poller, spare: None }),
            registrar,
            waker,
            sources: Slab::new(),
            buffers: Mutex::new(Vec::new()),
        })
    }

    /// Waits for events for at most `timeout`, and wakes who waits for them. False at once if
    /// another thread is inside. May return early, and without events.
    ///
    /// # Panics
    /// If the system's queue fails, which nothing explains but a descriptor that was closed by
    /// code that did not own it.
    pub(crate) fn turn(&self, timeout: Option<Duration>) -> bool {
        self.turn_unless(timeout, || false)
    }

    /// As [`Driver::turn`], but does not wait if `is_woken`, which is asked when an
    /// [`unpark`](Driver::unpark) from then on ends the wait.
    ///
    /// # Panics
    /// As [`Driver::turn`].
    pub(crate) fn turn_unless(
        &self,
        timeout: Option<Duration>,
        is_woken: impl FnOnce() -> bool,
    ) -> bool {
        let wait = timeout != Some(Duration::ZERO);
        let polled = self.gate.enter(wait, is_woken, |inside, may_wait| {
            let timeout = if may_wait { timeout } else { Some(Duration::ZERO) };
            self.take(inside, timeout)
        });
        self.finish(polled)
    }

    /// As [`Driver::turn_unless`], but the worker waits in its ring, where something is in flight,
    /// and for that as well.
    ///
    /// # Panics
    /// As [`Driver::turn`], and [`Completions::turn`].
    pub(crate) fn turn_through(
        &self,
        ring: &Completions,
        timeout: Option<Duration>,
        is_woken: impl FnOnce() -> bool,
    ) -> bool {
        let polled = self.gate.enter(true, is_woken, |inside, may_wait| {
            let timeout = if may_wait { timeout } else { Some(Duration::ZERO) };
            match ring.wait(timeout, Some(&inside.poller)) {
                true => self.take(inside, Some(Duration::ZERO)),
                false => Ok(None),
            }
        });
        let turned = self.finish(polled);
        if turned {
            ring.turn(false);
        }
        turned
    }

    /// Takes events from the system, for which it waits for at most `timeout`; `None` if there
    /// were none.
    fn take(&self, inside: &mut Inside, timeout: Option<Duration>) -> io::Result<Option<Events>> {
        let spare = inside.spare.take().or_else(|| self.buffers.lock().pop());
        let mut events = spare.unwrap_or_else(|| Events::with_capacity(EVENTS));
        inside.poller.wait(&mut events, timeout)?;
        if events.iter().next().is_some() {
            return Ok(Some(events));
        }
        inside.spare = Some(events);
        Ok(None)
    }

    /// Deals with the events of a thread that was inside; false if it was not.
    fn finish(&self, polled: Option<io::Result<Option<Events>>>) -> bool {
        match polled {
            None => return false,
            Some(Ok(None)) => {}
            Some(Ok(Some(events))) => {
                self.dispatch(&events);
                self.buffers.lock().push(events);
            }
            Some(Err(error)) => panic!("the readiness queue of the system fails: {error}"),
        }
        true
    }

    /// Wakes who waits for `events`. A source that has gone meanwhile has nobody who does.
    fn dispatch(&self, events: &Events) {
        let mut wakes = WakeBatch::new();
        let mut events = events.iter().peekable();
        while events.peek().is_some() {
            let mut found = [const { None }; BATCH];
            self.sources.look_up(&mut events, &mut found);
            for (readiness, event) in found.into_iter().flatten() {
                readiness.set(Ready::of(event), &mut wakes);
            }
        }
    }

    /// Has whoever waits in a turn come out, or keeps the next one from waiting. One system call
    /// at most; none if nobody waits, or was told already.
    ///
    /// # Panics
    /// As [`Driver::turn`].
    pub(crate) fn unpark(&self) {
        self.gate.notify(|| {
            if let Err(error) = self.waker.wake() {
                panic!("the readiness queue of the system cannot be woken: {error}");
            }
        });
    }

    /// Watches `source`, which blocks no operation, until the registration is dropped. Nothing is
    /// ready before the first event.
    ///
    /// # Errors
    /// If the runtime has shut down, or the system does not watch the source.
    pub(crate) fn register<S: Source>(
        self: &Arc<Driver>,
        mut source: S,
    ) -> io::Result<Registration<S>> {
        let readiness = match S::ENDS {
            true => Readiness::new(),
            false => Readiness::without_ends(),
        };
        let readiness = Arc::new(readiness);
        let token = self.admit(&readiness)?;
        if let Err(error) = self.registrar.register(&mut source, token) {
            drop(self.sources.remove(token));
            return Err(error);
        }
        Ok(Registration::new(source, readiness, token, Arc::clone(self), false))
    }

    /// As [`Driver::register`], but the system is asked to watch `source` only when somebody has to
    /// wait for it here; until then it is tried. For a source that is waited for on rings: what the
    /// system tells of it here as well would wake the worker twice.
    ///
    /// # Errors
    /// If the runtime has shut down. If the system does not watch the source, those who wait hear.
    pub(crate) fn register_late<S: Source>(
        self: &Arc<Driver>,
        source: S,
    ) -> io::Result<Registration<S>> {
        let readiness = Arc::new(Readiness::presumed());
        let token = self.admit(&readiness)?;
        Ok(Registration::new(source, readiness, token, Arc::clone(self), true))
    }

    /// Gives a source its token.
    fn admit(&self, readiness: &Arc<Readiness>) -> io::Result<usize> {
        self.sources.insert(Arc::clone(readiness)).map_err(|refusal| match refusal {
            Refusal::Closed => shut_down_error(),
            Refusal::Full => io::Error::other("the runtime has too many sockets"),
        })
    }

    /// The runtime shuts down: who waits is woken and finds an error, as everybody does from now
    /// on.
    pub(crate) fn close(&self) {
        let mut wakes = WakeBatch::new();
        self.sources.close(|readiness| readiness.shut_down(&mut wakes));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        probe::driver_ended(self.sources.taken());
    }
}

/// What operations answer once the runtime is gone.
fn shut_down_error() -> io::Error {
    io::Error::other("the runtime of this socket has shut down")
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};
    use std::thread;

    use super::*;
    use crate::platform::net::{Event, TcpListener, TcpStream};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    #[test]
    fn an_unpark_without_a_waiter_is_kept_for_the_next_one() {
        let driver = Driver::new().unwrap();
        driver.unpark();
        driver.unpark();
        assert!(driver.turn(Some(Duration::ZERO)));
        assert!(driver.turn(None));
        assert!(driver.turn_unless(None, || true));
    }

    #[test]
    fn an_unpark_ends_a_turn() {
        let driver = Driver::new().unwrap();
        let woken = AtomicBool::new(false);
        for _ in 0..100 {
            woken.store(false, Ordering::SeqCst);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !woken.load(Ordering::SeqCst) {
                        assert!(driver.turn_unless(None, || woken.load(Ordering::SeqCst)));
                    }
                });
                woken.store(true, Ordering::SeqCst);
                driver.unpark();
            });
        }
    }

    #[test]
    fn one_thread_at_a_time_is_in_a_turn() {
        let driver = Driver::new().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    driver.turn_unless(None, || done.load(Ordering::SeqCst));
                }
            });
            while driver.turn(Some(Duration::ZERO)) {
                thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
            driver.unpark();
        });
    }

    #[test]
    fn a_close_wakes_waiters_and_refuses_sources() {
        let driver = Arc::new(Driver::new().unwrap());
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut context = Context::from_waker(&waker);
        let listeners = [(); 40].map(|()| driver.register(listener()).unwrap());
        for listener in &listeners {
            assert!(listener.poll_ready(&mut context, Direction::Read).is_pending());
        }
        driver.close();
        assert_eq!(task.0.load(Ordering::SeqCst), 40);
        for listener in &listeners {
            let accepted = listener.try_io(Direction::Read, TcpListener::accept);
            let error = accepted.map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
        }
        let refused = driver.register(listener()).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("shut down"), "{refused}");
        // What was registered can still be had back.
        for listener in listeners {
            listener.into_source().unwrap();
        }
    }

    #[test]
    fn a_late_event_of_a_dropped_registration_finds_nobody() {
        let driver = Arc::new(Driver::new().unwrap());
        let registration = driver.register(listener()).unwrap();
        let address = registration.source().local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        // The event is taken from the system, and looked at when its source is gone and another
        // one has its place.
        let mut late = Events::with_capacity(4);
        while late.iter().next().is_none() {
            let wait = |inside: &mut Inside, _| inside.poller.wait(&mut late, None);
            driver.gate.enter(false, || false, wait).unwrap().unwrap();
        }
        drop(registration);
        let other = driver.register(listener()).unwrap();
        let late_tokens: Vec<usize> = late.iter().map(|event| event.token).collect();
        driver.dispatch(&late);
        let accepted = other.try_io(Direction::Read, |_| -> io::Result<()> {
            panic!("the new source has the event of the old one");
        });
        assert_eq!(accepted.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut found = [const { None }; BATCH];
        let mut late = late_tokens.iter().map(|token| Event { token: *token, ..Event::default() });
        driver.sources.look_up(&mut late, &mut found);
        assert!(found.iter().all(Option::is_none));
        drop(client);
    }
}
