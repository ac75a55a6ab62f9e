//! A deque whose thief does not notice that the buffer was swapped while the front came back.
//!
//! In the wild: crossbeam-deque, RUSTSEC-2021-0093, pull request 726. A thief reads the front, the
//! buffer and the slot, and claims the slot by moving the front on. Between the read and the claim
//! the owner may swap the buffer, and a pop that finds nothing may bring the front back to where
//! it was: the claim succeeds, for a slot of the old buffer. Here the swap and the return are one
//! step of an empty pop.
//!
//! The twin: the front counts the swaps, so that it never comes back.
//!
//! Look for: a task that is run twice, and one that is never run.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use volt::sim::thread;

use super::{Version, join};

const SWAP: u64 = 1 << 32;

struct Deque {
    version: Version,
    /// The index of the first task; above it, in the twin, the number of swaps.
    front: AtomicU64,
    back: AtomicU64,
    buffer: AtomicUsize,
    buffers: [[AtomicU64; 2]; 2],
}

impl Deque {
    fn index(front: u64) -> u64 {
        front & (SWAP - 1)
    }

    fn claim(&self, front: u64) -> bool {
        let order = Ordering::SeqCst;
        self.front.compare_exchange(front, front + 1, order, order).is_ok()
    }

    fn slot(&self, index: u64) -> &AtomicU64 {
        &self.buffers[self.buffer.load(Ordering::SeqCst)][index as usize]
    }

    /// Owner.
    fn push(&self, task: u64) {
        let back = self.back.load(Ordering::SeqCst);
        self.slot(back).store(task, Ordering::SeqCst);
        self.back.store(back + 1, Ordering::SeqCst);
    }

    /// Owner.
    fn pop(&self) -> Option<u64> {
        loop {
            let front = self.front.load(Ordering::SeqCst);
            if Deque::index(front) == self.back.load(Ordering::SeqCst) {
                let buffer = self.buffer.load(Ordering::SeqCst);
                self.buffer.store(1 - buffer, Ordering::SeqCst);
                self.back.store(0, Ordering::SeqCst);
                let swaps = front - Deque::index(front) + SWAP;
                let front = if self.version.is_fixed() { swaps } else { 0 };
                self.front.store(front, Ordering::SeqCst);
                return None;
            }
            if self.claim(front) {
                return Some(self.slot(Deque::index(front)).load(Ordering::SeqCst));
            }
        }
    }

    fn steal(&self) -> Option<u64> {
        let front = self.front.load(Ordering::SeqCst);
        let index = Deque::index(front);
        if index >= self.back.load(Ordering::SeqCst) {
            return None;
        }
        let task = self.slot(index).load(Ordering::SeqCst);
        self.claim(front).then_some(task)
    }
}

/// An owner that pushes and pops to the end, twice, and a thief.
pub fn run(version: Version) {
    let deque = Arc::new(Deque {
        version,
        front: AtomicU64::new(0),
        back: AtomicU64::new(0),
        buffer: AtomicUsize::new(0),
        buffers: Default::default(),
    });
    let victim = Arc::clone(&deque);
    let thief = thread::spawn(move || victim.steal());
    let mut ran = Vec::new();
    for task in 1..3 {
        deque.push(task);
        ran.extend(std::iter::from_fn(|| deque.pop()));
    }
    // What the thief had been late for.
    deque.push(3);
    ran.extend(join(thief));
    ran.extend(std::iter::from_fn(|| deque.pop()));
    ran.sort_unstable();
    assert_eq!(ran, [1, 2, 3], "not each task ran once");
}
