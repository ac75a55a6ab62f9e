//! What the semaphore does, call by call.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

type Queued<'a> = Pin<Box<Waiter<'a>>>;

const MOST: usize = MOST_OVERTAKERS as usize;

struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn task() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

fn poll<'a>(semaphore: &'a RawSemaphore, waiter: &mut Queued<'a>, wanted: usize) -> bool {
    semaphore.poll_acquire(waiter.as_mut(), wanted, Waker::noop(), Turn::Take) == GIVEN
}

const GIVEN: Poll<Result<(), Closed>> = Poll::Ready(Ok(()));

fn queue<'a>(semaphore: &'a RawSemaphore, wanted: usize, waker: &Waker) -> Queued<'a> {
    let mut waiter = Box::pin(Waiter::of_future());
    let polled = semaphore.poll_acquire(waiter.as_mut(), wanted, waker, Turn::Take);
    assert!(polled.is_pending());
    waiter
}

fn queue_without_budget<'a>(semaphore: &'a RawSemaphore, wanted: usize) -> Queued<'a> {
    let mut waiter = Box::pin(Waiter::of_future());
    poll_without_budget(semaphore, &mut waiter, wanted);
    waiter
}

fn poll_without_budget<'a>(semaphore: &'a RawSemaphore, waiter: &mut Queued<'a>, wanted: usize) {
    let turn = Turn::QueueOnly;
    assert!(semaphore.poll_acquire(waiter.as_mut(), wanted, Waker::noop(), turn).is_pending());
}

/// How often one permit is had by those who do not wait, before it is gathered or handed over.
fn overtakers(semaphore: &RawSemaphore) -> usize {
    let mut overtakers = 0;
    while semaphore.try_acquire(1) {
        overtakers += 1;
        assert!(overtakers < 100, "the first waiter is overtaken for ever");
        semaphore.release(1);
    }
    overtakers
}

fn flags(semaphore: &RawSemaphore) -> usize {
    semaphore.state.load(Ordering::Relaxed) & (QUEUED | CLOSED | OFFERED | BARRED)
}

