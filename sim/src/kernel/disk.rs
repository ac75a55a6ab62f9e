//! The kernel's side of the disks: what the state machine is lent with each call.

use super::clock::Clock;
use super::hash::RunHash;
use super::{State, World};
use crate::decide::{Decider, Kind};
use crate::disk::{Disks, Surroundings};

/// The parts of the state that a disk works with.
pub(crate) struct Lent<'a> {
    clock: &'a Clock,
    decider: &'a mut Decider,
    hash: &'a mut RunHash,
}

impl<'a> Lent<'a> {
    pub(super) fn new(
        clock: &'a Clock,
        decider: &'a mut Decider,
        hash: &'a mut RunHash,
    ) -> Lent<'a> {
        Lent { clock, decider, hash }
    }
}

impl Surroundings for Lent<'_> {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.decider.choose(Kind::Disk, n)
    }

    fn observe(&mut self, bytes: &[u8]) {
        self.hash.fold_bytes(bytes);
    }
}

impl World {
    /// Lends the disks, and what they work with, to `f`, which calls no code of the user.
    pub(crate) fn disks<R>(&self, f: impl FnOnce(&mut Disks, &mut Lent<'_>) -> R) -> R {
        self.with(|state| {
            let State { disks, clock, decider, hash, .. } = state;
            f(disks, &mut Lent { clock, decider, hash })
        })
    }
}
