//! The notifications of [`Notify`](super::Notify), and who waits for them.
//!
//! ```text
//!                 notify_one                       a waiter comes
//!   PERMIT ◄──────────────────── EMPTY ───────────────────────────► QUEUED
//!     │ ▲                         ▲  ▲                               │  ▲
//!     │ └─ notify_one: no change  │  │   the last one is notified,   │  │ notify_one: the first
//!     └─── a waiter takes it ─────┘  └────────── or gone ────────────┘  └─ one is notified
//!
//!   notify_all: counts up in every state; in QUEUED all who are in the list are notified
//! ```
//!
//! The word also counts the calls of `notify_all`. A future takes the count when it is created. If
//! it finds another one when it comes to wait, it has been notified meanwhile, though no list had
//! it. The count wraps: a future would have to sleep through as many calls as it has values, before
//! its first poll.
//!
//! Rules:
//! 1. QUEUED says that the list is not empty. It is set and cleared under the list's lock alone,
//!    and never while PERMIT is: a permit is stored only where nobody waits.
//! 2. A waiter is queued by a compare-and-swap that finds no permit and the count that it knows. So
//!    whoever notifies before it is seen, and whoever notifies after it comes to the list.
//! 3. `notify_all` counts up, and takes the mark of those who have come so far, under one lock.
//!    They are due: whoever comes to the list to notify one notifies them first, if the lock was
//!    freed meanwhile to call wakers. So no notification goes to one that has one already.
//! 4. A waiter that was notified by `notify_one`, and does not want it, notifies the next one.
//! 5. A waker is called, cloned and dropped outside the list's lock; once a notification is had, a
//!    panic of it is swallowed, or the notification would be lost.

use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::{Mutex, MutexGuard, const_fn};
use crate::waiter::{Outcome, Place, Turn, WaitList, Waiter, WakeBatch, discard, wake};

#[cfg(all(test, volt_loom))]
mod models;

const PERMIT: usize = 1;
const QUEUED: usize = 1 << 1;
const FLAGS: usize = PERMIT | QUEUED;
/// The calls of `notify_all` are counted above the flags.
const CALL: usize = 1 << 2;

/// See the module documentation.
pub(crate) struct RawNotify {
    state: AtomicUsize,
    queue: Mutex<Queue>,
}

struct Queue {
    waiters: WaitList,
    /// The mark of the last `notify_all`: whoever came before it is due.
    due: u64,
}

impl Queue {
    fn is_first_due(&self) -> bool {
        self.waiters.first_came_before(self.due)
    }
}

/// How often `notify_all` had been called when a wait began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls(usize);

/// What one who comes to wait finds.
enum Found {
    /// All have been notified since its wait began.
    Call,
    /// A permit, which it has now.
    Permit,
    /// Nothing, and QUEUED is set.
    Nothing,
}

impl RawNotify {
    const_fn! {
        pub(crate) fn new() -> RawNotify {
            let queue = Queue { waiters: WaitList::new(), due: 0 };
            RawNotify { state: AtomicUsize::new(0), queue: Mutex::new(queue) }
        }
    }

    pub(crate) fn has_permit(&self) -> bool {
        // Relaxed: it may be untrue when it is returned.
        self.state.load(Ordering::Relaxed) & PERMIT != 0
    }

    /// How many wait.
    pub(crate) fn waiter_count(&self) -> usize {
        self.queue.lock().waiters.len()
    }

    /// A wait begins: what to pass to `poll_notified`.
    #[inline]
    pub(crate) fn calls(&self) -> Calls {
        // Acquire: pairs with `notify_all`. A wait that does not count a call as its own must see
        // what came before that call: its task looks at it next, and then goes to sleep.
        let order = mutation!("notify-begins-relaxed", Ordering::Acquire, Ordering::Relaxed);
        Calls(self.state.load(order) & !FLAGS)
    }

