//! Four tasks initialise a cell, one of which fails, and a fifth waits for the value.

use std::sync::Arc;
// Not shuttle's: the count is no point where others may go on.
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::future::{block_on, spawn, yield_now};
use volt::platform::mutation::is_noticed;
use volt::sync::OnceCell;

use crate::explore;

/// The task that fails, unless another one was faster.
const FAILS: usize = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed;

#[derive(Default)]
struct Shared {
    cell: OnceCell<usize>,
    initialising: AtomicUsize,
    made: AtomicUsize,
}

impl Shared {
    async fn make(&self, number: usize) -> Result<usize, Failed> {
        let others = self.initialising.fetch_add(1, Ordering::Relaxed);
        assert_eq!(others, 0, "two tasks initialise at once");
        yield_now().await;
        self.initialising.fetch_sub(1, Ordering::Relaxed);
        if number == FAILS {
            return Err(Failed);
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(number)
    }
}

async fn initialise(shared: Arc<Shared>, number: usize) -> Result<usize, Failed> {
    let shared = &*shared;
    shared.cell.get_or_try_init(move || shared.make(number)).await.copied()
}

fn four_initialisers() {
    let shared = Arc::new(Shared::default());
    let tasks = [0, 1, 2, 3].map(|number| spawn(initialise(Arc::clone(&shared), number)));
    let reader = Arc::clone(&shared);
    let reader = spawn(async move { *reader.cell.wait().await });
    block_on(async {
        let value = reader.await.expect("nobody aborts it");
        assert_ne!(value, FAILS);
        for (number, task) in tasks.into_iter().enumerate() {
            let result = task.await.expect("nobody aborts it");
            let is_failure = number == FAILS && result == Err(Failed);
            assert!(is_failure || result == Ok(value), "task {number} has {result:?}");
        }
        assert_eq!(shared.cell.get(), Some(&value));
        assert_eq!(shared.made.load(Ordering::Relaxed), 1, "the value was made again");
    });
}

#[test]
fn one_of_four_initialisers_makes_the_value_though_one_fails() {
    explore(four_initialisers);
}

#[test]
fn silent_failure_mutant_is_noticed() {
    assert!(is_noticed("once-abandons-silently", || explore(four_initialisers)));
}
