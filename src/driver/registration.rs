//! A source that a driver watches, and operations that wait for it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Driver;
use super::readiness::{Direction, Readiness, Seen, Ticket, Waiter};
use crate::platform::mutation::mutation;
use crate::platform::net::{SHORT_TRANSFER_DRAINS, Source};
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::waiter::WakeBatch;

/// A source, for as long as the driver watches it. Dropping it ends the watch, then closes the
/// source; an event that is on its way finds nobody.
pub(crate) struct Registration<S: Source> {
    watched: Arc<Watched<S>>,
}

/// What all handles of a registration share.
struct Watched<S: Source> {
    /// `None` only between [`Registration::into_source`] and the drop that follows.
    source: Option<S>,
    readiness: Arc<Readiness>,
    token: usize,
    driver: Arc<Driver>,
    /// Whether the system is asked to watch the source when somebody first waits.
    is_late: bool,
    /// Whether it was asked.
    is_watched: AtomicBool,
}

impl<S: Source> Registration<S> {
    pub(super) fn new(
        source: S,
        readiness: Arc<Readiness>,
        token: usize,
        driver: Arc<Driver>,
        is_late: bool,
    ) -> Registration<S> {
        let (source, is_watched) = (Some(source), AtomicBool::new(!is_late));
        let watched = Watched { source, readiness, token, driver, is_late, is_watched };
        Registration { watched: Arc::new(watched) }
    }

    /// The source.
    pub(crate) fn source(&self) -> &S {
        self.watched.source.as_ref().expect("it is there until the registration is dropped")
    }

