//! Who initialises a [`OnceCell`](super::OnceCell), and who waits for that, without the value.
//!
//! ```text
//!              try_begin,
//!              poll_begin               complete: serves all
//!   EMPTY ─────────────────► RUNNING ──────────────────────► SET
//!     ▲                       │   ▲
//!     │ abandon,              │   │ abandon: the first candidate
//!     └─ without candidates ──┘   └─ is given the right
//! ```
//!
//! QUEUED beside EMPTY or RUNNING says that somebody waits: a candidate, which initialises if the
//! one before it fails, or a watcher, which waits for the value alone. They have a list each. Who
//! is RUNNING has a [`Right`], which completes, or abandons when it is dropped: by a panic, an
//! error or a cancellation.
//!
//! Rules:
//! 1. There are candidates only while it is RUNNING, or SET and about to serve them. So whoever
//!    finds it EMPTY overtakes nobody.
//! 2. A waiter is queued under the lists' lock, by a compare-and-swap that sets QUEUED and finds
//!    no SET, nor, for a candidate, EMPTY. So whoever completes or abandons sees QUEUED, and comes
//!    to the lists.
//! 3. QUEUED is cleared under the lock, when the lists are empty, or by SET, after which nobody is
//!    queued.

#[cfg(all(test, volt_loom))]
mod models;

use std::mem;
use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicU8, Ordering};
use crate::platform::sync::{Mutex, const_fn};
use crate::waiter::{Outcome, Place, WaitList, Waiter, WakeBatch, discard, wake};

const EMPTY: u8 = 0;
const RUNNING: u8 = 1;
const SET: u8 = 1 << 1;
const QUEUED: u8 = 1 << 2;

/// The tag of a waiter that wants to initialise.
const CANDIDATE: usize = 0;
/// The tag of a waiter that wants the value alone.
const WATCHER: usize = 1;

/// See the module documentation.
pub(super) struct RawOnce {
    state: AtomicU8,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    candidates: WaitList,
    watchers: WaitList,
}

/// What whoever wants the value is to do.
pub(super) enum Role<'a> {
    /// The value is there.
    Reader,
    /// It is the caller's to make.
    Initializer(Right<'a>),
}

/// The right to initialise, which one has at a time. Dropping it gives it to the next one.
pub(super) struct Right<'a>(&'a RawOnce);

impl Waiting {
    const fn new() -> Waiting {
        Waiting { candidates: WaitList::new(), watchers: WaitList::new() }
    }

    fn list(&mut self, tag: usize) -> &mut WaitList {
        if tag == CANDIDATE { &mut self.candidates } else { &mut self.watchers }
    }

    /// What `waiter`, which waits here or was served, came for.
    fn tag_of(&self, waiter: &Waiter<'_>) -> usize {
        self.candidates.tag_of(waiter)
    }

    fn is_empty(&self) -> bool {
        self.candidates.is_empty() && self.watchers.is_empty()
    }
}

impl RawOnce {
    const_fn! {
        pub(super) fn new(is_set: bool) -> RawOnce {
            let state = if is_set { SET } else { EMPTY };
            RawOnce { state: AtomicU8::new(state), waiting: Mutex::new(Waiting::new()) }
        }
    }

