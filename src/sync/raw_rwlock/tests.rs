//! What the lock does, call by call.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Wake;

use super::Access::{Read, Write};
use super::*;

type Pinned<'a> = Pin<Box<Waiter<'a>>>;

fn waiter<'a>() -> Pinned<'a> {
    Box::pin(Waiter::of_future())
}

fn poll_with<'a>(
    lock: &'a RawRwLock,
    waiter: &mut Pinned<'a>,
    access: Access,
    waker: &Waker,
    turn: Turn,
) -> bool {
    let polled = match access {
        Read => lock.poll_read(waiter.as_mut(), waker, turn),
        Write => lock.poll_write(waiter.as_mut(), waker, turn),
    };
    polled.is_ready()
}

fn poll<'a>(lock: &'a RawRwLock, waiter: &mut Pinned<'a>, access: Access) -> bool {
    poll_with(lock, waiter, access, Waker::noop(), Turn::Take)
}

/// Queues waiters, in this order.
fn queue<'a, const N: usize>(lock: &'a RawRwLock, accesses: [Access; N]) -> [Pinned<'a>; N] {
    accesses.map(|access| {
        let mut waiter = waiter();
        assert!(!poll(lock, &mut waiter, access));
        waiter
    })
}

/// Which of them have been let in.
fn served<const N: usize>(waiters: &[Pinned<'_>; N]) -> [bool; N] {
    waiters.each_ref().map(|waiter| waiter.is_ready())
}

fn is_untouched(lock: &RawRwLock) -> bool {
    let queue = lock.queue.lock();
    lock.state.load(Ordering::Relaxed) == 0 && queue.is_empty() && !queue.has_writer()
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let lock = RawRwLock::new();
    assert!(lock.try_read() && lock.try_read());
    assert!(!lock.try_write());
    lock.unlock_read();
    assert!(!lock.try_write());
    lock.unlock_read();
    assert!(lock.try_write());
    assert!(!lock.try_write() && !lock.try_read());
    lock.unlock_write();
    assert!(is_untouched(&lock));
    assert!(lock.try_write());
    lock.unlock_write_fair();
    assert!(is_untouched(&lock));
}

#[test]
fn a_queued_writer_stops_new_readers() {
    let lock = RawRwLock::new();
    assert!(lock.try_read());
    let [mut writer] = queue(&lock, [Write]);
    assert!(!lock.try_read());
    let [mut reader] = queue(&lock, [Read]);
    lock.unlock_read();
    assert!(!lock.try_read(), "it is free, for the writer");
    assert!(!poll(&lock, &mut reader, Read));
    assert!(poll(&lock, &mut writer, Write));
    lock.unlock_write();
    assert!(lock.try_read());
    assert!(poll(&lock, &mut reader, Read));
    lock.unlock_read();
    lock.unlock_read();
    assert!(is_untouched(&lock));
}

#[test]
fn first_come_first_served_and_readers_up_to_the_next_writer_together() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let mut waiters = queue(&lock, [Read, Read, Write, Read, Read, Write]);
    lock.unlock_write();
    assert_eq!(served(&waiters), [true, true, false, false, false, false]);
    assert!(poll(&lock, &mut waiters[1], Read) && poll(&lock, &mut waiters[0], Read));
    lock.unlock_read();
    assert!(!poll(&lock, &mut waiters[2], Write));
    lock.unlock_read();
    assert!(!poll(&lock, &mut waiters[5], Write));
    assert!(!poll(&lock, &mut waiters[3], Read));
    assert!(poll(&lock, &mut waiters[2], Write));
    lock.unlock_write();
    assert_eq!(served(&waiters), [false, false, false, true, true, false]);
    assert!(poll(&lock, &mut waiters[3], Read) && poll(&lock, &mut waiters[4], Read));
    lock.unlock_read();
    lock.unlock_read();
    assert!(poll(&lock, &mut waiters[5], Write));
    lock.unlock_write();
    assert!(is_untouched(&lock));
}

#[test]
fn a_writer_is_overtaken_so_often_and_not_again() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let [mut writer] = queue(&lock, [Write]);
    for _ in 0..MOST_OVERTAKERS {
        lock.unlock_write();
        assert!(!writer.is_ready());
        assert!(lock.try_write());
        assert!(!poll(&lock, &mut writer, Write));
    }
    lock.unlock_write();
    assert!(!lock.try_write());
    assert!(writer.is_ready());
    assert!(poll(&lock, &mut writer, Write));
    lock.unlock_write();
    assert!(is_untouched(&lock));
}

