//! Who waits for a rwlock, and for what.

use std::pin::Pin;
use std::task::Waker;

use super::{MOST_OVERTAKERS, RawRwLock};
use crate::waiter::{Outcome, WaitList, Waiter};

/// In a tag: the waiter wants to write.
const WRITE: usize = 1;
/// In a tag: it was overtaken once.
const OVERTAKEN: usize = 1 << 1;

/// What a waiter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Access {
    fn of_tag(tag: usize) -> Access {
        if tag & WRITE == 0 { Access::Read } else { Access::Write }
    }

    fn tag(self) -> usize {
        match self {
            Access::Read => 0,
            Access::Write => WRITE,
        }
    }

    /// What a waiter is served with.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Access::Read => Outcome::GIVEN_TO_ALL,
            Access::Write => Outcome::GIVEN,
        }
    }

    /// Takes what `waiter` was served with, if it was.
    ///
    /// # Panics
    /// If that is the other access.
    pub(super) fn take_from(self, waiter: Pin<&mut Waiter<'_>>) -> bool {
        let Some(outcome) = waiter.outcome() else { return false };
        self.check(outcome == self.outcome());
        waiter.finish();
        true
    }

    fn check(self, is_same: bool) {
        assert!(
            is_same,
            "the waiter does not wait to {self:?}, but for the other access: cancel that first, \
             or use another waiter"
        );
    }
}

/// The first one who waits.
pub(super) struct First {
    pub(super) access: Access,
    /// How many have come in to write before it, since it is the first.
    pub(super) overtaken: usize,
}

/// Who waits.
pub(super) struct Queue {
    waiters: WaitList,
    /// How many of them want to write.
    writers: usize,
}

impl Queue {
    pub(super) const fn new() -> Queue {
        Queue { waiters: WaitList::new(), writers: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn has_writer(&self) -> bool {
        self.writers > 0
    }

    pub(super) fn first(&self) -> Option<First> {
        let tag = self.waiters.first_tag()?;
        Some(First { access: Access::of_tag(tag), overtaken: tag / OVERTAKEN })
    }

    pub(super) fn is_reader_first(&self) -> bool {
        self.first().is_some_and(|first| first.access == Access::Read)
    }

    pub(super) fn is_first(&self, waiter: &Waiter<'_>) -> bool {
        self.waiters.is_first(waiter)
    }

    /// Whether a writer who is not queued may come in before those who are.
    pub(super) fn may_be_overtaken(&self) -> bool {
        self.first().is_none_or(|first| first.overtaken < MOST_OVERTAKERS)
    }

    /// A writer who is not queued came in before the first one, if there is one.
    pub(super) fn count_overtaker(&mut self) {
        if let Some(tag) = self.waiters.first_tag() {
            self.waiters.set_first_tag(tag + OVERTAKEN);
        }
    }

    pub(super) fn push<'a>(
        &mut self,
        waiter: Pin<&mut Waiter<'a>>,
        lock: &'a RawRwLock,
        waker: Waker,
        access: Access,
    ) {
        self.waiters.push(waiter, lock, waker, access.tag());
        self.writers += usize::from(access == Access::Write);
    }

    /// `waiter`, which is queued, wants `access`.
    ///
    /// # Panics
    /// If it wants the other one.
    pub(super) fn check(&self, waiter: &Waiter<'_>, access: Access) {
        access.check(access == Access::of_tag(self.waiters.tag_of(waiter)));
    }

    /// As [`WaitList::renew`].
    pub(super) fn renew(&mut self, waiter: &Waiter<'_>, waker: Waker) -> Option<Waker> {
        self.waiters.renew(waiter, waker)
    }

    /// As [`WaitList::take_first_waker`].
    pub(super) fn take_first_waker(&mut self) -> Option<Waker> {
        self.waiters.take_first_waker()
    }

    /// The first one has what it wants: its waker, which is to be called when the lock is free,
    /// unless that was taken before.
    pub(super) fn serve_first(&mut self) -> Option<Waker> {
        let access = self.first()?.access;
        self.writers -= usize::from(access == Access::Write);
        self.waiters.serve_first(access.outcome()).and_then(|served| served.0)
    }

    /// As [`WaitList::remove`].
    ///
    /// # Errors
    /// What the waiter was served with.
    pub(super) fn remove(&mut self, waiter: &Waiter<'_>) -> Result<Option<Waker>, Outcome> {
        let access = Access::of_tag(self.waiters.tag_of(waiter));
        let own = self.waiters.remove(waiter)?;
        self.writers -= usize::from(access == Access::Write);
        Ok(own)
    }
}
