//! How a thread calls into the disk of its host.

use std::ffi::OsString;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Errno, Handle, Kind, Stat, Surroundings};
use crate::kernel::World;
use crate::kernel::disk::Lent;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::thread_table::WaitFor;
use crate::net::handle::{Answer, FAILED, running_world};
use crate::network::HostId;

impl Answer for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

impl Answer for Handle {
    fn word(&self) -> u64 {
        u64::from(self.0)
    }
}

impl Answer for PathBuf {
    fn word(&self) -> u64 {
        self.as_os_str().len() as u64
    }
}

impl Answer for Stat {
    fn word(&self) -> u64 {
        self.len ^ self.ino.0 << 40
    }
}

impl Answer for Vec<(OsString, Kind)> {
    fn word(&self) -> u64 {
        self.len() as u64
    }
}

/// One call into the disk of a host: a scheduling point, the time that it takes, then `f`, whose
/// result goes into the hash. So what is interrupted by a crash has not happened.
pub(super) fn call<R: Answer>(
    world: &World,
    host: HostId,
    operation: Operation,
    f: impl FnOnce(&mut Disk, &mut Lent<'_>) -> Result<R, Errno>,
) -> io::Result<R> {
    world.point(operation);
    let is_sync = operation.kind == OperationKind::DiskSync;
    let delay = world.disks(|disks, lent| disks.of(host).delay(is_sync, lent));
    if delay > 0 {
        world.block(WaitFor::Time, Some(world.now().saturating_add(delay)));
    }
    let result = world.disks(|disks, lent| f(disks.of(host), lent));
    let answer = match &result {
        Ok(value) => value.word(),
        Err(errno) => FAILED | errno.number(),
    };
    world.complete(operation, answer);
    result.map_err(io::Error::from)
}

/// A call that concerns paths on the disk of the running thread's host.
///
/// # Errors
/// `Unsupported` on an ordinary thread; else what `f` says.
#[track_caller]
pub(super) fn call_with_paths<R: Answer>(
    paths: &[&Path],
    f: impl FnOnce(&mut Disk, &mut Lent<'_>) -> Result<R, Errno>,
) -> io::Result<R> {
    let operation = Operation::new(OperationKind::DiskOther, 0, Location::caller());
    let world = running_world()?;
    call(world, world.host(), operation, |disk, lent| {
        for path in paths {
            lent.observe(path.as_os_str().as_encoded_bytes());
        }
        f(disk, lent)
    })
}
