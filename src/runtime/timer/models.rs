//! Models of the races that the timers of one worker meet.

use std::sync::Arc;
use std::task::Wake;

use super::*;
use crate::platform::clock;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;
use crate::platform::sync::atomic::AtomicU32;
use crate::waiter::parker::Parker;

/// Counts how often it is woken.
struct Count(AtomicU32);

impl Count {
    fn new() -> Arc<Count> {
        Arc::new(Count(AtomicU32::new(0)))
    }

    fn waker(self: &Arc<Count>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn timers() -> (Arc<Timers>, Instant) {
    let start = clock::now();
    (Arc::new(Timers::new(start, Batch::usual())), start)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cell that is armed to fire at `deadline`. The models keep T1 and T4: one thread at a time
/// has the box, and disarms the cell before it drops it.
fn armed(timers: &Timers, deadline: Instant, count: &Arc<Count>) -> Pin<Box<TimerCell>> {
    let cell = Box::pin(TimerCell::new());
    // SAFETY: see above.
    let arming = unsafe { timers.arm(cell.as_ref(), deadline, &count.waker()) };
    assert_eq!(arming, Arming::Earlier);
    cell
}

/// Disarms a cell and frees it, which is an access to all of it.
fn free(timers: &Timers, cell: Pin<Box<TimerCell>>) {
    // SAFETY: see `armed`; once it is disarmed, the cell is the caller's alone.
    unsafe {
        timers.disarm(cell.as_ref());
        TimerCell::with_entry(cell.as_ref().pointer().cast(), |_| ());
    }
}

/// A timer fires while the future that has it is dropped.
fn fire_and_drop() {
    let (timers, start) = timers();
    let count = Count::new();
    let cell = armed(&timers, start + millis(1), &count);
    let other = Arc::clone(&timers);
    let owner = loom::thread::spawn(move || free(&other, cell));
    assert_eq!(timers.fire(start + millis(2)), None);
    owner.join().unwrap();
    assert!(count.get() <= 1);
    assert_eq!(Arc::strong_count(&count), 1, "a waker is left");
}

#[test]
fn a_timer_fires_while_it_is_dropped() {
    model(fire_and_drop);
}

#[test]
fn letting_go_before_the_waker_is_out_is_noticed() {
    assert!(is_noticed("timer-lets-go-early", || model(fire_and_drop)));
}

/// A timer fires while its future is polled with another waker: the new one is woken, or the
/// poll learns that the timer has fired.
fn fire_and_update() {
    let (timers, start) = timers();
    let (first, second) = (Count::new(), Count::new());
    let cell = armed(&timers, start + millis(1), &first);
    let (other, waker) = (Arc::clone(&timers), second.waker());
    let owner = loom::thread::spawn(move || {
        // SAFETY: see `armed`.
        let waits = unsafe { other.update_waker(cell.as_ref(), &waker) };
        assert!(waits || cell.state() == State::Fired);
        (cell, waits)
    });
    timers.fire(start + millis(2));
    let (cell, waits) = owner.join().unwrap();
    assert_eq!([first.get(), second.get()], [u32::from(!waits), u32::from(waits)]);
    free(&timers, cell);
}

#[test]
fn a_timer_fires_while_it_is_polled_by_another_task() {
    model(fire_and_update);
}

#[test]
fn updating_a_fired_timer_is_noticed() {
    assert!(is_noticed("timer-updated-unseen", || model(fire_and_update)));
}

/// A timer fires while it is given a later deadline: it fires for the one or the other.
#[test]
fn a_timer_fires_while_it_is_moved() {
    model(|| {
        let (timers, start) = timers();
        let count = Count::new();
        let cell = armed(&timers, start + millis(1), &count);
        let other = Arc::clone(&timers);
        let owner = loom::thread::spawn(move || {
            // SAFETY: see `armed`.
            assert!(!unsafe { other.move_to(cell.as_ref(), start + millis(9)) });
            cell
        });
        timers.fire(start + millis(2));
        let cell = owner.join().unwrap();
        let (state, next) = match count.get() {
            0 => (State::Armed, Some(start + millis(9))),
            _ => (State::Idle, None),
        };
        assert_eq!((cell.state(), timers.next_deadline()), (state, next));
        timers.fire(start + millis(9));
        assert_eq!(count.get(), 1);
        free(&timers, cell);
    });
}

/// One timer fires while another is armed, whose deadline stays published.
fn fire_and_arm() {
    let (timers, start) = timers();
    let (first, second) = (Count::new(), Count::new());
    let fired = armed(&timers, start + millis(1), &first);
    let (other, counted) = (Arc::clone(&timers), Arc::clone(&second));
    let owner = loom::thread::spawn(move || {
        let cell = Box::pin(TimerCell::new());
        // SAFETY: see `armed`.
        let arming = unsafe { other.arm(cell.as_ref(), start + millis(3), &counted.waker()) };
        (cell, arming)
    });
    timers.fire(start + millis(2));
    let (cell, arming) = owner.join().unwrap();
    assert_ne!(arming, Arming::Refused);
    assert_eq!(timers.next_deadline(), Some(start + millis(3)), "it is not published");
    assert_eq!([first.get(), second.get()], [1, 0]);
    free(&timers, fired);
    free(&timers, cell);
}

#[test]
fn a_timer_is_armed_while_another_fires() {
    model(fire_and_arm);
}

#[test]
fn publishing_without_the_lock_is_noticed() {
    assert!(is_noticed("timer-published-unlocked", || model(fire_and_arm)));
}

/// A timer is armed while its worker looks for the last time before it parks: the worker sees
/// the deadline or the token. Here every deadline it sees has come.
fn arm_and_park() {
    let (timers, start) = timers();
    let parker = Arc::new(Parker::new());
    let count = Count::new();
    let (other, told, waker) = (Arc::clone(&timers), Arc::clone(&parker), count.waker());
    let owner = loom::thread::spawn(move || {
        let cell = Box::pin(TimerCell::new());
        // SAFETY: see `armed`.
        let arming = unsafe { other.arm(cell.as_ref(), start + millis(1), &waker) };
        if arming == Arming::Earlier {
            told.unpark();
        }
        cell
    });
    while count.get() == 0 {
        if timers.fire(start + millis(2)).is_none() && count.get() == 0 {
            parker.park(None);
        }
    }
    free(&timers, owner.join().unwrap());
}

#[test]
fn a_timer_is_armed_while_its_worker_falls_asleep() {
    model(arm_and_park);
}

#[test]
fn a_worker_that_is_not_told_is_noticed() {
    assert!(is_noticed("timer-tells-nobody", || model(arm_and_park)));
}

/// Two threads fire the same timers, as when a worker comes back while another stands in.
#[test]
fn two_threads_fire_one_timer() {
    model(|| {
        let (timers, start) = timers();
        let count = Count::new();
        let cell = armed(&timers, start + millis(1), &count);
        let other = Arc::clone(&timers);
        let stand_in = loom::thread::spawn(move || other.fire(start + millis(2)));
        timers.fire(start + millis(2));
        stand_in.join().unwrap();
        assert_eq!((count.get(), cell.state()), (1, State::Fired));
        free(&timers, cell);
    });
}

/// A timer is armed while the runtime shuts down: it is refused, or its waker is woken.
fn close_and_arm() {
    let (timers, start) = timers();
    let count = Count::new();
    let (other, waker) = (Arc::clone(&timers), count.waker());
    let owner = loom::thread::spawn(move || {
        let cell = Box::pin(TimerCell::new());
        // SAFETY: see `armed`.
        let arming = unsafe { other.arm(cell.as_ref(), start + millis(1), &waker) };
        (cell, arming)
    });
    timers.close();
    let (cell, arming) = owner.join().unwrap();
    assert_eq!(cell.state(), State::Idle, "nobody will fire it");
    assert_eq!(count.get(), u32::from(arming != Arming::Refused));
    free(&timers, cell);
}

#[test]
fn a_timer_is_armed_while_the_runtime_shuts_down() {
    model(close_and_arm);
}

#[test]
fn a_timer_armed_after_the_end_is_noticed() {
    assert!(is_noticed("timer-armed-when-closed", || model(close_and_arm)));
}
