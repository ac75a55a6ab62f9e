//! Two values that belong together, each under a lock of its own.
//!
//! In the wild: `twostage_n` of SCTBench, after a bug pattern of IBM's ConTest (Farchi, Nir and Ur,
//! IPDPS 2003). Writers set the first value under one lock and the second one under another. A
//! reader between the first writer's stages and before the second stage of any other sees values
//! that do not fit.
//!
//! The twin: writers keep the first lock until the second stage is over.
//!
//! Look for: a second value that does not follow from the first.

use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

#[derive(Default)]
struct Values {
    first: Mutex<u32>,
    second: Mutex<u32>,
}

fn write(values: &Values, version: Version) {
    let mut first = values.first.lock().unwrap();
    *first = 1;
    let next = *first + 1;
    if version.is_fixed() {
        *values.second.lock().unwrap() = next;
        return;
    }
    drop(first);
    *values.second.lock().unwrap() = next;
}

fn read(values: &Values) {
    let first = *values.first.lock().unwrap();
    if first > 0 {
        let second = *values.second.lock().unwrap();
        assert_eq!(second, first + 1, "the second value does not follow from the first");
    }
}

/// Nineteen writers and a reader.
pub fn run(version: Version) {
    let values = Arc::new(Values::default());
    let mut threads: Vec<_> = (0..19)
        .map(|_| {
            let values = Arc::clone(&values);
            thread::spawn(move || write(&values, version))
        })
        .collect();
    threads.push(thread::spawn(move || read(&values)));
    for thread in threads {
        join(thread);
    }
}
