//! Ending a program in good order: telling its parts, and waiting for the work that is under way.
//!
//! | file | what it is |
//! |---|---|
//! | `state` | the state machine: triggered or not, how many guards, who waits |
//! | `futures` | waiting for the trigger, and for the end of the work |
//!
//! ```
//! use std::time::Duration;
//! use volt::shutdown::Shutdown;
//! use volt::time::sleep;
//!
//! volt::run(|io| async move {
//!     let shutdown = Shutdown::new(&io);
//!     for number in 0..3 {
//!         let (io, guard) = (io.clone(), shutdown.work_guard());
//!         io.clone().spawn(async move {
//!             let _guard = guard; // until the work is done
//!             sleep(&io, Duration::from_millis(number)).await;
//!         });
//!     }
//!     let listener = shutdown.clone();
//!     let listening = io.spawn(async move {
//!         listener.triggered().await;
//!         "no new work"
//!     });
//!
//!     shutdown.trigger();
//!     assert_eq!(listening.await.unwrap(), "no new work");
//!     assert!(shutdown.drain(Duration::from_secs(10)).await, "the work takes too long");
//! });
//! ```

mod futures;
mod state;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

pub use futures::{Drain, Triggered};

use crate::platform::sync::Mutex;
use crate::runtime::Io;
use crate::signal::{Signal, SignalKind};
use crate::task::AbortOnDrop;
use crate::time::sleep;
use state::State;

/// Whether a program is to end, and how much of its work is under way. Clones are the same one.
///
/// The two are apart: triggering stops nothing by itself, and work may begin after it, which is
/// waited for like any other. What stops is what listens.
#[derive(Clone)]
pub struct Shutdown {
    state: Arc<State>,
    io: Io,
    listeners: Arc<Listeners>,
}

/// What listens to signals, until the last clone is dropped, whichever that is. The tasks have the
/// state, so it cannot have them.
struct Listeners {
    tasks: Mutex<Vec<AbortOnDrop<()>>>,
}

impl Shutdown {
    /// One that is not triggered, without work.
    pub fn new(io: &Io) -> Shutdown {
        let listeners = Arc::new(Listeners { tasks: Mutex::new(Vec::new()) });
        Shutdown { state: Arc::new(State::new()), io: io.clone(), listeners }
    }

    /// Has `SIGINT`, which is Ctrl-C, and `SIGTERM` trigger it. Clones that were made before are
    /// triggered too, and any of them that is left has it go on listening. From then on neither
    /// ends the process by itself: also not a second Ctrl-C while the program drains, nor one after
    /// the last clone is dropped.
    ///
    /// # Errors
    /// As [`Signal::new`]: `Unsupported` on systems that are no Unix.
    ///
    /// ```
    /// use volt::shutdown::Shutdown;
    ///
    /// # if !cfg!(unix) { return }
    /// volt::run(|io| async move {
    ///     let shutdown = Shutdown::new(&io).with_signals()?;
    ///     assert_eq!(shutdown.signal(), None);
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn with_signals(self) -> io::Result<Shutdown> {
        let mut interrupt = Signal::interrupt(&self.io)?;
        let mut terminate = Signal::terminate(&self.io)?;
        let state = Arc::clone(&self.state);
        let listen = async move {
            let sent = poll_fn(|context| {
                for signal in [&mut interrupt, &mut terminate] {
                    if let Poll::Ready(received) = signal.poll_recv(context) {
                        return Poll::Ready(received.map(|()| signal.kind()));
                    }
                }
                Poll::Pending
            });
            // With an error the runtime is gone, and all that it runs.
            if let Ok(kind) = sent.await {
                state.trigger(Some(kind));
            }
        };
        let task = self.io.spawn_named("shutdown signals", listen, Location::caller());
        self.listeners.tasks.lock().push(AbortOnDrop::new(task));
        Ok(self)
    }

    /// The program is to end: wakes all who wait for that. Calls after the first do nothing.
    pub fn trigger(&self) {
        self.state.trigger(None);
    }

    /// Whether the program is to end.
    pub fn is_triggered(&self) -> bool {
        self.state.is_triggered()
    }

    /// The signal that triggered it, if one did.
    pub fn signal(&self) -> Option<SignalKind> {
        self.state.cause()
    }

    /// Waits until the program is to end.
    ///
    /// Cancel safety: dropping the future ends the wait.
    ///
    /// ```
    /// use volt::shutdown::Shutdown;
    ///
    /// volt::run(|io| async move {
    ///     let shutdown = Shutdown::new(&io);
    ///     let trigger = shutdown.clone();
    ///     io.spawn(async move { trigger.trigger() });
    ///     shutdown.triggered().await;
    ///     assert!(shutdown.is_triggered());
    /// });
    /// ```
    #[track_caller]
    pub fn triggered(&self) -> Triggered<'_> {
        Triggered::new(&self.state, Location::caller())
    }

    /// Work that is under way until the guard is dropped.
    pub fn work_guard(&self) -> WorkGuard {
        WorkGuard::new(&self.state)
    }

    /// How much work is under way: how many guards there are.
    ///
    /// ```
    /// use volt::shutdown::Shutdown;
    ///
    /// volt::run(|io| async move {
    ///     let shutdown = Shutdown::new(&io);
    ///     let guard = shutdown.work_guard();
    ///     assert_eq!(shutdown.pending(), 1);
    ///     drop(guard);
    ///     assert_eq!(shutdown.pending(), 0);
    /// });
    /// ```
    pub fn pending(&self) -> usize {
        self.state.pending()
    }

    /// Waits until no work is under way, for `timeout` at most, from now on, not from the first
    /// poll; whether that was so at some time. Work that begins meanwhile is waited for, too, and
    /// neither it nor the end of other work moves the deadline. It triggers nothing.
    ///
    /// Cancel safety: dropping the future ends the wait.
    ///
    /// # Panics
    /// The future's: if it has to wait and the runtime has shut down.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::shutdown::Shutdown;
    ///
    /// volt::run(|io| async move {
    ///     let shutdown = Shutdown::new(&io);
    ///     let guard = shutdown.work_guard();
    ///     assert!(!shutdown.drain(Duration::from_millis(1)).await);
    ///     drop(guard);
    ///     assert!(shutdown.drain(Duration::ZERO).await);
    /// });
    /// ```
    #[track_caller]
    pub fn drain(&self, timeout: Duration) -> Drain<'_> {
        Drain::new(&self.state, sleep(&self.io, timeout), Location::caller())
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("is_triggered", &self.is_triggered())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// Work that is under way, until it is dropped: see [`Shutdown::work_guard`]. A clone is another
/// one.
pub struct WorkGuard {
    state: Arc<State>,
}

impl WorkGuard {
    fn new(state: &Arc<State>) -> WorkGuard {
        state.begin();
        WorkGuard { state: Arc::clone(state) }
    }
}

impl Clone for WorkGuard {
    fn clone(&self) -> WorkGuard {
        WorkGuard::new(&self.state)
    }
}

impl Drop for WorkGuard {
    fn drop(&mut self) {
        self.state.end();
    }
}

impl fmt::Debug for WorkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkGuard").finish_non_exhaustive()
    }
}
