//! POS, partial-order sampling (Yuan, Yang, Gu, CAV 2018): each pending operation has a random
//! priority, the highest runs, and those that race with it are given new ones.
//!
//! An order of operations that do not race is one partial order whichever way it falls; because
//! only races draw again, the runs spread over partial orders instead of over interleavings. There
//! is nothing to measure or to set.

use super::FAIR_AFTER;
use super::stream::Stream;
use crate::kernel::event::Operation;

#[derive(Default)]
pub(super) struct Pos {
    /// Of the pending operation of each thread, by thread number; 0 = not drawn yet.
    priorities: Vec<u64>,
    /// How often a thread gave way: each one that does drops below all that did before.
    gave_way: u64,
    step: u64,
}

impl Pos {
    /// The index in `runnable` of the thread to run.
    pub(super) fn choose(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: &dyn Fn(u32) -> Operation,
        stream: &mut Stream,
    ) -> u32 {
        self.step += 1;
        if self.step.is_multiple_of(FAIR_AFTER) {
            // Threads that spin draw at each step: many of them would outbid one that waits with
            // a low priority, for ever.
            self.priorities.fill(0);
        }
        for &thread in runnable {
            let thread = thread as usize;
            if self.priorities.len() <= thread {
                self.priorities.resize(thread + 1, 0);
            }
            if self.priorities[thread] == 0 {
                self.priorities[thread] = (1 << 32) | stream.next_u64();
            }
        }
        if yielding && let Some(priority) = self.priorities.get_mut(current as usize) {
            self.gave_way += 1;
            *priority = (1 << 32) - self.gave_way;
        }
        let priority = |index: &usize| self.priorities[runnable[*index] as usize];
        let index = (0..runnable.len()).max_by_key(priority).unwrap_or(0);
        let chosen = runnable[index];
        let operation = posted(chosen);
        for &thread in runnable {
            if thread == chosen || posted(thread).races_with(&operation) {
                self.priorities[thread as usize] = 0;
            }
        }
        index as u32
    }

    /// The thread does its operation, there being no other to choose.
    pub(super) fn ran_alone(&mut self, thread: u32) {
        if let Some(priority) = self.priorities.get_mut(thread as usize) {
            *priority = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::kernel::event::OperationKind;

    fn store(object: u32) -> Operation {
        Operation::new(OperationKind::Store, object, Location::caller())
    }

    #[test]
    fn what_races_with_the_chosen_operation_draws_again_and_the_rest_does_not() {
        let mut stream = Stream::new(1, 0);
        let mut pos = Pos::default();
        // Threads 0 and 1 store to one object, thread 2 to another.
        let posted = |thread: u32| store(if thread == 2 { 8 } else { 7 });
        let mut races = 0;
        for _ in 0..100 {
            pos.choose(&[0, 1, 2], 0, false, &posted, &mut stream);
            let drawn = [0, 1, 2].map(|thread| pos.priorities[thread] != 0);
            match drawn {
                [false, false, true] => races += 1,
                [true, true, false] => {}
                other => panic!("{other:?}"),
            }
        }
        assert!((1..100).contains(&races), "{races}");
    }

    #[test]
    fn every_thread_is_chosen_first_by_some_seed() {
        let first = |seed| {
            let mut stream = Stream::new(seed, 0);
            Pos::default().choose(&[0, 1, 2], 0, false, &|_| store(1), &mut stream)
        };
        let mut seen = [false; 3];
        for seed in 0..50 {
            seen[first(seed) as usize] = true;
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn a_yield_lets_all_others_go_first() {
        let mut stream = Stream::new(5, 0);
        let mut pos = Pos::default();
        let yields = |_: u32| Operation::new(OperationKind::Yield, 0, Location::caller());
        for current in [0, 1, 0, 1, 0] {
            let next = pos.choose(&[0, 1], current, true, &yields, &mut stream);
            assert_ne!(next, current);
        }
    }

    #[test]
    fn an_operation_done_alone_leaves_no_priority_to_the_next() {
        let mut stream = Stream::new(2, 0);
        let mut pos = Pos::default();
        pos.choose(&[0, 1], 0, false, &store, &mut stream);
        pos.ran_alone(0);
        pos.ran_alone(1);
        assert_eq!(pos.priorities, [0, 0]);
    }
}