    /// Whether the value is there, to be read by the caller.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // Acquire: pairs with `complete`.
        let order = mutation!("once-looks-relaxed", Ordering::Acquire, Ordering::Relaxed);
        self.state.load(order) & SET != 0
    }

    /// The right to initialise, unless somebody has it or the value is there.
    #[inline]
    pub(super) fn try_begin(&self) -> Option<Right<'_>> {
        let mut state = EMPTY;
        loop {
            let next = state | RUNNING;
            // Acquire: pairs with `abandon`: the attempts come one after the other.
            let order = mutation!("once-begins-relaxed", Ordering::Acquire, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return Some(Right(self)),
                Err(found) if found & (RUNNING | SET) != 0 => return None,
                Err(found) => state = found,
            }
        }
    }

    /// Waits for the right to initialise, or until another one has done it.
    #[inline]
    pub(super) fn poll_begin<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<Role<'a>> {
        if !waiter.is_in(self) {
            if self.is_set() {
                return Poll::Ready(Role::Reader);
            }
            if let Some(right) = self.try_begin() {
                return Poll::Ready(Role::Initializer(right));
            }
        }
        self.poll_contended(waiter, waker, CANDIDATE)
    }

    /// Waits until somebody has initialised.
    #[inline]
    pub(super) fn poll_set<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: &Waker) -> Poll<()> {
        if !waiter.is_in(self) && self.is_set() {
            return Poll::Ready(());
        }
        self.poll_contended(waiter, waker, WATCHER).map(drop)
    }

    #[cold]
    fn poll_contended<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        tag: usize,
    ) -> Poll<Role<'a>> {
        let is_queued = waiter.is_in(self);
        if is_queued && let Some(role) = self.take_role(waiter.as_mut(), tag) {
            return Poll::Ready(role);
        }
        // Cloned and dropped outside the lock.
        let waker = waker.clone();
        let mut waiting = self.waiting.lock();
        if is_queued {
            // It may have been served since; this look is under the lock.
            if let Some(role) = self.take_role(waiter.as_mut(), tag) {
                drop(waiting);
                discard(Some(waker));
                return Poll::Ready(role);
            }
            check_purpose(waiting.tag_of(&waiter) == tag);
            let unneeded = waiting.list(tag).renew(&waiter, waker);
            drop(waiting);
            discard(unneeded);
            return Poll::Pending;
        }
        if let Some(role) = self.begin_or_announce(tag) {
            drop(waiting);
            // Contained: a panic of its destructor would lose the right.
            discard(Some(waker));
            return Poll::Ready(role);
        }
        waiting.list(tag).push(waiter, self, waker, tag);
        Poll::Pending
    }

    /// Takes what `waiter` was served with, if it was.
    ///
    /// # Panics
    /// If that is the right to initialise, and the caller came to watch.
    fn take_role(&self, waiter: Pin<&mut Waiter<'_>>, tag: usize) -> Option<Role<'_>> {
        let outcome = waiter.outcome()?;
        check_purpose(tag == CANDIDATE || outcome != Outcome::GIVEN);
        waiter.finish();
        Some(self.role(outcome))
    }

    /// What a waiter was served with, and has taken.
    fn role(&self, outcome: Outcome) -> Role<'_> {
        if outcome == Outcome::GIVEN { Role::Initializer(Right(self)) } else { Role::Reader }
    }

    /// What a newcomer is to do; `None` if it is to wait, which is announced. Under the lock.
    fn begin_or_announce(&self, tag: usize) -> Option<Role<'_>> {
        // Acquire, here and below: as in `is_set` and `try_begin`.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & SET != 0 {
                return Some(Role::Reader);
            }
            let may_begin = tag == CANDIDATE && state & RUNNING == 0;
            let queued = mutation!("once-queues-silently", state | QUEUED, state);
            let next = if may_begin { state | RUNNING } else { queued };
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, next, order, order) {
                Ok(_) if may_begin => return Some(Role::Initializer(Right(self))),
                Ok(_) => return None,
                Err(found) => state = found,
            }
        }
    }

    /// The value is there.
    #[inline]
    fn complete(&self) {
        // Release: pairs with `is_set`.
        let order = mutation!("once-completes-relaxed", Ordering::Release, Ordering::Relaxed);
        let is_queued = self.state.swap(SET, order) & QUEUED != 0;
        if mutation!("once-completes-silently", is_queued, false) {
            self.serve_all();
        }
    }

    /// Serves those who wait, after whom nobody comes, in rounds: wakers are called outside the
    /// lock.
    #[cold]
    fn serve_all(&self) {
        let mut is_done = false;
        while !is_done {
            let mut batch = WakeBatch::new();
            let mut waiting = self.waiting.lock();
            let all = Outcome::GIVEN_TO_ALL;
            is_done = waiting.candidates.serve_while(&mut batch, all, |_| true)
                && waiting.watchers.serve_while(&mut batch, all, |_| true);
            drop(waiting);
        }
    }

    /// The attempt has failed.
    fn abandon(&self) {
        // Release: pairs with `try_begin`.
        let order = mutation!("once-abandons-relaxed", Ordering::Release, Ordering::Relaxed);
        let is_free = self.state.compare_exchange(RUNNING, EMPTY, order, Ordering::Relaxed).is_ok();
        if !is_free {
            self.abandon_contended();
        }
    }

    #[cold]
    fn abandon_contended(&self) {
        let mut waiting = self.waiting.lock();
        let served = mutation!(
            "once-abandons-silently",
            waiting.candidates.serve_first(Outcome::GIVEN),
            None
        );
        if served.is_some() {
            self.note_whether_empty(&waiting);
        } else {
            // Release: as in `abandon`. Under the lock, so that no candidate comes meanwhile.
            self.state.fetch_and(!RUNNING, Ordering::Release);
        }
        drop(waiting);
        wake(served.and_then(|served| served.0));
    }

    /// Under the lock.
    fn note_whether_empty(&self, waiting: &Waiting) {
        if waiting.is_empty() {
            // Relaxed: it says something of the lists, which have a lock.
            self.state.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }
}

