//! Why a schedule fails: two steps of different threads, done to one object, which in the other
//! order let the run pass.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Trials, Verdict};
use crate::decide::{Guide, Step};
use crate::kernel::event::{Family, ObjectId, Operation};

/// How many later uses of an object each use is paired with, at most.
const LOOK_AHEAD: usize = 16;
/// How many pairs are tried each way, at most.
const MOST_PAIRS: usize = 100;

/// A step of a thread.
struct Run {
    /// Its place among all steps.
    index: usize,
    thread: u32,
    operation: Operation,
    woken: bool,
    /// Pre-emptions up to here.
    preemptions: usize,
}

/// Another order of a run's threads: two of its steps change places. With it, how much of the order
/// there is until both are done.
type Reorder = fn(&[Run], usize, usize) -> (Vec<u32>, usize);

/// The places, among all steps of the run of `guide`, of the two that explain its failure. Each
/// pair is tried by a run in which the second comes right before the first; then by one in which
/// the first comes after all that others did until its thread ran again, the pre-emption so much
/// earlier: where three threads add to a number, it takes both others to come before.
pub(super) fn explain(trials: &mut Trials<'_>, guide: &Guide) -> Option<[usize; 2]> {
    let runs = runs(guide.steps()?);
    let pairs = pairs(&runs);
    for reorder in [swapped, held_back as Reorder] {
        for &(first, second) in pairs.iter().take(MOST_PAIRS) {
            if trials.is_over() {
                return None;
            }
            let (order, length) = reorder(&runs, first, second);
            let order = Guide::of_order(order, guide.departures(), trials.step_limit);
            let (verdict, done, _) = trials.run(order);
            // A run that strayed before the two has passed for another reason.
            if matches!(verdict, Verdict::Passes) && done.followed() >= length {
                return Some([runs[first].index, runs[second].index]);
            }
        }
    }
    None
}

fn runs(steps: &[Step]) -> Vec<Run> {
    let mut preemptions = 0;
    let mut runs = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Step::Runs { thread, operation, woken, preempts } = *step else { continue };
        preemptions += usize::from(preempts.is_some());
        runs.push(Run { index, thread, operation, woken, preemptions });
    }
    runs
}

/// Steps whose order can matter, each with the first such step of another thread, the likeliest
/// first: those with a pre-emption between them, which the search could not do without, and of
/// those the ones that follow each other closest.
fn pairs(runs: &[Run]) -> Vec<(usize, usize)> {
    let mut uses: BTreeMap<(Family, ObjectId), Vec<usize>> = BTreeMap::new();
    for (position, run) in runs.iter().enumerate() {
        if let Some((family, object, _)) = run.operation.access()
            && !run.woken
        {
            uses.entry((family, object)).or_default().push(position);
        }
    }
    let mut pairs = Vec::new();
    for positions in uses.values() {
        for (at, &first) in positions.iter().enumerate() {
            let mut paired = vec![runs[first].thread];
            for &second in positions[at + 1..].iter().take(LOOK_AHEAD) {
                let (one, other) = (&runs[first], &runs[second]);
                if !paired.contains(&other.thread) && one.operation.races_with(&other.operation) {
                    paired.push(other.thread);
                    pairs.push((first, second));
                }
            }
        }
    }
    pairs.sort_by_key(|&(first, second)| {
        let is_between = runs[second].preemptions > runs[first].preemptions;
        (!is_between, second - first, Reverse(first))
    });
    pairs
}

/// Who runs, step by step, when the thread of `second` comes to that right before `first` is
/// done; and how many of these steps there are up to the two.
fn swapped(runs: &[Run], first: usize, second: usize) -> (Vec<u32>, usize) {
    let (held_back, brought_forward) = (runs[first].thread, runs[second].thread);
    let threads = |runs: &[Run]| runs.iter().map(|run| run.thread).collect::<Vec<u32>>();
    let between = threads(&runs[first + 1..=second]);
    let (forward, rest): (Vec<u32>, Vec<u32>) =
        between.into_iter().partition(|thread| *thread == brought_forward);
    let mut order = threads(&runs[..first]);
    order.extend(forward);
    order.push(held_back);
    let length = order.len();
    order.extend(rest);
    order.extend(threads(&runs[second + 1..]));
    (order, length)
}

/// As [`swapped`], when the thread of `first` stands back right before that, and goes on where it
/// did after `second`.
fn held_back(runs: &[Run], first: usize, second: usize) -> (Vec<u32>, usize) {
    let held_back = runs[first].thread;
    let returns = runs[second..].iter().position(|run| run.thread == held_back);
    let end = returns.map_or(runs.len(), |after| second + after);
    let threads = |runs: &[Run]| runs.iter().map(|run| run.thread).collect::<Vec<u32>>();
    let between = threads(&runs[first..end]);
    let (own, others): (Vec<u32>, Vec<u32>) =
        between.into_iter().partition(|thread| *thread == held_back);
    let mut order = threads(&runs[..first]);
    order.extend(others);
    let length = order.len() + 1;
    order.extend(own);
    order.extend(threads(&runs[end..]));
    (order, length)
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::kernel::event::OperationKind;

    /// Two threads load and store one object each, the second between the two of the first.
    fn lost_update() -> Vec<Run> {
        let step = |index: usize, thread: u32, kind: OperationKind, preemptions: usize| {
            let operation = Operation::new(kind, 1, Location::caller());
            Run { index, thread, operation, woken: false, preemptions }
        };
        vec![
            step(0, 1, OperationKind::Load, 0),
            step(1, 2, OperationKind::Load, 1),
            step(2, 2, OperationKind::Store, 1),
            step(3, 1, OperationKind::Store, 1),
        ]
    }

    #[test]
    fn pairs_around_a_preemption_come_first() {
        // Then the two stores, and the second thread's load with the first one's store.
        assert_eq!(pairs(&lost_update()), [(0, 2), (2, 3), (1, 3)]);
    }

    #[test]
    fn the_second_of_a_pair_comes_right_before_the_first() {
        let runs = lost_update();
        assert_eq!(swapped(&runs, 0, 2), (vec![2, 2, 1, 1], 3));
        assert_eq!(swapped(&runs, 2, 3), (vec![1, 2, 1, 2], 4));
        assert_eq!(swapped(&runs, 1, 3), (vec![1, 1, 2, 2], 3));
    }

    #[test]
    fn a_thread_is_held_back_until_it_ran_again() {
        let mut runs = lost_update();
        assert_eq!(held_back(&runs, 0, 2), (vec![2, 2, 1, 1], 3));
        runs.swap(2, 3);
        // It ran again between the two steps of the other one.
        assert_eq!(held_back(&runs, 0, 1), (vec![2, 1, 1, 2], 2));
    }
}
