//! Those who wait at one end of a channel: senders for room, or receivers for messages.
//!
//! ```text
//!   nobody waits ── poll: mark, look again, none there ──► the first one SLEEPS ◄─────────────┐
//!        ▲                                                     │        ▲                     │
//!        │                serve_first: something has come,     │        │ poll: others took   │
//!        │                it is woken                          ▼        │ it, none is left    │
//!        │                                                the first one is OFFERED ◄──┐      │
//!        │                                                     │                       │      │
//!        └──────────── unmark: it was the last ◄── it has gone ┴─► the next one ───────┘      │
//!                                                                  is woken, if there is      │
//!                                                                  something; else ───────────┘
//!
//!   one who waits:
//!
//!   QUEUED ── poll, as the first: claim ─► FREE, the claim is its own
//!    │ │ │                                                      ▲
//!    │ │ └── serve_due, serve_first: claim for it ─► SERVED(GIVEN) ── poll
//!    │ │                                                 └─────────── withdraw: unclaim, next one
//!    │ └──── serve_first: closed ──────────────────► SERVED(CLOSED)
//!    └────── withdraw: unlinked
//! ```
//!
//! The first one is woken once when there is something for it, which stays free until it comes. A
//! task that runs may take it meanwhile; it counts that in the word that it exchanges anyway, see
//! [`word`](super::word). When the first one was overtaken
//! [`MOST_OVERTAKERS`](super::word::MOST_OVERTAKERS) times, the next that would do so claims
//! something for it instead. So those at work go on without a wake-up for each message, and those
//! who wait are not starved.
//!
//! While the first one is offered, nobody who brings something looks at the list, but for each
//! sixteenth, who claims for it and wakes the next one. Who goes from the head of the list wakes
//! the next one, if there is more. So some are woken by each other, and none waits for one that
//! was woken and is not polled, while sixteen more messages come.
//!
//! Rules:
//! 1. The queue is marked exactly while the list is not empty; `is_offered` is the flag of the
//!    word. All three change under the lock.
//! 2. If there is something to claim and somebody waits, then the first one was woken and has not
//!    come, or whoever made it available is on the way to serve. So the offer is taken back before
//!    the last look, and that comes after the mark.
//! 3. Whoever goes from the head of the list, served, with a claim of its own, or withdrawn,
//!    leaves the next one woken or looks whether there is nothing for it.
//! 4. Nobody overtakes between two first ones: so each is overtaken at most so often as stated.
//! 5. Wakers are called, cloned and dropped outside the lock; a panic of one is swallowed where
//!    something was taken or is to be served.
//! 6. A claim that was given and is not wanted is given back, which serves the next one.
//! 7. One that comes without a budget is handed what is there, if nobody else waits: it is told to
//!    come again by its budget, and need not be woken.

use std::pin::Pin;
use std::task::{Poll, Waker};

use super::channel::Channel;
use super::queue::{End, Queue, Refusal};
use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::thread;
use crate::waiter::{Outcome, Place, Turn, WaitList, Waiter, discard, wake};

#[cfg(all(test, volt_loom))]
mod models;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

/// What is waited for will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMore;

/// See the module documentation.
pub(super) struct WaitQueue<T> {
    line: Mutex<Line>,
    end: End,
    /// The channel that this is a part of: so it is there, and where it was, for as long.
    channel: *const Channel<T>,
}

struct Line {
    list: WaitList,
    /// The first one was woken, and has not come yet.
    is_offered: bool,
}

// SAFETY: through the channel a wait queue comes to words, claims and lists, which may be used on
// every thread. It moves and drops no message.
unsafe impl<T> Send for WaitQueue<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for WaitQueue<T> {}

impl<T> WaitQueue<T> {
    /// # Safety
    /// It becomes a part of the channel at `channel`, which is not moved.
    pub(super) unsafe fn new(end: End, channel: *const Channel<T>) -> WaitQueue<T> {
        let line = Line { list: WaitList::new(), is_offered: false };
        WaitQueue { line: Mutex::new(line), end, channel }
    }

