//! A lock-free stack of indices that gives one element to two threads.
//!
//! In the wild: SafeStack, posted by Vyukov to the CHESS forum, in SCTBench as `safestack`. A pop
//! reads the head and takes the element's link out, then moves the head on. The element may
//! meanwhile have been popped and pushed again, twice over, so that head and link are what they
//! were, and yet another thread holds what the link names. It takes three threads and at least
//! five changes between them: the hardest of the suite.
//!
//! The twin: a lock around each pop and push.
//!
//! Look for: an element that another thread wrote to while this one held it.

use volt::sim::hint;
use volt::sim::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

const ELEMENTS: usize = 3;
const TAKEN: i32 = -1;
/// After so many, a stack that the bug has broken is left alone.
const TRIES: u32 = 50;

struct Element {
    owner: AtomicU32,
    next: AtomicI32,
}

struct Stack {
    elements: [Element; ELEMENTS],
    head: AtomicI32,
    count: AtomicI32,
    /// Of the twin.
    lock: Mutex<()>,
}

impl Stack {
    fn next_of(&self, element: i32) -> &AtomicI32 {
        &self.elements[element as usize].next
    }

    fn exchange_head(&self, before: i32, after: i32) -> bool {
        self.head.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn pop(&self, version: Version) -> Option<i32> {
        let _held = version.is_fixed().then(|| self.lock.lock().unwrap());
        if self.count.load(Ordering::SeqCst) <= 1 {
            return None;
        }
        let head = self.head.load(Ordering::SeqCst);
        let next = self.next_of(head).swap(TAKEN, Ordering::SeqCst);
        if next < 0 {
            return None;
        }
        if self.exchange_head(head, next) {
            self.count.fetch_sub(1, Ordering::SeqCst);
            return Some(head);
        }
        self.next_of(head).swap(next, Ordering::SeqCst);
        None
    }

    fn push(&self, element: i32, version: Version) {
        let _held = version.is_fixed().then(|| self.lock.lock().unwrap());
        loop {
            let head = self.head.load(Ordering::SeqCst);
            self.next_of(element).store(head, Ordering::SeqCst);
            if self.exchange_head(head, element) {
                break;
            }
        }
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn use_one(&self, thread: u32, version: Version) {
        let mut tries = 0;
        let element = loop {
            if let Some(element) = self.pop(version) {
                break element;
            }
            tries += 1;
            if tries == TRIES {
                return;
            }
            hint::spin_loop();
        };
        let owner = &self.elements[element as usize].owner;
        owner.store(thread, Ordering::SeqCst);
        let seen = owner.load(Ordering::SeqCst);
        assert_eq!(seen, thread, "an element was given to two threads");
        self.push(element, version);
    }
}

/// Three threads that pop and push twice each.
pub fn run(version: Version) {
    let element = |next| Element { owner: AtomicU32::new(0), next: AtomicI32::new(next) };
    let stack = Arc::new(Stack {
        elements: [element(1), element(2), element(TAKEN)],
        head: AtomicI32::new(0),
        count: AtomicI32::new(ELEMENTS as i32),
        lock: Mutex::new(()),
    });
    let threads = [1, 2, 3].map(|thread| {
        let stack = Arc::clone(&stack);
        thread::spawn(move || {
            stack.use_one(thread, version);
            stack.use_one(thread, version);
        })
    });
    for thread in threads {
        join(thread);
    }
}