    /// Takes a notification, or a place in the queue.
    #[inline]
    pub(crate) fn poll_notified<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        calls: Calls,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::Take && !waiter.is_in(self) && self.try_take(calls) {
            return Poll::Ready(());
        }
        self.poll_notified_contended(waiter, calls, waker, turn)
    }

    /// Takes the permit, if there is one and there was no call.
    #[inline]
    fn try_take(&self, Calls(calls): Calls) -> bool {
        // Acquire: pairs with `notify_one`.
        let order = Ordering::Acquire;
        self.state.compare_exchange(calls | PERMIT, calls, order, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn poll_notified_contended<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        calls: Calls,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if waiter.is_in(self) && waiter.as_mut().take_outcome().is_some() {
            return Poll::Ready(());
        }
        let waker = waker.clone();
        let mut queue = self.queue.lock();
        let (polled, unneeded) = if waiter.is_in(self) {
            // It may have been notified since; this look is under the lock.
            match waiter.as_mut().take_outcome() {
                Some(_) => (Poll::Ready(()), Some(waker)),
                None => (Poll::Pending, queue.waiters.renew(&waiter, waker)),
            }
        } else {
            match (self.look_or_announce(calls), turn) {
                (Found::Nothing, _) => {
                    queue.waiters.push(waiter, self, waker, 0);
                    (Poll::Pending, None)
                }
                (Found::Call | Found::Permit, Turn::Take) => (Poll::Ready(()), Some(waker)),
                // It finds the call again when it comes again, with another budget.
                (Found::Call, Turn::QueueOnly) => (Poll::Pending, Some(waker)),
                (Found::Permit, Turn::QueueOnly) => {
                    // Nobody waits (rule 1), so it is the first one, and has the permit.
                    queue.waiters.push(waiter, self, waker, 0);
                    let served = queue.waiters.serve_first(Outcome::GIVEN);
                    (Poll::Pending, served.and_then(|served| served.0))
                }
            }
        };
        drop(queue);
        discard(unneeded);
        polled
    }

    /// Takes the permit, if there is one; else whoever notifies will look for waiters. Under the
    /// list's lock.
    fn look_or_announce(&self, Calls(calls): Calls) -> Found {
        // Acquire: pairs with `notify_all`, whose call is found here.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & !FLAGS != calls {
                return Found::Call;
            }
            let has_permit = mutation!("notify-no-second-look", state & PERMIT != 0, false);
            let next = if has_permit { state & !PERMIT } else { state | QUEUED };
            // Acquire: pairs with `notify_one`, whose permit is taken here, and with `notify_all`.
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, next, order, order) {
                Ok(_) if has_permit => return Found::Permit,
                Ok(_) => return Found::Nothing,
                Err(found) => state = found,
            }
        }
    }

    /// Notifies the first waiter, or stores a permit.
    #[inline]
    pub(crate) fn notify_one(&self) {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & QUEUED == 0 {
            let stored = mutation!(
                "notify-skips-the-stored",
                self.try_store(state),
                if state & PERMIT == 0 { self.try_store(state) } else { Ok(state) }
            );
            match stored {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
        self.notify_one_contended();
    }

    /// Stores a permit. One that is stored already is written again: whoever takes it must see
    /// what came before either call.
    #[inline]
    fn try_store(&self, state: usize) -> Result<usize, usize> {
        // Release: pairs with the acquire of whoever takes the permit.
        let order = mutation!("notify-stores-relaxed", Ordering::Release, Ordering::Relaxed);
        self.state.compare_exchange_weak(state, state | PERMIT, order, Ordering::Relaxed)
    }

    #[cold]
    fn notify_one_contended(&self) {
        let mut queue = self.queue.lock();
        // Rule 3.
        while queue.is_first_due() {
            self.notify_due(queue);
            queue = self.queue.lock();
        }
        let served = queue.waiters.serve_first(Outcome::GIVEN);
        if served.is_none() {
            // Release: as in `try_store`.
            self.state.fetch_or(PERMIT, Ordering::Release);
        } else if queue.waiters.is_empty() {
            self.note_that_nobody_waits();
        }
        drop(queue);
        wake(mutation!("notify-wakes-nobody", served.and_then(|served| served.0), None));
    }

    /// Notifies all who wait, and those whose wait has begun though they are in no list yet.
    pub(crate) fn notify_all(&self) {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & QUEUED == 0 {
            // Release: pairs with the acquire of whoever finds the call, or begins after it.
            let order = Ordering::Release;
            let next = mutation!("notify-forgets-the-call", state.wrapping_add(CALL), state);
            let counted = mutation!(
                "notify-misses-the-announced",
                self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed),
                Ok(self.state.fetch_add(CALL, order))
            );
            match counted {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
        let mut queue = self.queue.lock();
        // Release: as above.
        self.state.fetch_add(CALL, Ordering::Release);
        queue.due = queue.waiters.mark();
        self.notify_due(queue);
    }

    /// Rule 3: notifies all who are due. Frees the lock.
    fn notify_due<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) {
        loop {
            let mut batch = WakeBatch::new();
            let due = queue.due;
            let is_done = queue.waiters.serve_while(&mut batch, Outcome::GIVEN_TO_ALL, |waiters| {
                waiters.first_came_before(due)
            });
            if queue.waiters.is_empty() {
                self.note_that_nobody_waits();
            }
            drop(queue);
            drop(batch);
            if is_done {
                return;
            }
            queue = self.queue.lock();
        }
    }

    /// Under the list's lock.
    fn note_that_nobody_waits(&self) {
        // Relaxed: it says something of the list, which has a lock.
        self.state.fetch_and(!QUEUED, Ordering::Relaxed);
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawNotify {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut queue = self.queue.lock();
        match queue.waiters.remove(waiter) {
            Ok(own) => {
                if queue.waiters.is_empty() {
                    self.note_that_nobody_waits();
                }
                drop(queue);
                discard(own);
            }
            Err(outcome) => {
                drop(queue);
                // Rule 4. What was given to all is needed by nobody else.
                let is_one = outcome == Outcome::GIVEN;
                let hands_on = mutation!("notify-hands-on-a-call", is_one, true);
                if mutation!("notify-keeps-the-unwanted", hands_on, false) {
                    self.notify_one();
                }
            }
        }
    }
}
