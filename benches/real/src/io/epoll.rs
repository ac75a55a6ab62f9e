//! epoll as a C program uses it: for the load, which is the same for everyone, and for the floor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How many events one wait may report.
const EVENTS: usize = 256;

/// A level-triggered epoll instance.
pub(super) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: it takes no memory of ours.
        let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the system has just opened it, for nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] })
    }

    /// Watches `source` for something to read, or its end, until it is closed. `token` names it.
    pub(super) fn watch(&self, source: &impl AsRawFd, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token as u64 };
        let (epoll, source): (RawFd, RawFd) = (self.descriptor.as_raw_fd(), source.as_raw_fd());
        // SAFETY: `event` lives until the call returns, which copies it.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, source, &mut event) })?;
        Ok(())
    }

    /// Waits until something can be read; the tokens of what. `TimedOut` after `limit`.
    pub(super) fn wait(
        &mut self,
        limit: Option<Duration>,
    ) -> io::Result<impl Iterator<Item = usize>> {
        let room = self.events.len() as libc::c_int;
        let limit = limit.map_or(-1, |limit| limit.as_millis() as libc::c_int);
        let count = loop {
            let epoll = self.descriptor.as_raw_fd();
            let events = self.events.as_mut_ptr();
            // SAFETY: there is room for `room` events.
            match check(unsafe { libc::epoll_wait(epoll, events, room, limit) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                count => break count?,
            }
        };
        Ok(self.events[..count as usize].iter().map(|event| event.u64 as usize))
    }
}

/// The result of a system call, or its error.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
