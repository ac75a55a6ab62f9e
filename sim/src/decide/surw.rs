//! SURW, selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025): a
//! thread goes next with a probability in proportion to what it still has to do, so that all
//! interleavings of the operations that count are equally likely.
//!
//! What counts is drawn for each run: the uses of one shared object, mostly, which is known by the
//! places in the source at which it is used. The thread whose such operation comes next, the
//! intended one, is drawn by the numbers of those still to come, as the [`Profile`] of an earlier
//! run has them; others are held before theirs until it has done its own. Between these operations
//! threads run by random priorities.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::profile::{Ancestry, Class, Counts, Profile};
use super::stream::Stream;
use crate::kernel::event::{Family, ObjectId, Operation};

/// After so many choices without an operation that counts, the intended thread waits for another
/// one, or spins: all is drawn anew.
const PATIENCE: u64 = 1_000;
/// In one run of this many, every operation counts.
const ALL_ONE_IN: u32 = 8;

/// Which operations of a run count: those on the objects of one class, or all.
///
/// An object is of the class as long as it has been seen at places of the class only. One place
/// says little where a helper uses several objects; those that are not of the class give
/// themselves away by their first use elsewhere.
struct Selection {
    profile: Arc<Profile>,
    /// The index of the class in the profile; `None` = all operations count.
    class: Option<usize>,
    /// Objects that have been seen at places outside of the class.
    others: BTreeSet<(Family, ObjectId)>,
}

impl Selection {
    /// One of the classes, or all operations if nothing is shared, and in a few runs besides.
    fn draw(profile: Arc<Profile>, stream: &mut Stream) -> Selection {
        let classes = profile.classes().len() as u32;
        let class = if classes == 0 || stream.below(ALL_ONE_IN) == 0 {
            None
        } else {
            Some(stream.below(classes) as usize)
        };
        Selection { profile, class, others: BTreeSet::new() }
    }

    fn class(&self) -> Option<&Class> {
        self.class.map(|index| &self.profile.classes()[index])
    }

    /// How many operations count, as an earlier run has them.
    fn counts(&self) -> &Counts {
        self.class().map_or_else(|| self.profile.all(), Class::counts)
    }

    /// Whether an operation counts that a thread is about to do, as far as the ones seen before it
    /// tell. Remembers where its object is used.
    fn see(&mut self, operation: Operation) -> bool {
        let Some(class) = self.class() else { return true };
        let Some((family, object, _)) = operation.access() else { return false };
        // First, as numbers are compared faster than places.
        if self.others.contains(&(family, object)) {
            return false;
        }
        let fits = class.places().contains(operation.place);
        if !fits {
            self.others.insert((family, object));
        }
        fits
    }

    /// Whether an operation that was found to count still does, after what was seen since.
    fn still_counts(&self, operation: Operation) -> bool {
        match operation.access() {
            Some((family, object, _)) => !self.others.contains(&(family, object)),
            None => self.class.is_none(),
        }
    }
}

pub(super) struct Surw {
    selection: Selection,
    ancestry: Ancestry,
    /// Operations that count and are still to come, by thread number, at least 1. Those of threads
    /// that have not started are their parent's.
    remaining: Vec<u64>,
    /// By thread number; 0 = not drawn yet.
    priorities: Vec<u64>,
    /// Whether what each runnable thread is about to do counts, by its index. Kept from choice to
    /// choice for its memory only.
    counting: Vec<bool>,
    gave_way: u64,
    intended: Option<u32>,
    /// Choices since an operation that counts was done.
    waited: u64,
}

impl Surw {
    pub(super) fn new(profile: Arc<Profile>, stream: &mut Stream) -> Surw {
        let selection = Selection::draw(profile, stream);
        let all = selection.counts().with_descendants(&[]);
        Surw {
            selection,
            ancestry: Ancestry::new(),
            remaining: vec![all.max(1)],
            priorities: Vec::new(),
            counting: Vec::new(),
            gave_way: 0,
            intended: None,
            waited: 0,
        }
    }

    /// What the run drew, for its report.
    pub(super) fn describe(&self) -> String {
        let Some(class) = self.selection.class() else {
            return "surw over all operations".to_owned();
        };
        let places = class.places();
        let first = places.first().map_or_else(String::new, ToString::to_string);
        match places.len() {
            1 => format!("surw over the operations at {first}"),
            count => format!("surw over the operations at {first} and {} more places", count - 1),
        }
    }

    /// A new thread, whose number is the next one: what it will do was its parent's so far.
    pub(super) fn spawned(&mut self, parent: u32, child: u32, stream: &mut Stream) {
        let path = self.ancestry.spawned(parent);
        let moved = self.selection.counts().with_descendants(path);
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
        self.judge(runnable, posted);
        let held = |index: usize| runnable[index] != intended && self.counting[index];
        let index = (0..runnable.len())
            .filter(|index| !held(*index))
            .max_by_key(|index| self.priorities[runnable[*index] as usize])
            .unwrap_or(0);
        self.executed(runnable[index], self.counting[index]);
        index as u32
    }

    /// Finds out which of these threads are before operations that count.
    fn judge(&mut self, runnable: &[u32], posted: &dyn Fn(u32) -> Operation) {
        let Surw { selection, counting, .. } = self;
        counting.clear();
        counting.extend(runnable.iter().map(|thread| selection.see(posted(*thread))));
        // A thread further on may be about to use the object elsewhere.
        for (counts, thread) in counting.iter_mut().zip(runnable) {
            *counts = *counts && selection.still_counts(posted(*thread));
        }
    }

