//! The semaphore: permits in the order of the requests, but for a number of overtakers; none lost
//! and none made.

use std::collections::VecDeque;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::{Closed, Permit, Semaphore};

use crate::waits::Waits;
use crate::{Index, WAITERS};

/// How many may overtake the first one who waits before permits are gathered for it.
const MOST_OVERTAKERS: usize = 16;

/// A semaphore, and what is done to it.
#[derive(Arbitrary, Debug)]
pub struct Input {
    /// Its permits.
    pub permits: Count,
    /// What is done to it.
    pub operations: Vec<Operation>,
}

/// A few permits.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Count(u8);

impl Count {
    fn get(self) -> usize {
        usize::from(self.0 % 5)
    }
}

/// What is done to the semaphore.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Takes permits, if they are free.
    TryAcquire(Count),
    /// Makes a future of permits.
    Begin(Index, Count),
    /// Polls it.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Gives permits back.
    Release(Index),
    /// Keeps permits for good.
    Keep(Index),
    /// Takes some permits out of others.
    Split(Index, Count),
    /// Adds permits.
    Add(Count),
    /// Takes free permits away.
    Forget(Count),
    /// Closes the semaphore.
    Close,
}

/// Carries the operations out.
///
/// # Panics
/// If the semaphore is not as it must be.
pub fn run(input: &Input) {
    let permits = input.permits.get();
    let semaphore = Semaphore::new(permits);
    let mut interpreter = Interpreter {
        semaphore: &semaphore,
        held: Vec::new(),
        waits: Waits::default(),
        wanted: [0; WAITERS],
        model: Model { permits, ..Model::default() },
        all: permits,
    };
    for operation in &input.operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    let all = interpreter.all;
    drop(interpreter);
    assert_eq!(semaphore.available_permits(), all);
    assert_eq!(semaphore.waiter_count(), 0);
}

struct Interpreter<'a> {
    semaphore: &'a Semaphore,
    held: Vec<Permit<'a>>,
    waits: Waits<'a, Result<Permit<'a>, Closed>>,
    /// What each of those who wait wants.
    wanted: [usize; WAITERS],
    model: Model,
    /// How many permits there are.
    all: usize,
}

impl Interpreter<'_> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::TryAcquire(count) => {
                let permit = self.semaphore.try_acquire(count.get());
                assert_eq!(permit.is_some(), self.model.try_acquire(count.get()));
                self.held.extend(permit);
            }
            Operation::Begin(Index(at), count) => {
                if self.waits.is_free(at) {
                    self.wanted[at] = count.get();
                    self.waits.begin(at, self.semaphore.acquire(count.get()));
                }
            }
            Operation::Poll(Index(at)) => {
                if !self.waits.is_free(at) {
                    self.poll(at);
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                self.model.cancel(at);
            }
            Operation::Release(Index(at)) => {
                if let Some(permit) = self.take(at) {
                    let permits = permit.permits();
                    drop(permit);
                    // One of nothing brings nobody to the queue.
                    if permits > 0 {
                        self.model.release(permits);
                    }
                }
            }
            Operation::Keep(Index(at)) => {
                if let Some(permit) = self.take(at) {
                    self.all -= permit.permits();
                    permit.forget();
                }
            }
            Operation::Split(Index(at), count) => {
                if self.held.is_empty() {
                    return;
                }
                let at = at % self.held.len();
                let before = self.held[at].permits();
                let taken = self.held[at].split(count.get());
                assert_eq!(taken.is_some(), before >= count.get());
                if let Some(taken) = taken {
                    assert_eq!(taken.permits(), count.get());
                    assert_eq!(self.held[at].permits(), before - count.get());
                    self.held.push(taken);
                }
            }
            Operation::Add(count) => {
                self.semaphore.add_permits(count.get());
                self.model.release(count.get());
                self.all += count.get();
            }
            Operation::Forget(count) => {
                let forgotten = self.semaphore.forget_permits(count.get());
                assert_eq!(forgotten, count.get().min(self.model.free()));
                self.model.permits -= forgotten;
                self.all -= forgotten;
            }
            Operation::Close => {
                self.semaphore.close();
                self.model.close();
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let wanted = self.wanted[at];
        let polled = self.waits.poll(at);
        let expected = self.model.poll(at, wanted);
        match polled {
            Poll::Pending => assert_eq!(expected, Poll::Pending),
            Poll::Ready(Ok(permit)) => {
                assert_eq!(expected, Poll::Ready(true));
                assert_eq!(permit.permits(), wanted);
                self.held.push(permit);
            }
            Poll::Ready(Err(_)) => assert_eq!(expected, Poll::Ready(false)),
        }
    }

    fn check(&self) {
        assert_eq!(self.semaphore.available_permits(), self.model.free());
        assert_eq!(self.semaphore.waiter_count(), self.model.queue.len());
        assert_eq!(self.semaphore.is_closed(), self.model.is_closed);
        for served in &self.model.served {
            self.waits.assert_woken(served.waiter);
        }
        if let Some(next) = self.model.next() {
            self.waits.assert_woken(next);
        }
    }
}

