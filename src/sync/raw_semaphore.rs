//! The permits of [`Semaphore`](super::Semaphore), and who waits for them.
//!
//! ```text
//!      acquire, release, forget
//!              ┌───┐
//!              ▼   │   there are too few: one waits
//!          FREE(permits) ─────────────────────────► QUEUED(permits) ◄───────────┐
//!                ▲                                    │                         │
//!                │               release: enough for  │     the first comes, and │
//!                │              the first, it is woken │      there are too few │
//!                │                                    ▼                         │
//!                ├── the first takes its permits ── QUEUED | OFFERED(permits) ──┘
//!                │
//!                │         QUEUED, or QUEUED | OFFERED
//!                │                 │
//!                │                 │ acquire: the first is overtaken for the last time
//!                │                 ▼
//!                └── release: ── QUEUED | BARRED(permits): they are gathered for the first
//!                    enough for the first, it is handed over; or the first comes and takes
//!
//!   the first takes, is served, or goes: if there is a next one, it is QUEUED and not overtaken
//!   yet, and OFFERED if there is enough for it
//!   close: sets CLOSED, in any state, for good
//! ```
//!
//! QUEUED says that the list is not empty. A waiter's tag is how many permits it wants. Those of
//! the word are free, also while somebody waits, until the first waiter is BARRED: whoever runs may
//! take them before it, and each time is counted in the word. After [`MOST_OVERTAKERS`] times they
//! are gathered for the first waiter, which is served when there are as many as it wants: so a
//! large request is not starved by small ones.
//!
//! Before that, whoever brings enough for the first waiter wakes it, and says so by OFFERED: it
//! keeps its place, and takes its permits when it comes. Until it comes, whoever releases needs
//! not wake it again, nor the list. A waiter with a spent budget comes again unasked: so it is
//! OFFERED, too, if there is enough for it.
//!
//! Rules:
//! 1. QUEUED and OFFERED change under the list's lock alone. While QUEUED is set without OFFERED,
//!    or BARRED is, whoever releases comes to the list.
//! 2. QUEUED is set only by a compare-and-swap that finds too few permits, or says OFFERED.
//! 3. OFFERED is taken back when the first waiter leaves its waker again, by the exchange that
//!    finds too few permits. So whoever brings enough after that wakes it.
//! 4. When the first waiter goes, with its permits or without, the next one is offered what is
//!    there. The wake-up of a first one that leaves is not lost, nor is what was gathered for it.
//! 5. While BARRED is set, permits come and go under the list's lock alone. It is set before the
//!    first waiter leaves the list, and taken back after that: so nobody is counted for the wrong
//!    one.
//! 6. Whoever queues finds no CLOSED by the compare-and-swap, under the list's lock. So whoever
//!    sets CLOSED finds all who wait in the list after that, and tells them.
//! 7. A waiter that was served has its permits: if it does not want them, it releases them.
//! 8. A waker is called, cloned and dropped outside the list's lock; once permits are had, a panic
//!    of it is swallowed, or nobody would release them.

use std::pin::Pin;
use std::ptr;
use std::task::{Poll, Waker};

use super::semaphore::Closed;
use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::{Mutex, const_fn};
use crate::waiter::{Outcome, Place, Turn, WaitList, Waiter, WakeBatch, discard, wake};

#[cfg(all(test, volt_loom))]
mod models;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

const QUEUED: usize = 1;
const CLOSED: usize = 1 << 1;
/// The first waiter comes, and looks for its permits.
const OFFERED: usize = 1 << 2;
/// The unit of the count: how often the first waiter was overtaken.
const OVERTAKEN: usize = 1 << 3;
/// The highest bit of the count: the first waiter is not overtaken any more.
const BARRED: usize = 1 << 7;
/// The number of permits stands above the count.
pub(super) const PERMIT: usize = 1 << 8;
/// What the word says of the first waiter.
const OF_FIRST: usize = (PERMIT - 1) & !(QUEUED | CLOSED);

/// How many tasks may overtake the first waiter before permits are gathered for it.
pub(crate) const MOST_OVERTAKERS: u32 = (BARRED / OVERTAKEN) as u32;

/// The most permits that can be there.
pub(crate) const MAX_PERMITS: usize = usize::MAX / PERMIT;

/// See the module documentation.
pub(crate) struct RawSemaphore {
    state: AtomicUsize,
    waiters: Mutex<WaitList>,
}

