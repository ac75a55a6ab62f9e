//! Many threads store to one word and then to another; one thread looks at both.
//!
//! In the wild: `reorder_n` of SCTBench (Thomson, Donaldson and Betts, PPoPP 2014), first of the
//! Inspect benchmarks. The one who looks must come after the first store of some thread, and before
//! the second store of any: the more threads, the rarer.
//!
//! The twin: the two words are looked at in the other order.
//!
//! Look for: the first word set, and the second not.

use volt::sim::sync::Arc;
use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::thread;

use super::{Version, join};

fn program(setters: u32, version: Version) {
    let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let mut threads: Vec<_> = (0..setters)
        .map(|_| {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                words[0].store(1, Ordering::SeqCst);
                words[1].store(1, Ordering::SeqCst);
            })
        })
        .collect();
    threads.push(thread::spawn(move || {
        let (first, second);
        if version.is_fixed() {
            second = words[1].load(Ordering::SeqCst);
            first = words[0].load(Ordering::SeqCst);
        } else {
            first = words[0].load(Ordering::SeqCst);
            second = words[1].load(Ordering::SeqCst);
        }
        assert!(version.is_fixed() || first <= second, "the first word without the second");
        assert!(!version.is_fixed() || second <= first, "the second word without the first");
    }));
    for thread in threads {
        join(thread);
    }
}

/// Nine setters.
pub fn run_10(version: Version) {
    program(9, version);
}

/// Ninety-nine setters.
pub fn run_100(version: Version) {
    program(99, version);
}