    fn channel(&self) -> &Channel<T> {
        // SAFETY: this is a part of it.
        unsafe { &*self.channel }
    }

    #[inline]
    fn queue(&self) -> &Queue<T> {
        self.channel().queue()
    }

    /// A claim, or a place in the queue.
    ///
    /// # Errors
    /// If there will be nothing to claim.
    pub(super) fn poll<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<Result<(), NoMore>> {
        if waiter.is_in(self)
            && let Some(outcome) = waiter.as_mut().take_outcome()
        {
            return Poll::Ready(result_of(outcome));
        }
        // Rule 5.
        let waker = waker.clone();
        let mut line = self.line.lock();
        if waiter.is_in(self) {
            // It may have been served since; this look is under the lock.
            if let Some(outcome) = waiter.as_mut().take_outcome() {
                drop(line);
                discard(Some(waker));
                return Poll::Ready(result_of(outcome));
            }
            if turn == Turn::Take
                && line.list.is_first(&waiter)
                && let Some(result) = self.claim_as_first(&mut line)
            {
                let own = line.list.remove(&waiter).expect("it was not served");
                let next = self.next_comes(&mut line);
                drop(line);
                waiter.finish();
                wake(next);
                discard(own);
                discard(Some(waker));
                return Poll::Ready(result);
            }
            let unneeded = line.list.renew(&waiter, waker);
            drop(line);
            discard(unneeded);
            return Poll::Pending;
        }
        let is_first = line.list.is_empty();
        if is_first {
            self.queue().mark(self.end);
            if turn == Turn::Take
                && let Some(result) = self.look_again()
            {
                self.queue().unmark(self.end);
                drop(line);
                discard(Some(waker));
                return Poll::Ready(result);
            }
        }
        line.list.push(waiter, self, waker, 0);
        if is_first && turn == Turn::QueueOnly && self.queue().claim(self.end).is_ok() {
            // Rule 7: nobody has looked before.
            let wakers = self.hand_over(&mut line);
            drop(line);
            wakers.into_iter().for_each(wake);
        }
        Poll::Pending
    }

    /// After the mark: what came before it is seen, what comes after it sees the mark.
    fn look_again(&self) -> Option<Result<(), NoMore>> {
        let claim = || self.queue().claim(self.end);
        match mutation!("channel-looks-once", claim(), Err(Refusal::Wait)) {
            Ok(()) => Some(Ok(())),
            Err(Refusal::Closed) => Some(Err(NoMore)),
            Err(Refusal::Wait) => None,
        }
    }

    /// A claim for the first one, which has come, and goes if it has one; it sleeps again if there
    /// is none.
    fn claim_as_first(&self, line: &mut Line) -> Option<Result<(), NoMore>> {
        match self.queue().claim(self.end) {
            Ok(()) => Some(Ok(())),
            Err(Refusal::Closed) => Some(Err(NoMore)),
            // It would have been woken.
            Err(Refusal::Wait) if !line.is_offered => None,
            Err(Refusal::Wait) => {
                // Rule 2.
                if mutation!("channel-stays-offered", true, false) {
                    line.is_offered = false;
                    self.queue().take_offer_back(self.end);
                }
                self.look_again()
            }
        }
    }

    /// The first one has gone: the next one is woken if there is something for it, and its waker
    /// is returned; else it sleeps, and whoever brings something wakes it.
    fn next_comes(&self, line: &mut Line) -> Option<Waker> {
        if line.list.is_empty() {
            self.queue().unmark(self.end);
            line.is_offered = false;
            return None;
        }
        // Rule 4.
        self.queue().first_comes(self.end);
        if !self.is_something_there() {
            if !line.is_offered {
                return None;
            }
            // Rule 2.
            line.is_offered = false;
            self.queue().take_offer_back(self.end);
            if !mutation!("channel-passes-on-blindly", self.is_something_there(), false) {
                return None;
            }
        }
        self.offer(line)
    }

