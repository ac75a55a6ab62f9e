//! SURW, selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025): a
//! thread goes next with a probability in proportion to what it still has to do, so that all
//! interleavings of the operations that count are equally likely.
//!
//! What counts is drawn for each run: the uses of one shared object, mostly. The thread whose
//! such operation comes next, the intended one, is drawn by the numbers of those still to come,
//! as the [`Profile`] of an earlier run has them; others are held before theirs until it has done
//! its own. Between these operations threads run by random priorities.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::profile::{Ancestry, Place, Profile};
use super::stream::Stream;
use crate::kernel::event::Operation;

/// After so many choices without an operation that counts, the intended thread waits for another
/// one, or spins: all is drawn anew.
const PATIENCE: u64 = 1_000;
/// In one run of this many, every operation counts.
const ALL_ONE_IN: u32 = 8;

pub(super) struct Surw {
    profile: Arc<Profile>,
    /// The places whose operations count; `None` = all.
    counted: Option<BTreeSet<Place>>,
    ancestry: Ancestry,
    /// Operations that count and are still to come, by thread number, at least 1. Those of threads
    /// that have not started are their parent's.
    remaining: Vec<u64>,
    /// By thread number; 0 = not drawn yet.
    priorities: Vec<u64>,
    gave_way: u64,
    intended: Option<u32>,
    /// Choices since an operation that counts was done.
    waited: u64,
}

impl Surw {
    pub(super) fn new(profile: Arc<Profile>, stream: &mut Stream) -> Surw {
        let shared = profile.shared();
        let counted = if shared.is_empty() || stream.below(ALL_ONE_IN) == 0 {
            None
        } else {
            Some(shared[stream.below(shared.len() as u32) as usize].clone())
        };
        let mut surw = Surw {
            profile,
            counted,
            ancestry: Ancestry::new(),
            remaining: Vec::new(),
            priorities: Vec::new(),
            gave_way: 0,
            intended: None,
            waited: 0,
        };
        let all = surw.profile.with_descendants(&[], |place| surw.counts(place));
        surw.remaining.push(all.max(1));
        surw
    }

    /// What the run drew, for its report.
    pub(super) fn describe(&self) -> String {
        let Some(places) = &self.counted else { return "surw over all operations".to_owned() };
        let first = places.first().map_or_else(String::new, ToString::to_string);
        match places.len() {
            1 => format!("surw over the operations at {first}"),
            count => format!("surw over the operations at {first} and {} more places", count - 1),
        }
    }

    fn counts(&self, place: Place) -> bool {
        self.counted.as_ref().is_none_or(|places| places.contains(place))
    }

    /// A new thread, whose number is the next one: what it will do was its parent's so far.
    pub(super) fn spawned(&mut self, parent: u32, child: u32, stream: &mut Stream) {
        let path = self.ancestry.spawned(parent).to_vec();
        let counts = |place| self.counts(place);
        let moved = self.profile.with_descendants(&path, counts);
        let before = self.remaining[parent as usize];
        self.remaining[parent as usize] = before.saturating_sub(moved).max(1);
        self.remaining.push(moved.max(1));
        // The parent was intended for its own operations and for those of the child.
        if self.intended == Some(parent) && stream.below_u64(before.max(moved)) < moved {
            self.intended = Some(child);
        }
    }

