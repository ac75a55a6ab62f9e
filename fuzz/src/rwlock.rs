//! The rwlock: readers together, writers alone, first come, first served.

use std::collections::VecDeque;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::waits::Waits;
use crate::{Index, WAITERS};

/// How many writers may overtake the first one who waits.
const MOST_OVERTAKERS: usize = 4;

/// What is done to the rwlock.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Reads, if that is possible now.
    TryRead,
    /// Writes, if that is possible now.
    TryWrite,
    /// Makes a future of a read.
    Read(Index),
    /// Makes a future of a write.
    Write(Index),
    /// Polls the future.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Frees the lock of a reader.
    UnlockRead(Index),
    /// Frees the lock of the writer.
    UnlockWrite,
    /// Frees the lock of the writer, for the first one who waits.
    UnlockWriteFair,
    /// Makes a reader of the writer.
    Downgrade,
}

/// Carries the operations out.
///
/// # Panics
/// If the rwlock is not as it must be.
pub fn run(operations: &[Operation]) {
    let lock = RwLock::new(0);
    let mut interpreter = Interpreter {
        lock: &lock,
        readers: Vec::new(),
        writer: None,
        waits: Waits::default(),
        wanted: [Access::Read; WAITERS],
        model: Model::default(),
        written: 0,
    };
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    let written = interpreter.written;
    drop(interpreter);
    assert!(lock.try_write().is_some(), "nobody has the lock, and it is locked");
    assert_eq!(lock.into_inner(), written);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// The guard of either access.
enum Entered<'a> {
    Reader(RwLockReadGuard<'a, u64>),
    Writer(RwLockWriteGuard<'a, u64>),
}

struct Interpreter<'a> {
    /// Its value is how often it was written to.
    lock: &'a RwLock<u64>,
    readers: Vec<RwLockReadGuard<'a, u64>>,
    writer: Option<RwLockWriteGuard<'a, u64>>,
    waits: Waits<'a, Entered<'a>>,
    /// What each of those who wait wants.
    wanted: [Access; WAITERS],
    model: Model,
    written: u64,
}

impl<'a> Interpreter<'a> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::TryRead => {
                let guard = self.lock.try_read();
                assert_eq!(guard.is_some(), self.model.try_enter(Access::Read));
                if let Some(guard) = guard {
                    self.keep(Entered::Reader(guard));
                }
            }
            Operation::TryWrite => {
                let guard = self.lock.try_write();
                assert_eq!(guard.is_some(), self.model.try_enter(Access::Write));
                if let Some(guard) = guard {
                    self.keep(Entered::Writer(guard));
                }
            }
            Operation::Read(Index(at)) => {
                if self.waits.is_free(at) {
                    self.wanted[at] = Access::Read;
                    let lock = self.lock;
                    self.waits.begin(at, async move { Entered::Reader(lock.read().await) });
                }
            }
            Operation::Write(Index(at)) => {
                if self.waits.is_free(at) {
                    self.wanted[at] = Access::Write;
                    let lock = self.lock;
                    self.waits.begin(at, async move { Entered::Writer(lock.write().await) });
                }
            }
            Operation::Poll(Index(at)) => {
                if self.waits.is_free(at) {
                    return;
                }
                let polled = self.waits.poll(at);
                assert_eq!(polled.is_ready(), self.model.poll(at, self.wanted[at]));
                if let Poll::Ready(entered) = polled {
                    self.keep(entered);
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                self.model.cancel(at, self.wanted[at]);
            }
            Operation::UnlockRead(Index(at)) => {
                if !self.readers.is_empty() {
                    drop(self.readers.swap_remove(at % self.readers.len()));
                    self.model.leave(Access::Read, MOST_OVERTAKERS);
                }
            }
            Operation::UnlockWrite => {
                if let Some(guard) = self.writer.take() {
                    drop(guard);
                    self.model.leave(Access::Write, MOST_OVERTAKERS);
                }
            }
            Operation::UnlockWriteFair => {
                if let Some(guard) = self.writer.take() {
                    RwLockWriteGuard::unlock_fair(guard);
                    self.model.leave(Access::Write, 0);
                }
            }
            Operation::Downgrade => {
                if let Some(guard) = self.writer.take() {
                    self.readers.push(RwLockWriteGuard::downgrade(guard));
                    self.model.downgrade();
                }
            }
        }
    }

    fn keep(&mut self, entered: Entered<'a>) {
        assert!(self.writer.is_none(), "somebody is in beside a writer");
        match entered {
            Entered::Reader(guard) => {
                assert_eq!(*guard, self.written);
                self.readers.push(guard);
            }
            Entered::Writer(mut guard) => {
                assert!(self.readers.is_empty(), "a writer is in beside a reader");
                assert_eq!(*guard, self.written);
                self.written += 1;
                *guard = self.written;
                self.writer = Some(guard);
            }
        }
    }

    fn check(&self) {
        for at in (0..WAITERS).filter(|at| self.model.can_go_on(*at)) {
            self.waits.assert_woken(at);
        }
    }
}

