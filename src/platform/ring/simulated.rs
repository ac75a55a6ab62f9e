//! The completion queues of `sim` builds. What is created on a simulated thread is simulated, what
//! any other thread creates is the system's.

use std::collections::BTreeMap;
use std::io;
use std::slice;
use std::time::Duration;

use volt_sim::ring as sim;

use super::{Completion, Operation, real};
use crate::platform::net::simulated::{Poller, World, check_thread, other_world};
use crate::platform::thread::is_simulated;

/// Whether there are rings, in the world of the calling thread.
///
/// # Errors
/// As the real machine's; simulated ones are always there.
pub fn probe() -> io::Result<()> {
    if is_simulated() { Ok(()) } else { real::probe() }
}

/// A completion queue. One thread at a time uses it; unless it is shared, the one that made it.
#[derive(Debug)]
pub struct Ring(World<real::Ring, Simulated>);

/// A simulated ring, which knows nothing of memory: it copies.
#[derive(Debug)]
struct Simulated {
    ring: sim::Ring,
    /// Where the bytes of reads go that have not completed.
    targets: BTreeMap<u64, Target>,
}

#[derive(Debug)]
struct Target(*mut u8);

// SAFETY: the memory is the ring's, by the promise of whoever submitted the read, whichever thread
// the ring is on.
unsafe impl Send for Target {}

/// Whether what an operation is on is of the real machine.
fn is_real(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Read { file, .. }
        | Operation::Write { file, .. }
        | Operation::Sync { file, .. } => file.simulated().is_none(),
        Operation::Receive { socket, .. } => socket.simulated().is_none(),
    }
}

impl Ring {
    /// A queue with room for `entries` operations that are not submitted yet. A `shared` one may be
    /// used on other threads than this one, by one at a time, and costs more; every simulated one
    /// may.
    ///
    /// # Errors
    /// If the system has none.
    #[track_caller]
    pub fn new(entries: u32, shared: bool) -> io::Result<Ring> {
        Ok(Ring(match is_simulated() {
            true => World::Simulated(Simulated {
                ring: sim::Ring::new(entries as usize)?,
                targets: BTreeMap::new(),
            }),
            false => World::Real(real::Ring::new(entries, shared)?),
        }))
    }

    /// Takes an operation that completes as `token`; false if there is no room before the next
    /// turn, or the file or socket is of another world.
    ///
    /// # Safety
    /// Until the operation has completed, its file or socket stays open, and the memory that it
    /// names is there; nobody else accesses that, or of a write changes it.
    pub unsafe fn submit(&mut self, token: u64, operation: &Operation<'_>) -> bool {
        let Simulated { ring, targets } = match &mut self.0 {
            World::Real(ring) => {
                // SAFETY: the caller's promise.
                return is_real(operation) && unsafe { ring.submit(token, operation) };
            }
            World::Simulated(simulated) => simulated,
        };
        let target;
        let taken = match *operation {
            Operation::Read { file, buffer, length, offset } => {
                target = Some(buffer);
                file.simulated().map(|file| ring.read(token, file, length as usize, offset))
            }
            Operation::Write { file, bytes, length, offset } => {
                target = None;
                // SAFETY: the caller's promise.
                let bytes = unsafe { slice::from_raw_parts(bytes, length as usize) };
                file.simulated().map(|file| ring.write(token, file, bytes.to_vec(), offset))
            }
            Operation::Sync { file, data_only } => {
                target = None;
                file.simulated().map(|file| ring.sync(token, file, data_only))
            }
            Operation::Receive { socket, buffer, length } => {
                target = Some(buffer);
                socket.simulated().map(|socket| ring.receive(token, socket, length as usize))
            }
        };
        let taken = taken == Some(true);
        if let (true, Some(buffer)) = (taken, target) {
            targets.insert(token, Target(buffer));
        }
        taken
    }

    /// Has the operation that was submitted as `target` given up, if that can be, and tells so as
    /// `token`; false if there is no room before the next turn.
    pub fn cancel(&mut self, token: u64, target: u64) -> bool {
        match &mut self.0 {
            World::Real(ring) => ring.cancel(token, target),
            World::Simulated(simulated) => simulated.ring.cancel(token, target),
        }
    }

