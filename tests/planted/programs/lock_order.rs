//! Philosophers who each take the fork at their left first.
//!
//! In the wild: the lock-order deadlocks of GoBench's blocking half (Yuan et al., CGO 2021), and
//! `din_phil_n` of SCTBench.
//!
//! The twin: the forks have an order, in which everybody takes them.
//!
//! Look for: a deadlock, each thread waiting for the lock that the next one holds.

use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

const FORKS: usize = 3;

/// One thread for each fork.
pub fn run(version: Version) {
    let forks: Arc<[Mutex<()>; FORKS]> = Arc::default();
    let threads = [0, 1, 2].map(|place| {
        let forks = Arc::clone(&forks);
        thread::spawn(move || {
            let (left, right) = (place, (place + 1) % FORKS);
            let is_ordered = !version.is_fixed() || left < right;
            let (first, second) = if is_ordered { (left, right) } else { (right, left) };
            let _first = forks[first].lock().unwrap();
            let _second = forks[second].lock().unwrap();
        })
    });
    for thread in threads {
        join(thread);
    }
}
