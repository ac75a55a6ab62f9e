//! A source that a driver watches, and operations that wait for it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Driver;
use super::readiness::{Direction, Readiness, Ticket, Waiter};
use crate::platform::mutation::mutation;
use crate::platform::net::{SHORT_TRANSFER_DRAINS, Source};

/// A source, for as long as the driver watches it. Dropping it ends the watch, then closes the
/// source; an event that is on its way finds nobody.
pub(crate) struct Registration<S: Source> {
    /// `None` only between [`Registration::into_source`] and the drop that follows.
    source: Option<S>,
    readiness: Arc<Readiness>,
    token: usize,
    driver: Arc<Driver>,
}

impl<S: Source> Registration<S> {
    pub(super) fn new(
        source: S,
        readiness: Arc<Readiness>,
        token: usize,
        driver: Arc<Driver>,
    ) -> Registration<S> {
        Registration { source: Some(source), readiness, token, driver }
    }

    /// The source.
    pub(crate) fn source(&self) -> &S {
        self.source.as_ref().expect("it is there until the registration is dropped")
    }

    /// Ends the watch and gives the source.
    ///
    /// # Errors
    /// If the system does not let go of it; it is closed then.
    pub(crate) fn into_source(mut self) -> io::Result<S> {
        self.end().expect("it is there until the registration is dropped")
    }

    /// Ends the watch, and gives the source if it is still there.
    fn end(&mut self) -> Option<io::Result<S>> {
        let mut source = self.source.take()?;
        let deregistered = self.driver.registrar.deregister(&mut source);
        if mutation!("registration-keeps-its-place", true, false) {
            drop(self.driver.sources.remove(self.token));
        }
        self.readiness.abandon();
        Some(deregistered.map(|()| source))
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
        self.readiness.poll(context, direction, Waiter::Task).map_ok(|_| ())
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
        let is_short = |count: &usize| is_short(*count, requested);
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
        let Some(seen) = self.readiness.look(direction) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let seen = seen?;
        let result = operation(self.source());
        if let Err(error) = &result
            && error.kind() == ErrorKind::WouldBlock
        {
            self.readiness.clear(direction, seen);
        }
        result
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
            let seen = ready!(self.readiness.poll(context, direction, waiter.reborrow()))?;
            match operation(self.source()) {
                Ok(value) => {
                    if drains(&value) {
                        self.readiness.clear(direction, seen);
                    }
                    return Poll::Ready(Ok(value));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readiness.clear(direction, seen);
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

impl<S: Source> Drop for Registration<S> {
    fn drop(&mut self) {
        // The system may have let go of the source before, with the host of a simulation that
        // crashed: all the better.
        drop(self.end());
    }
}

/// Whether a transfer of `count` bytes shows that the next one would block. None at all is the end
/// of a stream, which does not.
fn is_short(count: usize, requested: usize) -> bool {
    SHORT_TRANSFER_DRAINS && 0 < count && count < requested
}

/// One future's place among those that wait for a source: when it is dropped, nothing of it stays.
pub(crate) struct Waiting<'a, S: Source> {
    registration: &'a Registration<S>,
    direction: Direction,
    ticket: Ticket,
}

impl<S: Source> Waiting<'_, S> {
    /// Waits until an operation may succeed.
    ///
    /// # Errors
    /// If the runtime has shut down.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiter = Waiter::Future(&mut self.ticket);
        self.registration.readiness.poll(context, self.direction, waiter).map_ok(|_| ())
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
        let is_short = |count: &usize| is_short(*count, requested);
        self.registration.poll_attempts(context, direction, waiter, operation, is_short)
    }
}

impl<S: Source> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.registration.readiness.withdraw(self.direction, &self.ticket);
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
