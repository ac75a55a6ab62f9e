//! An operation that is cancelled when its completion is already in.
//!
//! In the wild: tokio issue 7436. The slab of operations in flight keeps a cancelled one until the
//! kernel has answered. If the answer had come before, the place was left as it was: nobody frees
//! it any more.
//!
//! The twin: a completed operation is freed by whoever cancels it.
//!
//! Look for: a place that is taken when no operation is in flight.

use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    InFlight,
    Completed,
    Cancelled,
}

type Slab = Mutex<[Option<Operation>; 3]>;

/// The kernel's answers, in order.
fn complete_all(slab: &Slab) {
    for place in 0..3 {
        let mut operations = slab.lock().unwrap();
        operations[place] = match operations[place] {
            Some(Operation::InFlight) => Some(Operation::Completed),
            Some(Operation::Cancelled) => None,
            Some(Operation::Completed) | None => panic!("a second answer"),
        };
    }
}

fn cancel(slab: &Slab, place: usize, version: Version) {
    let mut operations = slab.lock().unwrap();
    match operations[place] {
        Some(Operation::InFlight) => operations[place] = Some(Operation::Cancelled),
        Some(Operation::Completed) if version.is_fixed() => operations[place] = None,
        _ => {}
    }
}

/// A kernel that answers, and a task that cancels.
pub fn run(version: Version) {
    let slab: Arc<Slab> = Arc::new(Mutex::new([Some(Operation::InFlight); 3]));
    let other = Arc::clone(&slab);
    let kernel = thread::spawn(move || complete_all(&other));
    for place in [2, 1, 0] {
        cancel(&slab, place, version);
    }
    join(kernel);
    let leaked = slab.lock().unwrap().iter().flatten().count();
    assert_eq!(leaked, 0, "places of operations that have ended");
}
