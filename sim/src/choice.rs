//! A program's own nondeterminism, on the same tape as the scheduler's.

use std::panic::Location;

use crate::decide::Kind;
use crate::kernel;
use crate::kernel::event::{Operation, OperationKind};

/// A number below `n`, decided by the simulation.
///
/// # Panics
/// If `n` is 0, or the caller is not a simulated thread: choices belong to a simulated run.
///
/// ```
/// volt_sim::check(|| assert!(volt_sim::choose(3) < 3));
/// ```
#[track_caller]
pub fn choose(n: usize) -> usize {
    let world = kernel::current();
    let world = world.expect("`choose` is a decision of a simulation: call it inside one");
    assert!(n > 0, "`choose(0)` has nothing to choose from");
    let answer = world.choose(Kind::Program, n as u64);
    world.complete(Operation::new(OperationKind::Choice, 0, Location::caller()), answer);
    answer as usize
}

/// A number below `n` for the runtime's own choices; `None` on an ordinary thread.
#[track_caller]
pub fn choose_task(n: u32) -> Option<u32> {
    let world = kernel::current()?;
    let answer = world.choose(Kind::Task, u64::from(n));
    world.complete(Operation::new(OperationKind::Choice, 0, Location::caller()), answer);
    Some(answer as u32)
}

/// A number below `n` for what a runtime is set up with; `None` on an ordinary thread. 0 stands for
/// what it is set up with in production: the smallest schedules have that, as far as they can, and
/// a depth-first search tries nothing else.
#[track_caller]
pub fn choose_knob(n: u32) -> Option<u32> {
    let world = kernel::current()?;
    let answer = world.choose(Kind::Knob, u64::from(n));
    world.complete(Operation::new(OperationKind::Choice, 0, Location::caller()), answer);
    Some(answer as u32)
}

/// Fills `buffer` from the run's entropy; false on an ordinary thread.
#[track_caller]
pub fn fill_entropy(buffer: &mut [u8]) -> bool {
    let Some(world) = kernel::current() else { return false };
    let place = Location::caller();
    for part in buffer.chunks_mut(8) {
        part.copy_from_slice(&world.entropy(place).to_le_bytes()[..part.len()]);
    }
    true
}

/// Folds bytes that the program has read or written into the run's hash, so that two runs that
/// differ in them differ in their hashes. Does nothing on an ordinary thread.
///
/// ```
/// volt_sim::check(|| volt_sim::observe(b"what the program computed"));
/// ```
#[track_caller]
pub fn observe(bytes: &[u8]) {
    if let Some(world) = kernel::current() {
        let operation = Operation::new(OperationKind::Payload, 0, Location::caller());
        world.payload(bytes);
        world.complete(operation, bytes.len() as u64);
    }
}

/// The seed of the running simulation; `None` on an ordinary thread. What a program does should
/// follow from decisions, which a tape has, rather than from the seed.
///
/// ```
/// let sim = volt_sim::Sim::builder().seed(7).build();
/// sim.check(|| assert!(volt_sim::seed().is_some())).unwrap();
/// assert_eq!(volt_sim::seed(), None);
/// ```
pub fn seed() -> Option<u64> {
    kernel::current().map(kernel::World::seed)
}

/// Whether the running simulation has the bug `name` planted, so that a test can see it found:
/// see [`Builder::plant`](crate::Builder::plant). False on an ordinary thread.
#[inline]
pub fn is_planted(name: &str) -> bool {
    kernel::current().is_some_and(|world| world.planted() == Some(name))
}
