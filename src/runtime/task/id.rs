//! What a task is called.

use std::fmt;
use std::num::NonZeroU64;

/// The name of a task within its runtime; never used twice by it. It is shown as a number, with
/// a second one where the first was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    /// The task in place `slot` of the registry, the `serial`-th to have it.
    pub(super) fn new(slot: u32, serial: u32) -> Id {
        // One more than the number, so that `Option<Id>` is no larger.
        Id(NonZeroU64::MIN.saturating_add(u64::from(serial) << 32 | u64::from(slot)))
    }

    fn number(self) -> u64 {
        self.0.get() - 1
    }

    pub(super) fn slot(self) -> u32 {
        self.number() as u32
    }

    pub(super) fn serial(self) -> u32 {
        (self.number() >> 32) as u32
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.serial() {
            0 => write!(f, "{}", self.slot()),
            serial => write!(f, "{}.{serial}", self.slot()),
        }
    }
}