    /// Whether there is something for the first one to take, or to learn.
    fn is_something_there(&self) -> bool {
        self.queue().look(self.end) != Err(Refusal::Wait)
    }

    fn offer(&self, line: &mut Line) -> Option<Waker> {
        if !line.is_offered {
            line.is_offered = true;
            self.queue().offer(self.end);
        }
        mutation!("channel-offers-silently", line.list.take_first_waker(), None)
    }

    /// Gives the first one what was claimed for it. Its waker, if it sleeps, and that of the next
    /// one, if there is something for that.
    fn hand_over(&self, line: &mut Line) -> [Option<Waker>; 2] {
        let served = line.list.serve_first(Outcome::GIVEN);
        let own = served.and_then(|served| served.0);
        let next = self.next_comes(line);
        [own, mutation!("channel-drops-the-baton", next, None)]
    }

    /// Something has come, or the end: the first one is woken. If it was already, something is
    /// claimed for it and the next one is woken.
    #[cold]
    pub(super) fn serve_first(&self) {
        let mut line = self.line.lock();
        if line.list.is_empty() {
            return;
        }
        let looked = if line.is_offered {
            self.queue().claim(self.end)
        } else {
            self.queue().look(self.end)
        };
        let wakers = match looked {
            Ok(()) if line.is_offered => self.hand_over(&mut line),
            Ok(()) => [self.offer(&mut line), None],
            Err(Refusal::Wait) => return,
            Err(Refusal::Closed) => {
                drop(line);
                return self.refuse_all();
            }
        };
        drop(line);
        wakers.into_iter().for_each(wake);
    }

    /// If the first one was overtaken as often as may be, something is claimed for it, if there is
    /// something. True if it is not so any more: then the caller tries again.
    #[inline]
    pub(super) fn serve_due(&self) -> bool {
        self.queue().is_first_due(self.end) && self.serve_due_listed()
    }

    #[cold]
    fn serve_due_listed(&self) -> bool {
        let mut line = self.line.lock();
        // Another one may be the first by now. Under the lock nobody is between two.
        if !self.queue().is_first_due(self.end) {
            return true;
        }
        match self.queue().claim(self.end) {
            Ok(()) => {
                let wakers = self.hand_over(&mut line);
                drop(line);
                wakers.into_iter().for_each(wake);
                true
            }
            Err(Refusal::Wait) => false,
            Err(Refusal::Closed) => {
                drop(line);
                self.refuse_all();
                true
            }
        }
    }

    /// The end has come, for all who wait.
    fn refuse_all(&self) {
        loop {
            let mut line = self.line.lock();
            let served = line.list.serve_first(Outcome::CLOSED);
            let Some(served) = served else { return };
            if line.list.is_empty() {
                self.queue().unmark(self.end);
                line.is_offered = false;
            }
            drop(line);
            wake(served.0);
        }
    }
}

fn result_of(outcome: Outcome) -> Result<(), NoMore> {
    if outcome == Outcome::GIVEN { Ok(()) } else { Err(NoMore) }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl<T> Place for WaitQueue<T> {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        let mut line = self.line.lock();
        let is_first = line.list.is_first(waiter);
        if is_first {
            // Rule 4.
            self.queue().first_goes(self.end);
        }
        match line.list.remove(waiter) {
            Ok(own) => {
                // Rule 3.
                let next = if mutation!("channel-withdraws-silently", is_first, false) {
                    self.next_comes(&mut line)
                } else {
                    None
                };
                drop(line);
                wake(next);
                discard(own);
            }
            Err(outcome) => {
                drop(line);
                // Rule 6.
                let is_claim = outcome == Outcome::GIVEN;
                if mutation!("channel-keeps-a-claim", is_claim, false) {
                    self.channel().unclaim(self.end);
                }
            }
        }
    }
}
