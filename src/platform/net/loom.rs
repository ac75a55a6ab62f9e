//! A readiness queue for models: nothing but wake-ups ever comes, and a wait for them is one of
//! loom's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Event;
pub use super::real::{TcpListener, TcpSocket, TcpStream, UdpSocket, resolve};
#[cfg(unix)]
pub use super::real::{UnixDatagram, UnixListener, UnixStream};
use crate::platform::process::{ExitSource, PipeReader, PipeWriter};
use crate::platform::signal::SignalReceiver;
use crate::platform::sync::Futex;
use crate::platform::sync::atomic::Ordering;

/// See `real`.
pub struct Poller(Arc<Futex>);

impl Poller {
    pub fn new() -> io::Result<Poller> {
        Ok(Poller(Arc::new(Futex::new(0))))
    }

    pub fn waker(&self) -> io::Result<PollWaker> {
        Ok(PollWaker(Arc::clone(&self.0)))
    }

    pub fn registrar(&self) -> io::Result<Registrar> {
        Ok(Registrar(()))
    }

    pub fn wait(&mut self, _: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        // loom's clock stands still: what has a time-out does not wait.
        while timeout.is_none() && self.0.word().load(Ordering::Acquire) == 0 {
            self.0.wait(0, None);
        }
        self.0.word().swap(0, Ordering::AcqRel);
        Ok(())
    }
}

pub struct PollWaker(Arc<Futex>);

impl PollWaker {
    pub fn wake(&self) -> io::Result<()> {
        self.0.word().store(1, Ordering::Release);
        self.0.wake(1);
        Ok(())
    }
}

pub struct Registrar(());

impl Registrar {
    pub fn register(&self, _: &mut impl Source, _: usize) -> io::Result<()> {
        Ok(self.0)
    }

    pub fn deregister(&self, _: &mut impl Source) -> io::Result<()> {
        Ok(self.0)
    }
}

pub trait Source {
    const ENDS: bool = true;

    fn register_late(&self, _: &Registrar, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn deregister_late(&self, _: &Registrar) -> io::Result<()> {
        Ok(())
    }
}

impl Source for TcpListener {}

impl Source for TcpStream {}

impl Source for UdpSocket {
    const ENDS: bool = false;
}

#[cfg(unix)]
impl Source for UnixDatagram {
    const ENDS: bool = false;
}

#[cfg(unix)]
impl Source for UnixListener {}

#[cfg(unix)]
impl Source for UnixStream {}

impl Source for ExitSource {}

impl Source for PipeReader {}

impl Source for PipeWriter {}

impl Source for SignalReceiver {}

pub struct Events(());

impl Events {
    pub fn with_capacity(_: usize) -> Events {
        Events(())
    }

    pub fn iter(&self) -> impl Iterator<Item = Event> {
        let Events(()) = self;
        std::iter::empty()
    }
}
