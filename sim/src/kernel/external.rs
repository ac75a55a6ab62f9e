//! Wake-ups that reach a world from outside: from a real thread, or from another world.
//!
//! A simulated thread may wait for a lock of the whole process (the one around stderr, the
//! environment, a registry) that a real thread holds. Its wake-up is a futex system call on that
//! real thread, which finds the waiter in the process-wide table below. A world in which nothing
//! else can happen waits for it for real. Such waits are no decisions: what they are for is not
//! part of the simulation.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::thread_table::WaitFor;

/// How long a world with nothing left to do waits for the outside before it says deadlock.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// The same in one of the many runs that look for the smallest schedule of a failure.
pub(crate) const SHORT_GRACE: Duration = Duration::from_millis(20);

pub(crate) struct ExternalWake {
    pub(crate) wait_for: WaitFor,
    pub(crate) count: u32,
}

/// Where wake-ups for one world arrive.
pub(crate) struct Inbox {
    wakes: Mutex<Vec<ExternalWake>>,
    arrived: Condvar,
    /// Whether `wakes` holds any: read by the world at its looks around, without the lock.
    filled: AtomicBool,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            wakes: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
            filled: AtomicBool::new(false),
        }
    }

    fn put(&self, wake: ExternalWake) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.push(wake);
        // Relaxed: a hint; the contents are read under the lock.
        self.filled.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.filled.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Vec<ExternalWake> {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *wakes)
    }

    /// Waits for a wake-up, for at most `limit`; false when none came.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        while wakes.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let (again, _) =
                self.arrived.wait_timeout(wakes, left).unwrap_or_else(PoisonError::into_inner);
            wakes = again;
        }
        true
    }
}

struct AddressWaiter {
    address: usize,
    inbox: Arc<Inbox>,
}

/// Every simulated thread that waits on an address, in every world.
static WAITERS: Mutex<Vec<AddressWaiter>> = Mutex::new(Vec::new());
/// Their number: real threads look here first, and a program without simulation pays a load.
static WAITER_COUNT: AtomicUsize = AtomicUsize::new(0);
/// The inboxes of the worlds that live, by number.
static WORLDS: Mutex<Vec<(u32, Weak<Inbox>)>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this thread is busy with the table: the wake-ups of the table's own locks are
    /// futex calls too, and must not come back here.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

fn with_waiters<R>(f: impl FnOnce(&mut Vec<AddressWaiter>) -> R) -> R {
    let before = BUSY.replace(true);
    let result = f(&mut WAITERS.lock().unwrap_or_else(PoisonError::into_inner));
    BUSY.set(before);
    result
}

/// A simulated thread is about to wait on `address`.
pub(crate) fn register(address: usize, inbox: &Arc<Inbox>) {
    with_waiters(|waiters| waiters.push(AddressWaiter { address, inbox: Arc::clone(inbox) }));
    // SeqCst: pairs with the waker, which changes the futex word and then reads this count; the
    // waiter raises the count and then compares the word.
    WAITER_COUNT.fetch_add(1, Ordering::SeqCst);
}

/// It has stopped waiting.
pub(crate) fn deregister(address: usize, inbox: &Arc<Inbox>) {
    let held =
        |waiter: &AddressWaiter| waiter.address == address && Arc::ptr_eq(&waiter.inbox, inbox);
    with_waiters(|waiters| {
        if let Some(index) = waiters.iter().position(held) {
            waiters.swap_remove(index);
            WAITER_COUNT.fetch_sub(1, Ordering::SeqCst);
        }
    });
}

/// The world has ended: threads of it that wait for ever take no wake-ups from others.
pub(crate) fn forget(inbox: &Arc<Inbox>) {
    if WAITER_COUNT.load(Ordering::SeqCst) == 0 {
        return;
    }
    with_waiters(|waiters| {
        let before = waiters.len();
        waiters.retain(|waiter| !Arc::ptr_eq(&waiter.inbox, inbox));
        WAITER_COUNT.fetch_sub(before - waiters.len(), Ordering::SeqCst);
    });
}

/// A thread that is not of the waiters' world wakes up to `count` waiters on `address`; how many
/// it may have reached.
pub(crate) fn wake_address(address: usize, count: u32, not_in: Option<&Arc<Inbox>>) -> u32 {
    if WAITER_COUNT.load(Ordering::SeqCst) == 0 || BUSY.get() {
        return 0;
    }
    let reached = |waiter: &&AddressWaiter| {
        let own = not_in.is_some_and(|inbox| Arc::ptr_eq(&waiter.inbox, inbox));
        waiter.address == address && !own
    };
    with_waiters(|waiters| {
        let mut woken = 0;
        for waiter in waiters.iter().filter(reached).take(count as usize) {
            waiter.inbox.put(ExternalWake { wait_for: WaitFor::Address(address), count: 1 });
            woken += 1;
        }
        woken
    })
}

/// Makes a world known to real threads.
pub(crate) fn announce(world: u32, inbox: &Arc<Inbox>) {
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.retain(|(_, inbox)| inbox.strong_count() > 0);
    worlds.push((world, Arc::downgrade(inbox)));
}

/// A real thread wakes waiters of a futex object that belongs to `world`.
pub(crate) fn wake_object(world: u32, wait_for: WaitFor, count: u32) {
    let worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = worlds.iter().find(|(number, _)| *number == world);
    if let Some(inbox) = found.and_then(|(_, inbox)| inbox.upgrade()) {
        inbox.put(ExternalWake { wait_for, count });
    }
}
