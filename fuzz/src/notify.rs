//! The notification: to one, or kept for the next; or to all who wait.

use std::collections::VecDeque;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::Notify;

use crate::waits::Waits;
use crate::{Index, WAITERS};

/// What is done to the notification.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Makes a future of a notification.
    Begin(Index),
    /// Polls it.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Notifies one.
    NotifyOne,
    /// Notifies all.
    NotifyAll,
}

/// Carries the operations out.
///
/// # Panics
/// If the notification is not as it must be.
pub fn run(operations: &[Operation]) {
    let notify = Notify::new();
    let mut interpreter = Interpreter {
        notify: &notify,
        waits: Waits::default(),
        stages: [Stage::Free; WAITERS],
        queue: VecDeque::new(),
        has_permit: false,
    };
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(notify.waiter_count(), 0);
}

/// How far one who waits is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody is there.
    Free,
    /// It was not polled yet.
    Begun,
    /// It is in the queue.
    Queued,
    /// It was notified alone.
    Notified,
    /// All were notified.
    NotifiedWithAll,
}

struct Interpreter<'a> {
    notify: &'a Notify,
    waits: Waits<'a, ()>,
    stages: [Stage; WAITERS],
    /// Who is in the queue, first come, first.
    queue: VecDeque<usize>,
    has_permit: bool,
}

impl Interpreter<'_> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Begin(Index(at)) => {
                if self.stages[at] == Stage::Free {
                    self.stages[at] = Stage::Begun;
                    self.waits.begin(at, self.notify.notified());
                }
            }
            Operation::Poll(Index(at)) => {
                if self.stages[at] != Stage::Free {
                    self.poll(at);
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                if self.stages[at] == Stage::Notified {
                    self.notified_one();
                }
                self.queue.retain(|other| *other != at);
                self.stages[at] = Stage::Free;
            }
            Operation::NotifyOne => {
                self.notify.notify_one();
                self.notified_one();
            }
            Operation::NotifyAll => {
                self.notify.notify_all();
                self.queue.clear();
                // Also those whose wait has begun, though they are not in the queue.
                for stage in &mut self.stages {
                    if matches!(stage, Stage::Begun | Stage::Queued) {
                        *stage = Stage::NotifiedWithAll;
                    }
                }
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let polled = self.waits.poll(at);
        let stage = match self.stages[at] {
            Stage::Begun if !self.has_permit => {
                self.queue.push_back(at);
                Stage::Queued
            }
            Stage::Begun => {
                self.has_permit = false;
                Stage::Free
            }
            Stage::Queued => Stage::Queued,
            Stage::Free | Stage::Notified | Stage::NotifiedWithAll => Stage::Free,
        };
        self.stages[at] = stage;
        assert_eq!(polled, if stage == Stage::Queued { Poll::Pending } else { Poll::Ready(()) });
    }

    fn notified_one(&mut self) {
        match self.queue.pop_front() {
            Some(first) => self.stages[first] = Stage::Notified,
            None => self.has_permit = true,
        }
    }

    fn check(&self) {
        assert_eq!(self.notify.has_permit(), self.has_permit);
        assert_eq!(self.notify.waiter_count(), self.queue.len());
        for (at, stage) in self.stages.iter().enumerate() {
            if matches!(stage, Stage::Notified | Stage::NotifiedWithAll) {
                self.waits.assert_woken(at);
            }
        }
    }
}
