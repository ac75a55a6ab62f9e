//! PCT, probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS
//! 2010): threads have random priorities, the highest runnable one runs, and at a few random
//! steps the running thread drops below all others.
//!
//! A run of `k` choices, `n` threads and `d - 1` change points finds a bug that needs `d`
//! orderings with probability at least `1 / (n * k^(d-1))`.

use super::FAIR_AFTER;
use super::stream::Stream;

pub(super) struct Pct {
    /// By thread number; 0 = not drawn yet.
    priorities: Vec<u64>,
    /// Counts down: each thread that gives way drops below all that did before.
    lowest: u64,
    /// Steps at which the running thread gives way, descending: the next one is last.
    change_points: Vec<u64>,
    step: u64,
    /// The step at which priorities are drawn anew,
    redraw_at: u64,
    /// and the next one at which anything changes of itself.
    look_at: u64,
    /// The index that the last choice gave, while the runnable set stays the same.
    pick: Option<u32>,
}

impl Pct {
    pub(super) fn new(points: u32, expected_choices: u64, stream: &mut Stream) -> Pct {
        // A margin, so that points can fall late in runs longer than the measured one.
        let horizon = (expected_choices + expected_choices / 5).max(1);
        let mut change_points: Vec<u64> =
            (0..points).map(|_| 1 + stream.below_u64(horizon)).collect();
        change_points.sort_unstable_by(|a, b| b.cmp(a));
        Pct {
            priorities: Vec::new(),
            lowest: 1 << 32,
            change_points,
            step: 0,
            redraw_at: FAIR_AFTER,
            look_at: 0,
            pick: None,
        }
    }

    #[inline]
    pub(super) fn forget_pick(&mut self) {
        self.pick = None;
    }

    /// The index in `runnable` of the thread to run.
    #[inline]
    pub(super) fn choose(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        stream: &mut Stream,
    ) -> u32 {
        self.step += 1;
        if let Some(pick) = self.pick
            && !yielding
            && self.step < self.look_at
        {
            return pick;
        }
        self.choose_anew(runnable, current, yielding, stream)
    }

    fn choose_anew(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        stream: &mut Stream,
    ) -> u32 {
        if self.step >= self.redraw_at {
            self.priorities.fill(0);
            self.redraw_at = self.step + FAIR_AFTER;
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
        while self.change_points.last().is_some_and(|point| *point <= self.step) {
            self.change_points.pop();
            let first = runnable[self.highest(runnable) as usize];
            self.lower(first);
        }
        if yielding {
            self.lower(current);
        }
        let next_point = self.change_points.last().copied().unwrap_or(u64::MAX);
        self.look_at = next_point.min(self.redraw_at);
        let pick = self.highest(runnable);
        self.pick = Some(pick);
        pick
    }

    fn lower(&mut self, thread: u32) {
        if let Some(priority) = self.priorities.get_mut(thread as usize) {
            self.lowest -= 1;
            *priority = self.lowest;
        }
    }

    fn highest(&self, runnable: &[u32]) -> u32 {
        let priority = |index: &usize| self.priorities[runnable[*index] as usize];
        (0..runnable.len()).max_by_key(priority).unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_thread_until_a_change_point_and_then_never_returns_to_it_first() {
        let mut stream = Stream::new(3, 0);
        let mut pct = Pct::new(1, 10, &mut stream);
        let point = pct.change_points[0];
        let first = pct.choose(&[0, 1], 0, false, &mut stream);
        for step in 2..point {
            assert_eq!(pct.choose(&[0, 1], first, false, &mut stream), first, "step {step}");
        }
        if point > 1 {
            assert_ne!(pct.choose(&[0, 1], first, false, &mut stream), first);
        }
        assert!(pct.change_points.is_empty());
    }

    #[test]
    fn a_yield_lets_the_others_go_first() {
        let mut stream = Stream::new(5, 0);
        let mut pct = Pct::new(0, 10, &mut stream);
        let first = pct.choose(&[0, 1, 2], 0, false, &mut stream);
        let second = pct.choose(&[0, 1, 2], first, true, &mut stream);
        let third = pct.choose(&[0, 1, 2], second, true, &mut stream);
        let mut order = [first, second, third];
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn a_thread_that_spins_gives_way_at_last() {
        let mut stream = Stream::new(9, 0);
        let mut pct = Pct::new(0, 10, &mut stream);
        let first = pct.choose(&[0, 1], 0, false, &mut stream);
        let gave_way =
            (0..2 * FAIR_AFTER).any(|_| pct.choose(&[0, 1], first, false, &mut stream) != first);
        assert!(gave_way);
    }
}