    /// Submits what there is and adds what has completed to `completions`; if `waits`, waits for a
    /// completion when there is none. False if something could not be submitted yet.
    ///
    /// # Errors
    /// On a thread of another world.
    #[track_caller]
    pub fn turn(&mut self, waits: bool, completions: &mut Vec<Completion>) -> io::Result<bool> {
        let Simulated { ring, targets } = match &mut self.0 {
            World::Real(ring) => {
                check_thread()?;
                return ring.turn(waits, completions);
            }
            World::Simulated(simulated) => simulated,
        };
        deliver(targets, ring.turn(waits)?, completions);
        Ok(ring.unsubmitted() == 0)
    }

    /// Submits what there is and, if nothing has completed, waits for at most `timeout` for a
    /// completion, a [`RingWaker`], or something that `poller` has to tell: true if it has that,
    /// also since the last wait. Adds what has completed to `completions`. It may return early, and
    /// without anything.
    ///
    /// `poller` is the same at each call that has one.
    ///
    /// # Errors
    /// On a thread of another world, or with a poller of one.
    #[track_caller]
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        poller: Option<&Poller>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<bool> {
        match (&mut self.0, poller.map(|poller| &poller.0)) {
            (World::Real(ring), None) => {
                check_thread()?;
                ring.wait(timeout, None, completions)
            }
            (World::Real(ring), Some(World::Real(poller))) => {
                check_thread()?;
                ring.wait(timeout, Some(poller), completions)
            }
            (World::Simulated(Simulated { ring, targets }), None) => {
                let (done, told) = ring.wait(timeout, None)?;
                deliver(targets, done, completions);
                Ok(told)
            }
            (World::Simulated(Simulated { ring, targets }), Some(World::Simulated(poller))) => {
                let (done, told) = ring.wait(timeout, Some(poller))?;
                deliver(targets, done, completions);
                Ok(told)
            }
            _ => Err(other_world()),
        }
    }

    /// What ends a wait from another thread.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn waker(&self) -> io::Result<RingWaker> {
        Ok(RingWaker(match &self.0 {
            World::Real(ring) => World::Real(ring.waker()?),
            World::Simulated(simulated) => World::Simulated(simulated.ring.waker()),
        }))
    }
}

/// Copies what was read to where it was to go, and adds the completions to `completions`.
fn deliver(
    targets: &mut BTreeMap<u64, Target>,
    done: Vec<sim::Completion>,
    completions: &mut Vec<Completion>,
) {
    for sim::Completion { token, result, bytes, .. } in done {
        let target = targets.remove(&token);
        if let (Some(Target(buffer)), Ok(count)) = (target, &result) {
            // SAFETY: by the promise of whoever submitted the read, there is room for at least as
            // many bytes as were read, and nobody else accesses it.
            let buffer = unsafe { slice::from_raw_parts_mut(buffer, *count) };
            buffer.copy_from_slice(&bytes[..*count]);
        }
        completions.push(Completion { token, result, more: false });
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
impl Ring {
    /// Submits what there is, and takes nothing, so that completions pile up.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn submit_only(&mut self) -> io::Result<()> {
        match &mut self.0 {
            World::Real(ring) => ring.submit_only(),
            World::Simulated(simulated) => simulated.ring.submit(),
        }
    }
}

/// Ends a wait in its [`Ring`].
#[derive(Debug)]
pub struct RingWaker(World<real::RingWaker, sim::RingWaker>);

impl RingWaker {
    /// Ends the wait that is going on, or else the next one.
    ///
    /// # Errors
    /// For a simulated ring, on an ordinary thread.
    #[track_caller]
    pub fn wake(&self) -> io::Result<()> {
        match &self.0 {
            // From whichever thread: nothing that the caller does depends on the answer.
            World::Real(waker) => waker.wake(),
            World::Simulated(waker) => waker.wake(),
        }
    }
}