    /// The thread does this operation, there being no other to choose.
    pub(super) fn ran_alone(&mut self, thread: u32, operation: Operation) {
        let counts = self.selection.see(operation);
        self.executed(thread, counts);
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

    fn executed(&mut self, thread: u32, counts: bool) {
        if !counts {
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

    /// Stores to the second word, at a place of their own.
    fn store_second(object: u32) -> Operation {
        Operation::new(OperationKind::Store, object, Location::caller())
    }

    /// What both words are loaded through.
    fn load(object: u32) -> Operation {
        Operation::new(OperationKind::Load, object, Location::caller())
    }

    /// So many threads store to one word and then to another; the thread after them loads both.
    fn two_words(writers: u32) -> Arc<Profile> {
        let mut census = Census::new();
        (0..=writers).for_each(|_| census.spawned(0));
        for writer in 1..=writers {
            census.executed(writer, store(1));
            census.executed(writer, store_second(2));
        }
        census.executed(writers + 1, load(1));
        census.executed(writers + 1, load(2));
        Arc::new(census.finish())
    }

    /// The class of the first of two words.
    fn first_word(profile: &Profile) -> Option<usize> {
        profile.classes().iter().position(|class| class.places().contains(store(0).place))
    }

    #[test]
    fn an_object_is_of_the_class_until_it_is_seen_elsewhere() {
        let profile = two_words(2);
        let class = first_word(&profile);
        assert!(class.is_some());
        let mut selection = Selection { profile, class, others: BTreeSet::new() };
        // Other numbers than when the run was counted.
        assert!(selection.see(load(7)) && selection.see(load(8)), "nothing tells them apart yet");
        assert!(selection.see(store(7)));
        assert!(!selection.see(store_second(8)));
        assert!(!selection.still_counts(load(8)) && !selection.see(load(8)));
        assert!(selection.still_counts(load(7)) && selection.see(load(7)));
        let socket = Operation::new(OperationKind::SocketRead, 8, store(8).place);
        assert!(selection.see(socket), "a number of another family");
        let yields = Operation::new(OperationKind::Yield, 0, store(7).place);
        assert!(!selection.see(yields), "no object");
        selection.class = None;
        assert!(selection.see(yields) && selection.still_counts(yields));
    }

    #[test]
    fn only_operations_on_objects_of_the_class_are_weighed() {
        let profile = two_words(3);
        let reader = [3];
        let mut selection = Selection { profile, class: None, others: BTreeSet::new() };
        assert_eq!(selection.counts().with_descendants(&[]), 8);
        assert_eq!(selection.counts().with_descendants(&reader), 2);
        selection.class = first_word(&selection.profile);
        assert_eq!(selection.counts().with_descendants(&[]), 4);
        assert_eq!(selection.counts().with_descendants(&reader), 1);
    }

    #[test]
    fn a_thread_is_held_before_an_object_of_the_class_only() {
        let mut stream = Stream::new(2, 0);
        let profile = two_words(2);
        let mut surw = Surw::new(Arc::clone(&profile), &mut stream);
        surw.selection.class = first_word(&profile);
        (1..=3).for_each(|child| surw.spawned(0, child, &mut stream));
        // The reader would go first, and after it the thread before the second word, which comes
        // behind it in the list.
        for (loaded, expected) in [(8, 0), (7, 1)] {
            surw.intended = Some(1);
            surw.priorities = vec![1, 1, 2, 3];
            let posted = |thread: u32| match thread {
                1 => store(7),
                2 => store_second(8),
                _ => load(loaded),
            };
            let chosen = surw.choose(&[3, 2, 1], 3, false, &posted, &mut stream);
            assert_eq!(chosen, expected, "before a load of object {loaded}");
        }
    }

    /// Whether the reader loads the first word when it has been stored to, and the second before
    /// it has been.
    fn reads_out_of_order(profile: &Arc<Profile>, writers: u32, seed: u64) -> bool {
        let mut stream = Stream::new(seed, 0);
        let mut surw = Surw::new(Arc::clone(profile), &mut stream);
        (1..=writers + 1).for_each(|child| surw.spawned(0, child, &mut stream));
        let reader = writers + 1;
        let mut runnable: Vec<u32> = (1..=reader).collect();
        let mut done = vec![0_u32; reader as usize + 1];
        let (mut stored, mut loaded) = ([false; 2], [false; 2]);
        while runnable.len() > 1 && runnable.contains(&reader) {
            let posted = |thread: u32| match (thread == reader, done[thread as usize]) {
                (true, word) => load(word + 1),
                (false, 0) => store(1),
                (false, _) => store_second(2),
            };
            let index = surw.choose(&runnable, reader, false, &posted, &mut stream) as usize;
            let thread = runnable[index];
            let word = done[thread as usize] as usize;
            if thread == reader {
                loaded[word] = stored[word];
            } else {
                stored[word] = true;
            }
            done[thread as usize] += 1;
            if done[thread as usize] == 2 {
                runnable.remove(index);
            }
        }
        // With the reader alone, both words are stored to.
        loaded == [true, false] && !runnable.contains(&reader)
    }

    #[test]
    fn loads_of_two_words_at_one_place_do_not_wait_for_each_other() {
        let profile = two_words(10);
        let found = (0..2_000).filter(|seed| reads_out_of_order(&profile, 10, *seed)).count();
        // About 107; were the two loads held alike, 36. Four standard deviations are at most 42.
        assert!(found > 65, "{found}");
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
        surw.selection.class = Some(0);
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
