//! Three threads each take over their neighbour's token, in whatever order they come.
//!
//! In the wild: `token_ring` of SCTBench. A lock guards each step; the order of the steps, on which
//! the result depends, nothing guards.
//!
//! The twin: each waits for the one before it.
//!
//! Look for: tokens that differ when all have been taken over.

use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread;

use super::{Version, join};

struct State {
    tokens: [u32; 3],
    taken: [bool; 3],
}

struct Ring {
    state: Mutex<State>,
    changed: Condvar,
}

impl Ring {
    fn take_over(&self, place: usize, version: Version) {
        let mut state = self.state.lock().unwrap();
        if version.is_fixed() && place > 0 {
            let before = |state: &mut State| !state.taken[place - 1];
            state = self.changed.wait_while(state, before).unwrap();
        }
        state.tokens[place] = match place {
            0 => (state.tokens[2] + 1) % 4,
            _ => state.tokens[place - 1],
        };
        state.taken[place] = true;
        self.changed.notify_all();
    }

    fn look(&self) {
        let state = self.state.lock().unwrap();
        let [first, second, third] = state.tokens;
        let are_equal = first == second && second == third;
        assert!(are_equal || state.taken.contains(&false), "the tokens differ");
    }
}

/// One thread for each place, and one that looks.
pub fn run(version: Version) {
    let state = State { tokens: [1, 2, 3], taken: [false; 3] };
    let ring = Arc::new(Ring { state: Mutex::new(state), changed: Condvar::new() });
    let threads = [0, 1, 2, 3].map(|place| {
        let ring = Arc::clone(&ring);
        thread::spawn(move || match place {
            3 => ring.look(),
            _ => ring.take_over(place, version),
        })
    });
    for thread in threads {
        join(thread);
    }
}