#[test]
fn overtakers_who_leave_as_readers_count() {
    let lock = RawRwLock::new();
    assert!(lock.try_read());
    let [mut writer] = queue(&lock, [Write]);
    lock.unlock_read();
    for _ in 0..MOST_OVERTAKERS {
        let mut overtaker = waiter();
        assert!(poll(&lock, &mut overtaker, Write));
        lock.downgrade();
        assert!(!lock.try_read());
        lock.unlock_read();
    }
    assert!(!lock.try_write());
    assert!(poll(&lock, &mut writer, Write));
    lock.unlock_write();
    assert!(is_untouched(&lock));
}

#[test]
fn a_fair_unlock_hands_over_at_once() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let mut waiters = queue(&lock, [Write, Read]);
    lock.unlock_write_fair();
    assert_eq!(served(&waiters), [true, false]);
    assert!(!lock.try_write());
    assert!(poll(&lock, &mut waiters[0], Write));
    lock.unlock_write_fair();
    assert_eq!(served(&waiters), [false, true]);
}

#[test]
fn a_downgrade_lets_in_the_readers_who_are_first() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let mut waiters = queue(&lock, [Read, Write, Read]);
    lock.downgrade();
    assert_eq!(served(&waiters), [true, false, false]);
    assert!(!lock.try_read());
    assert!(poll(&lock, &mut waiters[0], Read));
    lock.unlock_read();
    assert!(!poll(&lock, &mut waiters[1], Write));
    lock.unlock_read();
    assert!(poll(&lock, &mut waiters[1], Write));
    lock.downgrade();
    assert_eq!(served(&waiters), [false, false, true]);
    assert!(lock.try_read());
}

#[test]
fn a_writer_who_goes_lets_in_the_readers_it_stopped() {
    let lock = RawRwLock::new();
    assert!(lock.try_read());
    let [first, second, reader] = queue(&lock, [Write, Write, Read]);
    drop(second);
    assert!(!reader.is_ready());
    drop(first);
    assert!(reader.is_ready());
    assert!(lock.try_read());
}

#[test]
fn the_last_one_who_goes_leaves_no_trace() {
    let lock = RawRwLock::new();
    assert!(lock.try_read());
    let waiters = queue(&lock, [Write, Read, Write]);
    let [first, reader, last] = waiters;
    drop(last);
    drop(reader);
    assert!(!lock.try_read());
    drop(first);
    assert!(lock.try_read());
    lock.unlock_read();
    lock.unlock_read();
    assert!(is_untouched(&lock));
    let mut unused = waiter();
    unused.as_mut().cancel();
    assert!(is_untouched(&lock));
}

#[test]
fn what_was_handed_over_and_is_not_wanted_goes_on() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let [writer, reader, mut last] = queue(&lock, [Write, Read, Write]);
    lock.unlock_write_fair();
    assert!(writer.is_ready());
    drop(writer);
    assert!(reader.is_ready());
    drop(reader);
    assert!(poll(&lock, &mut last, Write));
    lock.unlock_write();
    assert!(is_untouched(&lock));
}

/// Counts the wake-ups that come outside the list's lock, and uses the lock in them.
struct Task {
    lock: Arc<RawRwLock>,
    woken: AtomicU32,
    panics: bool,
}

impl Task {
    fn new(lock: &Arc<RawRwLock>, panics: bool) -> (Arc<Task>, Waker) {
        let (lock, woken) = (Arc::clone(lock), AtomicU32::new(0));
        let task = Arc::new(Task { lock, woken, panics });
        (Arc::clone(&task), Waker::from(task))
    }

    fn woken(&self) -> u32 {
        self.woken.load(Ordering::Relaxed)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        assert!(self.lock.queue.try_lock().is_some(), "woken under the lock");
        if self.lock.try_read() {
            self.lock.unlock_read();
        }
        self.woken.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "planned");
    }
}

#[test]
fn every_waker_is_called_once_outside_the_lock_whatever_their_number() {
    let lock = Arc::new(RawRwLock::new());
    let (calm, calm_waker) = Task::new(&lock, false);
    let (nervous, nervous_waker) = Task::new(&lock, true);
    assert!(lock.try_write());
    let mut readers: Vec<Pinned<'_>> = (0..70).map(|_| waiter()).collect();
    for (index, reader) in readers.iter_mut().enumerate() {
        let waker = if index % 7 == 0 { &nervous_waker } else { &calm_waker };
        assert!(!poll_with(&lock, reader, Read, waker, Turn::Take));
    }
    lock.unlock_write();
    assert_eq!((calm.woken(), nervous.woken()), (60, 10));
    assert!(readers.iter().all(|reader| reader.is_ready()));
    drop(readers);
    assert!(is_untouched(&lock));
    drop((calm_waker, nervous_waker));
    assert_eq!((Arc::strong_count(&calm), Arc::strong_count(&nervous)), (1, 1));
}

