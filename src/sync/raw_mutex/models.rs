//! Models of the races that the lock meets.
//!
//! A model that fails must fail where no thread waits: what is queued then is withdrawn under the
//! list's lock, which loom cannot grant to a thread that it holds for stuck. So they poll by hand.

use std::pin::pin;
use std::sync::Arc;
use std::task::Wake;

use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::AtomicBool;

struct Task(AtomicBool);

impl Task {
    fn is_woken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.0.store(true, Ordering::Release);
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task(AtomicBool::new(false)));
    (Arc::clone(&task), Waker::from(task))
}

/// A lock and what it protects.
struct Machine {
    mutex: RawMutex,
    value: UnsafeCell<u32>,
}

// SAFETY: who touches the value has the lock; loom checks that.
unsafe impl Send for Machine {}
// SAFETY: as above.
unsafe impl Sync for Machine {}

impl Machine {
    fn new() -> Arc<Machine> {
        Arc::new(Machine { mutex: RawMutex::new(), value: UnsafeCell::new(0) })
    }

    fn locked() -> Arc<Machine> {
        let machine = Machine::new();
        assert!(machine.mutex.try_lock());
        machine
    }

    /// The caller has the lock.
    fn touch(&self) {
        // SAFETY: nobody else has the lock; loom checks that.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }

    fn poll<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: &Waker) -> bool {
        self.mutex.poll_lock(waiter, waker, Turn::Take).is_ready()
    }
}

fn overtake(machine: &Machine) {
    if machine.mutex.try_lock() {
        machine.touch();
        machine.mutex.unlock();
    }
}

/// Two threads try.
fn uncontended() {
    let machine = Machine::new();
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || overtake(&other));
    overtake(&machine);
    thread.join().unwrap();
    assert!(machine.mutex.try_lock());
}

#[test]
fn two_threads_try_the_lock() {
    model(uncontended);
}

#[test]
fn relaxed_lock_mutant_is_noticed() {
    assert!(is_noticed("mutex-locks-relaxed", || model(uncontended)));
}

#[test]
fn relaxed_unlock_mutant_is_noticed() {
    assert!(is_noticed("mutex-unlocks-relaxed", || model(uncontended)));
}

