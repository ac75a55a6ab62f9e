//! A receiver of signals of one kind.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::{Direction, Registration};
use crate::net::operation::{Operation, Request};
use crate::platform::signal::{SignalKind, SignalReceiver};
use crate::runtime::Io;

/// What reports say of a task that waits for one.
const WHAT: &str = "a signal";

/// Receives signals of one kind, from its creation on.
///
/// Each receiver hears every signal. Those that come between two looks are one. From the first
/// receiver on, and after the last one, the signal's default action does not happen: see the
/// [module](super).
///
/// ```
/// use std::time::Duration;
/// use volt::signal::Signal;
/// use volt::time::timeout;
///
/// # if !cfg!(unix) { return }
/// volt::run(|io| async move {
///     let mut reload = Signal::hangup(&io)?;
///     let sent = timeout(&io, Duration::from_millis(1), reload.recv()).await;
///     assert!(sent.is_err(), "nobody has sent it");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct Signal {
    registration: Registration<SignalReceiver>,
    kind: SignalKind,
}

/// Declares the constructors by kind.
macro_rules! kinds {
    ($($(#[$attribute:meta])* $name:ident: $kind:ident;)+) => {$(
        $(#[$attribute])*
        ///
        /// # Errors
        /// As [`Signal::new`].
        #[track_caller]
        pub fn $name(io: &Io) -> io::Result<Signal> {
            Signal::new(io, SignalKind::$kind)
        }
    )+};
}

impl Signal {
    /// Receives signals of `kind`.
    ///
    /// # Errors
    /// `Unsupported` on systems that are no Unix; if the runtime has shut down; if the system has
    /// no descriptors left.
    ///
    /// ```
    /// use volt::signal::{Signal, SignalKind};
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let kinds = [SignalKind::User1, SignalKind::User2];
    ///     let signals = kinds.map(|kind| Signal::new(&io, kind).unwrap());
    ///     assert_eq!(signals.map(|signal| signal.kind()), kinds);
    /// });
    /// ```
    #[track_caller]
    pub fn new(io: &Io, kind: SignalKind) -> io::Result<Signal> {
        let receiver = SignalReceiver::open(kind)?;
        Ok(Signal { registration: io.scheduler().driver().register(receiver)?, kind })
    }

    kinds! {
        /// `SIGHUP`: the terminal is gone; to a server, often: read the configuration anew.
        hangup: Hangup;
        /// `SIGINT`: the user has pressed Ctrl-C.
        interrupt: Interrupt;
        /// `SIGQUIT`: the user has pressed Ctrl-\.
        quit: Quit;
        /// `SIGUSR1`: what the program makes of it.
        user1: User1;
        /// `SIGUSR2`: what the program makes of it.
        user2: User2;
        /// `SIGPIPE`: a write to a pipe or socket that nobody reads. Rust programs ignore it
        /// unless they listen, and get `BrokenPipe` from the write either way.
        pipe: Pipe;
        /// `SIGTERM`: the program is asked to end.
        terminate: Terminate;
        /// `SIGCHLD`: a child has ended, stopped or gone on. [`Child::wait`] needs none.
        ///
        /// [`Child::wait`]: crate::process::Child::wait
        child: Child;
        /// `SIGWINCH`: the terminal has another size.
        window_change: WindowChange;
    }

    /// Waits for the signal: for one that has come since the last look, or the next.
    ///
    /// Cancel safety: a dropped wait has taken no signal.
    ///
    /// # Errors
    /// If the runtime has shut down.
    ///
    /// ```
    /// use volt::signal::Signal;
    ///
    /// async fn count_reloads(io: volt::Io) -> std::io::Result<()> {
    ///     let mut reload = Signal::hangup(&io)?;
    ///     for count in 1.. {
    ///         reload.recv().await?;
    ///         println!("reload {count}");
    ///     }
    ///     Ok(())
    /// }
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     io.spawn(count_reloads(io.clone()));
    /// });
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_> {
        let request = Request::of(WHAT, Direction::Read, Location::caller());
        Recv { operation: Operation::new(&self.registration, request) }
    }

    /// As [`recv`](Signal::recv), for a task that waits by itself.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_at(context, Location::caller())
    }

    pub(super) fn poll_at(
        &mut self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<io::Result<()>> {
        let request = Request::of(WHAT, Direction::Read, place);
        request.poll_io(&self.registration, context, SignalReceiver::take)
    }

    /// What it receives.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The future of [`Signal::recv`].
///
/// Cancel safety: dropped before it is ready, it has taken no signal.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Recv<'a> {
    operation: Operation<'a, SignalReceiver>,
}

impl Future for Recv<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.operation.poll_io(context, SignalReceiver::take)
    }
}

impl fmt::Debug for Recv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}
