//! Models of the races that permits and their waiters meet.
//!
//! Loom keeps one access of a word for each thread, and would forget a load of the first thread
//! behind those of the second, and with it that they can come in another order. So the side that
//! looks without the lock runs on a thread that is spawned, where that matters.

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

fn acquire<'a>(
    semaphore: &'a RawSemaphore,
    waiter: Pin<&mut Waiter<'a>>,
    wanted: usize,
    waker: &Waker,
) -> Poll<Result<(), Closed>> {
    semaphore.poll_acquire(waiter, wanted, waker, Turn::Take)
}

/// Takes a permit and gives it back, so many times.
fn overtake(semaphore: &RawSemaphore, times: u32) {
    for _ in 0..times {
        assert!(semaphore.try_acquire(1));
        semaphore.release(1);
    }
}

/// A semaphore of one permit, and what that protects.
struct Machine {
    semaphore: RawSemaphore,
    value: UnsafeCell<u32>,
}

// SAFETY: who touches the value has the only permit; loom checks that.
unsafe impl Send for Machine {}
// SAFETY: as above.
unsafe impl Sync for Machine {}

impl Machine {
    /// The caller has the permit.
    fn held() -> Arc<Machine> {
        let semaphore = RawSemaphore::new(0);
        Arc::new(Machine { semaphore, value: UnsafeCell::new(0) })
    }

    /// The caller has the permit.
    fn touch(&self) {
        // SAFETY: nobody else has the permit; loom checks that.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }

    fn touch_and_release(&self) {
        self.touch();
        self.semaphore.release(1);
    }

    fn poll<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: &Waker) -> bool {
        acquire(&self.semaphore, waiter, 1, waker).is_ready()
    }

    fn overtake(&self) {
        if self.semaphore.try_acquire(1) {
            self.touch_and_release();
        }
    }

    /// The first waiter has been overtaken so often that the permit, which the caller has, is
    /// handed over to it.
    fn barred<'a>(&'a self, first: Pin<&mut Waiter<'a>>, waker: &Waker) {
        assert!(!self.poll(first, waker));
        for _ in 0..MOST_OVERTAKERS {
            self.semaphore.release(1);
            assert!(self.semaphore.try_acquire(1));
        }
    }
}

/// Two threads try.
fn uncontended() {
    let machine = Machine::held();
    machine.touch_and_release();
    let other = Arc::clone(&machine);
    let thread = loom::thread::spawn(move || other.overtake());
    machine.overtake();
    thread.join().unwrap();
    assert_eq!(machine.semaphore.available(), 1);
}

#[test]
fn two_threads_try_the_permit() {
    model(uncontended);
}

#[test]
fn relaxed_acquisition_mutant_is_noticed() {
    assert!(is_noticed("semaphore-acquires-relaxed", || model(uncontended)));
}

#[test]
fn relaxed_release_mutant_is_noticed() {
    assert!(is_noticed("semaphore-releases-relaxed", || model(uncontended)));
}

/// The permit is released while one begins to wait; and a third thread may overtake that.
fn release_and_wait(is_overtaken: bool) {
    let machine = Machine::held();
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    let other = Arc::clone(&machine);
    let holder = loom::thread::spawn(move || other.touch_and_release());
    let overtaker = is_overtaken.then(|| {
        let other = Arc::clone(&machine);
        loom::thread::spawn(move || other.overtake())
    });
    let is_had = machine.poll(waiter.as_mut(), &waker);
    if is_had {
        machine.touch_and_release();
    }
    holder.join().unwrap();
    if let Some(overtaker) = overtaker {
        overtaker.join().unwrap();
    }
    if !is_had {
        assert!(task.is_woken(), "the permit is released and nobody wakes the waiter");
        assert!(machine.poll(waiter.as_mut(), &waker));
        machine.touch_and_release();
    }
    assert_eq!(machine.semaphore.available(), 1);
}

#[test]
fn a_release_meets_one_that_begins_to_wait() {
    model(|| release_and_wait(false));
}

