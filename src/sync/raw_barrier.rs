//! Who has come to a [`Barrier`](super::Barrier).
//!
//! ```text
//!         one comes, not the last                   the last one comes: it is the leader
//!            ┌───────┐
//!            ▼       │
//!    GENERATION g, so many have come ─────────────► GENERATION g + 1, nobody has come;
//!            ▲       │                              those of g are due
//!            └───────┘
//!      one that waits is dropped
//! ```
//!
//! Whoever comes and is not the last waits in the list, with its generation as tag. Those of older
//! generations are due: they are released one after the other, and have nothing to wait for any
//! more, but are in the list until then.
//!
//! Rules:
//! 1. Everything changes under one lock. A barrier for one has nobody to wait for, and takes none.
//! 2. The generation counts up in the same step in which the last one comes. Then all of it are
//!    due, and a wait that is dropped takes nothing back.
//! 3. Whoever counts up releases all who are due. The lock is freed meanwhile, to call wakers.
//! 4. A last one with a spent budget counts up, and is due itself, as the leader.

use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::{Mutex, MutexGuard, const_fn};
use crate::waiter::{Outcome, Place, Turn, WaitList, Waiter, WakeBatch, discard};

/// Of a tag: the one who waits is the leader (rule 4).
const LEADER: usize = 1;
/// Of a tag: generations are counted above the flag. They wrap: nobody is due that long.
const GENERATION: usize = 1 << 1;

/// What the leader is served with, if it waits; the others get `GIVEN_TO_ALL`.
const LED: Outcome = Outcome::GIVEN;

/// See the module documentation.
pub(crate) struct RawBarrier {
    size: usize,
    round: Mutex<Round>,
}

struct Round {
    waiters: WaitList,
    generation: usize,
    /// How many of this generation have not come yet.
    missing: usize,
}

impl Round {
    /// The last one has come: the next generation, of `size`, begins.
    fn end(&mut self, size: usize) {
        self.missing = size;
        self.generation = self.generation.wrapping_add(GENERATION);
    }

    fn is_due(&self, tag: usize) -> bool {
        tag & !LEADER != self.generation
    }

    /// Whether the first one in the list is due.
    fn is_first_due(&self) -> bool {
        self.waiters.first_tag().is_some_and(|tag| self.is_due(tag))
    }

    /// Releases the first one in the list.
    fn release_first(&mut self) -> Option<Waker> {
        let tag = self.waiters.first_tag()?;
        let outcome = if tag & LEADER == 0 { Outcome::GIVEN_TO_ALL } else { LED };
        self.waiters.serve_first(outcome).and_then(|served| served.0)
    }
}

