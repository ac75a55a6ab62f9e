//! The mutex: one holder at a time, first come, first served.

use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::{Mutex, MutexGuard};

use crate::Index;
use crate::lock::LockModel;
use crate::waits::Waits;

/// What is done to the mutex.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Takes the lock, if it is free.
    TryLock,
    /// Makes a future of the lock.
    Begin(Index),
    /// Polls it.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Frees the lock.
    Unlock,
    /// Frees the lock for the first one who waits.
    UnlockFair,
}

/// Carries the operations out.
///
/// # Panics
/// If the mutex is not as it must be.
pub fn run(operations: &[Operation]) {
    let mutex = Mutex::new(0);
    let mut interpreter = Interpreter {
        mutex: &mutex,
        guard: None,
        waits: Waits::default(),
        model: LockModel::default(),
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

struct Interpreter<'a> {
    /// Its value is how often it was locked.
    mutex: &'a Mutex<u64>,
    guard: Option<MutexGuard<'a, u64>>,
    waits: Waits<'a, MutexGuard<'a, u64>>,
    model: LockModel,
    locked: u64,
}

impl<'a> Interpreter<'a> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::TryLock => {
                let guard = self.mutex.try_lock();
                assert_eq!(guard.is_some(), self.model.try_lock());
                if let Some(guard) = guard {
                    self.keep(guard);
                }
            }
            Operation::Begin(Index(at)) => {
                if self.waits.is_free(at) {
                    self.waits.begin(at, self.mutex.lock());
                }
            }
            Operation::Poll(Index(at)) => {
                if self.waits.is_free(at) {
                    return;
                }
                let polled = self.waits.poll(at);
                assert_eq!(polled.is_ready(), self.model.poll(at));
                if let Poll::Ready(guard) = polled {
                    self.keep(guard);
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                self.model.cancel(at, self.mutex.is_locked());
            }
            Operation::Unlock => {
                if let Some(guard) = self.guard.take() {
                    drop(guard);
                    self.model.unlock(self.mutex.is_locked());
                }
            }
            Operation::UnlockFair => {
                if let Some(guard) = self.guard.take() {
                    MutexGuard::unlock_fair(guard);
                    self.model.unlock_fair(self.mutex.is_locked());
                }
            }
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
        assert_eq!(self.mutex.is_locked(), self.model.is_held());
        if let Some(next) = self.model.next() {
            self.waits.assert_woken(next);
        }
    }
}
