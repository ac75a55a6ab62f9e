//! The condition variable and its mutex: notifications in the order of the waits, none lost with
//! one who gives up.

use std::collections::VecDeque;
use std::mem;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::{Condvar, Mutex, MutexGuard};

use crate::lock::LockModel;
use crate::waits::Waits;
use crate::{Index, WAITERS};

/// What is done to the condition variable and the mutex.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Takes the lock, if it is free.
    TryLock,
    /// Makes a future of the lock.
    Lock(Index),
    /// Makes a future of a wait that begins with the lock.
    Wait(Index),
    /// Polls the future.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Notifies one.
    NotifyOne,
    /// Notifies all.
    NotifyAll,
    /// Frees the lock.
    Unlock,
}

/// Carries the operations out.
///
/// # Panics
/// If the condition variable is not as it must be.
pub fn run(operations: &[Operation]) {
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    let mut interpreter = Interpreter {
        mutex: &mutex,
        condvar: &condvar,
        guard: None,
        waits: Waits::default(),
        stages: [Stage::Free; WAITERS],
        queue: VecDeque::new(),
        lock: LockModel::default(),
        locked: 0,
    };
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    let locked = interpreter.locked;
    drop(interpreter);
    assert!(!mutex.is_locked(), "nobody has the lock, and it is locked");
    assert_eq!(mutex.into_inner(), locked);
}

/// How far one who waits is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody is there.
    Free,
    /// It has the lock, and begins to wait when it is polled.
    Held,
    /// It waits for a notification.
    Queued,
    /// It was notified, and wants the lock.
    Notified { is_one: bool },
    /// It wants the lock alone.
    Locks,
}

struct Interpreter<'a> {
    /// Its value is how often it was locked.
    mutex: &'a Mutex<u64>,
    condvar: &'a Condvar,
    guard: Option<MutexGuard<'a, u64>>,
    waits: Waits<'a, MutexGuard<'a, u64>>,
    stages: [Stage; WAITERS],
    /// Who waits for a notification, first come, first.
    queue: VecDeque<usize>,
    lock: LockModel,
    locked: u64,
}

impl<'a> Interpreter<'a> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::TryLock => {
                let guard = self.mutex.try_lock();
                assert_eq!(guard.is_some(), self.lock.try_lock());
                if let Some(guard) = guard {
                    self.keep(guard);
                }
            }
            Operation::Lock(Index(at)) => {
                if self.stages[at] == Stage::Free {
                    self.stages[at] = Stage::Locks;
                    self.waits.begin(at, self.mutex.lock());
                }
            }
            Operation::Wait(Index(at)) => {
                if self.stages[at] == Stage::Free
                    && let Some(guard) = self.guard.take()
                {
                    self.stages[at] = Stage::Held;
                    self.waits.begin(at, self.condvar.wait(guard));
                }
            }
            Operation::Poll(Index(at)) => {
                if self.stages[at] != Stage::Free {
                    self.poll(at);
                }
            }
            Operation::Cancel(Index(at)) => self.cancel(at),
            Operation::NotifyOne => {
                self.condvar.notify_one();
                self.notified_one();
            }
            Operation::NotifyAll => {
                self.condvar.notify_all();
                for at in self.queue.drain(..) {
                    self.stages[at] = Stage::Notified { is_one: false };
                }
            }
            Operation::Unlock => {
                if let Some(guard) = self.guard.take() {
                    drop(guard);
                    self.lock.unlock(self.mutex.is_locked());
                }
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let polled = self.waits.poll(at);
        let is_ready = match self.stages[at] {
            Stage::Free | Stage::Queued => false,
            Stage::Held => {
                self.stages[at] = Stage::Queued;
                self.queue.push_back(at);
                self.lock.unlock(self.mutex.is_locked());
                false
            }
            Stage::Notified { .. } | Stage::Locks => self.lock.poll(at),
        };
        assert_eq!(polled.is_ready(), is_ready);
        if let Poll::Ready(guard) = polled {
            self.stages[at] = Stage::Free;
            self.keep(guard);
        }
    }

    fn cancel(&mut self, at: usize) {
        self.waits.cancel(at);
        let is_locked = self.mutex.is_locked();
        match mem::replace(&mut self.stages[at], Stage::Free) {
            Stage::Free => {}
            Stage::Held => self.lock.unlock(is_locked),
            Stage::Queued => self.queue.retain(|other| *other != at),
            Stage::Notified { is_one } => {
                self.lock.cancel(at, is_locked);
                if is_one {
                    self.notified_one();
                }
            }
            Stage::Locks => self.lock.cancel(at, is_locked),
        }
    }

    fn notified_one(&mut self) {
        if let Some(first) = self.queue.pop_front() {
            self.stages[first] = Stage::Notified { is_one: true };
        }
    }

    fn keep(&mut self, mut guard: MutexGuard<'a, u64>) {
        assert!(self.guard.is_none(), "two have the lock");
        assert_eq!(*guard, self.locked);
        self.locked += 1;
        *guard = self.locked;
        self.guard = Some(guard);
    }

    fn check(&self) {
        assert_eq!(self.mutex.is_locked(), self.lock.is_held());
        if let Some(next) = self.lock.next() {
            self.waits.assert_woken(next);
        }
        for (at, stage) in self.stages.iter().enumerate() {
            // Once it is polled it waits for the lock.
            if matches!(stage, Stage::Notified { .. }) && !self.lock.is_awaited_by(at) {
                self.waits.assert_woken(at);
            }
        }
    }
}
