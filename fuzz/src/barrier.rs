//! The barrier: nobody goes on before all have come.

use std::mem;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::{Barrier, BarrierWaitResult};

use crate::waits::Waits;
use crate::{Index, WAITERS};

/// A barrier, and what is done to it.
#[derive(Arbitrary, Debug)]
pub struct Input {
    /// How many each one waits for, of which few are counted.
    pub others: u8,
    /// What is done to it.
    pub operations: Vec<Operation>,
}

/// What is done to the barrier.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Makes a future of a wait.
    Begin(Index),
    /// Polls it.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
}

/// Carries the operations out.
///
/// # Panics
/// If the barrier is not as it must be.
pub fn run(input: &Input) {
    let size = 1 + usize::from(input.others % 4);
    let barrier = Barrier::new(size);
    let mut interpreter = Interpreter {
        barrier: &barrier,
        size,
        waits: Waits::default(),
        arrived: Vec::new(),
        released: [false; WAITERS],
    };
    for operation in &input.operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(barrier.arrived_count(), 0);
}

struct Interpreter<'a> {
    barrier: &'a Barrier,
    size: usize,
    waits: Waits<'a, BarrierWaitResult>,
    /// Who waits for the others.
    arrived: Vec<usize>,
    /// Who can go on, and does not know yet.
    released: [bool; WAITERS],
}

impl Interpreter<'_> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Begin(Index(at)) => {
                if self.waits.is_free(at) {
                    self.waits.begin(at, self.barrier.wait());
                }
            }
            Operation::Poll(Index(at)) => {
                if !self.waits.is_free(at) {
                    let polled = self.waits.poll(at).map(|result| result.is_leader());
                    assert_eq!(polled, self.arrive(at));
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                self.arrived.retain(|other| *other != at);
                self.released[at] = false;
            }
        }
    }

    /// Ready with whether it is the leader.
    fn arrive(&mut self, at: usize) -> Poll<bool> {
        if mem::take(&mut self.released[at]) {
            return Poll::Ready(false);
        }
        if self.arrived.contains(&at) {
            return Poll::Pending;
        }
        if self.arrived.len() + 1 < self.size {
            self.arrived.push(at);
            return Poll::Pending;
        }
        for other in self.arrived.drain(..) {
            self.released[other] = true;
        }
        Poll::Ready(true)
    }

    fn check(&self) {
        assert_eq!(self.barrier.arrived_count(), self.arrived.len());
        for at in (0..WAITERS).filter(|at| self.released[*at]) {
            self.waits.assert_woken(at);
        }
    }
}
