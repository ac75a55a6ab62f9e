//! The lock of [`Mutex`](super::Mutex) without what it protects.
//!
//! ```text
//!            lock                     a waiter comes
//!   FREE ◄─────────► LOCKED ────────────────────────────► LOCKED | QUEUED
//!           unlock                                          │  ▲  │
//!                                                  unlock   │  │  │ unlock, if the first was
//!                                 FREE | QUEUED ◄───────────┘  │  │ overtaken often enough, or
//!                                       │                      │  │ `unlock_fair`: it is handed
//!                                       └── lock: the first, ──┘  │ over and stays LOCKED
//!                                           or whoever overtakes  ▼
//! ```
//!
//! QUEUED says that the list is not empty; it changes under the list's lock alone. Whoever unlocks
//! with QUEUED set wakes the first waiter, which keeps its place until it has the lock, and says
//! so by OFFERED. Until it comes, a task that runs may overtake it, and whoever unlocks with
//! OFFERED set needs not wake it again, nor the list. The rest of the word counts how often the
//! first waiter could be overtaken, which is how often the lock became free while it was the
//! first, or was free when it became that. After [`MOST_FREED`] times the lock is not freed
//! but handed over.
//!
//! Rules:
//! 1. A waiter is queued only after a compare-and-swap that sets QUEUED, and finds the lock held
//!    unless the waiter's budget is spent. So whoever unlocks sees QUEUED; and a task whose budget
//!    is spent comes again.
//! 2. If the first waiter takes itself out while the lock is free, the next one is woken: the
//!    wake-up of the first is lost to it.
//! 3. OFFERED is taken back when the first waiter leaves its waker again, by the exchange that
//!    finds the lock held. So whoever unlocks after that wakes it.
//! 4. Whoever has the list's lock, and the lock itself, is alone with the word.
//! 5. A waker is called, cloned and dropped outside the list's lock; once the lock is had, a
//!    panic of it is swallowed, or nobody would unlock.

use std::pin::Pin;
use std::ptr;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::sync::atomic::{AtomicU8, Ordering};
use crate::platform::sync::{Mutex, const_fn};
use crate::waiter::{Outcome, Place, Turn, WaitList, Waiter, discard, wake};

#[cfg(all(test, volt_loom))]
mod models;

const LOCKED: u8 = 1;
const QUEUED: u8 = 1 << 1;
/// The first waiter was woken, and has not come yet.
const OFFERED: u8 = 1 << 2;
/// The unit of the count: how often the first waiter could be overtaken.
const FREED: u8 = 1 << 3;
/// What the word says of the first waiter.
const OF_FIRST: u8 = !(LOCKED | QUEUED);

/// How many tasks may overtake the first waiter before the lock is handed over to it.
pub(crate) const MOST_OVERTAKERS: u8 = 16;
/// How often the lock is freed for it: one less, since one may overtake it while another first
/// waiter leaves and it becomes the first.
const MOST_FREED: u8 = MOST_OVERTAKERS - 1;
const _: () = assert!(MOST_FREED < u8::MAX / FREED, "the count has no room");

/// See the module documentation.
pub(crate) struct RawMutex {
    state: AtomicU8,
    waiters: Mutex<WaitList>,
}

impl RawMutex {
    const_fn! {
        pub(crate) fn new() -> RawMutex {
            RawMutex { state: AtomicU8::new(0), waiters: Mutex::new(WaitList::new()) }
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        // Relaxed: it may be untrue when it is returned.
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// Takes the lock, if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        // Acquire: pairs with the release of whoever unlocked.
        let acquire = mutation!("mutex-locks-relaxed", Ordering::Acquire, Ordering::Relaxed);
        match self.state.compare_exchange(0, LOCKED, acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(state) => state & LOCKED == 0 && self.try_overtake(state),
        }
    }

    #[cold]
    fn try_overtake(&self, mut state: u8) -> bool {
        while state & LOCKED == 0 {
            // Acquire: as in `try_lock`.
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, state | LOCKED, order, Ordering::Relaxed)
            {
                Ok(_) => {
                    self.tell_overtaken(state);
                    return true;
                }
                Err(found) => state = found,
            }
        }
        false
    }

