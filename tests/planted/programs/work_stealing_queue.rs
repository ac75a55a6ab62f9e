//! A work-stealing queue in which owner and thief agree by looking at each other's end.
//!
//! In the wild: the work-stealing queue of Cilk, whose broken variants are the benchmark of CHESS
//! (Musuvathi et al., OSDI 2008) and SCTBench. Each side moves its own end before it looks at the
//! other's; only where they meet is a lock needed. The owner here looks before it moves.
//!
//! The twin: it moves before it looks.
//!
//! Look for: a task that is run twice.

use volt::sim::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

const TASKS: usize = 3;

#[derive(Default)]
struct Queue {
    head: AtomicI32,
    tail: AtomicI32,
    thieves: Mutex<()>,
    runs: [AtomicU32; TASKS],
}

impl Queue {
    fn run(&self, task: i32) {
        let before = self.runs[task as usize].fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "a task ran twice");
    }

    fn push(&self) {
        self.tail.fetch_add(1, Ordering::SeqCst);
    }

    /// Owner: runs the newest task.
    fn pop(&self, version: Version) {
        let tail = self.tail.load(Ordering::SeqCst) - 1;
        let head = if version.is_fixed() {
            self.tail.store(tail, Ordering::SeqCst);
            self.head.load(Ordering::SeqCst)
        } else {
            let head = self.head.load(Ordering::SeqCst);
            self.tail.store(tail, Ordering::SeqCst);
            head
        };
        if head <= tail {
            return self.run(tail);
        }
        let held = self.thieves.lock().unwrap();
        if self.head.load(Ordering::SeqCst) <= tail {
            drop(held);
            return self.run(tail);
        }
        self.tail.store(tail + 1, Ordering::SeqCst);
    }

    /// Thief: runs the oldest task.
    fn steal(&self) {
        let held = self.thieves.lock().unwrap();
        let head = self.head.load(Ordering::SeqCst);
        self.head.store(head + 1, Ordering::SeqCst);
        if head < self.tail.load(Ordering::SeqCst) {
            drop(held);
            self.run(head);
        } else {
            self.head.store(head, Ordering::SeqCst);
        }
    }
}

/// An owner, and a thief that tries twice.
pub fn run(version: Version) {
    let queue = Arc::new(Queue::default());
    let victim = Arc::clone(&queue);
    let thief = thread::spawn(move || {
        victim.steal();
        victim.steal();
    });
    for _ in 0..TASKS {
        queue.push();
    }
    for _ in 0..TASKS {
        queue.pop(version);
    }
    join(thief);
    let ran = queue.runs.iter().filter(|runs| runs.load(Ordering::SeqCst) == 1).count();
    assert_eq!(ran, TASKS, "a task was lost");
}