#[test]
fn a_writer_who_was_woken_and_goes_wakes_the_next_one() {
    let lock = Arc::new(RawRwLock::new());
    let ((first, first_waker), (second, second_waker)) =
        (Task::new(&lock, false), Task::new(&lock, false));
    assert!(lock.try_write());
    let (mut one, mut two) = (waiter(), waiter());
    assert!(!poll_with(&lock, &mut one, Write, &first_waker, Turn::Take));
    assert!(!poll_with(&lock, &mut two, Write, &second_waker, Turn::Take));
    lock.unlock_write();
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(one);
    assert_eq!((first.woken(), second.woken()), (1, 1));
    assert!(poll(&lock, &mut two, Write));
}

#[test]
fn a_waker_is_replaced_by_the_last_one() {
    let lock = Arc::new(RawRwLock::new());
    let ((first, first_waker), (second, second_waker)) =
        (Task::new(&lock, false), Task::new(&lock, false));
    assert!(lock.try_write());
    let mut reader = waiter();
    assert!(!poll_with(&lock, &mut reader, Read, &first_waker, Turn::Take));
    assert!(!poll_with(&lock, &mut reader, Read, &second_waker, Turn::Take));
    lock.unlock_write();
    assert_eq!((first.woken(), second.woken()), (0, 1));
}

fn poll_spent<'a>(lock: &'a RawRwLock, waiter: &mut Pinned<'a>, access: Access) -> bool {
    poll_with(lock, waiter, access, Waker::noop(), Turn::QueueOnly)
}

#[test]
fn a_reader_without_budget_stops_no_readers() {
    let lock = RawRwLock::new();
    let mut reader = waiter();
    assert!(!poll_spent(&lock, &mut reader, Read));
    assert!(lock.try_read());
    lock.unlock_read();
    assert!(!poll_spent(&lock, &mut reader, Read));
    assert!(poll(&lock, &mut reader, Read));
    lock.unlock_read();
    assert!(is_untouched(&lock));
}

#[test]
fn readers_without_budget_come_in_together_before_the_writer_behind_them() {
    let lock = RawRwLock::new();
    assert!(lock.try_read());
    let (mut first, mut second) = (waiter(), waiter());
    assert!(!poll_spent(&lock, &mut first, Read) && !poll_spent(&lock, &mut second, Read));
    let [mut writer] = queue(&lock, [Write]);
    assert!(!poll(&lock, &mut second, Read));
    assert!(poll(&lock, &mut first, Read));
    assert!(second.is_ready());
    (0..2).for_each(|_| lock.unlock_read());
    assert!(!poll(&lock, &mut writer, Write));
    drop(second);
    assert!(poll(&lock, &mut writer, Write));
}

#[test]
fn a_writer_without_budget_keeps_its_place() {
    let lock = RawRwLock::new();
    let mut writer = waiter();
    assert!(!poll_spent(&lock, &mut writer, Write));
    let [mut reader] = queue(&lock, [Read]);
    assert!(poll(&lock, &mut writer, Write));
    assert!(!poll(&lock, &mut reader, Read));
    lock.unlock_write();
    assert!(poll_spent(&lock, &mut reader, Read), "it was let in: the budget is no matter");
}

#[test]
#[should_panic(expected = "readers have one lock")]
fn one_reader_too_many_panics() {
    let lock = RawRwLock::new();
    lock.state.store(MOST_READERS * READER, Ordering::Relaxed);
    lock.try_read();
}

#[test]
#[should_panic(expected = "but for the other access")]
fn a_waiter_for_writing_does_not_get_to_read() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let [mut writer] = queue(&lock, [Write]);
    poll(&lock, &mut writer, Read);
}

#[test]
#[should_panic(expected = "but for the other access")]
fn a_waiter_that_may_read_does_not_get_to_write() {
    let lock = RawRwLock::new();
    assert!(lock.try_write());
    let [mut reader] = queue(&lock, [Read]);
    lock.unlock_write();
    poll(&lock, &mut reader, Write);
}
