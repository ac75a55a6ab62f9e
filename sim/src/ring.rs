//! A completion queue for files and connections, as Linux's `io_uring` is one: operations are
//! submitted, and complete later, in any order.
//!
//! What follows from decisions of the seed: how late an operation is, so which overtakes which;
//! whether it transfers less than it could; whether it is refused for no fault of its own, as the
//! system may (`EAGAIN`, `EINTR`); whether a cancel comes in time, and which of the two completions
//! that follow is the first; whether the kernel has memory to take all that is submitted, which is
//! less likely while twice as many completions as the queue has entries were not taken. No
//! completion is lost, and each operation has one. What the disk answers is what it answers to
//! plain calls, as late and with the same faults; and where the host has no memory for buffers
//! ([`Resources`](crate::net::Resources)), operations fail with `ENOMEM`.
//!
//! As with [`fs`](crate::fs), everything here is for simulated threads.
//!
//! ```
//! use volt_sim::fs::File;
//! use volt_sim::ring::Ring;
//!
//! volt_sim::check(|| {
//!     let file = File::create("/file").unwrap();
//!     let mut ring = Ring::new(8).unwrap();
//!     assert!(ring.sync(7, &file, false));
//!     let mut completions = Vec::new();
//!     while completions.is_empty() {
//!         completions = ring.turn(true).unwrap();
//!     }
//!     assert_eq!(completions[0].token, 7);
//! });
//! ```

use std::collections::BTreeMap;
use std::io;
use std::panic::Location;
use std::time::Duration;

use crate::fs::File;
use crate::kernel::World;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::ring::{Done, Request};
use crate::kernel::thread_table::WaitFor;
use crate::net::handle::{Handle, running_world};
use crate::net::{Poller, TcpStream};
use crate::network::SocketId;
use crate::thread::deadline_in;

/// What has become of an operation.
#[derive(Debug)]
pub struct Completion {
    /// What it was submitted as.
    pub token: u64,
    /// How many bytes were transferred.
    pub result: io::Result<usize>,
    /// Those that were read, perhaps with more behind them.
    pub bytes: Vec<u8>,
}

/// A completion queue. Closed when dropped: what is under way is not done then.
#[derive(Debug)]
pub struct Ring {
    handle: Handle,
    entries: usize,
    unsubmitted: Vec<(u64, Unsubmitted)>,
    /// The files of operations, which stay open until those have completed.
    files: BTreeMap<u64, File>,
}

#[derive(Debug)]
enum Unsubmitted {
    Read { file: u32, length: usize, offset: u64 },
    Write { file: u32, bytes: Vec<u8>, offset: u64 },
    Sync { file: u32, data_only: bool },
    Receive { socket: SocketId, length: usize },
    Cancel { target: u64 },
}

impl From<Unsubmitted> for Request {
    fn from(unsubmitted: Unsubmitted) -> Request {
        use crate::disk::Handle;
        match unsubmitted {
            Unsubmitted::Read { file, length, offset } => {
                Request::Read { file: Handle(file), length, offset }
            }
            Unsubmitted::Write { file, bytes, offset } => {
                Request::Write { file: Handle(file), bytes, offset }
            }
            Unsubmitted::Sync { file, data_only } => {
                Request::Sync { file: Handle(file), data_only }
            }
            Unsubmitted::Receive { socket, length } => Request::Receive { socket, length },
            Unsubmitted::Cancel { target } => Request::Cancel { target },
        }
    }
}

impl Ring {
    /// A queue with room for `entries` operations that are not submitted yet.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread.
    #[track_caller]
    pub fn new(entries: usize) -> io::Result<Ring> {
        let place = Location::caller();
        let world = running_world()?;
        let operation = Operation::new(OperationKind::Ring, 0, place);
        world.point(operation);
        // Twice the entries, as Linux has it.
        let number = world.ring_new(entries.saturating_mul(2));
        world.complete(operation, u64::from(number));
        let handle = Handle::new("Ring", world, number, place);
        Ok(Ring { handle, entries, unsubmitted: Vec::new(), files: BTreeMap::new() })
    }

    /// Has up to `length` bytes read from `offset` on, once [`turn`](Ring::turn) is called; false
    /// if there is no room.
    pub fn read(&mut self, token: u64, file: &File, length: usize, offset: u64) -> bool {
        let request = Unsubmitted::Read { file: file.number(), length, offset };
        self.push(token, Some(file), request)
    }

    /// Has `bytes` written at `offset`, once [`turn`](Ring::turn) is called; false if there is no
    /// room.
    pub fn write(&mut self, token: u64, file: &File, bytes: Vec<u8>, offset: u64) -> bool {
        let request = Unsubmitted::Write { file: file.number(), bytes, offset };
        self.push(token, Some(file), request)
    }

    /// Has a file made durable, once [`turn`](Ring::turn) is called; false if there is no room.
    pub fn sync(&mut self, token: u64, file: &File, data_only: bool) -> bool {
        self.push(token, Some(file), Unsubmitted::Sync { file: file.number(), data_only })
    }

