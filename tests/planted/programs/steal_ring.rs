//! A bounded work-stealing ring whose owner takes slots that a slow thief has claimed for free.
//!
//! In the wild: tokio issues 2382 and 2387. The head of a ring is two positions in one word: up to
//! where thieves have copied, and up to where tasks are taken. To its owner a ring is empty when
//! the second one meets the tail, though a thief may still copy what lies before. The owner then
//! steals from another ring, and writes over what is being copied.
//!
//! The twin: room is reckoned from the first position.
//!
//! Look for: a task that is run twice, and one that is never run.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use volt::sim::thread;

use super::{Version, join};

const CAPACITY: u32 = 4;

#[derive(Default)]
struct Ring {
    /// Copied up to, in the upper half; taken up to, in the lower.
    head: AtomicU64,
    tail: AtomicU32,
    slots: [AtomicU32; CAPACITY as usize],
}

fn pack(copied: u32, taken: u32) -> u64 {
    (u64::from(copied) << 32) | u64::from(taken)
}

fn unpack(head: u64) -> (u32, u32) {
    ((head >> 32) as u32, head as u32)
}

impl Ring {
    /// A ring with these tasks.
    fn of(tasks: impl Iterator<Item = u32>) -> Ring {
        let ring = Ring::default();
        for task in tasks {
            let tail = ring.tail.load(Ordering::SeqCst);
            ring.slot(tail).store(task, Ordering::SeqCst);
            ring.tail.store(tail + 1, Ordering::SeqCst);
        }
        ring
    }

    fn slot(&self, position: u32) -> &AtomicU32 {
        &self.slots[(position % CAPACITY) as usize]
    }

    fn exchange(&self, before: u64, after: u64) -> bool {
        self.head.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Owner.
    fn pop(&self) -> Option<u32> {
        loop {
            let head = self.head.load(Ordering::SeqCst);
            let (copied, taken) = unpack(head);
            if taken == self.tail.load(Ordering::SeqCst) {
                return None;
            }
            let copied = if copied == taken { taken + 1 } else { copied };
            if self.exchange(head, pack(copied, taken + 1)) {
                return Some(self.slot(taken).load(Ordering::SeqCst));
            }
        }
    }

    /// Half of what waits here goes into `own`, whose owner calls; one of them is returned.
    fn steal_into(&self, own: &Ring, version: Version) -> Option<u32> {
        let tail = own.tail.load(Ordering::SeqCst);
        let (copied, taken) = unpack(own.head.load(Ordering::SeqCst));
        let used = tail - if version.is_fixed() { copied } else { taken };
        if used > CAPACITY / 2 {
            return None;
        }
        let (first, count) = self.claim()?;
        for offset in 0..count {
            let task = self.slot(first + offset).load(Ordering::SeqCst);
            own.slot(tail + offset).store(task, Ordering::SeqCst);
        }
        loop {
            let head = self.head.load(Ordering::SeqCst);
            let (_, taken) = unpack(head);
            if self.exchange(head, pack(taken, taken)) {
                break;
            }
        }
        own.tail.store(tail + count - 1, Ordering::SeqCst);
        Some(own.slot(tail + count - 1).load(Ordering::SeqCst))
    }

    fn claim(&self) -> Option<(u32, u32)> {
        loop {
            let head = self.head.load(Ordering::SeqCst);
            let (copied, taken) = unpack(head);
            // An old head may lie behind the tail that is read now by more than the ring has.
            let waiting = self.tail.load(Ordering::SeqCst).saturating_sub(taken).min(CAPACITY);
            let count = waiting - waiting / 2;
            if copied != taken || count == 0 {
                return None;
            }
            if self.exchange(head, pack(copied, taken + count)) {
                return Some((taken, count));
            }
        }
    }

    fn pop_all(&self) -> Vec<u32> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

/// An owner that runs what it has and steals more, and a thief that steals from it.
pub fn run(version: Version) {
    let own = Arc::new(Ring::of(1..5));
    let other = Arc::new(Ring::of(5..9));
    let thief = thread::spawn({
        let victim = Arc::clone(&own);
        move || {
            let ring = Ring::default();
            let mut ran: Vec<u32> = victim.steal_into(&ring, version).into_iter().collect();
            ran.extend(ring.pop_all());
            ran
        }
    });
    let owner = thread::spawn({
        let (own, other) = (Arc::clone(&own), Arc::clone(&other));
        move || {
            let mut ran = own.pop_all();
            ran.extend(other.steal_into(&own, version));
            ran.extend(own.pop_all());
            ran
        }
    });
    let mut ran = join(thief);
    ran.extend(join(owner));
    ran.extend(other.pop_all());
    ran.sort_unstable();
    assert!(ran.iter().copied().eq(1..9), "not each task ran once: {ran:?}");
}