    /// The driver that watches it.
    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.watched.driver
    }

    fn readiness(&self) -> &Readiness {
        &self.watched.readiness
    }

    /// Sees to it that the system watches the source, and tells of what is ready now.
    fn watch(&self) -> io::Result<()> {
        self.watch_after(|| {})
    }

    /// As `watch`, and nothing is presumed to be ready any more, unless somebody else has the
    /// source watched already.
    fn watch_from_now(&self) -> io::Result<()> {
        self.watch_after(|| self.readiness().presume_nothing())
    }

    /// Has the system watch the source, if nobody has asked it yet, after `prepare`.
    fn watch_after(&self, prepare: impl FnOnce()) -> io::Result<()> {
        let Watched { driver, token, is_watched, .. } = &*self.watched;
        // Relaxed, here and below: it only says who asks the system. Whoever waits is in the list
        // before it comes here, and hears of what is told then.
        if is_watched.load(Ordering::Relaxed) || is_watched.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        prepare();
        let watched = self.source().register_late(&driver.registrar, *token);
        if watched.is_err() {
            is_watched.store(false, Ordering::Relaxed);
            // Others may rely on this attempt: they try again, and hear why it fails.
            self.announce(Direction::Read);
            self.announce(Direction::Write);
        }
        watched
    }

    /// Waits for an event. A source that is watched late is so from the first wait on: what was
    /// ready before is told of then, and finds the waiter.
    fn poll_event(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        waiter: Waiter<'_>,
    ) -> Poll<io::Result<Seen>> {
        let polled = self.readiness().poll(context, direction, waiter);
        if polled.is_pending() {
            self.watch()?;
        }
        polled
    }

    /// Another handle to the same registration, for an operation that needs the source to be there
    /// until it has ended: the last handle ends the watch.
    pub(crate) fn share(&self) -> Registration<S> {
        Registration { watched: Arc::clone(&self.watched) }
    }

    /// Ends the watch and gives the source.
    ///
    /// # Errors
    /// If the system does not let go of it, or another handle is there; this one is gone then.
    pub(crate) fn into_source(self) -> io::Result<S> {
        let watched = Arc::into_inner(self.watched).ok_or_else(|| {
            io::Error::new(
                ErrorKind::ResourceBusy,
                "an operation that was dropped has not ended on its ring yet",
            )
        });
        watched?.end().expect("it is there until the registration is dropped")
    }

    /// Has whoever waits for `direction` try again: something that the system does not tell of may
    /// let it succeed.
    pub(crate) fn announce(&self, direction: Direction) {
        let mut wakes = WakeBatch::new();
        self.readiness().announce(direction, &mut wakes);
    }

    /// Waits until an operation in `direction` may succeed.
    ///
    /// The task is woken at the next event of that direction, whether or not what called this
    /// still waits then: a future that can be dropped waits by [`Registration::waiting`].
    ///
    /// # Errors
    /// If the runtime has shut down.
    pub(crate) fn poll_ready(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        self.poll_event(context, direction, Waiter::Task).map_ok(|_| ())
    }

    /// Tries `operation` whenever it may succeed, until it answers something else than
    /// `WouldBlock`. Spends no budget. The task waits as in [`Registration::poll_ready`].
    ///
    /// # Errors
    /// What the operation answers; and if the runtime has shut down.
    pub(crate) fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempts(context, direction, Waiter::Task, operation, |_| false)
    }

    /// As [`Registration::poll_io`], for an operation that transfers up to `requested` bytes and
    /// answers how many. If it was fewer, the next one waits for an event instead of trying.
    ///
    /// # Errors
    /// As [`Registration::poll_io`].
    pub(crate) fn poll_transfer(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        requested: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let is_short = |count: &usize| self.is_drained(*count, requested);
        self.poll_attempts(context, direction, Waiter::Task, operation, is_short)
    }

    /// Tries `operation` once, unless the last event of the direction was used up.
    ///
    /// # Errors
    /// `WouldBlock` if it was, or what the operation answers; and if the runtime has shut down.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        // Who tries again and again without waiting hears of events too.
        self.watch()?;
        let Some(seen) = self.readiness().look(direction) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let seen = seen?;
        let result = operation(self.source());
        if let Err(error) = &result
            && error.kind() == ErrorKind::WouldBlock
        {
            self.readiness().clear(direction, seen);
        }
        result
    }

    /// As [`Registration::try_io`], for an operation that transfers up to `requested` bytes and
    /// answers how many. If it was fewer, the next one waits for an event instead of trying. Does
    /// not begin to watch: who waits here if it would block has done so.
    ///
    /// # Errors
    /// As [`Registration::try_io`].
    pub(crate) fn try_transfer(
        &self,
        direction: Direction,
        requested: usize,
        operation: impl FnOnce(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(seen) = self.readiness().look(direction) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let seen = seen?;
        let result = operation(self.source());
        let drained = match &result {
            Ok(count) => self.is_drained(*count, requested),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        if drained {
            self.readiness().clear(direction, seen);
        }
        result
    }

    /// Whether a transfer of `count` bytes shows that the next one would block. None at all is the
    /// end of a stream, which does not.
    fn is_drained(&self, count: usize, requested: usize) -> bool {
        SHORT_TRANSFER_DRAINS && 0 < count && count < requested && !self.readiness().was_announced()
    }

    /// A place among those that wait for `direction`, for a future to hold.
    pub(crate) fn waiting(&self, direction: Direction) -> Waiting<'_, S> {
        Waiting { registration: self, direction, ticket: Ticket::default() }
    }

    /// Waits and tries, again and again. `drains` says of a result that the next attempt would
    /// block.
    fn poll_attempts<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        mut waiter: Waiter<'_>,
        mut operation: impl FnMut(&S) -> io::Result<R>,
        drains: impl FnOnce(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        loop {
            let seen = ready!(self.poll_event(context, direction, waiter.reborrow()))?;
            match operation(self.source()) {
                Ok(value) => {
                    if drains(&value) {
                        self.readiness().clear(direction, seen);
                    }
                    return Poll::Ready(Ok(value));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readiness().clear(direction, seen);
                    if seen.is_closed(direction) {
                        // It blocks on a direction that has ended: nothing will tell when it does
                        // not any more. Others run between the attempts.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<S: Source> Watched<S> {
    /// Ends the watch, and gives the source if it is still there.
    fn end(&mut self) -> Option<io::Result<S>> {
        let mut source = self.source.take()?;
        // Relaxed: nobody else has the registration any more.
        let is_watched = self.is_watched.load(Ordering::Relaxed);
        let registrar = &self.driver.registrar;
        let deregistered = match (self.is_late, is_watched) {
            (true, false) => Ok(()),
            (true, true) => source.deregister_late(registrar),
            (false, _) => registrar.deregister(&mut source),
        };
        if mutation!("registration-keeps-its-place", true, false) {
            drop(self.driver.sources.remove(self.token));
        }
        self.readiness.abandon();
        Some(deregistered.map(|()| source))
    }
}

impl<S: Source> Drop for Watched<S> {
    fn drop(&mut self) {
        // The system may have let go of the source before, with the host of a simulation that
        // crashed: all the better.
        drop(self.end());
    }
}

/// One future's place among those that wait for a source: when it is dropped, nothing of it stays.
pub(crate) struct Waiting<'a, S: Source> {
    registration: &'a Registration<S>,
    direction: Direction,
    ticket: Ticket,
}

impl<'a, S: Source> Waiting<'a, S> {
    /// What it waits for.
    pub(crate) fn registration(&self) -> &'a Registration<S> {
        self.registration
    }

    /// Waits until an operation may succeed.
    ///
    /// # Errors
    /// If the runtime has shut down.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiter = Waiter::Future(&mut self.ticket);
        self.registration.poll_event(context, self.direction, waiter).map_ok(|_| ())
    }

    /// Waits until the system has told that an operation may succeed: nothing is presumed, unless
    /// somebody else waits for the source already.
    ///
    /// # Errors
    /// If the runtime has shut down.
    pub(crate) fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.watch_from_now()?;
        self.poll_ready(context)
    }

    /// As [`Registration::poll_io`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn poll_io<R>(
        &mut self,
        context: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let waiter = Waiter::Future(&mut self.ticket);
        let direction = self.direction;
        self.registration.poll_attempts(context, direction, waiter, operation, |_| false)
    }

    /// As [`Registration::poll_transfer`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn poll_transfer(
        &mut self,
        context: &mut Context<'_>,
        requested: usize,
        operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let waiter = Waiter::Future(&mut self.ticket);
        let direction = self.direction;
        let is_short = |count: &usize| self.registration.is_drained(*count, requested);
        self.registration.poll_attempts(context, direction, waiter, operation, is_short)
    }
}