    /// Has up to `length` bytes received, once [`turn`](Ring::turn) is called, and when there are
    /// any or the stream ends; false if there is no room. The connection must not be closed before
    /// the receive has completed.
    pub fn receive(&mut self, token: u64, socket: &TcpStream, length: usize) -> bool {
        self.push(token, None, Unsubmitted::Receive { socket: socket.id(), length })
    }

    /// Has the operation that was submitted as `target` given up, if that can be; false if there
    /// is no room. Both complete.
    pub fn cancel(&mut self, token: u64, target: u64) -> bool {
        self.push(token, None, Unsubmitted::Cancel { target })
    }

    fn push(&mut self, token: u64, file: Option<&File>, request: Unsubmitted) -> bool {
        if self.unsubmitted.len() == self.entries {
            return false;
        }
        if let Some(file) = file {
            self.files.insert(token, file.clone());
        }
        self.unsubmitted.push((token, request));
        true
    }

    /// How many operations wait to be submitted, as the kernel had no memory for them or nothing
    /// was submitted since they came.
    pub fn unsubmitted(&self) -> usize {
        self.unsubmitted.len()
    }

    /// Submits what there is, as much of it as the kernel takes, and leaves what has completed.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    #[track_caller]
    pub fn submit(&mut self) -> io::Result<()> {
        let place = Location::caller();
        let world = self.handle.enter(place)?;
        let operation = Operation::new(OperationKind::Ring, self.handle.number, place);
        world.point(operation);
        self.submit_to(world);
        world.complete(operation, self.unsubmitted.len() as u64);
        Ok(())
    }

    fn submit_to(&mut self, world: &World) {
        let number = self.handle.number;
        let taken = world.ring_takes(number, self.unsubmitted.len());
        let requests = self.unsubmitted.drain(..taken);
        world.ring_submit(number, requests.map(|(token, entry)| (token, entry.into())).collect());
    }

    /// Submits what there is, as much of it as the kernel takes, and gives what has completed; if
    /// `waits`, waits for a completion when there is none, all is submitted and something is under
    /// way that waits for no peer.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    #[track_caller]
    pub fn turn(&mut self, waits: bool) -> io::Result<Vec<Completion>> {
        let place = Location::caller();
        let world = self.handle.enter(place)?;
        let number = self.handle.number;
        let operation = Operation::new(OperationKind::Ring, number, place);
        world.point(operation);
        self.submit_to(world);
        let mut done = world.ring_take(number);
        if waits
            && done.is_empty()
            && self.unsubmitted.is_empty()
            && let Some(at) = world.ring_next(number)
        {
            world.block(WaitFor::Time, Some(at));
            done = world.ring_take(number);
        }
        let completions = self.completions(done);
        world.complete(operation, completions.len() as u64);
        Ok(completions)
    }

    /// Submits what there is, as much of it as the kernel takes, and, if that is all and nothing
    /// has completed, waits for at most `timeout` for a completion, for a [`RingWaker`], or for
    /// something that `poller` has to tell. Gives what has completed, and whether `poller` has had
    /// something to tell since the last wait that asked for it. May return early, and without
    /// anything.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    #[track_caller]
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        poller: Option<&Poller>,
    ) -> io::Result<(Vec<Completion>, bool)> {
        let place = Location::caller();
        let world = self.handle.enter(place)?;
        let number = self.handle.number;
        let poller = match poller {
            Some(poller) => Some(poller.enter()?.1),
            None => None,
        };
        let operation = Operation::new(OperationKind::Ring, number, place);
        world.point(operation);
        self.submit_to(world);
        let may_block = world.ring_watch(number, poller)
            && timeout != Some(Duration::ZERO)
            && self.unsubmitted.is_empty();
        if may_block && !world.wakes_spuriously() {
            let deadline = timeout.map(|timeout| deadline_in(world, timeout));
            world.block(WaitFor::Ring(number), deadline);
        }
        let told = world.ring_told(number, poller.is_some());
        let done = world.ring_take(number);
        let completions = self.completions(done);
        world.complete(operation, (completions.len() as u64) << 1 | u64::from(told));
        Ok((completions, told))
    }

    /// What is done, for the program.
    fn completions(&mut self, done: Vec<Done>) -> Vec<Completion> {
        let completion = |Done { token, result, bytes }| {
            self.files.remove(&token);
            Completion { token, result, bytes }
        };
        done.into_iter().map(completion).collect()
    }

    /// What ends a [`wait`](Ring::wait) from another thread.
    pub fn waker(&self) -> RingWaker {
        RingWaker(self.handle.clone())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let Some((world, place)) = self.handle.leave() else { return };
        let operation = Operation::new(OperationKind::Ring, self.handle.number, place);
        world.point(operation);
        world.ring_close(self.handle.number);
        world.complete(operation, 0);
    }
}

/// Ends a wait in its [`Ring`].
#[derive(Debug)]
pub struct RingWaker(Handle);

