//! The counting allocator that every benchmark program runs on.
//!
//! It counts only while [`while_counting`] runs, which the harness does for the last iteration of
//! each contender, and in another process once it is told to. Elsewhere it adds one load to each
//! allocation, so that the two shared counters do not slow down whatever allocates from several
//! threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The system's allocator, with a count of what is asked of it.
struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How many callers of [`while_counting`] there are.
static COUNTING: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn count(bytes: usize) {
    // Relaxed throughout: whoever allocates on behalf of an iteration was handed its work after
    // counting began, and has handed back its result before the totals are read.
    if COUNTING.load(Ordering::Relaxed) != 0 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every method passes its arguments to `System` unchanged and returns what `System`
// answers; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    /// Counts as an allocation of the new size, which is what it costs when the block moves.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: `block` came from `System` with this layout, as every block here does.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, as every block here does.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Totals of the allocator at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
}

impl Counts {
    pub(crate) fn now() -> Self {
        Self {
            allocations: ALLOCATIONS.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
        }
    }

    /// What was counted between `earlier` and `self`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// Counts from now on, until the process ends.
#[cfg(target_os = "linux")]
pub(crate) fn count_for_good() {
    COUNTING.fetch_add(1, Ordering::Relaxed);
}

/// Whether allocations are counted now.
#[cfg(target_os = "linux")]
pub(crate) fn is_counting() -> bool {
    COUNTING.load(Ordering::Relaxed) != 0
}

/// Counts the allocations of every thread for as long as `work` runs.
pub(crate) fn while_counting<T>(work: impl FnOnce() -> T) -> T {
    /// Ends the counting even if `work` unwinds.
    struct Counting;

    impl Drop for Counting {
        fn drop(&mut self) {
            COUNTING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    COUNTING.fetch_add(1, Ordering::Relaxed);
    let _counting = Counting;
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    // Other tests allocate at the same time: the counts are lower bounds.

    #[test]
    fn counts_a_fresh_block_and_its_growth() {
        let counted = while_counting(|| {
            let before = Counts::now();
            let mut block = black_box(Vec::<u8>::with_capacity(4096));
            block.reserve_exact(8192);
            black_box(&block);
            Counts::now().since(before)
        });
        assert!(counted.allocations >= 2);
        assert!(counted.bytes >= 4096 + 8192);
    }

    #[test]
    fn counts_what_other_threads_allocate() {
        let counted = while_counting(|| {
            let before = Counts::now();
            let allocate = || drop(black_box(vec![0_u8; 1 << 20]));
            std::thread::spawn(allocate).join().expect("the thread only allocates");
            Counts::now().since(before)
        });
        assert!(counted.bytes >= 1 << 20);
    }
}
