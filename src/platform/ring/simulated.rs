//! The completion queues of `sim` builds. What is created on a simulated thread is simulated, what
//! any other thread creates is the system's.

use std::collections::BTreeMap;
use std::io;
use std::slice;

use volt_sim::ring as sim;

use super::{Completion, Operation, real};
use crate::platform::net::simulated::{Registrar, Source, World, check_thread, other_world};
use crate::platform::thread::is_simulated;

/// Whether there are rings, in the world of the calling thread.
///
/// # Errors
/// As the real machine's; simulated ones are always there.
pub fn probe() -> io::Result<()> {
    if is_simulated() { Ok(()) } else { real::probe() }
}

/// A completion queue. One thread uses it: the one that made it.
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

impl Ring {
    /// A queue with room for `entries` operations that are not submitted yet.
    ///
    /// # Errors
    /// If the system has none.
    #[track_caller]
    pub fn new(entries: u32) -> io::Result<Ring> {
        Ok(Ring(match is_simulated() {
            true => World::Simulated(Simulated {
                ring: sim::Ring::new(entries as usize)?,
                targets: BTreeMap::new(),
            }),
            false => World::Real(real::Ring::new(entries)?),
        }))
    }

    /// Takes an operation that completes as `token`; false if there is no room before the next
    /// turn, or the file is of another world.
    ///
    /// # Safety
    /// Until the operation has completed, its file stays open, and the memory that it names is
    /// there; nobody else accesses that, or of a write changes it.
    pub unsafe fn submit(&mut self, token: u64, operation: &Operation<'_>) -> bool {
        let (Operation::Read { file, .. }
        | Operation::Write { file, .. }
        | Operation::Sync { file, .. }) = operation;
        let Simulated { ring, targets } = match (&mut self.0, file.simulated()) {
            // SAFETY: the caller's promise.
            (World::Real(ring), None) => return unsafe { ring.submit(token, operation) },
            (World::Simulated(simulated), Some(_)) => simulated,
            _ => return false,
        };
        let Some(file) = file.simulated() else { return false };
        match *operation {
            Operation::Read { buffer, length, offset, .. } => {
                let taken = ring.read(token, file, length as usize, offset);
                if taken {
                    targets.insert(token, Target(buffer));
                }
                taken
            }
            Operation::Write { bytes, length, offset, .. } => {
                // SAFETY: the caller's promise.
                let bytes = unsafe { slice::from_raw_parts(bytes, length as usize) };
                ring.write(token, file, bytes.to_vec(), offset)
            }
            Operation::Sync { data_only, .. } => ring.sync(token, file, data_only),
        }
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
        for sim::Completion { token, result, bytes, .. } in ring.turn(waits)? {
            let target = targets.remove(&token);
            if let (Some(Target(buffer)), Ok(count)) = (target, &result) {
                // SAFETY: by the promise of whoever submitted the read, there is room for at least
                // as many bytes as were read, and nobody else accesses it.
                let buffer = unsafe { slice::from_raw_parts_mut(buffer, *count) };
                buffer.copy_from_slice(&bytes[..*count]);
            }
            completions.push(Completion { token, result, more: false });
        }
        Ok(ring.unsubmitted() == 0)
    }

    /// What tells the readiness queue of completions.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn signal(&self) -> io::Result<RingSignal> {
        Ok(RingSignal(match &self.0 {
            World::Real(ring) => World::Real(ring.signal()?),
            World::Simulated(simulated) => World::Simulated(simulated.ring.signal()),
        }))
    }
}

#[cfg(test)]
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

/// Tells the readiness queue of the completions of a [`Ring`].
#[derive(Debug)]
pub struct RingSignal(World<real::RingSignal, sim::RingSignal>);

impl Source for RingSignal {
    #[track_caller]
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        match (&mut self.0, &registrar.0) {
            (World::Real(signal), World::Real(registrar)) => {
                check_thread()?;
                registrar.register(signal, token)
            }
            (World::Simulated(signal), World::Simulated(poller)) => signal.watch(poller, token),
            _ => Err(other_world()),
        }
    }

    #[track_caller]
    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        match (&mut self.0, &registrar.0) {
            (World::Real(signal), World::Real(registrar)) => {
                check_thread()?;
                registrar.deregister(signal)
            }
            (World::Simulated(signal), World::Simulated(_)) => signal.unwatch(),
            _ => Err(other_world()),
        }
    }
}