/// The word with `permits` more.
#[track_caller]
fn with_more(state: usize, permits: usize) -> usize {
    assert!(
        permits <= MAX_PERMITS - state / PERMIT,
        "a semaphore has at most {MAX_PERMITS} permits"
    );
    state + permits * PERMIT
}

/// The word after somebody who does not wait has taken as many permits, if it may.
#[inline]
fn with_fewer(state: usize, wanted: usize) -> Option<usize> {
    if wanted == 0 {
        // Whoever wants nothing overtakes nobody.
        return (state & CLOSED == 0).then_some(state);
    }
    let barred = mutation!("semaphore-overtakes", CLOSED | BARRED, CLOSED);
    if state & barred != 0 || state / PERMIT < wanted {
        return None;
    }
    let overtaken = if state & QUEUED == 0 { 0 } else { OVERTAKEN };
    Some(state - wanted * PERMIT + overtaken)
}

/// Whether the first waiter, who wants as many permits, can have them.
fn is_enough(state: usize, wanted: usize) -> bool {
    state & CLOSED == 0 && state / PERMIT >= wanted
}

/// What the word does not say any more when the first waiter has gone from the list.
fn untrue_without_first(waiters: &WaitList) -> usize {
    if waiters.is_empty() { OF_FIRST | QUEUED } else { OF_FIRST }
}

impl RawSemaphore {
    const_fn! {
        pub(crate) fn new(permits: usize) -> RawSemaphore {
            assert!(permits <= MAX_PERMITS, "a semaphore has at most `MAX_PERMITS` permits");
            let state = AtomicUsize::new(permits * PERMIT);
            RawSemaphore { state, waiters: Mutex::new(WaitList::new()) }
        }
    }

    /// The word, which nobody else uses any more: permits in units of [`PERMIT`], and flags.
    #[inline]
    pub(super) fn word(&mut self) -> &mut AtomicUsize {
        &mut self.state
    }

