//! The tasks of a set and their results: a member is in a slot while it runs, and its result in a
//! queue from its end until somebody takes it.
//!
//! ```text
//!   insert ──► slot ── its index comes from `Completions` ──► finished ── pop, take_outputs ──►
//!     │                                                          ▲
//!     └────────────────── it has ended already ──────────────────┘
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::completions::{Completions, result_of};
use crate::platform::probe;
use crate::task::{JoinError, JoinHandle};

/// See the module documentation.
pub(crate) struct Members<T> {
    slots: Vec<Option<Member<T>>>,
    /// The slots without a member.
    vacant: Vec<usize>,
    /// How many were inserted.
    inserted: u64,
    completions: Arc<Completions>,
    /// The indices that `completions` gave last; empty between calls, kept for its allocation.
    batch: VecDeque<usize>,
    /// In the order of completion.
    finished: VecDeque<Finished<T>>,
    /// How many of `finished` are errors.
    failures: usize,
}

struct Member<T> {
    /// How many were inserted before it.
    sequence: u64,
    handle: JoinHandle<T>,
}

struct Finished<T> {
    sequence: u64,
    result: Result<T, JoinError>,
}

// No output is ever pinned.
impl<T> Unpin for Members<T> {}

impl<T> Members<T> {
    pub(crate) fn new() -> Members<T> {
        Members {
            slots: Vec::new(),
            vacant: Vec::new(),
            inserted: 0,
            completions: Arc::new(Completions::new()),
            batch: VecDeque::new(),
            finished: VecDeque::new(),
            failures: 0,
        }
    }

    /// How many there are whose results were not taken.
    pub(crate) fn len(&self) -> usize {
        self.running() + self.finished.len()
    }

    /// How many have not ended, as far as is known.
    pub(crate) fn running(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Whether a result that was not taken is an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    pub(crate) fn insert(&mut self, mut handle: JoinHandle<T>) {
        let sequence = self.inserted;
        self.inserted += 1;
        let index = self.vacant.last().copied().unwrap_or(self.slots.len());
        if let Poll::Ready(result) = self.completions.register(index, &mut handle) {
            // Whoever has told of its end comes first: but for those that end during this call,
            // that is the order.
            self.completions.take(&mut self.batch);
            self.finish_batch();
            self.finish(sequence, result);
            return;
        }
        let member = Some(Member { sequence, handle });
        match self.vacant.pop() {
            Some(index) => self.slots[index] = member,
            None => self.slots.push(member),
        }
    }

    /// Asks all members to end.
    pub(crate) fn abort(&self) {
        for member in self.slots.iter().flatten() {
            member.handle.abort();
        }
    }

    /// Ready when at least one more member has ended; one must be running. A caller that has to
    /// wait was asked to at `place`.
    pub(crate) fn poll_end(
        &mut self,
        waker: &Waker,
        place: &'static Location<'static>,
    ) -> Poll<()> {
        debug_assert!(self.running() > 0, "nobody will wake the waiter");
        if !self.completions.take_or_wait(&mut self.batch, waker) {
            probe::task_waits("the end of one of several tasks", place);
            return Poll::Pending;
        }
        self.finish_batch();
        Poll::Ready(())
    }

    fn finish_batch(&mut self) {
        while let Some(index) = self.batch.pop_front() {
            let mut member = self.slots[index].take().expect("a member ends once");
            self.vacant.push(index);
            let result = result_of(&mut member.handle);
            self.finish(member.sequence, result);
        }
    }

    fn finish(&mut self, sequence: u64, result: Result<T, JoinError>) {
        self.failures += usize::from(result.is_err());
        self.finished.push_back(Finished { sequence, result });
    }

    /// Takes the result of the first that ended.
    pub(crate) fn pop(&mut self) -> Option<Result<T, JoinError>> {
        let result = self.finished.pop_front()?.result;
        self.failures -= usize::from(result.is_err());
        Some(result)
    }

    /// Takes the outputs, in the order of insertion, or the error of the first that failed.
    pub(crate) fn take_outputs(&mut self) -> Result<Vec<T>, JoinError> {
        let mut finished = std::mem::take(&mut self.finished);
        // The first error is that of the first completion: `collect` stops there.
        if std::mem::take(&mut self.failures) == 0 {
            finished.make_contiguous().sort_unstable_by_key(|finished| finished.sequence);
        }
        finished.into_iter().map(|finished| finished.result).collect()
    }
}

impl<T> fmt::Debug for Members<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("running", &self.running())
            .field("finished", &self.finished.len())
            .finish_non_exhaustive()
    }
}