impl RawBarrier {
    const_fn! {
        pub(crate) fn new(size: usize) -> RawBarrier {
            assert!(size > 0, "a barrier is for at least one task, not for none");
            let round = Round { waiters: WaitList::new(), generation: 0, missing: size };
            RawBarrier { size, round: Mutex::new(round) }
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How many wait for the others of their generation.
    pub(crate) fn arrived(&self) -> usize {
        self.size - self.round.lock().missing
    }

    /// Arrives, or goes on waiting; ready when all have arrived: whether this one is the leader.
    #[inline]
    pub(crate) fn poll_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<bool> {
        if self.size > 1 {
            self.poll_wait_for_others(waiter, waker, turn)
        } else if turn == Turn::Take {
            Poll::Ready(true)
        } else {
            // It comes again, with another budget, and has no place to lose.
            Poll::Pending
        }
    }

    fn poll_wait_for_others<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<bool> {
        if waiter.is_in(self)
            && let Some(outcome) = waiter.as_mut().take_outcome()
        {
            return Poll::Ready(outcome == LED);
        }
        let waker = waker.clone();
        let mut round = self.round.lock();
        if waiter.is_in(self) {
            // It may have been released since; this look is under the lock.
            let (polled, unneeded) = match waiter.as_mut().take_outcome() {
                Some(outcome) => (Poll::Ready(outcome == LED), Some(waker)),
                None => (Poll::Pending, round.waiters.renew(&waiter, waker)),
            };
            drop(round);
            discard(unneeded);
            return polled;
        }
        let tag = round.generation;
        if round.missing > 1 {
            round.missing -= 1;
            round.waiters.push(waiter, self, waker, tag);
            return Poll::Pending;
        }
        // The last one: rule 2.
        let (polled, unneeded) = if turn == Turn::Take {
            (Poll::Ready(true), Some(waker))
        } else {
            round.waiters.push(waiter, self, waker, tag | LEADER);
            (Poll::Pending, None)
        };
        round.end(self.size);
        self.release_due(round);
        discard(unneeded);
        polled
    }

    /// Rule 3. Frees the lock.
    fn release_due<'a>(&'a self, mut round: MutexGuard<'a, Round>) {
        loop {
            let mut batch = WakeBatch::new();
            while batch.has_room() && round.is_first_due() {
                let waker = round.release_first();
                if let Some(waker) = mutation!("barrier-releases-silently", waker, None) {
                    batch.push(waker);
                }
            }
            let is_done = !round.is_first_due();
            drop(round);
            drop(batch);
            if is_done {
                return;
            }
            round = self.round.lock();
        }
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawBarrier {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut round = self.round.lock();
        let tag = round.waiters.tag_of(waiter);
        // Rule 2. Who is released is due, so this is also right for one that was.
        let takes_back = mutation!("barrier-takes-back-the-released", !round.is_due(tag), true);
        if mutation!("barrier-keeps-the-arrival", takes_back, false) {
            round.missing += 1;
        }
        let removed = round.waiters.remove(waiter);
        drop(round);
        if let Ok(own) = removed {
            discard(own);
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicBool, Ordering};

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    fn is_woken(task: &Task) -> bool {
        task.0.load(Ordering::Acquire)
    }

    fn wait<'a>(
        barrier: &'a RawBarrier,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<bool> {
        barrier.poll_wait(waiter, waker, Turn::Take)
    }

    /// A thread writes and comes to the barrier; if it is not the last one there, it leaves.
    /// Another one comes and stays, and reads if it is let through by the first.
    fn meet_or_leave() {
        let shared = Arc::new((RawBarrier::new(2), AtomicBool::new(false), AtomicBool::new(false)));
        let (barrier, is_written, has_left) = &*shared;
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            let (barrier, is_written, has_left) = &*other;
            // Relaxed: the barrier must order it.
            is_written.store(true, Ordering::Relaxed);
            let mut waiter = pin!(Waiter::of_future());
            let polled = wait(barrier, waiter.as_mut(), Waker::noop());
            waiter.cancel();
            has_left.store(true, Ordering::Release);
            polled.is_ready()
        });
        let had_left = has_left.load(Ordering::Acquire);
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = wait(barrier, waiter.as_mut(), &waker);
        if polled.is_ready() {
            assert!(!had_left, "it meets one that has left");
            assert!(is_written.load(Ordering::Relaxed), "it does not see what the other one did");
        }
        let other_leads = thread.join().unwrap();
        if polled == Poll::Ready(true) {
            assert!(!other_leads, "both lead");
        } else {
            if !other_leads {
                // The other one has left before this one came: a third one is needed.
                let third = wait(barrier, pin!(Waiter::of_future()), Waker::noop());
                assert_eq!(third, Poll::Ready(true), "an arrival is lost");
            }
            assert!(is_woken(&task), "all have come and one sleeps");
            assert_eq!(wait(barrier, waiter.as_mut(), &waker), Poll::Ready(false));
        }
        // The next generation begins with nobody.
        assert!(wait(barrier, waiter.as_mut(), &waker).is_pending(), "somebody is left behind");
        let last = wait(barrier, pin!(Waiter::of_future()), Waker::noop());
        assert_eq!(last, Poll::Ready(true), "an arrival is lost");
    }

    #[test]
    fn one_that_leaves_meets_one_that_comes() {
        model(meet_or_leave);
    }

    #[test]
    fn silent_release_mutant_is_noticed() {
        assert!(is_noticed("barrier-releases-silently", || model(meet_or_leave)));
    }

    #[test]
    fn kept_arrival_mutant_is_noticed() {
        assert!(is_noticed("barrier-keeps-the-arrival", || model(meet_or_leave)));
    }

    #[test]
    fn arrival_taken_back_twice_mutant_is_noticed() {
        assert!(is_noticed("barrier-takes-back-the-released", || model(meet_or_leave)));
    }

    async fn arrive(barrier: &RawBarrier) -> bool {
        let mut waiter = pin!(Waiter::of_future());
        std::future::poll_fn(|context| wait(barrier, waiter.as_mut(), context.waker())).await
    }

    fn arrive_twice(barrier: &RawBarrier) -> [bool; 2] {
        [(); 2].map(|()| crate::waiter::block_on("", "", arrive(barrier)))
    }

    #[test]
    fn two_come_again_and_one_leads_each_time() {
        model(|| {
            let barrier = Arc::new(RawBarrier::new(2));
            let other = Arc::clone(&barrier);
            let thread = loom::thread::spawn(move || arrive_twice(&other));
            let leads = arrive_twice(&barrier);
            assert_eq!(thread.join().unwrap(), leads.map(|leads| !leads));
            assert_eq!(barrier.arrived(), 0);
        });
    }
}