#[test]
fn no_second_look_mutant_is_noticed() {
    assert!(is_noticed("semaphore-no-second-look", || model(|| release_and_wait(false))));
}

#[test]
fn silent_offer_mutant_is_noticed() {
    assert!(is_noticed("semaphore-offers-silently", || model(|| release_and_wait(false))));
}

#[test]
fn a_waiter_is_overtaken() {
    model(|| release_and_wait(true));
}

/// The first waiter was woken, and finds that another one has overtaken it.
fn come_again() {
    let machine = Machine::held();
    let (_, first_waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    assert!(!machine.poll(waiter.as_mut(), &first_waker));
    machine.semaphore.release(1);
    let other = Arc::clone(&machine);
    let overtaker = loom::thread::spawn(move || other.overtake());
    let (task, waker) = task();
    let is_had = machine.poll(waiter.as_mut(), &waker);
    if is_had {
        machine.touch_and_release();
    }
    overtaker.join().unwrap();
    if !is_had {
        assert!(task.is_woken(), "the permit is free, and its waiter sleeps");
        assert!(machine.poll(waiter.as_mut(), &waker));
        machine.touch_and_release();
    }
    assert_eq!(machine.semaphore.available(), 1);
}

#[test]
fn a_woken_waiter_finds_itself_overtaken() {
    model(come_again);
}

#[test]
fn stays_offered_mutant_is_noticed() {
    assert!(is_noticed("semaphore-stays-offered", || model(come_again)));
}

#[test]
fn relaxed_taking_mutant_is_noticed() {
    assert!(is_noticed("semaphore-takes-relaxed", || model(come_again)));
}

/// A task without a budget takes its place while the permit is taken and given back.
#[test]
fn a_waiter_without_a_budget_meets_an_overtaker() {
    model(|| {
        let machine = Machine::held();
        machine.touch_and_release();
        let mut waiter = pin!(Waiter::of_future());
        let other = Arc::clone(&machine);
        let thread = loom::thread::spawn(move || other.overtake());
        let turn = Turn::QueueOnly;
        let polled = machine.semaphore.poll_acquire(waiter.as_mut(), 1, Waker::noop(), turn);
        assert!(polled.is_pending());
        thread.join().unwrap();
        assert!(machine.poll(waiter.as_mut(), Waker::noop()));
        machine.touch_and_release();
    });
}

/// The permit is handed over while its waiter is polled by another task.
fn hand_over() {
    let machine = Machine::held();
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    machine.barred(waiter.as_mut(), Waker::noop());
    assert!(!machine.poll(waiter.as_mut(), Waker::noop()));
    let other = Arc::clone(&machine);
    let holder = loom::thread::spawn(move || other.touch_and_release());
    let is_had = machine.poll(waiter.as_mut(), &waker);
    if is_had {
        machine.touch();
    }
    holder.join().unwrap();
    assert!(is_had || task.is_woken(), "the task that came last sleeps");
    assert!(is_had || machine.poll(waiter.as_mut(), &waker));
    assert_eq!(machine.semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn a_hand_over_meets_another_waker() {
    model(hand_over);
}

#[test]
fn silent_hand_over_mutant_is_noticed() {
    assert!(is_noticed("semaphore-hands-over-silently", || model(hand_over)));
}

/// One permit is released beside the list, a second one is taken by the last that may overtake, and
/// whoever releases a third one hands the first over with it.
fn hand_over_what_another_one_released() {
    let shared = Arc::new((RawSemaphore::new(0), AtomicBool::new(false)));
    let (semaphore, is_written) = &*shared;
    let mut waiter = pin!(Waiter::of_future());
    assert!(acquire(semaphore, waiter.as_mut(), 2, Waker::noop()).is_pending());
    semaphore.release(3);
    assert!(semaphore.try_acquire(1) && semaphore.try_acquire(1));
    overtake(semaphore, MOST_OVERTAKERS - 3);
    let other = Arc::clone(&shared);
    let holder = loom::thread::spawn(move || {
        // Relaxed: the permit must order it.
        other.1.store(true, Ordering::Relaxed);
        other.0.release(1);
    });
    let other = Arc::clone(&shared);
    let overtaker = loom::thread::spawn(move || other.0.try_acquire(1));
    semaphore.release(1);
    if waiter.is_ready() {
        assert!(is_written.load(Ordering::Relaxed), "a permit came without what it guards");
    }
    holder.join().unwrap();
    assert!(overtaker.join().unwrap());
    assert!(acquire(semaphore, waiter, 2, Waker::noop()).is_ready());
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_handed_over_brings_what_came_before_it() {
    model(hand_over_what_another_one_released);
}

#[test]
fn relaxed_hand_over_mutant_is_noticed() {
    assert!(is_noticed("semaphore-hands-over-relaxed", || {
        model(hand_over_what_another_one_released);
    }));
}

/// Two permits come from two sides, for one who wants both.
fn release_twice() {
    let semaphore = Arc::new(RawSemaphore::new(0));
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    assert!(acquire(&semaphore, waiter.as_mut(), 2, &waker).is_pending());
    let threads = [(); 2].map(|()| {
        let semaphore = Arc::clone(&semaphore);
        loom::thread::spawn(move || semaphore.release(1))
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(task.is_woken(), "both permits are there and nobody wakes the waiter");
    assert_eq!(acquire(&semaphore, waiter, 2, &waker), Poll::Ready(Ok(())));
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn permits_from_two_sides_are_for_one() {
    model(release_twice);
}

#[test]
fn release_past_the_queue_mutant_is_noticed() {
    assert!(is_noticed("semaphore-releases-past-the-queue", || model(release_twice)));
}

/// One wants two permits, and was overtaken often enough: one permit is gathered, and the other
/// one comes, while another thread tries for one.
fn gather() {
    let semaphore = Arc::new(RawSemaphore::new(1));
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    assert!(acquire(&semaphore, waiter.as_mut(), 2, &waker).is_pending());
    overtake(&semaphore, MOST_OVERTAKERS);
    let other = Arc::clone(&semaphore);
    let thread = loom::thread::spawn(move || other.try_acquire(1));
    semaphore.release(1);
    let has_overtaken = thread.join().unwrap();
    assert!(!has_overtaken, "a gathered permit was taken");
    assert!(task.is_woken());
    assert_eq!(acquire(&semaphore, waiter, 2, &waker), Poll::Ready(Ok(())));
}

#[test]
fn gathered_permits_are_not_taken() {
    model(gather);
}

#[test]
fn overtaking_mutant_is_noticed() {
    assert!(is_noticed("semaphore-overtakes", || model(gather)));
}

/// Enough for two comes while the first one begins to come: it wakes the second one, or whoever
/// releases does.
fn release_for_two() {
    let semaphore = Arc::new(RawSemaphore::new(0));
    let ((first_task, first_waker), (second_task, second_waker)) = (task(), task());
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(acquire(&semaphore, first.as_mut(), 1, &first_waker).is_pending());
    assert!(acquire(&semaphore, second.as_mut(), 1, &second_waker).is_pending());
    let other = Arc::clone(&semaphore);
    let thread = loom::thread::spawn(move || {
        other.release(1);
        other.release(1);
    });
    let is_had = acquire(&semaphore, first.as_mut(), 1, &first_waker).is_ready();
    thread.join().unwrap();
    if !is_had {
        assert!(first_task.is_woken());
        assert!(acquire(&semaphore, first, 1, &first_waker).is_ready());
    }
    assert!(second_task.is_woken(), "the first one took its permit and left the other one behind");
    assert!(acquire(&semaphore, second, 1, &second_waker).is_ready());
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn the_first_that_comes_wakes_the_next() {
    model(release_for_two);
}

#[test]
fn silent_taking_mutant_is_noticed() {
    assert!(is_noticed("semaphore-takes-silently", || model(release_for_two)));
}

/// The first one, who wants so many, is cancelled while one permit comes: the second one is woken
/// for it.
fn cancel_and_release(wanted_by_first: usize) {
    let semaphore = Arc::new(RawSemaphore::new(0));
    let (task, waker) = task();
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    assert!(acquire(&semaphore, first.as_mut(), wanted_by_first, Waker::noop()).is_pending());
    assert!(acquire(&semaphore, second.as_mut(), 1, &waker).is_pending());
    let other = Arc::clone(&semaphore);
    let thread = loom::thread::spawn(move || other.release(1));
    first.cancel();
    thread.join().unwrap();
    assert!(task.is_woken(), "the permit went with the waiter that was cancelled");
    assert_eq!(acquire(&semaphore, second, 1, &waker), Poll::Ready(Ok(())));
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn a_cancelled_waiter_meets_its_permit() {
    model(|| cancel_and_release(1));
}

#[test]
fn silent_withdrawal_mutant_is_noticed() {
    assert!(is_noticed("semaphore-withdraws-silently", || model(|| cancel_and_release(1))));
}

#[test]
fn a_cancelled_waiter_meets_a_part_of_its_permits() {
    model(|| cancel_and_release(2));
}

/// The first one is cancelled while the permit is handed over to it.
fn cancel_and_hand_over() {
    let machine = Machine::held();
    let (task, waker) = task();
    let mut first = pin!(Waiter::of_future());
    let mut second = pin!(Waiter::of_future());
    machine.barred(first.as_mut(), Waker::noop());
    assert!(!machine.poll(second.as_mut(), &waker));
    let other = Arc::clone(&machine);
    let holder = loom::thread::spawn(move || other.touch_and_release());
    first.cancel();
    holder.join().unwrap();
    assert!(task.is_woken(), "the permit went with the waiter that was cancelled");
    assert!(machine.poll(second, &waker));
    machine.touch();
    assert_eq!(machine.semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn a_cancelled_waiter_meets_what_is_handed_over() {
    model(cancel_and_hand_over);
}

#[test]
fn kept_permit_mutant_is_noticed() {
    assert!(is_noticed("semaphore-keeps-what-was-served", || model(cancel_and_hand_over)));
}

/// It is closed while one begins to wait.
fn close_and_acquire() {
    let semaphore = Arc::new(RawSemaphore::new(0));
    let other = Arc::clone(&semaphore);
    let thread = loom::thread::spawn(move || other.close());
    let (task, waker) = task();
    let mut waiter = pin!(Waiter::of_future());
    let mut polled = acquire(&semaphore, waiter.as_mut(), 1, &waker);
    thread.join().unwrap();
    if polled.is_pending() {
        assert!(task.is_woken(), "it is closed and the waiter sleeps");
        polled = acquire(&semaphore, waiter, 1, &waker);
    }
    assert_eq!(polled, Poll::Ready(Err(Closed::new())));
}

#[test]
fn a_close_meets_one_that_begins_to_wait() {
    model(close_and_acquire);
}

#[test]
fn queued_when_closed_mutant_is_noticed() {
    assert!(is_noticed("semaphore-queues-when-closed", || model(close_and_acquire)));
}

#[test]
fn silent_close_mutant_is_noticed() {
    assert!(is_noticed("semaphore-closes-silently", || model(close_and_acquire)));
}

#[test]
fn a_close_meets_a_release_and_no_permit_is_lost() {
    model(|| {
        let semaphore = Arc::new(RawSemaphore::new(0));
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        assert!(acquire(&semaphore, waiter.as_mut(), 1, Waker::noop()).is_pending());
        let (closing, releasing) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        let threads = [
            loom::thread::spawn(move || closing.close()),
            loom::thread::spawn(move || releasing.release(1)),
        ];
        let mut polled = acquire(&semaphore, waiter.as_mut(), 1, &waker);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if polled.is_pending() {
            assert!(task.is_woken());
            polled = acquire(&semaphore, waiter, 1, &waker);
        }
        let Poll::Ready(result) = polled else { panic!("it is woken for nothing") };
        let left = usize::from(result.is_err()) * PERMIT;
        assert_eq!(semaphore.state.load(Ordering::Relaxed), left | CLOSED);
    });
}