    /// How many permits are free.
    pub(crate) fn available(&self) -> usize {
        // Relaxed: it may be another number once it is returned.
        let state = self.state.load(Ordering::Relaxed);
        if state & BARRED == 0 { state / PERMIT } else { 0 }
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with `close`.
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many wait.
    pub(crate) fn waiter_count(&self) -> usize {
        self.waiters.lock().len()
    }

    /// How many permits `waiter` wants, which is in this place.
    pub(crate) fn wanted_by(&self, waiter: &Waiter<'_>) -> usize {
        self.waiters.lock().tag_of(waiter)
    }

    /// Takes as many permits, if they are free and it is not closed.
    #[inline]
    pub(crate) fn try_acquire(&self, wanted: usize) -> bool {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while let Some(next) = with_fewer(state, wanted) {
            // Acquire: pairs with the release of whoever had the permits before.
            let order =
                mutation!("semaphore-acquires-relaxed", Ordering::Acquire, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => {
                    self.tell_overtaken(state, next);
                    return true;
                }
                Err(found) => state = found,
            }
        }
        false
    }

    /// Somebody who does not wait made the word `next` of `state`.
    #[inline]
    fn tell_overtaken(&self, state: usize, next: usize) {
        if state & QUEUED != 0 && state != next {
            probe::waiter_overtaken(ptr::from_ref(self).addr(), MOST_OVERTAKERS);
        }
    }

    /// Takes as many permits, or a place in the queue. Whoever is in the queue wants as many as
    /// before.
    #[inline]
    pub(crate) fn poll_acquire<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        wanted: usize,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<(), Closed>> {
        if waiter.is_in(self) {
            return self.poll_queued(waiter, wanted, waker, turn);
        }
        if turn == Turn::Take && self.try_acquire(wanted) {
            return Poll::Ready(Ok(()));
        }
        self.poll_contended(waiter, wanted, waker, turn)
    }

    /// As `poll_acquire`, for one that is not in the queue.
    #[cold]
    fn poll_contended<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        wanted: usize,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<(), Closed>> {
        if wanted == 0 && turn == Turn::QueueOnly {
            // It comes again, and has no place to lose.
            return Poll::Pending;
        }
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        let polled = self.take_or_announce(wanted, turn);
        if polled.is_pending() {
            waiters.push(waiter, self, waker, wanted);
        } else {
            drop(waiters);
            discard(Some(waker));
        }
        polled
    }

    /// Takes as many permits, if they are free; else whoever releases some will look for waiters.
    /// Under the list's lock.
    fn take_or_announce(&self, wanted: usize, turn: Turn) -> Poll<Result<(), Closed>> {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if mutation!("semaphore-queues-when-closed", state & CLOSED != 0, false) {
                return Poll::Ready(Err(Closed::new()));
            }
            let taken = match turn {
                Turn::Take => {
                    mutation!("semaphore-no-second-look", with_fewer(state, wanted), None)
                }
                Turn::QueueOnly => None,
            };
            let becomes_first = state & QUEUED == 0;
            let next = match taken {
                Some(next) => next,
                // Rule 2: it has no budget, and comes again.
                None if becomes_first && is_enough(state, wanted) => state | QUEUED | OFFERED,
                None => state | QUEUED,
            };
            // Acquire: as in `try_acquire`; and the permits that are there now are handed on under
            // the lock, to whoever is served with them.
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) if taken.is_some() => {
                    self.tell_overtaken(state, next);
                    return Poll::Ready(Ok(()));
                }
                Ok(_) => return Poll::Pending,
                Err(found) => state = found,
            }
        }
    }

    /// As `poll_acquire`, for one that is in the queue, or was served.
    #[cold]
    fn poll_queued<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        wanted: usize,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<(), Closed>> {
        if let Some(outcome) = waiter.as_mut().take_outcome() {
            return Poll::Ready(result_of(outcome));
        }
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // It may have been served since; this look is under the lock.
        if let Some(outcome) = waiter.as_mut().take_outcome() {
            drop(waiters);
            discard(Some(waker));
            return Poll::Ready(result_of(outcome));
        }
        if waiters.is_first(&waiter) && self.take_as_first(wanted, turn) {
            let own = waiters.remove(&waiter).expect("it was not served");
            let next = self.offer_without_first(&mut waiters);
            drop(waiters);
            waiter.finish();
            // Rule 4.
            wake(mutation!("semaphore-takes-silently", next, None));
            discard(own);
            discard(Some(waker));
            return Poll::Ready(Ok(()));
        }
        let unneeded = waiters.renew(&waiter, waker);
        drop(waiters);
        discard(unneeded);
        Poll::Pending
    }

    /// Takes as many permits for the first waiter, which leaves the list then; or notes whether it
    /// comes again unasked. Under the list's lock.
    fn take_as_first(&self, wanted: usize, turn: Turn) -> bool {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let is_there = is_enough(state, wanted);
            let takes = is_there && turn == Turn::Take;
            let next = if takes {
                // Rule 5.
                (state - wanted * PERMIT) | BARRED
            } else if is_there {
                state | OFFERED
            } else {
                // Rule 3.
                mutation!("semaphore-stays-offered", state & !OFFERED, state)
            };
            // Acquire: as in `try_acquire`.
            let order = mutation!("semaphore-takes-relaxed", Ordering::Acquire, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return takes,
                Err(found) => state = found,
            }
        }
    }

    /// Brings permits: for those who wait, or for whoever comes.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`].
    #[inline]
    #[track_caller]
    pub(crate) fn release(&self, permits: usize) {
        let is_added = self.add(permits, |state| {
            let is_open = state & QUEUED == 0 || state & (OFFERED | BARRED) == OFFERED;
            // Rule 1.
            mutation!("semaphore-releases-past-the-queue", is_open, true)
        });
        if !is_added {
            self.release_listed(permits);
        }
    }

    /// As `release`, when the first waiter is to be looked after.
    #[cold]
    #[track_caller]
    fn release_listed(&self, permits: usize) {
        let mut waiters = self.waiters.lock();
        let is_added = self.add(permits, |_| true);
        debug_assert!(is_added, "no flag stands in the way");
        let (served, untrue) = if self.take_gathered(&waiters) {
            // Its owner may be gone then.
            let served = waiters.serve_first(Outcome::GIVEN);
            (served.and_then(|served| served.0), untrue_without_first(&waiters))
        } else {
            (None, 0)
        };
        let offered = self.offer(&mut waiters, untrue);
        drop(waiters);
        wake(mutation!("semaphore-hands-over-silently", served, None));
        wake(mutation!("semaphore-offers-silently", offered, None));
    }

    /// Adds permits to the word, while it `is_open` to that.
    #[inline]
    #[track_caller]
    fn add(&self, permits: usize, is_open: impl Fn(usize) -> bool) -> bool {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while is_open(state) {
            let next = with_more(state, permits);
            // Release: pairs with the acquire of whoever takes them.
            let order =
                mutation!("semaphore-releases-relaxed", Ordering::Release, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
        false
    }

    /// Takes its permits for the first waiter, which is to be served with them: if it is barred,
    /// and there is enough for it. Under the list's lock.
    fn take_gathered(&self, waiters: &WaitList) -> bool {
        let Some(wanted) = waiters.first_tag() else { return false };
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & BARRED != 0 && is_enough(state, wanted) {
            let next = state - wanted * PERMIT;
            // Acquire: as in `try_acquire`, for the waiter: its outcome publishes what is known
            // here.
            let order =
                mutation!("semaphore-hands-over-relaxed", Ordering::Acquire, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
        false
    }

    /// The first waiter has gone from the list, and the next one is offered what is there: its
    /// waker, if it is to be woken. Under the list's lock.
    fn offer_without_first(&self, waiters: &mut WaitList) -> Option<Waker> {
        self.offer(waiters, untrue_without_first(waiters))
    }

    /// Offers the first waiter what is there, if that is enough for it: its waker, if it is to be
    /// woken. `untrue` is what the word does not say any more. Under the list's lock.
    fn offer(&self, waiters: &mut WaitList, untrue: usize) -> Option<Waker> {
        let wanted = waiters.first_tag();
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let is_there = wanted.is_some_and(|wanted| is_enough(state, wanted));
            let next = (state & !untrue) | if is_there { OFFERED } else { 0 };
            if next == state {
                // It knows already; or it is for whoever brings more to wake it (rule 1).
                return None;
            }
            // Relaxed: nothing is taken. What the word publishes it goes on publishing.
            let order = Ordering::Relaxed;
            match self.state.compare_exchange_weak(state, next, order, order) {
                Ok(_) if is_there => return waiters.take_first_waker(),
                Ok(_) => return None,
                Err(found) => state = found,
            }
        }
    }

    /// Takes up to `permits` free permits away for good, and says how many.
    pub(crate) fn forget(&self, permits: usize) -> usize {
        // Relaxed: the compare-and-swap decides.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            // Gathered permits are not free.
            let free = if state & BARRED == 0 { state / PERMIT } else { 0 };
            let forgotten = permits.min(free);
            if forgotten == 0 {
                return 0;
            }
            let next = state - forgotten * PERMIT;
            // Relaxed: nobody uses what they stood for.
            let order = Ordering::Relaxed;
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return forgotten,
                Err(found) => state = found,
            }
        }
    }

    /// Nobody gets a permit any more, and all who wait are told so.
    pub(crate) fn close(&self) {
        // Release: pairs with `is_closed`.
        self.state.fetch_or(CLOSED, Ordering::Release);
        mutation!("semaphore-closes-silently", self.serve_closed(), ());
    }

    /// Tells all who wait that it is closed, which it is.
    fn serve_closed(&self) {
        let mut is_done = false;
        while !is_done {
            let mut batch = WakeBatch::new();
            let mut waiters = self.waiters.lock();
            is_done = waiters.serve_while(&mut batch, Outcome::CLOSED, |_| true);
            // Relaxed: it says something of the list, which has a lock.
            self.state.fetch_and(!untrue_without_first(&waiters), Ordering::Relaxed);
            drop(waiters);
        }
    }
}

fn result_of(outcome: Outcome) -> Result<(), Closed> {
    if outcome == Outcome::CLOSED { Err(Closed::new()) } else { Ok(()) }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawSemaphore {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut waiters = self.waiters.lock();
        let was_first = waiters.is_first(waiter);
        if was_first {
            // Rule 5. Relaxed: it says something of the list, which has a lock.
            self.state.fetch_or(BARRED, Ordering::Relaxed);
        }
        match waiters.remove(waiter) {
            Ok(own) => {
                // Rule 4.
                let next = if was_first { self.offer_without_first(&mut waiters) } else { None };
                drop(waiters);
                wake(mutation!("semaphore-withdraws-silently", next, None));
                discard(own);
            }
            Err(outcome) => {
                let permits = waiters.tag_of(waiter);
                drop(waiters);
                // Rule 7.
                let has = outcome == Outcome::GIVEN;
                if mutation!("semaphore-keeps-what-was-served", has, false) {
                    self.release(permits);
                }
            }
        }
    }
}
