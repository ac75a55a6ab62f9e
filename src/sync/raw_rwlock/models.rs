//! Models of the races that the lock meets.
//!
//! A model that fails must fail where no thread waits: what is queued then is withdrawn under the
//! list's lock, which loom cannot grant to a thread that it holds for stuck. So those that are
//! planted with a lost wake-up poll by hand.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Wake;

use super::*;
use crate::platform::model::model;
use crate::platform::mutation::is_noticed;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::AtomicBool;
use crate::waiter::block_on;

struct Shared {
    lock: RawRwLock,
    value: UnsafeCell<u32>,
}

// SAFETY: who touches the value has the lock; loom checks that.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared { lock: RawRwLock::new(), value: UnsafeCell::new(0) })
    }

    fn look(&self) {
        self.value.with(|_| ());
    }

    fn change(&self) {
        self.value.with_mut(|_| ());
    }

    fn write_and_leave(&self) {
        self.change();
        self.lock.unlock_write();
    }

    fn read_and_leave(&self) {
        self.look();
        self.lock.unlock_read();
    }
}

type Pinned<'a> = Pin<Box<Waiter<'a>>>;

fn waiter<'a>() -> Pinned<'a> {
    Box::pin(Waiter::of_future())
}

fn poll<'a>(
    lock: &'a RawRwLock,
    waiter: Pin<&mut Waiter<'a>>,
    waker: &Waker,
    access: Access,
) -> Poll<()> {
    match access {
        Access::Read => lock.poll_read(waiter, waker, Turn::Take),
        Access::Write => lock.poll_write(waiter, waker, Turn::Take),
    }
}

/// Waits with `waiter`, which may be queued.
fn wait_with<'a>(lock: &'a RawRwLock, mut waiter: Pin<&mut Waiter<'a>>, access: Access) {
    let polls = poll_fn(move |context| poll(lock, waiter.as_mut(), context.waker(), access));
    block_on("block", "wait", polls);
}

fn wait(lock: &RawRwLock, access: Access) {
    wait_with(lock, pin!(Waiter::of_future()), access);
}

fn queue<'a>(lock: &'a RawRwLock, access: Access) -> Pinned<'a> {
    let mut waiter = waiter();
    assert!(poll(lock, waiter.as_mut(), Waker::noop(), access).is_pending());
    waiter
}

/// Says whether it was woken.
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.0.swap(true, Ordering::Release);
    }
}

/// What came of one poll and, if that had to wait, of the wake-up.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Entered,
    Asleep,
    WokenInVain,
}

/// Polls for `access`; then `others` run to their end; then it should be in.
fn fate(shared: &Shared, access: Access, others: impl FnOnce()) -> Fate {
    let alarm = Arc::new(Alarm(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&alarm));
    let mut waiter = waiter();
    let entered = poll(&shared.lock, waiter.as_mut(), &waker, access).is_ready();
    if entered && access == Access::Read {
        shared.look();
    }
    others();
    if entered {
        Fate::Entered
    } else if !alarm.0.load(Ordering::Acquire) {
        Fate::Asleep
    } else if poll(&shared.lock, waiter.as_mut(), &waker, access).is_pending() {
        Fate::WokenInVain
    } else {
        Fate::Entered
    }
}

fn readers_meet_a_writer() {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        wait(&other.lock, Access::Read);
        other.read_and_leave();
    });
    wait(&shared.lock, Access::Write);
    shared.write_and_leave();
    thread.join().unwrap();
}

#[test]
fn a_reader_and_a_writer_are_not_in_together() {
    model(readers_meet_a_writer);
}

#[test]
fn unordered_reader_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-reader-leaves-unordered", || model(readers_meet_a_writer)));
}

#[test]
fn two_writers_are_not_in_together() {
    model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            wait(&other.lock, Access::Write);
            other.write_and_leave();
        });
        wait(&shared.lock, Access::Write);
        shared.write_and_leave();
        thread.join().unwrap();
    });
}

#[test]
fn readers_come_and_leave_together() {
    model(|| {
        let shared = Shared::new();
        let threads = [0, 1].map(|_| {
            let other = Arc::clone(&shared);
            loom::thread::spawn(move || {
                assert!(other.lock.try_read());
                other.read_and_leave();
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.lock.try_write());
        shared.change();
    });
}

fn the_last_reader_leaves_while_a_writer_comes() {
    let shared = Shared::new();
    assert!(shared.lock.try_read());
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || other.read_and_leave());
    let fate = fate(&shared, Access::Write, || thread.join().unwrap());
    assert_eq!(fate, Fate::Entered);
}

#[test]
fn the_last_reader_wakes_a_writer() {
    model(the_last_reader_leaves_while_a_writer_comes);
}

#[test]
fn late_announcement_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-announces-late", || {
        model(the_last_reader_leaves_while_a_writer_comes);
    }));
}

