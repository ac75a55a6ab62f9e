//! C4 to C9: threads.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use volt::platform::{Platform, PlatformFutex};

use crate::{PATIENCE, eventually, join, join_all, spawn, spawn_all};

conformance! {
    c4_spawn_runs_the_closure_once_on_a_thread_of_its_own,
    c4_join_returns_after_the_closure_has_ended,
    c4_the_stack_is_as_large_as_asked,
    c5_a_panic_ends_its_thread_alone_and_its_payload_reaches_join,
    c6_a_thread_has_the_name_it_was_given,
    c7_threads_do_not_share_thread_locals,
    c7_thread_locals_are_destroyed_before_their_thread_is_joined,
    c8_parallelism_is_at_least_one,
    c9_a_loop_of_yields_lets_every_other_thread_go_on,
}

fn c4_spawn_runs_the_closure_once_on_a_thread_of_its_own<P: Platform + 'static>() {
    let runs = Arc::new(AtomicU32::new(0));
    let has_spawned = Arc::new(AtomicBool::new(false));
    let thread = {
        let (runs, has_spawned) = (Arc::clone(&runs), Arc::clone(&has_spawned));
        spawn::<P>("spawned", move || {
            // On the thread that spawns, the closure would wait for itself.
            eventually::<P>("`spawn` returns", || has_spawned.load(Ordering::Acquire));
            runs.fetch_add(1, Ordering::Relaxed);
        })
    };
    has_spawned.store(true, Ordering::Release);
    join::<P>(thread);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

fn c4_join_returns_after_the_closure_has_ended<P: Platform + 'static>() {
    const THREADS: u32 = 4;
    let ended: Arc<[AtomicBool; THREADS as usize]> = Arc::default();
    let threads = {
        let ended = Arc::clone(&ended);
        spawn_all::<P>(THREADS, move |number| {
            P::sleep(Duration::from_millis((THREADS - number).into()));
            P::yield_now();
            // Relaxed, here and below: join alone is to order the two.
            ended[number as usize].store(true, Ordering::Relaxed);
        })
    };
    for (number, thread) in threads.into_iter().enumerate() {
        join::<P>(thread);
        assert!(ended[number].load(Ordering::Relaxed), "thread {number} was joined too early");
    }
}

fn c4_the_stack_is_as_large_as_asked<P: Platform + 'static>() {
    let body = || {
        // More than the stack that a thread has unless it asks for another.
        let large = [1_u8; 3 << 20];
        P::yield_now();
        assert!(black_box(&large).iter().step_by(4_096).all(|byte| *byte == 1));
    };
    // Several times as much, since a build without optimization copies what it builds.
    let thread = P::spawn("a large stack", Some(16 << 20), Box::new(body));
    join::<P>(thread.expect("the platform has a large stack to give"));
}

fn c5_a_panic_ends_its_thread_alone_and_its_payload_reaches_join<P: Platform + 'static>() {
    let have_panicked = Arc::new(AtomicBool::new(false));
    let other = {
        let have_panicked = Arc::clone(&have_panicked);
        spawn::<P>("goes on", move || {
            eventually::<P>("the others panic", || {
                assert!(!std::thread::panicking(), "the panic of another thread is seen here");
                have_panicked.load(Ordering::Acquire)
            });
        })
    };
    let text = P::join(spawn::<P>("panics with a text", || panic!("planned")));
    let text = text.expect_err("the thread panicked");
    assert_eq!(text.downcast_ref::<&str>(), Some(&"planned"));
    let number = P::join(spawn::<P>("panics with a number", || panic_any(7_u32)));
    let number = number.expect_err("the thread panicked");
    assert_eq!(number.downcast_ref::<u32>(), Some(&7));
    have_panicked.store(true, Ordering::Release);
    join::<P>(other);
}

fn c6_a_thread_has_the_name_it_was_given<P: Platform + 'static>() {
    let names = ["a", "volt-worker-3", "a name of more than the fifteen bytes that Linux keeps"];
    let threads = names.map(|name| {
        spawn::<P>(name, move || {
            assert_eq!(P::thread_name().as_deref(), Some(name));
            P::sleep(Duration::from_millis(1));
            assert_eq!(P::thread_name().as_deref(), Some(name));
        })
    });
    join_all::<P>(threads.into());
}

/// Counts how often it is destroyed.
struct CountsDrops(Arc<AtomicU32>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        // Relaxed: join alone is to order the destruction and the look at the count.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

volt::platform::sync::thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(0) };
    static COUNTS_DROPS: RefCell<Option<CountsDrops>> = const { RefCell::new(None) };
}

fn c7_threads_do_not_share_thread_locals<P: Platform + 'static>() {
    NUMBER.with(|own| own.set(100));
    let threads = spawn_all::<P>(3, |number| {
        assert_eq!(NUMBER.with(Cell::get), 0, "a new thread has another's value");
        NUMBER.with(|own| own.set(number + 1));
        P::sleep(Duration::from_millis(1));
        assert_eq!(NUMBER.with(Cell::get), number + 1);
    });
    join_all::<P>(threads);
    assert_eq!(NUMBER.with(Cell::get), 100);
}

fn c7_thread_locals_are_destroyed_before_their_thread_is_joined<P: Platform + 'static>() {
    let drops = Arc::new(AtomicU32::new(0));
    let keep = |drops: Arc<AtomicU32>| {
        COUNTS_DROPS.with(|slot| *slot.borrow_mut() = Some(CountsDrops(drops)));
    };
    for before in 0..3 {
        let counted = Arc::clone(&drops);
        let thread = spawn::<P>("has a value", move || {
            let seen = Arc::clone(&counted);
            keep(counted);
            P::yield_now();
            assert_eq!(seen.load(Ordering::Relaxed), before, "destroyed while its thread runs");
        });
        join::<P>(thread);
        assert_eq!(drops.load(Ordering::Relaxed), before + 1, "joined before the destruction");
    }
    let counted = Arc::clone(&drops);
    let panics = spawn::<P>("panics", move || {
        keep(counted);
        panic!("planned");
    });
    assert!(P::join(panics).is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 4, "a panic keeps a value from its destruction");
}

fn c8_parallelism_is_at_least_one<P: Platform + 'static>() {
    assert!(P::parallelism() >= 1);
}

fn c9_a_loop_of_yields_lets_every_other_thread_go_on<P: Platform + 'static>() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 20;
    let turn = Arc::new(P::Futex::new(0));
    // Each thread spins until all others have had their turn.
    let threads = spawn_all::<P>(THREADS, move |number| {
        for round in 0..ROUNDS {
            let own = round * THREADS + number;
            let deadline = P::now() + PATIENCE;
            while turn.load() != own {
                assert!(P::now() < deadline, "thread {number} waits for its turn in {round}");
                P::yield_now();
            }
            turn.store(own + 1);
        }
    });
    join_all::<P>(threads);
}
