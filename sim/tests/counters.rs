//! The counts of a run are exact: a test can assert them. Allocations are those of this program's
//! allocator.

use volt_sim::net::Resources;
use volt_sim::sync::atomic::{AtomicU32, Ordering, fence};
use volt_sim::{Counters, CountingAllocator, Sim, Strategy, clock, laws, thread};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn counters(f: impl Fn() + Send + Sync + 'static) -> Counters {
    let sim = Sim::builder().seed(1).strategy(Strategy::Random).build();
    sim.check(f).unwrap_or_else(|failure| panic!("{failure}")).counters()
}

#[test]
fn each_atomic_operation_counts_once() {
    let counted = counters(|| {
        let word = AtomicU32::new(0);
        word.store(1, Ordering::Relaxed);
        word.fetch_add(1, Ordering::Relaxed);
        assert!(word.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_err());
        word.load(Ordering::Relaxed);
        fence(Ordering::SeqCst);
    });
    assert_eq!(counted.atomics, 5);
    assert_eq!(counters(|| ()).atomics, 0);
}

#[test]
fn each_request_to_the_system_counts_once() {
    let submissions = |requests: usize| {
        let counted = counters(move || {
            let resources = Resources::current();
            for _ in 0..requests {
                resources.set_descriptor_limit(None);
            }
        });
        counted.submissions
    };
    assert_eq!(submissions(7) - submissions(0), 7);
}

#[test]
fn what_runtimes_tell_is_counted() {
    let counted = counters(|| {
        let runtime = laws::runtime_started();
        laws::poll_begins(1);
        laws::poll_ends(1);
        laws::poll_begins(2);
        laws::poll_ends(2);
        laws::tasks_stolen();
        laws::worker_parked(runtime, 1, clock::now(), None);
        laws::worker_unparked(runtime, 1);
    });
    assert_eq!((counted.polls, counted.steals, counted.parks), (2, 1, 1));
}

/// A thread that allocates so many blocks beside another one.
fn allocations(blocks: usize) -> u64 {
    let counted = counters(move || {
        let allocates = move || {
            for block in 0..blocks {
                drop(std::hint::black_box(Box::new(block)));
                thread::yield_now();
            }
        };
        let other = thread::spawn(allocates);
        allocates();
        other.join().unwrap();
    });
    counted.allocations
}

#[test]
fn allocations_of_simulated_threads_count_and_the_machines_own_do_not() {
    // What a process allocates but once is there from now on.
    allocations(1);
    assert_eq!(allocations(100) - allocations(0), 200);
    assert_eq!(allocations(100), allocations(100));
}
