//! Waiting for Ctrl-C.

use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Signal;
use crate::runtime::Io;

/// Waits until the user presses Ctrl-C, from now on, not from the first poll; any `SIGINT` is as
/// good. From then on Ctrl-C does not end the process by itself any more: see the
/// [module](super). For more than one, make a [`Signal`].
///
/// Cancel safety: dropping the future ends the wait.
///
/// # Errors
/// The future's: as [`Signal::new`] and [`Signal::recv`].
///
/// ```
/// use std::time::Duration;
/// use volt::signal::ctrl_c;
/// use volt::time::sleep;
///
/// # if !cfg!(unix) { return }
/// volt::run(|io| async move {
///     let (serving, listening) = (io.clone(), io.clone());
///     let serve = io.spawn(async move {
///         sleep(&serving, Duration::from_millis(1)).await;
///         "done"
///     });
///     let interrupt = io.spawn(async move {
///         ctrl_c(&listening).await.expect("the system tells");
///         "interrupted"
///     });
///     assert_eq!(volt::task::race([serve, interrupt]).await.unwrap(), "done");
/// });
/// ```
#[track_caller]
pub fn ctrl_c(io: &Io) -> CtrlC {
    CtrlC { signal: Signal::interrupt(io).map_err(Some), place: Location::caller() }
}

/// The future of [`ctrl_c`].
///
/// Cancel safety: dropping it ends the wait.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct CtrlC {
    /// Or why there is none, until that is told.
    signal: Result<Signal, Option<io::Error>>,
    place: &'static Location<'static>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    /// # Panics
    /// If it has returned an error before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let place = self.place;
        match &mut self.signal {
            Ok(signal) => signal.poll_at(context, place),
            Err(error) => {
                let error = error.take().expect("a `CtrlC` is polled after it gave its output");
                Poll::Ready(Err(error))
            }
        }
    }
}