fn check_purpose(is_same: bool) {
    assert!(is_same, "the waiter waits for something else here: cancel that first");
}

// SAFETY: `withdraw` removes the waiter from the list that has it.
unsafe impl Place for RawOnce {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut waiting = self.waiting.lock();
        let tag = waiting.tag_of(waiter);
        match waiting.list(tag).remove(waiter) {
            Ok(own) => {
                self.note_whether_empty(&waiting);
                drop(waiting);
                discard(own);
            }
            Err(outcome) => {
                drop(waiting);
                // The right, if it was that.
                mutation!("once-keeps-the-unwanted", drop(self.role(outcome)), {
                    mem::forget(self.role(outcome));
                });
            }
        }
    }
}

impl Right<'_> {
    /// The value is there: everybody may read it.
    #[inline]
    pub(super) fn complete(self) {
        let once = self.0;
        mem::forget(self);
        once.complete();
    }
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::waiter::test_wakers::{Hooks, hooked};

    type Queued<'a> = Pin<Box<Waiter<'a>>>;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<'a>(once: &'a RawOnce, waiter: &mut Queued<'a>) -> Poll<Role<'a>> {
        once.poll_begin(waiter.as_mut(), Waker::noop())
    }

    fn right<'a>(once: &'a RawOnce, waiter: &mut Queued<'a>) -> Option<Right<'a>> {
        match poll(once, waiter) {
            Poll::Ready(Role::Initializer(right)) => Some(right),
            _ => None,
        }
    }

    fn is_reader(polled: &Poll<Role<'_>>) -> bool {
        matches!(polled, Poll::Ready(Role::Reader))
    }

    /// Candidates, while somebody else initialises.
    fn queue(once: &RawOnce, count: usize) -> Vec<Queued<'_>> {
        let queue = |_| {
            let mut waiter = Box::pin(Waiter::of_future());
            assert!(poll(once, &mut waiter).is_pending());
            waiter
        };
        (0..count).map(queue).collect()
    }

    fn watch(once: &RawOnce) -> Queued<'_> {
        let mut waiter = Box::pin(Waiter::of_future());
        assert!(once.poll_set(waiter.as_mut(), Waker::noop()).is_pending());
        waiter
    }

    fn state(once: &RawOnce) -> u8 {
        once.state.load(Ordering::Relaxed)
    }

    #[test]
    fn one_has_the_right_until_it_completes_or_abandons() {
        let once = RawOnce::new(false);
        let right = once.try_begin().expect("nobody has it");
        assert!(once.try_begin().is_none() && !once.is_set());
        drop(right);
        let right = once.try_begin().expect("it was abandoned");
        right.complete();
        assert!(once.is_set() && once.try_begin().is_none());
        assert!(RawOnce::new(true).is_set());
    }

    #[test]
    fn candidates_try_in_the_order_in_which_they_came() {
        let once = RawOnce::new(false);
        let mut held = once.try_begin();
        let mut waiters = queue(&once, 3);
        for next in 0..3 {
            drop(held.take());
            assert!(once.try_begin().is_none(), "the first candidate is overtaken");
            let ready: Vec<usize> = (0..3).filter(|index| waiters[*index].is_ready()).collect();
            assert_eq!(ready, [next]);
            held = right(&once, &mut waiters[next]);
            assert!(held.is_some());
        }
        assert_eq!(state(&once), RUNNING);
        drop(held);
        assert_eq!(state(&once), EMPTY);
    }

    #[test]
    fn a_candidate_that_goes_leaves_the_others_in_order() {
        for gone in 0..3 {
            let once = RawOnce::new(false);
            let mut held = once.try_begin();
            let mut waiters = queue(&once, 3);
            drop(waiters.remove(gone));
            for waiter in &mut waiters {
                drop(held.take());
                held = right(&once, waiter);
                assert!(held.is_some());
            }
            drop(held);
            assert_eq!(state(&once), EMPTY);
        }
    }

    #[test]
    fn a_candidate_that_goes_when_it_is_served_hands_the_right_on() {
        let once = RawOnce::new(false);
        let held = once.try_begin();
        let mut waiters = queue(&once, 2);
        drop(held);
        waiters[0].as_mut().cancel();
        assert!(waiters[1].is_ready());
        waiters[1].as_mut().cancel();
        assert_eq!(state(&once), EMPTY);
        assert!(right(&once, &mut waiters[0]).is_some());
    }

    #[test]
    fn all_are_served_when_it_is_set_however_many_they_are() {
        let once = RawOnce::new(false);
        let watcher_before = watch(&once);
        let held = once.try_begin().expect("a watcher does not initialise");
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut waiters: Vec<Queued<'_>> = (0..100)
            .map(|number| {
                let mut waiter = Box::pin(Waiter::of_future());
                let is_pending = if number % 2 == 0 {
                    once.poll_begin(waiter.as_mut(), &waker).is_pending()
                } else {
                    once.poll_set(waiter.as_mut(), &waker).is_pending()
                };
                assert!(is_pending);
                waiter
            })
            .collect();
        held.complete();
        assert_eq!(state(&once), SET);
        assert_eq!(count.0.load(Ordering::Relaxed), 100);
        assert!(watcher_before.is_ready());
        for (number, waiter) in waiters.iter_mut().enumerate() {
            if number % 2 == 0 {
                assert!(is_reader(&once.poll_begin(waiter.as_mut(), &waker)));
            } else {
                assert!(once.poll_set(waiter.as_mut(), &waker).is_ready());
            }
        }
        drop(waiters);
        assert_eq!(state(&once), SET);
    }

    #[test]
    fn a_watcher_is_not_asked_to_initialise() {
        let once = RawOnce::new(false);
        let watcher = watch(&once);
        assert_eq!(state(&once), QUEUED);
        drop(once.try_begin().expect("nobody initialises"));
        assert!(!watcher.is_ready());
        assert_eq!(state(&once), QUEUED);
        drop(watcher);
        assert_eq!(state(&once), EMPTY);
    }

    /// Whether one may ask for the value by `waiter`.
    fn may_watch<'a>(once: &'a RawOnce, waiter: &mut Queued<'a>) -> bool {
        let watch = || once.poll_set(waiter.as_mut(), Waker::noop()).is_ready();
        catch_unwind(AssertUnwindSafe(watch)).is_ok()
    }

    #[test]
    fn a_waiter_waits_for_one_thing() {
        let once = RawOnce::new(false);
        let held = once.try_begin().expect("nobody has it");
        let mut waiters = queue(&once, 1);
        assert!(!may_watch(&once, &mut waiters[0]));
        drop(held);
        assert!(!may_watch(&once, &mut waiters[0]), "it was given the right");
        assert!(right(&once, &mut waiters[0]).is_some(), "it does not wait any more");
    }

    #[test]
    fn a_waker_that_panics_when_it_is_dropped_does_not_lose_the_right() {
        static ONCE: RawOnce = RawOnce::new(false);
        static HELD: std::sync::Mutex<Option<Right<'static>>> = std::sync::Mutex::new(None);
        // The attempt fails between the first look and the one under the lock.
        static HOOKS: Hooks =
            Hooks { clone: || drop(HELD.lock().unwrap().take()), drop: || panic!("planned") };
        for is_queued in [false, true] {
            *HELD.lock().unwrap() = ONCE.try_begin();
            let mut waiter = Box::pin(Waiter::of_future());
            if is_queued {
                assert!(poll(&ONCE, &mut waiter).is_pending());
            }
            let polled = ONCE.poll_begin(waiter.as_mut(), &hooked(&HOOKS));
            assert!(matches!(polled, Poll::Ready(Role::Initializer(_))));
            drop(polled);
            assert_eq!(state(&ONCE), EMPTY);
        }
    }
}
