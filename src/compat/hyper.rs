//! HTTP with [hyper](https://hyper.rs): [`TcpStream`] is a `hyper` connection, and so is
//! `UnixStream` on Unix; [`Executor`] spawns what `hyper` wants spawned, [`Timer`] gives it its
//! clock.
//!
//! ```
//! use std::time::Duration;
//!
//! use hyper::rt::Timer as _;
//! use volt::compat::hyper::{Executor, Timer};
//!
//! volt::run(|io| async move {
//!     let (executor, timer) = (Executor::new(&io), Timer::new(&io));
//!     let before = timer.now();
//!     timer.sleep(Duration::from_millis(2)).await;
//!     assert!(timer.now() - before >= Duration::from_millis(2));
//!     hyper::rt::Executor::execute(&executor, async { /* a task */ });
//! });
//! ```
//!
//! `examples/http.rs` is a server.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::net::TcpStream;
#[cfg(unix)]
use crate::net::UnixStream;
use crate::platform::clock;
use crate::runtime::Io;
use crate::time::{self, Instant, Sleep};

/// Spawns on a runtime what `hyper` wants spawned. It takes any future that a task can be.
#[derive(Clone, Debug)]
pub struct Executor {
    io: Io,
}

impl Executor {
    /// One that spawns where `io` leads.
    pub fn new(io: &Io) -> Executor {
        Executor { io: io.clone() }
    }
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        drop(self.io.spawn(future));
    }
}

/// The clock and the timers of a runtime, for `hyper`: virtual ones in a simulation.
#[derive(Clone, Debug)]
pub struct Timer {
    io: Io,
}

impl Timer {
    /// The timers of the runtime that `io` leads to.
    pub fn new(io: &Io) -> Timer {
        Timer { io: io.clone() }
    }
}

impl hyper::rt::Timer for Timer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(time::sleep(&self.io, duration))
    }

    #[track_caller]
    fn sleep_until(&self, deadline: clock::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(time::sleep_until(&self.io, Instant::from(deadline)))
    }

    fn now(&self) -> clock::Instant {
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: clock::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(Instant::from(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl hyper::rt::Sleep for Sleep {}

macro_rules! connections {
    ($type:ty) => {
        impl Read for $type {
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                mut buffer: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: nothing below takes an initialised byte's value away: the slice is only
                // written to.
                let room: *mut [MaybeUninit<u8>] = unsafe { buffer.as_mut() };
                // SAFETY: `room` is borrowed from `buffer`, which stays untouched while this
                // lives; `u8` and `MaybeUninit<u8>` have one layout; and a socket's read writes
                // to what it is given and never reads it, so that no byte is looked at before it
                // was written.
                let room = unsafe { &mut *(room as *mut [u8]) };
                let count = ready!(self.poll_read_into(context, room))?;
                // SAFETY: the socket wrote so many bytes.
                unsafe { buffer.advance(count) };
                Poll::Ready(Ok(()))
            }
        }

        impl Write for $type {
            #[track_caller]
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_from(context, bytes)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            #[track_caller]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_vectored_from(context, slices)
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                _context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                _context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(self.finish_writing())
            }
        }
    };
}

connections!(TcpStream);
#[cfg(unix)]
connections!(UnixStream);
