//! What an object is called within a run: (world, ordinal), given at first touch. Never its
//! address, which is reused and differs between processes.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::{ObjectId, World};
use crate::failure::FailureKind;

/// The identity of one simulated object, beside its value.
pub(crate) struct Identity {
    /// World in the upper half, ordinal in the lower; 0 = no simulated thread has touched it.
    tag: AtomicU64,
    /// Where the first touch was.
    place: AtomicPtr<Location<'static>>,
}

// Relaxed throughout: only the threads of one world, which share one OS thread, use an object, and
// those of every other world are stopped at its tag; a real thread that reads the tag to find the
// world does so after it learnt of a waiter by way of the object's own word.
impl Identity {
    pub(crate) const fn new() -> Identity {
        Identity { tag: AtomicU64::new(0), place: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The object's number in `world`.
    #[inline]
    pub(crate) fn touch(&self, world: &World, place: &'static Location<'static>) -> ObjectId {
        let tag = self.tag.load(Ordering::Relaxed);
        if (tag >> 32) as u32 == world.number() {
            tag as ObjectId
        } else {
            self.adopt(world, tag, place)
        }
    }

    #[cold]
    fn adopt(&self, world: &World, tag: u64, place: &'static Location<'static>) -> ObjectId {
        let ordinal = if tag == 0 { world.new_object() } else { 0 };
        let own = u64::from(world.number()) << 32 | u64::from(ordinal);
        // Exchanged, as worlds on other OS threads may touch a static at the same time.
        let adopted = tag == 0
            && self.tag.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !adopted {
            let first = self.place.load(Ordering::Relaxed);
            // SAFETY: null, or the address of a `&'static Location`: nothing else is stored.
            let first = unsafe { first.as_ref() };
            let first = first.map_or_else(String::new, |first| format!(" first at {first}"));
            world.fail(
                FailureKind::Nondeterminism,
                format!(
                    "an object is used by a second run: at {place}, after an earlier run used \
                     it,{first}. A static outlives the run that changed it, so a seed would not \
                     replay. Make the object inside the simulation, or put `isolate = \
                     \"process\"` on the test, which gives each seed a process of its own"
                ),
            );
        }
        self.place.store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
        ordinal
    }

    /// The world and number that the object has, if a simulated thread has touched it.
    pub(crate) fn known(&self) -> Option<(u32, ObjectId)> {
        let tag = self.tag.load(Ordering::Relaxed);
        (tag != 0).then_some(((tag >> 32) as u32, tag as ObjectId))
    }
}