    /// The lock was taken, by no first waiter, when the word was `state`.
    fn tell_overtaken(&self, state: u8) {
        if state & QUEUED != 0 {
            probe::waiter_overtaken(ptr::from_ref(self).addr(), u32::from(MOST_OVERTAKERS));
        }
    }

    /// Takes the lock, or a place in the queue.
    #[inline]
    pub(crate) fn poll_lock<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::Take && !waiter.is_in(self) && self.try_lock() {
            return Poll::Ready(());
        }
        self.poll_lock_contended(waiter, waker, turn)
    }

    #[cold]
    fn poll_lock_contended<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        let is_queued = waiter.is_in(self);
        if is_queued && waiter.as_mut().take_outcome().is_some() {
            return Poll::Ready(());
        }
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // It may have been handed over since; this look is under the lock.
        if is_queued && waiter.as_mut().take_outcome().is_some() {
            drop(waiters);
            discard(Some(waker));
            return Poll::Ready(());
        }
        let is_first = if is_queued { waiters.is_first(&waiter) } else { waiters.is_empty() };
        let may_take = turn == Turn::Take && (!is_queued || is_first);
        let was_free = self.take_or_announce(may_take, is_first, is_queued);
        if may_take && was_free {
            let mut own = None;
            if is_queued {
                own = waiters.remove(&waiter).expect("it was not handed over");
                self.forget_first(&waiters);
            }
            drop(waiters);
            if is_queued {
                waiter.finish();
            }
            discard(own);
            discard(Some(waker));
            return Poll::Ready(());
        }
        let unneeded = if is_queued {
            waiters.renew(&waiter, waker)
        } else {
            waiters.push(waiter, self, waker, 0);
            None
        };
        drop(waiters);
        discard(unneeded);
        Poll::Pending
    }

    /// Takes the lock, if it is free and the caller may; else whoever unlocks it will look for
    /// waiters. Whether it was free. Under the list's lock, by a caller that has a place in the
    /// list or takes one if it does not get the lock; `is_first` says whether that is the first.
    fn take_or_announce(&self, may_take: bool, is_first: bool, is_queued: bool) -> bool {
        // Relaxed: the exchange tells whether it is still so.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let is_free = state & LOCKED == 0;
            let next = if may_take && is_free {
                state | LOCKED
            } else {
                let announced = mutation!("mutex-queues-unannounced", state | QUEUED, state);
                match (is_first, is_queued) {
                    // Rule 3.
                    (true, true) => {
                        mutation!("mutex-stays-offered", announced & !OFFERED, announced)
                    }
                    // It becomes the first one.
                    (true, false) if is_free => announced + FREED,
                    _ => announced,
                }
            };
            // Acquire: as in `try_lock`.
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => {
                    if may_take && is_free && !is_queued {
                        self.tell_overtaken(state);
                    }
                    return is_free;
                }
                Err(found) => state = found,
            }
        }
    }

    /// The first waiter has gone from the list: what the word said before. Under the list's lock.
    fn forget_first(&self, waiters: &WaitList) -> u8 {
        let gone = if waiters.is_empty() { OF_FIRST | QUEUED } else { OF_FIRST };
        // Relaxed: it says something of the list, which has a lock.
        self.state.fetch_and(!gone, Ordering::Relaxed)
    }

    /// Frees the lock, which the caller has.
    #[inline]
    pub(crate) fn unlock(&self) {
        if !self.try_free() {
            self.unlock_contended(MOST_FREED);
        }
    }

    /// Hands the lock, which the caller has, to the first waiter; frees it if there is none.
    pub(crate) fn unlock_fair(&self) {
        if !self.try_free() {
            self.unlock_contended(0);
        }
    }

    /// Frees the lock, if nobody waits.
    #[inline]
    fn try_free(&self) -> bool {
        // Release: pairs with the acquire of whoever locks next.
        let release = mutation!("mutex-unlocks-relaxed", Ordering::Release, Ordering::Relaxed);
        self.state.compare_exchange(LOCKED, 0, release, Ordering::Relaxed).is_ok()
    }

    /// Frees the lock for the first waiter; if that could be overtaken `most` times, hands it over.
    #[cold]
    fn unlock_contended(&self, most: u8) {
        let allowed = mutation!("mutex-never-hands-over", most, u8::MAX);
        // Relaxed: the exchange tells whether it is still so.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & OFFERED != 0 && state / FREED < allowed {
            let next = (state & !LOCKED) + FREED;
            // Release: as in `try_free`.
            let order = Ordering::Release;
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
        self.unlock_listed(allowed);
    }

    fn unlock_listed(&self, most: u8) {
        let mut waiters = self.waiters.lock();
        // Relaxed: nobody else changes it (rule 4).
        let state = self.state.load(Ordering::Relaxed);
        let waker = if !waiters.is_empty() && state / FREED >= most {
            // The outcome publishes what the lock protects.
            let served = waiters.serve_first(Outcome::GIVEN);
            self.forget_first(&waiters);
            mutation!("mutex-hands-over-silently", served.and_then(|served| served.0), None)
        } else {
            let offered = if waiters.is_empty() { 0 } else { (state | OFFERED) + FREED };
            let waker = waiters.take_first_waker();
            // Release: as in `try_free`.
            self.state.swap(offered & !LOCKED, Ordering::Release);
            mutation!("mutex-frees-silently", waker, None)
        };
        drop(waiters);
        wake(waker);
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawMutex {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut waiters = self.waiters.lock();
        let was_first = waiters.is_first(waiter);
        match waiters.remove(waiter) {
            Ok(own) => {
                // Rule 2. If the lock is held, whoever unlocks it comes to the list.
                let is_free = was_first && self.forget_first(&waiters) & LOCKED == 0;
                let next = if mutation!("mutex-withdraws-silently", is_free, false) {
                    waiters.take_first_waker()
                } else {
                    None
                };
                if next.is_some() {
                    // Relaxed: as in `forget_first`. The new first one has no other count yet.
                    self.state.fetch_or(OFFERED | FREED, Ordering::Relaxed);
                }
                drop(waiters);
                wake(next);
                discard(own);
            }
            Err(_) => {
                drop(waiters);
                // It has the lock, and does not want it.
                mutation!("mutex-keeps-the-unwanted", self.unlock(), ());
            }
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::task::Wake;

    use super::*;

    type Queued<'a> = Pin<Box<Waiter<'a>>>;

    #[derive(Default)]
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
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn poll<'a>(mutex: &'a RawMutex, waiter: &mut Queued<'a>, waker: &Waker) -> bool {
        mutex.poll_lock(waiter.as_mut(), waker, Turn::Take).is_ready()
    }

    /// A lock that is held, so that `wakers` wait for it.
    fn queue<'a>(mutex: &'a RawMutex, wakers: &[&Waker]) -> Vec<Queued<'a>> {
        assert!(mutex.try_lock());
        wakers
            .iter()
            .map(|waker| {
                let mut waiter = Box::pin(Waiter::of_future());
                assert!(!poll(mutex, &mut waiter, waker));
                waiter
            })
            .collect()
    }

    /// How many overtake the first waiter of a lock that is free before it is handed over.
    fn overtakers(mutex: &RawMutex) -> usize {
        let mut overtakers = 0;
        while mutex.try_lock() {
            overtakers += 1;
            assert!(overtakers < 100, "the first waiter is overtaken for ever");
            mutex.unlock();
        }
        overtakers
    }

    #[test]
    fn a_lock_is_had_once() {
        let mutex = RawMutex::new();
        assert!(!mutex.is_locked());
        assert!(mutex.try_lock() && mutex.is_locked());
        assert!(!mutex.try_lock());
        mutex.unlock();
        assert!(mutex.try_lock());
        mutex.unlock_fair();
        assert!(!mutex.is_locked());
    }

    #[test]
    fn the_first_that_came_is_the_first_served() {
        let mutex = RawMutex::new();
        let mut waiters = queue(&mutex, &[Waker::noop(); 3]);
        for next in 0..3 {
            mutex.unlock();
            for (index, waiter) in waiters.iter_mut().enumerate().skip(next).rev() {
                assert_eq!(poll(&mutex, waiter, Waker::noop()), index == next);
            }
        }
        assert_eq!(mutex.state.load(Ordering::Relaxed), LOCKED);
    }

    #[test]
    fn the_first_is_overtaken_a_stated_number_of_times() {
        let mutex = RawMutex::new();
        let (count, waker) = task();
        let mut waiters = queue(&mutex, &[&waker]);
        mutex.unlock();
        assert_eq!(overtakers(&mutex), usize::from(MOST_FREED));
        assert!(waiters[0].is_ready());
        assert_eq!(count.get(), 1);
        assert!(poll(&mutex, &mut waiters[0], &waker));
    }

    #[test]
    fn one_that_becomes_the_first_of_a_free_lock_is_not_overtaken_more_often() {
        let mutex = RawMutex::new();
        let (count, waker) = task();
        let mut waiters = queue(&mutex, &[Waker::noop(), &waker]);
        mutex.unlock();
        drop(waiters.remove(0));
        assert_eq!(count.get(), 1);
        assert_eq!(overtakers(&mutex), usize::from(MOST_FREED));
        assert!(poll(&mutex, &mut waiters[0], &waker));
    }

    #[test]
    fn one_without_a_budget_is_queued_for_a_free_lock() {
        let mutex = RawMutex::new();
        let mut waiter = Box::pin(Waiter::of_future());
        let polled = mutex.poll_lock(waiter.as_mut(), Waker::noop(), Turn::QueueOnly);
        assert!(polled.is_pending());
        assert!(!mutex.is_locked());
        assert_eq!(overtakers(&mutex), usize::from(MOST_FREED));
        // What it was handed, it has without a budget too.
        let polled = mutex.poll_lock(waiter.as_mut(), Waker::noop(), Turn::QueueOnly);
        assert!(polled.is_ready());
    }

    #[test]
    fn a_fair_unlock_is_not_overtaken() {
        let mutex = RawMutex::new();
        let (count, waker) = task();
        let mut waiters = queue(&mutex, &[&waker]);
        mutex.unlock_fair();
        assert!(!mutex.try_lock());
        assert_eq!(count.get(), 1);
        assert!(poll(&mutex, &mut waiters[0], &waker));
        mutex.unlock_fair();
        assert!(!mutex.is_locked());
    }

    #[test]
    fn a_waiter_that_goes_leaves_the_others_in_order() {
        for gone in 0..3 {
            let mutex = RawMutex::new();
            let mut waiters = queue(&mutex, &[Waker::noop(); 3]);
            drop(waiters.remove(gone));
            for mut waiter in waiters {
                mutex.unlock();
                assert!(poll(&mutex, &mut waiter, Waker::noop()));
            }
            assert_eq!(mutex.state.load(Ordering::Relaxed), LOCKED);
        }
    }

    #[test]
    fn a_waiter_that_goes_when_it_was_served_hands_the_lock_on() {
        let mutex = RawMutex::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut waiters = queue(&mutex, &[&first_waker, &second_waker]);
        mutex.unlock_fair();
        waiters[0].as_mut().cancel();
        assert_eq!((first.get(), second.get()), (1, 1));
        assert!(poll(&mutex, &mut waiters[1], &second_waker));
        mutex.unlock();
        assert!(!mutex.is_locked());
        // A waiter that is cancelled can wait again.
        assert!(poll(&mutex, &mut waiters[0], &first_waker));
    }

    #[test]
    fn the_last_waker_counts() {
        let mutex = RawMutex::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut waiters = queue(&mutex, &[&first_waker]);
        assert!(!poll(&mutex, &mut waiters[0], &second_waker));
        drop(first_waker);
        assert_eq!(Arc::strong_count(&first), 1, "the waker that was replaced is kept");
        mutex.unlock();
        assert_eq!((first.get(), second.get()), (0, 1));
    }

    #[test]
    fn a_waiter_that_comes_unasked_takes_its_waker_along() {
        let mutex = RawMutex::new();
        let (count, waker) = task();
        let mut waiter = Box::pin(Waiter::of_future());
        assert!(mutex.poll_lock(waiter.as_mut(), &waker, Turn::QueueOnly).is_pending());
        assert!(poll(&mutex, &mut waiter, &waker));
        drop(waker);
        assert_eq!((count.get(), Arc::strong_count(&count)), (0, 1));
    }

    /// Uses the lock when it is woken, and notes what it found.
    struct Reenters {
        mutex: Arc<RawMutex>,
        was_outside: AtomicBool,
        has_locked: AtomicBool,
    }

    impl Wake for Reenters {
        fn wake(self: Arc<Reenters>) {
            self.was_outside.store(self.mutex.waiters.try_lock().is_some(), Ordering::Relaxed);
            if self.mutex.try_lock() {
                self.has_locked.store(true, Ordering::Relaxed);
                self.mutex.unlock();
            }
        }
    }

    #[test]
    fn a_waker_may_use_the_lock() {
        let mutex = Arc::new(RawMutex::new());
        let task = Arc::new(Reenters {
            mutex: Arc::clone(&mutex),
            was_outside: AtomicBool::new(false),
            has_locked: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&task));
        let mut waiters = queue(&mutex, &[&waker]);
        mutex.unlock();
        assert!(task.was_outside.load(Ordering::Relaxed), "it is woken under the list's lock");
        assert!(task.has_locked.load(Ordering::Relaxed));
        assert!(poll(&mutex, &mut waiters[0], &waker));
    }

    /// Panics when it is woken, and when it is dropped.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Panics>) {
            drop(self);
        }
    }

    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("planned");
        }
    }

    #[test]
    fn a_waker_that_panics_breaks_nothing() {
        let mutex = RawMutex::new();
        let mut waiters = Vec::new();
        assert!(mutex.try_lock());
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Panics));
            let mut waiter = Box::pin(Waiter::of_future());
            assert!(!poll(&mutex, &mut waiter, &waker));
            waiters.push(waiter);
            drop(waker);
        }
        // The list has the only references: one is dropped with its waiter, one is called.
        drop(waiters.pop());
        mutex.unlock();
        assert!(poll(&mutex, &mut waiters[0], Waker::noop()));
        mutex.unlock();
        assert!(!mutex.is_locked());
    }

    /// Frees its waiter when it is woken.
    struct Frees(std::sync::Mutex<Option<Queued<'static>>>);

    impl Wake for Frees {
        fn wake(self: Arc<Frees>) {
            let waiter = self.0.lock().unwrap().take();
            drop(waiter);
        }
    }

    /// In the original a waiter was marked as served while it was still in the list, and its waker
    /// was the address of the future.
    #[test]
    fn a_served_waiter_may_be_gone_before_its_waker_is_called() {
        static MUTEX: RawMutex = RawMutex::new();
        for unlock in [RawMutex::unlock, RawMutex::unlock_fair] {
            assert!(MUTEX.try_lock());
            let task = Arc::new(Frees(std::sync::Mutex::new(None)));
            let mut waiter = Box::pin(Waiter::of_future());
            assert!(!poll(&MUTEX, &mut waiter, &Waker::from(Arc::clone(&task))));
            *task.0.lock().unwrap() = Some(waiter);
            unlock(&MUTEX);
            assert!(task.0.lock().unwrap().is_none());
            assert_eq!(MUTEX.state.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_waiter_waits_in_one_place() {
        let (here, there) = (RawMutex::new(), RawMutex::new());
        let mut waiters = queue(&here, &[Waker::noop()]);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            poll(&there, &mut waiters[0], Waker::noop());
        }));
        assert!(polled.is_err());
        assert!(there.try_lock());
        here.unlock();
        assert!(poll(&here, &mut waiters[0], Waker::noop()));
    }
}