impl<S: Source> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.registration.readiness().withdraw(self.direction, &self.ticket);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::platform::net::{TcpListener, TcpStream};

    /// How long a test waits for what must happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[derive(Default)]
    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Polls `f` again whenever it is woken, and turns the driver meanwhile.
    fn run<R>(driver: &Driver, mut f: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let began = Instant::now();
        loop {
            if let Poll::Ready(output) = f(&mut Context::from_waker(&waker)) {
                return output;
            }
            while !task.0.swap(false, Ordering::SeqCst) {
                assert!(began.elapsed() < PATIENCE, "nobody wakes the task");
                assert!(driver.turn(Some(Duration::from_secs(1))), "nobody else is in the driver");
            }
        }
    }

    type Registered = Registration<TcpStream>;

    /// Both ends of a connection; the first is the one that connected.
    fn pair(driver: &Arc<Driver>) -> (Registered, Registered) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = driver.register(listener).unwrap();
        let client = driver.register(TcpStream::connect(address).unwrap()).unwrap();
        let accept = TcpListener::accept;
        let (server, _) =
            run(driver, |context| listener.poll_io(context, Direction::Read, accept)).unwrap();
        run(driver, |context| client.poll_ready(context, Direction::Write)).unwrap();
        assert_eq!(client.source().peer_addr().unwrap(), address);
        (client, driver.register(server).unwrap())
    }

    fn driver() -> Arc<Driver> {
        Arc::new(Driver::new().unwrap())
    }

    #[test]
    fn a_read_waits_for_the_bytes_of_the_peer() {
        let driver = driver();
        let (client, server) = pair(&driver);
        let mut buffer = [0; 16];
        let mut context = Context::from_waker(Waker::noop());
        let mut read = |socket: &TcpStream| socket.read(&mut buffer);
        assert!(server.poll_io(&mut context, Direction::Read, &mut read).is_pending());

        let write = |socket: &TcpStream| socket.write(b"hello");
        let sent = run(&driver, |context| client.poll_io(context, Direction::Write, write));
        assert_eq!(sent.unwrap(), 5);
        let count =
            run(&driver, |context| server.poll_io(context, Direction::Read, &mut read)).unwrap();
        assert_eq!(&buffer[..count], b"hello");
    }

    /// On Linux alone: elsewhere nothing is watched late.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_source_that_is_watched_late_is_tried_first_and_heard_of_when_somebody_waits() {
        let driver = driver();
        let (client, server) = pair(&driver);
        let server = driver.register_late(server.into_source().unwrap()).unwrap();
        let is_watched = || server.watched.is_watched.load(Ordering::SeqCst);
        let mut buffer = [0; 16];
        // Who waits elsewhere has it tried, and not watched; nothing is tried twice.
        for attempts in [1, 0] {
            let mut tried = 0;
            let read = server.try_transfer(Direction::Read, 16, |socket| {
                tried += 1;
                socket.read(&mut buffer)
            });
            assert_eq!((read.unwrap_err().kind(), tried), (ErrorKind::WouldBlock, attempts));
        }
        let mut context = Context::from_waker(Waker::noop());
        let sent = server.poll_io(&mut context, Direction::Write, |socket| socket.write(b"x"));
        assert!(matches!(sent, Poll::Ready(Ok(1))) && !is_watched());
        // What came before somebody waits is told all the same.
        assert_eq!(client.source().write(b"hello").unwrap(), 5);
        let count = run(&driver, |context| {
            server.poll_io(context, Direction::Read, |socket| socket.read(&mut buffer))
        });
        assert_eq!((&buffer[..count.unwrap()], is_watched()), (&b"hello"[..], true));

        // Who asks for readiness is not told what was presumed.
        let server = driver.register_late(server.into_source().unwrap()).unwrap();
        let mut waiting = server.waiting(Direction::Read);
        assert!(waiting.poll_told(&mut context).is_pending());
        assert_eq!(client.source().write(b"hello").unwrap(), 5);
        run(&driver, |context| waiting.poll_told(context)).unwrap();
        drop(waiting);
        assert_eq!(server.source().read(&mut buffer).unwrap(), 5);
        // And one that was never watched can be given back.
        drop(driver.register_late(server.into_source().unwrap()).unwrap());
    }

    #[test]
    fn a_short_transfer_saves_the_next_attempt() {
        if !SHORT_TRANSFER_DRAINS {
            return;
        }
        let driver = driver();
        let (client, server) = pair(&driver);
        let mut buffer = [0; 16];
        for (requested, attempts_after) in [(5, 1), (16, 0)] {
            assert_eq!(client.source().write(b"hello").unwrap(), 5);
            let mut waiting = server.waiting(Direction::Read);
            let count = run(&driver, |context| {
                waiting.poll_transfer(context, requested, |socket| {
                    socket.read(&mut buffer[..requested])
                })
            });
            assert_eq!(count.unwrap(), 5);
            let mut attempts = 0;
            let again = server.try_io(Direction::Read, |socket| {
                attempts += 1;
                socket.read(&mut buffer)
            });
            assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(attempts, attempts_after, "{requested} bytes were asked for");
        }
    }

    #[test]
    fn the_end_of_the_peer_stays_readable() {
        let driver = driver();
        let (client, server) = pair(&driver);
        drop(client);
        let mut byte = [0];
        for _ in 0..3 {
            let count = run(&driver, |context| {
                server.poll_transfer(context, Direction::Read, 1, |socket| socket.read(&mut byte))
            });
            assert_eq!(count.unwrap(), 0);
        }
        assert!(server.try_io(Direction::Read, |socket| socket.read(&mut byte)).is_ok());
    }

    #[test]
    fn an_operation_that_blocks_on_an_ended_direction_does_not_hold_the_thread() {
        let driver = driver();
        let (client, server) = pair(&driver);
        drop(client);
        let mut byte = [0];
        let mut read = |socket: &TcpStream| socket.read(&mut byte);
        let count = run(&driver, |context| server.poll_io(context, Direction::Read, &mut read));
        assert_eq!(count.unwrap(), 0);

        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut attempts = 0;
        let mut context = Context::from_waker(&waker);
        let polled = server.poll_io(&mut context, Direction::Read, |_| -> io::Result<()> {
            attempts += 1;
            Err(ErrorKind::WouldBlock.into())
        });
        assert!(polled.is_pending());
        assert_eq!(attempts, 1);
        assert!(task.0.load(Ordering::SeqCst), "it waits for an event that does not come");
    }

    #[test]
    fn a_dropped_future_leaves_no_waker() {
        let driver = driver();
        let (_client, server) = pair(&driver);
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut waiting = server.waiting(Direction::Read);
        assert!(waiting.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 2);
        drop(waiting);
        assert_eq!(Arc::strong_count(&task), 1);
    }

    #[test]
    fn a_source_that_is_given_back_is_registered_anew() {
        let driver = driver();
        let (client, server) = pair(&driver);
        let client = driver.register(client.into_source().unwrap()).unwrap();
        assert_eq!(client.source().write(b"x").unwrap(), 1);
        let mut byte = [0];
        let mut read = |socket: &TcpStream| socket.read(&mut byte);
        let count = run(&driver, |context| server.poll_io(context, Direction::Read, &mut read));
        assert_eq!((count.unwrap(), byte), (1, *b"x"));
    }
}