    /// The index in `runnable` of the thread to run.
    pub(super) fn choose(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: &dyn Fn(u32) -> Operation,
        stream: &mut Stream,
    ) -> u32 {
        self.waited += 1;
        if self.waited >= PATIENCE {
            self.waited = 0;
            self.intended = None;
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
        if yielding {
            self.give_way(current);
        }
        let intended = match self.intended {
            Some(thread) if runnable.contains(&thread) => thread,
            _ => self.draw_intended(runnable, yielding.then_some(current), stream),
        };
        self.intended = Some(intended);
        let held = |thread| thread != intended && self.counts(posted(thread).place);
        let index = (0..runnable.len())
            .filter(|index| !held(runnable[*index]))
            .max_by_key(|index| self.priorities[runnable[*index] as usize])
            .unwrap_or(0);
        let chosen = runnable[index];
        self.executed(chosen, posted(chosen));
        index as u32
    }

    /// The thread does this operation, there being no other to choose.
    pub(super) fn ran_alone(&mut self, thread: u32, operation: Operation) {
        self.executed(thread, operation);
    }

    /// One of `runnable` but `except`, in proportion to what each has to do.
    fn draw_intended(&self, runnable: &[u32], except: Option<u32>, stream: &mut Stream) -> u32 {
        let candidates = || runnable.iter().copied().filter(|thread| Some(*thread) != except);
        let all: u64 = candidates().map(|thread| self.remaining[thread as usize]).sum();
        let mut drawn = stream.below_u64(all.max(1));
        for thread in candidates() {
            let own = self.remaining[thread as usize];
            if drawn < own {
                return thread;
            }
            drawn -= own;
        }
        runnable[0]
    }

    fn give_way(&mut self, thread: u32) {
        self.gave_way += 1;
        if let Some(priority) = self.priorities.get_mut(thread as usize) {
            *priority = (1 << 32) - self.gave_way;
        }
        if self.intended == Some(thread) {
            self.intended = None;
        }
    }

    fn executed(&mut self, thread: u32, operation: Operation) {
        if !self.counts(operation.place) {
            return;
        }
        let remaining = &mut self.remaining[thread as usize];
        *remaining = (*remaining - 1).max(1);
        if let Some(priority) = self.priorities.get_mut(thread as usize) {
            *priority = 0;
        }
        self.intended = None;
        self.waited = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::super::profile::Census;
    use super::*;
    use crate::kernel::event::OperationKind;

    fn store(object: u32) -> Operation {
        Operation::new(OperationKind::Store, object, Location::caller())
    }

    /// Three threads, of which the last two store to one object this often.
    fn profile(second: u64, third: u64) -> Arc<Profile> {
        let mut census = Census::new();
        census.spawned(0);
        census.spawned(0);
        (0..second).for_each(|_| census.executed(1, store(1)));
        (0..third).for_each(|_| census.executed(2, store(1)));
        Arc::new(census.finish())
    }

    #[test]
    fn interleavings_are_equally_likely() {
        // One operation of thread 1 among nine of thread 2: each of the ten positions.
        let profile = profile(1, 9);
        let mut positions = [0; 10];
        for seed in 0..2_000 {
            let mut stream = Stream::new(seed, 0);
            let mut surw = Surw::new(Arc::clone(&profile), &mut stream);
            surw.spawned(0, 1, &mut stream);
            surw.spawned(0, 2, &mut stream);
            let mut position = 0;
            while surw.choose(&[1, 2], 2, false, &|_| store(1), &mut stream) == 1 {
                position += 1;
                if position == 9 {
                    break;
                }
            }
            positions[position] += 1;
        }
        // 200 each: six standard deviations are 81.
        assert!(positions.iter().all(|count| (120..=280).contains(count)), "{positions:?}");
    }

    #[test]
    fn what_a_child_will_do_is_its_parents_until_it_starts() {
        let mut stream = Stream::new(1, 0);
        let mut surw = Surw::new(profile(3, 4), &mut stream);
        assert_eq!(surw.remaining, [7]);
        surw.spawned(0, 1, &mut stream);
        assert_eq!(surw.remaining, [4, 3]);
        surw.spawned(0, 2, &mut stream);
        assert_eq!(surw.remaining, [1, 3, 4]);
        surw.spawned(0, 3, &mut stream);
        assert_eq!(surw.remaining, [1, 3, 4, 1], "a thread that nobody has counted");
    }

    #[test]
    fn an_intended_thread_that_spins_gives_way_at_last() {
        let mut stream = Stream::new(4, 0);
        let mut surw = Surw::new(profile(5, 5), &mut stream);
        surw.counted = Some(BTreeSet::from([store(1).place]));
        surw.spawned(0, 1, &mut stream);
        surw.spawned(0, 2, &mut stream);
        surw.intended = Some(1);
        // Thread 1 does what does not count, thread 2 is held before what does.
        let posted = |thread: u32| match thread {
            1 => Operation::new(OperationKind::Load, 2, Location::caller()),
            _ => store(1),
        };
        let went =
            (0..100 * PATIENCE).any(|_| surw.choose(&[1, 2], 1, false, &posted, &mut stream) == 1);
        assert!(went);
    }

    #[test]
    fn a_yield_lets_the_other_go_first() {
        let mut stream = Stream::new(6, 0);
        let mut surw = Surw::new(profile(5, 5), &mut stream);
        surw.spawned(0, 1, &mut stream);
        surw.spawned(0, 2, &mut stream);
        let yields = |_: u32| Operation::new(OperationKind::Yield, 0, Location::caller());
        for (current, other) in [(1, 1), (2, 0), (1, 1)] {
            assert_eq!(surw.choose(&[1, 2], current, true, &yields, &mut stream), other);
        }
    }
}