#[test]
fn silent_unlock_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-frees-silently", || {
        model(the_last_reader_leaves_while_a_writer_comes);
    }));
}

#[test]
fn a_writer_leaves_while_a_reader_comes() {
    model(|| {
        let shared = Shared::new();
        assert!(shared.lock.try_write());
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.write_and_leave());
        let fate = fate(&shared, Access::Read, || thread.join().unwrap());
        assert_eq!(fate, Fate::Entered);
    });
}

fn a_writer_becomes_a_reader_while_one_comes() {
    let shared = Shared::new();
    assert!(shared.lock.try_write());
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || {
        other.change();
        other.lock.downgrade();
    });
    let fate = fate(&shared, Access::Read, || thread.join().unwrap());
    assert_eq!(fate, Fate::Entered);
}

#[test]
fn a_downgrade_lets_a_reader_in() {
    model(a_writer_becomes_a_reader_while_one_comes);
}

#[test]
fn silent_downgrade_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-downgrades-silently", || {
        model(a_writer_becomes_a_reader_while_one_comes);
    }));
}

#[test]
fn unordered_downgrade_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-downgrades-unordered", || {
        model(a_writer_becomes_a_reader_while_one_comes);
    }));
}

/// Two readers leave, the last of whom hands over to a writer.
fn readers_leave_to_a_writer() {
    let shared = Shared::new();
    assert!(shared.lock.try_read() && shared.lock.try_read());
    let mut writer = queue(&shared.lock, Access::Write);
    (0..MOST_OVERTAKERS).for_each(|_| shared.lock.queue.lock().count_overtaker());
    let threads = [0, 1].map(|_| {
        let other = Arc::clone(&shared);
        loom::thread::spawn(move || other.read_and_leave())
    });
    wait_with(&shared.lock, writer.as_mut(), Access::Write);
    shared.write_and_leave();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_writer_goes_on_after_all_readers() {
    model(readers_leave_to_a_writer);
}

#[test]
fn unseen_readers_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-passes-on-unseen", || model(readers_leave_to_a_writer)));
}

#[test]
fn an_overtaker_meets_the_last_reader_and_the_first_writer() {
    model(|| {
        let shared = Shared::new();
        assert!(shared.lock.try_read());
        let mut writer = queue(&shared.lock, Access::Write);
        let (reader, overtaker) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = [
            loom::thread::spawn(move || reader.read_and_leave()),
            loom::thread::spawn(move || {
                if overtaker.lock.try_write() {
                    overtaker.write_and_leave();
                }
            }),
        ];
        wait_with(&shared.lock, writer.as_mut(), Access::Write);
        shared.write_and_leave();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.lock.try_write());
    });
}

/// A writer that stops a reader goes while the reader in front of it leaves.
fn a_writer_withdraws_while_the_last_reader_leaves() {
    let shared = Shared::new();
    assert!(shared.lock.try_read());
    let writer = queue(&shared.lock, Access::Write);
    let fate = fate(&shared, Access::Read, || {
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.read_and_leave());
        drop(writer);
        thread.join().unwrap();
    });
    assert_eq!(fate, Fate::Entered);
}

#[test]
fn a_writer_who_goes_lets_readers_in() {
    model(a_writer_withdraws_while_the_last_reader_leaves);
}

#[test]
fn silent_withdrawal_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-withdraws-silently", || {
        model(a_writer_withdraws_while_the_last_reader_leaves);
    }));
}

/// A waiter goes while the lock is handed to it.
fn a_waiter_withdraws_while_it_is_served(access: Access) {
    let shared = Shared::new();
    assert!(shared.lock.try_write());
    let waiter = queue(&shared.lock, access);
    let other = Arc::clone(&shared);
    let thread = loom::thread::spawn(move || other.lock.unlock_write_fair());
    drop(waiter);
    thread.join().unwrap();
    assert!(shared.lock.try_write());
}

#[test]
fn a_reader_who_goes_leaves_the_lock_free() {
    model(|| a_waiter_withdraws_while_it_is_served(Access::Read));
}

#[test]
fn a_writer_who_goes_leaves_the_lock_free() {
    model(|| a_waiter_withdraws_while_it_is_served(Access::Write));
}

#[test]
fn kept_lock_mutant_is_noticed() {
    assert!(is_noticed("rw-lock-keeps-the-unwanted", || {
        model(|| a_waiter_withdraws_while_it_is_served(Access::Write));
    }));
}