#[test]
fn the_first_is_overtaken_a_stated_number_of_times() {
    let semaphore = RawSemaphore::new(0);
    let (count, waker) = task();
    let mut waiter = queue(&semaphore, 1, &waker);
    semaphore.release(1);
    assert_eq!(overtakers(&semaphore), MOST);
    assert!(waiter.is_ready());
    assert_eq!(count.get(), 1);
    assert!(poll(&semaphore, &mut waiter, 1));
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn each_first_is_overtaken_so_often() {
    let semaphore = RawSemaphore::new(0);
    let mut waiters = [(); 3].map(|()| queue(&semaphore, 1, Waker::noop()));
    for waiter in &mut waiters {
        semaphore.release(1);
        assert_eq!(overtakers(&semaphore), MOST);
        assert!(waiter.is_ready());
        assert!(poll(&semaphore, waiter, 1));
    }
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn a_release_for_one_that_comes_needs_no_list() {
    let semaphore = RawSemaphore::new(0);
    let mut waiter = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    assert_eq!(flags(&semaphore), QUEUED | OFFERED);
    let list = semaphore.waiters.lock();
    for _ in 0..MOST - 1 {
        assert!(semaphore.try_acquire(1));
        semaphore.release(1);
    }
    drop(list);
    assert!(poll(&semaphore, &mut waiter, 1));
}

#[test]
fn a_large_request_is_not_woken_for_a_part() {
    let semaphore = RawSemaphore::new(0);
    let (count, waker) = task();
    let mut waiter = queue(&semaphore, 3, &waker);
    semaphore.release(2);
    assert_eq!((count.get(), flags(&semaphore)), (0, QUEUED));
    assert_eq!(overtakers(&semaphore), MOST);
    assert_eq!((count.get(), flags(&semaphore)), (0, QUEUED | BARRED));
    assert_eq!((semaphore.available(), semaphore.forget(1)), (0, 0));
    semaphore.release(2);
    assert_eq!((count.get(), waiter.is_ready()), (1, true));
    assert_eq!(semaphore.available(), 1);
    assert!(poll(&semaphore, &mut waiter, 3));
}

#[test]
fn a_waiter_that_is_barred_takes_what_was_gathered_when_it_comes() {
    let semaphore = RawSemaphore::new(0);
    let mut first = queue(&semaphore, 1, Waker::noop());
    let (count, waker) = task();
    let mut second = queue(&semaphore, 1, &waker);
    semaphore.release(2);
    for _ in 0..MOST {
        assert!(semaphore.try_acquire(1));
        semaphore.add(1, |_| true);
    }
    assert_eq!((flags(&semaphore), count.get()), (QUEUED | OFFERED | BARRED, 0));
    assert!(!poll(&semaphore, &mut second, 1));
    assert!(poll(&semaphore, &mut first, 1));
    // The second one has left another waker since.
    assert_eq!((flags(&semaphore), count.get()), (QUEUED | OFFERED, 0));
    assert_eq!(overtakers(&semaphore), MOST);
    assert!(poll(&semaphore, &mut second, 1));
}

#[test]
fn what_is_more_than_the_first_wants_is_offered_to_the_next() {
    let semaphore = RawSemaphore::new(1);
    let mut first = queue(&semaphore, 2, Waker::noop());
    let (count, waker) = task();
    let mut second = queue(&semaphore, 2, &waker);
    assert_eq!(overtakers(&semaphore), MOST);
    semaphore.release(3);
    assert!(first.is_ready() && !second.is_ready());
    assert_eq!((flags(&semaphore), count.get()), (QUEUED | OFFERED, 1));
    assert!(poll(&semaphore, &mut second, 2) && poll(&semaphore, &mut first, 2));
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn one_that_comes_in_vain_is_woken_again() {
    let semaphore = RawSemaphore::new(0);
    let mut waiter = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    assert!(semaphore.try_acquire(1));
    let (count, waker) = task();
    let polled = semaphore.poll_acquire(waiter.as_mut(), 1, &waker, Turn::Take);
    assert!(polled.is_pending());
    assert_eq!(flags(&semaphore), QUEUED);
    semaphore.release(1);
    assert_eq!((count.get(), flags(&semaphore)), (1, QUEUED | OFFERED));
    // It is still the first: that it came in vain does not count anew.
    assert_eq!(overtakers(&semaphore), MOST - 1);
    assert!(waiter.is_ready());
}

#[test]
fn one_without_a_budget_is_overtaken_while_it_comes_again() {
    let semaphore = RawSemaphore::new(2);
    let mut waiter = queue_without_budget(&semaphore, 2);
    assert_eq!((semaphore.available(), flags(&semaphore)), (2, QUEUED | OFFERED));
    assert!(semaphore.try_acquire(1));
    poll_without_budget(&semaphore, &mut waiter, 2);
    assert_eq!(flags(&semaphore), QUEUED);
    semaphore.release(1);
    poll_without_budget(&semaphore, &mut waiter, 2);
    assert!(!waiter.is_ready(), "it has permits while it cannot use them");
    assert!(poll(&semaphore, &mut waiter, 2));
    semaphore.release(2);
    let mut waiter = queue_without_budget(&semaphore, 2);
    assert_eq!(overtakers(&semaphore), MOST);
    // What was handed to it, it has without a budget too.
    let polled = semaphore.poll_acquire(waiter.as_mut(), 2, Waker::noop(), Turn::QueueOnly);
    assert_eq!(polled, GIVEN);
}

#[test]
fn whoever_wants_nothing_overtakes_nobody() {
    let semaphore = RawSemaphore::new(0);
    let mut waiter = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    for _ in 0..=MOST {
        assert!(semaphore.try_acquire(0));
    }
    assert_eq!(overtakers(&semaphore), MOST);
    assert!(semaphore.try_acquire(0));
    assert!(poll(&semaphore, &mut waiter, 1));
}

#[test]
fn a_first_that_goes_when_it_was_woken_wakes_the_next() {
    let semaphore = RawSemaphore::new(0);
    let (first_count, first_waker) = task();
    let first = queue(&semaphore, 1, &first_waker);
    let (count, waker) = task();
    let mut second = queue(&semaphore, 1, &waker);
    semaphore.release(1);
    assert_eq!((first_count.get(), count.get()), (1, 0));
    assert!(semaphore.try_acquire(1));
    semaphore.release(1);
    drop(first);
    assert_eq!(count.get(), 1);
    assert_eq!(overtakers(&semaphore), MOST);
    assert!(poll(&semaphore, &mut second, 1));
    assert_eq!(semaphore.state.load(Ordering::Relaxed), 0);
}

#[test]
fn a_last_one_that_goes_leaves_what_was_gathered() {
    for released in [0, 1] {
        let semaphore = RawSemaphore::new(1);
        let waiter = queue(&semaphore, 2, Waker::noop());
        assert_eq!(overtakers(&semaphore), MOST);
        semaphore.release(released);
        assert_eq!(waiter.is_ready(), released == 1);
        drop(waiter);
        assert_eq!(semaphore.state.load(Ordering::Relaxed), (1 + released) * PERMIT);
    }
}

#[test]
fn one_that_is_not_the_first_goes_and_the_first_stays_as_it_was() {
    let semaphore = RawSemaphore::new(0);
    let mut first = queue(&semaphore, 1, Waker::noop());
    let second = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    assert!(semaphore.try_acquire(1));
    let before = semaphore.state.load(Ordering::Relaxed);
    drop(second);
    assert_eq!(semaphore.state.load(Ordering::Relaxed), before);
    semaphore.release(1);
    assert!(poll(&semaphore, &mut first, 1));
}

#[test]
fn a_close_leaves_nothing_but_permits() {
    for overtakes in [false, true] {
        let semaphore = RawSemaphore::new(1);
        let mut waiters = [(); 2].map(|()| queue(&semaphore, 2, Waker::noop()));
        if overtakes {
            overtakers(&semaphore);
        }
        semaphore.close();
        assert_eq!(semaphore.state.load(Ordering::Relaxed), CLOSED | PERMIT);
        for waiter in &mut waiters {
            let turn = Turn::Take;
            let polled = semaphore.poll_acquire(waiter.as_mut(), 2, Waker::noop(), turn);
            assert_eq!(polled, Poll::Ready(Err(Closed::new())));
        }
    }
}

#[test]
fn one_that_was_woken_finds_it_closed() {
    let semaphore = RawSemaphore::new(0);
    let mut waiter = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    semaphore.close();
    let polled = semaphore.poll_acquire(waiter.as_mut(), 1, Waker::noop(), Turn::Take);
    assert_eq!(polled, Poll::Ready(Err(Closed::new())));
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn forgotten_permits_are_not_found_by_one_that_was_woken() {
    let semaphore = RawSemaphore::new(0);
    let mut waiter = queue(&semaphore, 1, Waker::noop());
    semaphore.release(1);
    assert_eq!(semaphore.forget(1), 1);
    assert!(!poll(&semaphore, &mut waiter, 1));
    semaphore.release(1);
    assert!(poll(&semaphore, &mut waiter, 1));
}