impl<'a> Interpreter<'a> {
    /// Some permits that are held.
    fn take(&mut self, at: usize) -> Option<Permit<'a>> {
        let at = at.checked_rem(self.held.len())?;
        Some(self.held.swap_remove(at))
    }
}

/// One who waits, and how many permits it wants.
#[derive(Clone, Copy)]
struct Request {
    waiter: usize,
    wanted: usize,
}

/// One who has an answer, and does not know yet.
struct Served {
    waiter: usize,
    /// The permits that it has; none if it is told of the close.
    permits: Option<usize>,
}

/// What a semaphore must do.
#[derive(Default)]
struct Model {
    /// Those that are free, or gathered for the first one who waits.
    permits: usize,
    queue: VecDeque<Request>,
    /// How many have overtaken the first one.
    overtakers: usize,
    /// Whether there was enough for the first one since it last looked, or became the first.
    is_offered: bool,
    served: Vec<Served>,
    is_closed: bool,
}

impl Model {
    /// Whether nobody may overtake the first one any more.
    fn is_barred(&self) -> bool {
        self.overtakers == MOST_OVERTAKERS
    }

    fn free(&self) -> usize {
        if self.is_barred() { 0 } else { self.permits }
    }

    /// The first one who waits, if there is enough for it.
    fn first_enough(&self) -> Option<Request> {
        self.queue.front().copied().filter(|first| first.wanted <= self.permits)
    }

    /// The first one, if there was enough for it, which others may have taken since.
    fn next(&self) -> Option<usize> {
        let first = self.queue.front()?.waiter;
        assert!(
            self.is_offered || self.first_enough().is_none(),
            "the model lets {first} sleep beside its permits"
        );
        self.is_offered.then_some(first)
    }

    /// Somebody who does not wait takes permits, if it may. Whoever wants nothing overtakes nobody.
    fn try_acquire(&mut self, wanted: usize) -> bool {
        let is_had = !self.is_closed && wanted <= self.free();
        if is_had {
            self.permits -= wanted;
            if wanted > 0 && !self.queue.is_empty() {
                self.overtakers += 1;
            }
        }
        is_had
    }

    /// Ready with whether there are permits.
    fn poll(&mut self, waiter: usize, wanted: usize) -> Poll<bool> {
        if let Some(place) = self.served.iter().position(|served| served.waiter == waiter) {
            return Poll::Ready(self.served.swap_remove(place).permits.is_some());
        }
        match self.place_of(waiter) {
            None if self.is_closed => Poll::Ready(false),
            None if self.try_acquire(wanted) => Poll::Ready(true),
            None => {
                self.queue.push_back(Request { waiter, wanted });
                Poll::Pending
            }
            Some(0) if self.first_enough().is_some() => {
                self.permits -= wanted;
                self.leave(0);
                Poll::Ready(true)
            }
            Some(0) => {
                self.is_offered = false;
                Poll::Pending
            }
            Some(_) => Poll::Pending,
        }
    }

    fn release(&mut self, permits: usize) {
        self.permits += permits;
        if self.is_barred()
            && let Some(Request { waiter, wanted }) = self.first_enough()
        {
            self.permits -= wanted;
            self.served.push(Served { waiter, permits: Some(wanted) });
            self.leave(0);
        }
        self.is_offered |= self.first_enough().is_some();
    }

    fn cancel(&mut self, waiter: usize) {
        if let Some(place) = self.served.iter().position(|served| served.waiter == waiter) {
            if let Some(permits) = self.served.swap_remove(place).permits {
                self.release(permits);
            }
        } else if let Some(place) = self.place_of(waiter) {
            self.leave(place);
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        while let Some(Request { waiter, .. }) = self.queue.front().copied() {
            self.served.push(Served { waiter, permits: None });
            self.leave(0);
        }
    }

    fn place_of(&self, waiter: usize) -> Option<usize> {
        self.queue.iter().position(|request| request.waiter == waiter)
    }

    /// One leaves the queue, and the next one is offered what is there.
    fn leave(&mut self, place: usize) {
        self.queue.remove(place);
        if place == 0 {
            self.overtakers = 0;
            self.is_offered = self.first_enough().is_some();
        }
    }
}
