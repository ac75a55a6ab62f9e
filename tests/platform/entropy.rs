//! C18 and C19: entropy.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use volt::platform::Platform;

use crate::{join_all, spawn_all};

conformance! {
    c18_below_stays_below_its_bound,
    c18_below_reaches_every_number,
    c19_fill_fills_the_whole_buffer,
    c19_fill_does_not_repeat_itself,
    c19_fill_does_not_repeat_itself_on_another_thread,
}

fn c18_below_stays_below_its_bound<P: Platform + 'static>() {
    for n in [1, 2, 3, 5, 1_000, 1 << 31, u32::MAX] {
        for _ in 0..100 {
            let number = P::below(n);
            assert!(number < n, "{number} is not below {n}");
        }
    }
}

fn c18_below_reaches_every_number<P: Platform + 'static>() {
    for n in [1, 2, 5, 16] {
        let mut missing: BTreeSet<u32> = (0..n).collect();
        // Fair draws leave one of 16 out with a probability below 10^-270.
        for _ in 0..10_000 {
            if missing.is_empty() {
                break;
            }
            missing.remove(&P::below(n));
        }
        assert!(missing.is_empty(), "never drawn below {n}: {missing:?}");
    }
}

fn c19_fill_fills_the_whole_buffer<P: Platform + 'static>() {
    for length in [0, 1, 7, 8, 9, 16, 31, 64, 300] {
        // A byte that is filled stays zero in all rounds with a probability of 2^-160.
        let mut ever_set = vec![false; length];
        for _ in 0..20 {
            let mut buffer = vec![0; length];
            P::fill(&mut buffer);
            for (set, byte) in ever_set.iter_mut().zip(&buffer) {
                *set |= *byte != 0;
            }
        }
        let unset: Vec<usize> = (0..length).filter(|index| !ever_set[*index]).collect();
        assert!(unset.is_empty(), "bytes {unset:?} of {length} are never filled");
    }
}

fn filled<P: Platform>() -> [u8; 16] {
    let mut buffer = [0; 16];
    P::fill(&mut buffer);
    buffer
}

fn c19_fill_does_not_repeat_itself<P: Platform + 'static>() {
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        assert!(seen.insert(filled::<P>()), "the same bytes twice");
    }
}

fn c19_fill_does_not_repeat_itself_on_another_thread<P: Platform + 'static>() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let threads = {
        let seen = Arc::clone(&seen);
        spawn_all::<P>(4, move |_| {
            for _ in 0..5 {
                let bytes = filled::<P>();
                P::yield_now();
                let is_new = seen.lock().expect("nobody panicked inside").insert(bytes);
                assert!(is_new, "the bytes of another thread");
            }
        })
    };
    join_all::<P>(threads);
    assert_eq!(seen.lock().expect("nobody panicked inside").len(), 20);
}
