//! Whom a poll looks at first, of several futures in one task.

use crate::platform::entropy;

/// The order in which one poll of a select looks at its branches: around the circle, from a random
/// one on, in a random direction. Thus each of two ready branches comes first equally often,
/// wherever between them are branches that are not ready. In simulation it is a decision of the
/// run, so a seed replays it.
///
/// # Panics
/// If there is no branch, or there are more than `u32::MAX / 2`.
#[inline]
pub fn select_order(branches: u32) -> PollOrder {
    let twice = branches.checked_mul(2).expect("a select has too many branches");
    let drawn = entropy::below(twice);
    let step = if drawn.is_multiple_of(2) { 1 } else { branches - 1 };
    PollOrder { next: drawn / 2, step, left: branches, branches }
}

/// Numbers of branches, each once.
#[derive(Clone, Debug)]
pub struct PollOrder {
    next: u32,
    step: u32,
    left: u32,
    branches: u32,
}

impl Iterator for PollOrder {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let branch = self.next;
        let beyond = branch + self.step;
        self.next = if beyond < self.branches { beyond } else { beyond - self.branches };
        Some(branch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// The orders in which the polls of a join look at its futures: each begins one further, so that
/// the same future is not always the last to find the task's budget spent.
#[derive(Debug)]
pub struct Rotation {
    first: u32,
    futures: u32,
}

impl Rotation {
    /// Begins at the first of `futures` futures.
    #[inline]
    pub fn new(futures: u32) -> Rotation {
        Rotation { first: 0, futures }
    }

    /// The order of the next poll.
    #[inline]
    pub fn next_order(&mut self) -> PollOrder {
        let first = self.first;
        self.first = if first + 1 < self.futures { first + 1 } else { 0 };
        PollOrder { next: first, step: 1, left: self.futures, branches: self.futures }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_each_branch_once() {
        for branches in [1, 2, 3, 7, 64] {
            for _ in 0..100 {
                let order = select_order(branches);
                assert_eq!(order.size_hint().0, branches as usize);
                let mut seen: Vec<u32> = order.collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..branches));
            }
        }
    }

    #[test]
    fn every_branch_is_first_and_goes_in_both_directions() {
        let mut seen = [[false; 2]; 4];
        for _ in 0..1_000 {
            let order: Vec<u32> = select_order(4).collect();
            let is_forward = order[1] == (order[0] + 1) % 4;
            seen[order[0] as usize][usize::from(is_forward)] = true;
        }
        assert_eq!(seen, [[true; 2]; 4]);
    }

    #[test]
    fn each_of_two_branches_comes_first_equally_often_among_many() {
        let rounds = 10_000;
        let first = |wanted: [u32; 2]| {
            let found = select_order(10).find(|branch| wanted.contains(branch));
            found.expect("an order has each branch")
        };
        let lower = (0..rounds).filter(|_| first([0, 1]) == 0).count();
        assert!((rounds * 2 / 5..=rounds * 3 / 5).contains(&lower), "{lower} of {rounds}");
    }

    #[test]
    fn a_rotation_begins_one_further_each_time() {
        let mut rotation = Rotation::new(3);
        let mut next = || rotation.next_order().collect::<Vec<u32>>();
        assert_eq!([next(), next(), next()], [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(next(), [0, 1, 2]);
        assert_eq!(Rotation::new(1).next_order().collect::<Vec<u32>>(), [0]);
    }
}
