//! A work-stealing queue without locks, whose owner takes the last task without asking.
//!
//! In the wild: the variants of the CHESS work-stealing queue that use compare-and-exchange
//! (SCTBench's `IWSQ` and `IWSQWS`), broken where owner and thief meet.
//!
//! The twin: the owner, too, claims the last task by an exchange of the head.
//!
//! Look for: a task that is run twice.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use volt::sim::thread;

use super::{Version, join};

const TASKS: usize = 3;

#[derive(Default)]
struct Queue {
    head: AtomicI32,
    tail: AtomicI32,
    runs: [AtomicU32; TASKS],
}

impl Queue {
    fn run(&self, task: i32) {
        let before = self.runs[task as usize].fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "a task ran twice");
    }

    fn claim(&self, head: i32) -> bool {
        let order = Ordering::SeqCst;
        self.head.compare_exchange(head, head + 1, order, order).is_ok()
    }

    /// Owner: runs the newest task, if there is one.
    fn pop(&self, version: Version) {
        let tail = self.tail.load(Ordering::SeqCst) - 1;
        self.tail.store(tail, Ordering::SeqCst);
        let head = self.head.load(Ordering::SeqCst);
        if head < tail {
            return self.run(tail);
        }
        if head == tail && (!version.is_fixed() || self.claim(head)) {
            self.run(tail);
        }
        // Empty: both ends where the head is by now.
        self.tail.store(tail + 1, Ordering::SeqCst);
        self.head.store(tail + 1, Ordering::SeqCst);
    }

    /// Thief: runs the oldest task, if nobody else gets it.
    fn steal(&self) {
        let head = self.head.load(Ordering::SeqCst);
        if head < self.tail.load(Ordering::SeqCst) && self.claim(head) {
            self.run(head);
        }
    }
}

/// An owner, and two thieves.
pub fn run(version: Version) {
    let queue = Arc::new(Queue::default());
    queue.tail.store(TASKS as i32, Ordering::SeqCst);
    let thieves = [(); 2].map(|()| {
        let victim = Arc::clone(&queue);
        thread::spawn(move || victim.steal())
    });
    for _ in 0..TASKS {
        queue.pop(version);
    }
    for thief in thieves {
        join(thief);
    }
}
