//! Who keeps the memory of a local runtime: the runtime, its handles and every waker. The memory
//! is freed by whoever drops the last of them, on whatever thread that is.
//!
//! ```text
//!   while the runtime lives          on its thread: `here`, without an atomic read-modify-write
//!     `owner` = its thread           on others:     `elsewhere`, which holds RUNTIME besides
//!            │ end: `elsewhere` += `here` - RUNTIME
//!            ▼
//!   when it has ended                on every thread: `elsewhere`; whoever brings it to 0 frees
//!     `owner` = NOBODY
//! ```
//!
//! A reference may be added on one thread and removed on another: either count may be too large
//! or too small by itself, below zero too, and their sum is right. RUNTIME keeps `elsewhere` away
//! from 0 until both are added up. Only the thread that `owner` names touches `here`: all others
//! read a token that is not theirs, whether they read the old value or the new one.
//!
//! The token of a thread may come again when the thread has ended. It finds no runtime of its
//! predecessor: a runtime cannot leave its thread, so it has ended too, unless it was forgotten.
//! Then nobody else is left that touches what the owner may touch.

use std::num::NonZeroUsize;

use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::thread;

/// No thread's token.
const NOBODY: usize = 0;
/// The part of `elsewhere` that stands for the runtime itself.
const RUNTIME: usize = 1 << (usize::BITS - 2);
/// More references than this are forgotten ones, on the way to an overflow.
const MOST: usize = RUNTIME / 2;

/// See the module documentation.
pub(super) struct References {
    owner: AtomicUsize,
    here: UnsafeCell<usize>,
    elsewhere: AtomicUsize,
}

impl References {
    /// The count of a runtime that lives on the thread `owner`.
    pub(super) fn new(owner: NonZeroUsize) -> References {
        References {
            owner: AtomicUsize::new(owner.get()),
            here: UnsafeCell::new(0),
            elsewhere: AtomicUsize::new(RUNTIME),
        }
    }

    /// Whether the runtime lives, and on the calling thread.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        // Relaxed: a thread finds its own token only where it wrote that itself.
        let owner = self.owner.load(Ordering::Relaxed);
        thread::token().is_some_and(|token| token.get() == owner)
    }

    /// Whether the runtime has ended: a hint, except on its own thread.
    pub(super) fn has_ended(&self) -> bool {
        // Relaxed: a hint, as said.
        self.owner.load(Ordering::Relaxed) == NOBODY
    }

    /// Counts one more, for somebody who has one.
    #[inline]
    pub(super) fn add(&self) {
        let is_too_many = if self.is_here() {
            self.here.with_mut(|here| {
                // SAFETY: this is the owner's thread.
                let here = unsafe { &mut *here };
                *here = here.wrapping_add(1);
                (*here).cast_signed() > MOST.cast_signed()
            })
        } else {
            // Relaxed: whoever has a reference passes on what it needs.
            let before = self.elsewhere.fetch_add(1, Ordering::Relaxed);
            before.cast_signed() > (RUNTIME + MOST).cast_signed()
        };
        if is_too_many {
            // The memory would be freed under those who use it.
            thread::abort_process();
        }
    }

    /// Counts one less. True if it was the last: then the caller frees the memory.
    #[inline]
    #[must_use]
    pub(super) fn remove(&self) -> bool {
        if self.is_here() {
            // SAFETY: this is the owner's thread.
            self.here.with_mut(|here| unsafe { *here = (*here).wrapping_sub(1) });
            return false;
        }
        // Release: what was done with the memory comes before it is freed. Acquire: it is freed
        // after what all others did.
        let order = mutation!("local-reference-relaxed", Ordering::AcqRel, Ordering::Relaxed);
        self.elsewhere.fetch_sub(1, order) == 1
    }

    /// The runtime ends, on its thread. True if nobody else has a reference: then the caller
    /// frees the memory.
    #[must_use]
    pub(super) fn end(&self) -> bool {
        // Relaxed: what this thread does next is ordered by the exchange below, and other threads
        // never find their token here.
        self.owner.store(NOBODY, Ordering::Relaxed);
        // SAFETY: this is the owner's thread, which leaves the cell for good.
        let here = self.here.with_mut(|here| unsafe { std::mem::take(&mut *here) });
        let added = mutation!("local-reference-forgets-here", here, 0);
        let change = added.wrapping_sub(RUNTIME);
        // AcqRel: as in `remove`.
        self.elsewhere.fetch_add(change, Ordering::AcqRel).wrapping_add(change) == 0
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn new() -> References {
        References::new(thread::token().expect("the thread lives"))
    }

    #[test]
    fn a_runtime_without_references_is_freed_when_it_ends() {
        let references = new();
        references.add();
        assert!(!references.remove());
        assert!(references.end());
    }

    #[test]
    fn the_last_reference_frees_what_the_runtime_left() {
        let references = new();
        references.add();
        references.add();
        assert!(!references.end());
        assert!(references.has_ended() && !references.is_here());
        references.add();
        assert!(!references.remove());
        assert!(!references.remove());
        assert!(references.remove());
    }

    #[test]
    fn tokens_tell_threads_apart() {
        let here = thread::token();
        let elsewhere = std::thread::spawn(thread::token).join().unwrap();
        assert!(here.is_some() && elsewhere.is_some());
        assert_eq!(here, thread::token());
        assert_ne!(here, elsewhere);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicUsize as Count;

    struct Memory {
        references: References,
        used: UnsafeCell<u32>,
        freed: Count,
    }

    // SAFETY: the counts say who may do what; that is what the models check.
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    unsafe impl Sync for Memory {}

    impl Memory {
        fn free(&self, is_last: bool) {
            if is_last {
                // A write: it races with a use that nothing orders before it.
                // SAFETY: nobody has a reference; loom checks it.
                self.used.with_mut(|used| unsafe { *used += 1 });
                self.freed.fetch_add(1, Ordering::Relaxed);
            }
        }

        /// Uses the memory, then drops a reference.
        fn drop_one(&self) {
            // SAFETY: a reference keeps the memory; loom checks it.
            self.used.with(|used| unsafe { assert_eq!(*used, 0, "it is used after its end") });
            self.free(self.references.remove());
        }
    }

    /// Two references that were made here are dropped elsewhere, a clone too, while the runtime
    /// ends.
    fn end_and_drop() {
        let owner = thread::token().expect("the thread lives");
        let memory = Arc::new(Memory {
            references: References::new(owner),
            used: UnsafeCell::new(0),
            freed: Count::new(0),
        });
        memory.references.add();
        memory.references.add();
        let others: Vec<_> = (0..2)
            .map(|other| {
                let memory = Arc::clone(&memory);
                loom::thread::spawn(move || {
                    if other == 0 {
                        memory.references.add();
                        memory.drop_one();
                    }
                    memory.drop_one();
                })
            })
            .collect();
        memory.free(memory.references.end());
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(memory.freed.load(Ordering::Relaxed), 1, "it is freed once");
    }

    #[test]
    fn the_last_one_frees_it_once() {
        model(end_and_drop);
    }

    #[test]
    fn forgotten_references_mutant_is_noticed() {
        assert!(is_noticed("local-reference-forgets-here", || model(end_and_drop)));
    }

    #[test]
    fn relaxed_drop_mutant_is_noticed() {
        assert!(is_noticed("local-reference-relaxed", || model(end_and_drop)));
    }
}