/// What a rwlock must do.
#[derive(Default)]
struct Model {
    /// How many are in to read, those who do not know yet included.
    readers: usize,
    /// Whether one is in to write, or was let in and does not know yet.
    has_writer: bool,
    /// Who waits, and for what, first come, first.
    queue: VecDeque<(usize, Access)>,
    /// Who was let in, and does not know yet.
    let_in: Vec<usize>,
    /// How many have overtaken the first one.
    overtakers: usize,
}

impl Model {
    fn is_free(&self) -> bool {
        self.readers == 0 && !self.has_writer
    }

    /// Whether the first one can come in.
    fn is_open_to_first(&self, access: Access) -> bool {
        match access {
            Access::Read => !self.has_writer,
            Access::Write => self.is_free(),
        }
    }

    fn come_in(&mut self, access: Access) {
        match access {
            Access::Read => self.readers += 1,
            Access::Write => self.has_writer = true,
        }
    }

    /// Somebody who does not wait asks for it: whether it is had.
    fn try_enter(&mut self, access: Access) -> bool {
        let is_open = match access {
            Access::Read => {
                let is_writer = |waiter: &(usize, Access)| waiter.1 == Access::Write;
                !self.has_writer && !self.queue.iter().any(is_writer)
            }
            Access::Write => self.is_free() && self.overtakers < MOST_OVERTAKERS,
        };
        if is_open {
            if access == Access::Write && !self.queue.is_empty() {
                self.overtakers += 1;
            }
            self.come_in(access);
        }
        is_open
    }

    /// `at` asks for it, and waits if need be: whether it is had.
    fn poll(&mut self, at: usize, access: Access) -> bool {
        if let Some(place) = self.let_in.iter().position(|other| *other == at) {
            self.let_in.swap_remove(place);
            return true;
        }
        match self.place_of(at) {
            None => {
                let is_had = self.try_enter(access);
                if !is_had {
                    self.queue.push_back((at, access));
                }
                is_had
            }
            Some(0) if self.is_open_to_first(access) => {
                self.come_in(access);
                self.leave_queue(0);
                self.pass_on(MOST_OVERTAKERS);
                true
            }
            Some(_) => false,
        }
    }

    /// One goes who is in. If the next is a writer, it must be let in when it was overtaken `most`
    /// times; before that it is woken.
    fn leave(&mut self, access: Access, most: usize) {
        match access {
            Access::Read => self.readers -= 1,
            Access::Write => self.has_writer = false,
        }
        self.pass_on(most);
    }

    fn downgrade(&mut self) {
        self.has_writer = false;
        self.readers += 1;
        self.pass_on(MOST_OVERTAKERS);
    }

    fn cancel(&mut self, at: usize, access: Access) {
        if let Some(place) = self.let_in.iter().position(|other| *other == at) {
            self.let_in.swap_remove(place);
            self.leave(access, MOST_OVERTAKERS);
        } else if let Some(place) = self.place_of(at) {
            self.leave_queue(place);
            self.pass_on(MOST_OVERTAKERS);
        }
    }

    /// Lets in who must be.
    fn pass_on(&mut self, most: usize) {
        while let Some((at, access)) = self.queue.front().copied() {
            let must_wait = access == Access::Write && self.overtakers < most;
            if must_wait || !self.is_open_to_first(access) {
                return;
            }
            self.come_in(access);
            self.let_in.push(at);
            self.leave_queue(0);
        }
    }

    fn can_go_on(&self, at: usize) -> bool {
        let is_next = |first: &(usize, Access)| first.0 == at && self.is_open_to_first(first.1);
        self.let_in.contains(&at) || self.queue.front().is_some_and(is_next)
    }

    fn place_of(&self, at: usize) -> Option<usize> {
        self.queue.iter().position(|waiter| waiter.0 == at)
    }

    fn leave_queue(&mut self, place: usize) {
        self.queue.remove(place);
        if place == 0 {
            self.overtakers = 0;
        }
    }
}