/// The first waiter was woken, and finds that another one has overtaken it.
fn come_again() {
    let machine = Machine::locked();
    let (_, first_waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    assert!(!machine.poll(waiter.as_mut(), &first_waker));
    machine.mutex.unlock();
    let other = Arc::clone(&machine);
    let overtaker = loom::thread::spawn(move || overtake(&other));
    let (task, waker) = task();
    let is_had = machine.poll(waiter.as_mut(), &waker);
    if is_had {
        machine.touch();
        machine.mutex.unlock();
    }
    overtaker.join().unwrap();
    if !is_had {
        assert!(task.is_woken(), "the lock is free, and its waiter sleeps");
        assert!(machine.poll(waiter.as_mut(), &waker));
        machine.mutex.unlock();
    }
    assert!(machine.mutex.try_lock());
}

#[test]
fn a_woken_waiter_finds_itself_overtaken() {
    model(come_again);
}

#[test]
fn stays_offered_mutant_is_noticed() {
    assert!(is_noticed("mutex-stays-offered", || model(come_again)));
}

/// The lock is unlocked while one begins to wait; and a third thread may overtake that.
fn unlock_and_wait(unlock: fn(&RawMutex), is_overtaken: bool) {
    let machine = Machine::locked();
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    let other = Arc::clone(&machine);
    let holder = loom::thread::spawn(move || {
        other.touch();
        unlock(&other.mutex);
    });
    let overtaker = is_overtaken.then(|| {
        let other = Arc::clone(&machine);
        loom::thread::spawn(move || overtake(&other))
    });
    let is_had = machine.poll(waiter.as_mut(), &waker);
    if is_had {
        machine.touch();
        machine.mutex.unlock();
    }
    holder.join().unwrap();
    if let Some(overtaker) = overtaker {
        overtaker.join().unwrap();
    }
    if !is_had {
        assert!(task.is_woken(), "the lock is free, and its waiter sleeps");
        assert!(machine.poll(waiter.as_mut(), &waker));
        machine.touch();
        machine.mutex.unlock();
    }
    assert!(machine.mutex.try_lock());
}

#[test]
fn an_unlock_meets_a_waiter() {
    model(|| unlock_and_wait(RawMutex::unlock, false));
}

#[test]
fn unannounced_waiter_mutant_is_noticed() {
    assert!(is_noticed("mutex-queues-unannounced", || {
        model(|| unlock_and_wait(RawMutex::unlock, false));
    }));
}

#[test]
fn silent_unlock_mutant_is_noticed() {
    assert!(is_noticed("mutex-frees-silently", || {
        model(|| unlock_and_wait(RawMutex::unlock, false));
    }));
}

#[test]
fn a_fair_unlock_meets_a_waiter() {
    model(|| unlock_and_wait(RawMutex::unlock_fair, false));
}

#[test]
fn silent_hand_over_mutant_is_noticed() {
    assert!(is_noticed("mutex-hands-over-silently", || {
        model(|| unlock_and_wait(RawMutex::unlock_fair, false));
    }));
}

#[test]
fn a_waiter_is_overtaken() {
    model(|| unlock_and_wait(RawMutex::unlock, true));
}

/// The lock is unlocked while the first of two waiters goes.
fn unlock_and_cancel(unlock: fn(&RawMutex)) {
    let machine = Machine::locked();
    let (task, waker) = task();
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(!machine.poll(first.as_mut(), Waker::noop()));
    assert!(!machine.poll(second.as_mut(), &waker));
    let other = Arc::clone(&machine);
    let holder = loom::thread::spawn(move || {
        other.touch();
        unlock(&other.mutex);
    });
    first.as_mut().cancel();
    holder.join().unwrap();
    assert!(task.is_woken(), "the waiter that goes takes the wake-up along");
    assert!(machine.poll(second.as_mut(), &waker));
    machine.touch();
    machine.mutex.unlock();
    assert!(machine.mutex.try_lock());
}

#[test]
fn an_unlock_meets_a_waiter_that_goes() {
    model(|| unlock_and_cancel(RawMutex::unlock));
}

#[test]
fn silent_withdrawal_mutant_is_noticed() {
    assert!(is_noticed("mutex-withdraws-silently", || {
        model(|| unlock_and_cancel(RawMutex::unlock));
    }));
}

#[test]
fn a_hand_over_meets_a_waiter_that_goes() {
    model(|| unlock_and_cancel(RawMutex::unlock_fair));
}

#[test]
fn kept_lock_mutant_is_noticed() {
    assert!(is_noticed("mutex-keeps-the-unwanted", || {
        model(|| unlock_and_cancel(RawMutex::unlock_fair));
    }));
}

/// The lock is handed over while its waiter is polled by another task.
#[test]
fn a_hand_over_meets_another_waker() {
    model(|| {
        let machine = Machine::locked();
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        assert!(!machine.poll(waiter.as_mut(), Waker::noop()));
        let other = Arc::clone(&machine);
        let holder = loom::thread::spawn(move || {
            other.touch();
            other.mutex.unlock_fair();
        });
        let is_had = machine.poll(waiter.as_mut(), &waker);
        if is_had {
            machine.touch();
        }
        holder.join().unwrap();
        assert!(is_had || task.is_woken(), "the task that came last sleeps");
        assert!(is_had || machine.poll(waiter.as_mut(), &waker));
    });
}

/// A task without a budget takes its place while the lock is taken and freed.
#[test]
fn a_waiter_without_a_budget_meets_an_unlock() {
    model(|| {
        let machine = Machine::new();
        let mut waiter = pin!(Waiter::of_future());
        let other = Arc::clone(&machine);
        let thread = loom::thread::spawn(move || overtake(&other));
        let turn = Turn::QueueOnly;
        assert!(machine.mutex.poll_lock(waiter.as_mut(), Waker::noop(), turn).is_pending());
        thread.join().unwrap();
        assert!(machine.poll(waiter.as_mut(), Waker::noop()));
        machine.touch();
    });
}
