//! An allocator that a run counts the allocations of.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::kernel;

/// The system's allocator, which counts what simulated threads allocate:
/// [`Counters::allocations`](crate::Counters::allocations). A test program sets it as its own; the
/// counts are then exact, and the same for each run of a seed, for programs that fill no static of
/// the process at its first use.
///
/// Growing a block counts as an allocation. What the simulated machine allocates for itself while
/// a thread calls it does not count.
///
/// ```
/// use volt_sim::{CountingAllocator, Sim};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let allocations = |blocks: usize| {
///     let report = Sim::builder().build().check(move || {
///         for block in 0..blocks {
///             drop(std::hint::black_box(Box::new(block)));
///         }
///     });
///     report.unwrap().counters().allocations
/// };
/// assert_eq!(allocations(10) - allocations(0), 10);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

impl CountingAllocator {
    #[inline]
    fn count() {
        if let Some(world) = kernel::current() {
            world.count_allocation();
        }
    }
}

// SAFETY: everything is left to the system's allocator; counting neither allocates nor unwinds: it
// reads a thread-local without a destructor and adds to a number.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CountingAllocator::count();
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        CountingAllocator::count();
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CountingAllocator::count();
        // SAFETY: the caller keeps to the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