impl RingWaker {
    /// Ends the wait that is going on, or else the next one.
    ///
    /// # Errors
    /// `Unsupported` on an ordinary thread. In another world, that run fails.
    #[track_caller]
    pub fn wake(&self) -> io::Result<()> {
        let place = Location::caller();
        let world = self.0.enter(place)?;
        let operation = Operation::new(OperationKind::Ring, self.0.number, place);
        world.point(operation);
        world.ring_wake(self.0.number);
        world.complete(operation, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::fs::OpenOptions;

    type Outcome = (u64, Result<usize, i32>);

    /// What a run of two reads and a cancelled one came to: the order of completions, whether one
    /// was short, refused, cancelled.
    fn outcomes() -> Vec<Outcome> {
        let mut options = OpenOptions::new();
        (options.read, options.write, options.create) = (true, true, true);
        let file = File::open_with("/file", &options).unwrap();
        file.write(b"hello").unwrap();
        let mut ring = Ring::new(3).unwrap();
        assert!(ring.read(1, &file, 5, 0) && ring.read(2, &file, 5, 3) && ring.cancel(3, 1));
        assert!(!ring.sync(4, &file, false), "there is no room");
        drop(file);
        let mut completions = Vec::new();
        while completions.len() < 3 {
            completions.append(&mut ring.turn(true).unwrap());
        }
        assert!(ring.turn(true).unwrap().is_empty(), "nothing completes twice");
        let outcome = |done: Completion| {
            if let Ok(count @ 1..) = done.result {
                let expected: &[u8] = if done.token == 1 { b"hello" } else { b"lo" };
                assert_eq!(done.bytes[..count], expected[..count]);
            }
            (done.token, done.result.map_err(|error| error.raw_os_error().unwrap_or(0)))
        };
        completions.into_iter().map(outcome).collect()
    }

    #[test]
    fn what_there_is_no_memory_for_is_submitted_later() {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let all = Arc::clone(&seen);
        let report = crate::Sim::builder().sweep(0..1_000).check(move || {
            let file = File::create("/file").unwrap();
            let mut ring = Ring::new(4).unwrap();
            assert!((0..4).all(|token| ring.sync(token, &file, true)));
            ring.submit().unwrap();
            let left = ring.unsubmitted();
            crate::kernel::outside(|| all.lock().unwrap().insert(left));
            let mut tokens = BTreeSet::new();
            while tokens.len() < 4 {
                tokens.extend(ring.turn(true).unwrap().iter().map(|done| done.token));
            }
            assert_eq!(ring.unsubmitted(), 0);
        });
        assert!(report.failure().is_none());
        assert!(seen.lock().unwrap().iter().copied().eq(0..=4));
    }

    #[test]
    fn completions_are_reordered_short_refused_and_cancelled() {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let all = Arc::clone(&seen);
        let report = crate::Sim::builder().sweep(0..300).check(move || {
            let outcomes = outcomes();
            crate::kernel::outside(|| all.lock().unwrap().insert(outcomes));
        });
        assert!(report.failure().is_none());
        let seen = seen.lock().unwrap();
        let any = |f: &dyn Fn(&[Outcome]) -> bool| seen.iter().any(|run| f(run));
        for order in [[1, 3, 2], [3, 1, 2], [3, 2, 1]] {
            assert!(any(&|run| run.iter().map(|outcome| outcome.0).eq(order)), "{order:?}");
        }
        assert!(any(&|run| run.contains(&(2, Ok(1)))), "short");
        #[cfg(target_os = "linux")]
        {
            assert!(any(&|run| run.contains(&(2, Err(libc::EAGAIN)))), "refused");
            assert!(any(&|run| run.contains(&(1, Err(libc::ECANCELED)))), "cancelled");
            assert!(any(&|run| run.contains(&(3, Err(libc::EALREADY)))), "cancelled too late");
        }
    }

    #[test]
    fn a_wait_ends_with_a_wake_up_an_event_or_its_time() {
        crate::check(|| {
            let mut ring = Ring::new(2).unwrap();
            let moment = Some(Duration::from_millis(1));
            let (waker, poller) = (ring.waker(), Arc::new(Poller::new().unwrap()));
            let other = Arc::clone(&poller);
            assert!(!ring.wait(moment, Some(&poller)).unwrap().1);
            let thread = crate::thread::spawn(move || {
                waker.wake().unwrap();
                other.wake(7);
            });
            while !ring.wait(None, Some(&poller)).unwrap().1 {}
            thread.join().unwrap();
            let mut events = Vec::new();
            poller.wait(&mut events, moment).unwrap();
            assert_eq!(events[0].token, 7);
            // The wake-up, if it was not seen; then nothing more comes.
            let began = crate::clock::now();
            while crate::clock::now().saturating_duration_since(began) < Duration::from_millis(1) {
                assert!(!ring.wait(moment, Some(&poller)).unwrap().1, "the event was taken");
            }
        });
    }
}
