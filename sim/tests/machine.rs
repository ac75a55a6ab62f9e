//! What a whole simulated machine does for programs that were not written for it: locks of std
//! and `parking_lot`, thread-locals, panics, clocks and entropy follow the seed.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{Failure, FailureKind, Report, Sim, thread};

fn machine(seed: u64, f: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
    Sim::builder().seed(seed).build().machine(f)
}

#[test]
fn threads_have_numbers_of_their_own_whatever_ended_before() {
    machine(7, || {
        let own = thread::number();
        assert_eq!(own, Some(0));
        for expected in 1..=3 {
            let number = thread::spawn(thread::number).join().unwrap();
            assert_eq!(number, Some(expected));
        }
        assert_eq!(thread::number(), own);
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(thread::number(), None);
}

/// Three threads wait for a lock whose holder is pre-empted while it holds it.
fn contend(lock: impl Fn(&dyn Fn()) + Send + Sync + 'static) {
    let lock = Arc::new(lock);
    let inside = Arc::new(AtomicU32::new(0));
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            thread::spawn(move || {
                for _ in 0..3 {
                    lock(&|| {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "not exclusive");
                        for _ in 0..5 {
                            thread::yield_now();
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            })
        })
        .collect();
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

#[test]
fn std_locks_held_across_a_pre_emption_wait_in_the_simulated_kernel() {
    let report = Sim::builder().sweep(0..100).machine(|| {
        let mutex = std::sync::Mutex::new(());
        contend(move |inside| {
            let _held = mutex.lock().unwrap();
            inside();
        });
        let rwlock = std::sync::RwLock::new(());
        contend(move |inside| {
            let _held = rwlock.write().unwrap();
            inside();
        });
    });
    let report = report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.counters().futex_waits > 0, "nobody waited: {report:?}");
}

#[test]
fn parking_lot_locks_held_across_a_pre_emption_wait_in_the_simulated_kernel() {
    let report = Sim::builder().sweep(0..100).machine(|| {
        let mutex = parking_lot::Mutex::new(());
        contend(move |inside| {
            let _held = mutex.lock();
            inside();
        });
    });
    let report = report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.counters().futex_waits > 0, "nobody waited: {report:?}");
}

#[test]
fn parking_lot_under_check_is_refused_instead_of_hanging() {
    let report = Sim::builder().sweep(0..100).check(|| {
        let mutex = parking_lot::Mutex::new(());
        contend(move |inside| {
            let _held = mutex.lock();
            inside();
        });
    });
    let failure = report.failure().expect("two waiters on one thread-local word");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert!(failure.message().contains("thread-local word"), "{failure}");
}

#[test]
fn std_locks_under_check_wait_in_the_simulated_kernel() {
    let report = Sim::builder().sweep(0..100).check(|| {
        let mutex = std::sync::Mutex::new(());
        contend(move |inside| {
            let _held = mutex.lock().unwrap();
            inside();
        });
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Two threads, one of which panics while it holds a lock and is pre-empted while it unwinds.
fn panic_beside_another() {
    struct YieldsOnDrop;
    impl Drop for YieldsOnDrop {
        fn drop(&mut self) {
            for _ in 0..10 {
                thread::yield_now();
            }
        }
    }
    let (left, right) = (Arc::new(std::sync::Mutex::new(0)), Arc::new(std::sync::Mutex::new(0)));
    let panics = {
        let left = Arc::clone(&left);
        thread::spawn(move || {
            let _held = left.lock().unwrap();
            let _yields = YieldsOnDrop;
            panic!("planned");
        })
    };
    let works = {
        let right = Arc::clone(&right);
        thread::spawn(move || {
            for _ in 0..10 {
                *right.lock().unwrap() += 1;
                assert!(!std::thread::panicking(), "the other thread's panic is seen here");
                thread::yield_now();
            }
        })
    };
    assert!(panics.join().is_err());
    works.join().unwrap();
    assert!(left.is_poisoned());
    assert!(!right.is_poisoned(), "a panic in one thread poisoned the lock of another");
}

#[test]
fn a_panic_in_one_thread_poisons_nothing_in_another() {
    let report = Sim::builder().sweep(0..200).machine(panic_beside_another);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_panic_in_one_thread_poisons_nothing_in_another_under_check() {
    let report = Sim::builder().sweep(0..200).check(panic_beside_another);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

thread_local! {
    static MINE: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn each_thread_has_its_own_thread_locals_and_destroys_them() {
    struct Counts(Arc<std::sync::atomic::AtomicU32>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread_local! {
        static DESTROYED: std::cell::RefCell<Option<Counts>> =
            const { std::cell::RefCell::new(None) };
    }
    let report = Sim::builder().sweep(0..20).machine(|| {
        assert_eq!(MINE.get(), 0, "a thread-local outlived its run");
        MINE.set(7);
        let drops = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let threads: Vec<_> = (1..4)
            .map(|value| {
                let drops = Arc::clone(&drops);
                thread::spawn(move || {
                    assert_eq!(MINE.get(), 0);
                    MINE.set(value);
                    DESTROYED.with(|slot| *slot.borrow_mut() = Some(Counts(drops)));
                    thread::yield_now();
                    assert_eq!(MINE.get(), value);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(MINE.get(), 7);
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn clocks_and_sleeps_are_virtual() {
    let began = Instant::now();
    let report = machine(1, || {
        let start = Instant::now();
        let wall = std::time::SystemTime::now();
        std::thread::sleep(Duration::from_secs(3_600));
        assert!(start.elapsed() >= Duration::from_secs(3_600));
        assert!(wall.elapsed().unwrap() >= Duration::from_secs(3_600));
        assert!(start.elapsed() < Duration::from_secs(3_601));
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.virtual_time() >= Duration::from_secs(3_600));
    assert!(began.elapsed() < Duration::from_secs(60), "an hour of sleep took real time");
}

#[test]
fn entropy_and_hash_map_order_follow_the_seed() {
    fn order(seed: u64) -> Vec<u32> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let report = machine(seed, move || {
            let map: HashMap<u32, ()> = (0..50).map(|key| (key, ())).collect();
            let order: Vec<u32> = map.keys().copied().collect();
            sender.send(order).unwrap();
        });
        report.unwrap_or_else(|failure| panic!("{failure}"));
        receiver.try_iter().last().unwrap()
    }
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn std_threads_park_and_yield_in_the_simulation() {
    let report = machine(3, || {
        let flag = Arc::new(AtomicU32::new(0));
        let main = std::thread::current();
        let other = {
            let flag = Arc::clone(&flag);
            thread::spawn(move || {
                std::thread::yield_now();
                flag.store(1, Ordering::Release);
                main.unpark();
            })
        };
        while flag.load(Ordering::Acquire) == 0 {
            std::thread::park();
        }
        other.join().unwrap();
    });
    report.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_lock_that_a_real_thread_holds_is_waited_for_for_real() {
    static GLOBAL: std::sync::Mutex<u32> = std::sync::Mutex::new(0);
    let (held, holds) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let mut guard = GLOBAL.lock().unwrap();
        held.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        *guard += 1;
    });
    holds.recv().unwrap();
    let report = machine(1, || {
        assert_eq!(*GLOBAL.lock().unwrap(), 1);
    });
    report.unwrap_or_else(|failure| panic!("{failure}"));
    holder.join().unwrap();
}

#[test]
fn a_deadlock_of_std_locks_is_reported_and_not_hung() {
    let report = Sim::builder().sweep(0..50).machine(|| {
        let locks = Arc::new((std::sync::Mutex::new(()), std::sync::Mutex::new(())));
        let other = {
            let locks = Arc::clone(&locks);
            thread::spawn(move || {
                let _second = locks.1.lock().unwrap();
                thread::yield_now();
                let _first = locks.0.lock().unwrap();
            })
        };
        let first = locks.0.lock().unwrap();
        thread::yield_now();
        let second = locks.1.lock().unwrap();
        drop((first, second));
        other.join().unwrap();
    });
    let failure = report.failure().expect("the locks are taken in both orders");
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    assert!(failure.to_string().contains("waits in the futex system call"), "{failure}");
}

#[test]
fn a_real_thread_that_a_simulated_one_starts_is_refused() {
    let report = Sim::builder().sweep(0..1).check(|| {
        std::thread::spawn(|| ()).join().unwrap();
    });
    let failure = report.failure().expect("no seed decides what the real thread does");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    assert!(failure.message().contains("starts a real one"), "{failure}");
}

#[test]
fn the_machine_has_as_many_processors_for_std_as_for_itself() {
    let report = machine(1, || {
        let std = std::thread::available_parallelism().unwrap();
        assert_eq!(std, thread::available_parallelism().unwrap());
    });
    report.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_alarm_that_nobody_waits_for_moves_no_clock() {
    let failure = machine(1, || {
        let pair = Arc::new((volt_sim::sync::Mutex::new(false), volt_sim::sync::Condvar::new()));
        let other = Arc::clone(&pair);
        let setter = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut set = pair.0.lock().unwrap();
        while !*set {
            set = pair.1.wait_timeout(set, Duration::from_secs(48 * 3_600)).unwrap().0;
        }
        setter.join().unwrap();
        // Nobody sets it again.
        while *set {
            set = pair.1.wait(set).unwrap();
        }
    });
    let failure = failure.expect_err("the thread waits for ever");
    assert_eq!(failure.kind(), FailureKind::Deadlock, "{failure}");
}

#[test]
fn a_thread_local_that_uses_itself_while_it_is_destroyed_is_told_so() {
    struct Looks;
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(LOOKS.try_with(|_| ()).is_err());
        }
    }
    volt_sim::thread_local! {
        static LOOKS: Looks = Looks;
    }
    let report = Sim::builder().sweep(0..5).check(|| {
        thread::spawn(|| LOOKS.with(|_| ())).join().unwrap();
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_panic_in_a_thread_locals_destructor_fails_the_run_and_not_the_process() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("planned");
        }
    }
    volt_sim::thread_local! {
        static PANICS: Panics = Panics;
    }
    let report = Sim::builder().sweep(0..1).check(|| drop(thread::spawn(|| PANICS.with(|_| ()))));
    let failure = report.failure().expect("the panic");
    assert!(failure.message().contains("planned"), "{failure}");
}

#[test]
fn two_workers_that_poll_one_task_break_a_law() {
    use volt_sim::laws;
    let report = Sim::builder().sweep(0..10).check(|| {
        let runtime = laws::runtime_started();
        laws::task_spawned(runtime, 1, Some("shared"), std::panic::Location::caller());
        let poll = || {
            laws::poll_begins(1);
            thread::yield_now();
            laws::poll_ends(1);
        };
        let other = thread::spawn(poll);
        poll();
        other.join().unwrap();
    });
    let failure = report.failure().expect("both poll at once");
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("two workers poll task 1 \"shared\""), "{failure}");
}
