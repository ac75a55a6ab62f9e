//! Time as a simulated thread sees it.

use std::panic::Location;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::{self, World};

/// What the monotonic clock shows when a run begins, in seconds. Fixed, so that a program that
/// prints an instant prints the same one in every process.
pub(crate) const ORIGIN_SECONDS: u64 = 1_000_000;
/// What the wall clock shows when a run begins: 2026-01-01, in seconds since 1970.
pub(crate) const WALL_ORIGIN_SECONDS: u64 = 1_767_225_600;

/// The monotonic clock: virtual on a simulated thread, where reading it is a step.
///
/// ```
/// let before = volt_sim::clock::now();
/// assert!(volt_sim::clock::now() >= before);
/// ```
#[track_caller]
pub fn now() -> Instant {
    match kernel::current() {
        Some(world) => origin() + Duration::from_nanos(step(world, Location::caller())),
        None => Instant::now(),
    }
}

/// The wall clock: virtual on a simulated thread.
#[track_caller]
pub fn wall() -> SystemTime {
    match kernel::current() {
        Some(world) => {
            let since = Duration::from_nanos(step(world, Location::caller()));
            SystemTime::UNIX_EPOCH + Duration::from_secs(WALL_ORIGIN_SECONDS) + since
        }
        None => SystemTime::now(),
    }
}

/// Reads the virtual clock; a step, so that a loop on the clock ends.
pub(crate) fn step(world: &World, place: &'static Location<'static>) -> u64 {
    let operation = Operation::new(OperationKind::Clock, 0, place);
    world.point(operation);
    world.complete(operation, 0);
    world.now()
}

/// The virtual time at which `deadline` comes.
pub(crate) fn virtual_time(deadline: Instant) -> u64 {
    let since = deadline.saturating_duration_since(origin());
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Settles what is settled once in a process, outside every run.
pub(crate) fn prepare() {
    origin();
    crate::kernel::native_tls::prepare();
}

/// The instant at which every run begins.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(crate::interpose::origin)
}
