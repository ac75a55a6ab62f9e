//! Who does what, counted in one run: what SURW weighs threads by.
//!
//! Numbers of threads and objects follow the schedule, so a count of one run means nothing in
//! another under them. Threads go by their [`Path`] instead, objects by the places in the source
//! at which they are used.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::panic::Location;

use crate::kernel::event::{Family, ObjectId, Operation};

/// A place in the source.
pub(super) type Place = &'static Location<'static>;

/// Where a thread comes from: the first thread's n-th child's m-th child.
type Path = Vec<u32>;

/// The paths of the threads of a run, by thread number.
pub(super) struct Ancestry {
    threads: Vec<(Path, u32)>,
}

impl Ancestry {
    pub(super) fn new() -> Ancestry {
        Ancestry { threads: vec![(Path::new(), 0)] }
    }

    /// Gives the new thread, whose number is the next one, its path.
    pub(super) fn spawned(&mut self, parent: u32) -> &[u32] {
        let (path, children) = &mut self.threads[parent as usize];
        let mut path = path.clone();
        path.push(*children);
        *children += 1;
        self.threads.push((path, 0));
        self.path(self.threads.len() as u32 - 1)
    }

    fn path(&self, thread: u32) -> &[u32] {
        &self.threads[thread as usize].0
    }
}

/// Counts while a run goes on.
pub(super) struct Census {
    ancestry: Ancestry,
    counts: BTreeMap<(u32, Place), u64>,
    objects: BTreeMap<(Family, ObjectId), Object>,
}

struct Object {
    first_thread: u32,
    shared: bool,
    changed: bool,
    places: BTreeSet<Place>,
}

impl Census {
    pub(super) fn new() -> Census {
        Census { ancestry: Ancestry::new(), counts: BTreeMap::new(), objects: BTreeMap::new() }
    }

    pub(super) fn spawned(&mut self, parent: u32) {
        self.ancestry.spawned(parent);
    }

    /// The thread does this operation.
    pub(super) fn executed(&mut self, thread: u32, operation: Operation) {
        *self.counts.entry((thread, operation.place)).or_default() += 1;
        let Some((family, object, writes)) = operation.access() else { return };
        let object = self.objects.entry((family, object)).or_insert_with(|| Object {
            first_thread: thread,
            shared: false,
            changed: false,
            places: BTreeSet::new(),
        });
        object.shared |= object.first_thread != thread;
        object.changed |= writes;
        object.places.insert(operation.place);
    }

    pub(super) fn finish(self) -> Profile {
        let mut counts: BTreeMap<Path, BTreeMap<Place, u64>> = BTreeMap::new();
        for ((thread, place), count) in self.counts {
            let path = self.ancestry.path(thread).to_vec();
            counts.entry(path).or_default().insert(place, count);
        }
        let raced = self.objects.into_values().filter(|object| object.shared && object.changed);
        let shared: BTreeSet<BTreeSet<Place>> = raced.map(|object| object.places).collect();
        Profile { counts, shared: shared.into_iter().collect() }
    }
}

/// What a run was seen to do.
#[derive(Debug)]
pub(crate) struct Profile {
    counts: BTreeMap<Path, BTreeMap<Place, u64>>,
    /// For each object that two threads use and one changes, where it is used; objects that are
    /// used at the same places count as one.
    shared: Vec<BTreeSet<Place>>,
}

impl Profile {
    pub(super) fn shared(&self) -> &[BTreeSet<Place>] {
        &self.shared
    }

    /// How often the thread of this path, and the threads that it starts, came to places that
    /// count.
    pub(super) fn with_descendants(&self, path: &[u32], counts: impl Fn(Place) -> bool) -> u64 {
        // Paths are ordered as words are, so those that begin alike follow each other.
        self.counts
            .range::<[u32], _>((Bound::Included(path), Bound::Unbounded))
            .take_while(|(other, _)| other.starts_with(path))
            .flat_map(|(_, places)| places)
            .filter(|(place, _)| counts(place))
            .map(|(_, count)| *count)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::event::OperationKind;

    #[test]
    fn a_thread_counts_with_all_that_it_starts() {
        let mut census = Census::new();
        let place = Location::caller();
        let store = |object| Operation::new(OperationKind::Store, object, place);
        census.spawned(0);
        census.spawned(0);
        census.spawned(1);
        for (thread, times) in [(0, 1), (1, 2), (2, 4), (3, 8)] {
            (0..times).for_each(|_| census.executed(thread, store(5)));
        }
        let profile = census.finish();
        let count = |path: &[u32]| profile.with_descendants(path, |_| true);
        assert_eq!([count(&[]), count(&[0]), count(&[0, 0]), count(&[1])], [15, 10, 8, 4]);
        assert_eq!(count(&[2]), 0);
        assert_eq!(profile.with_descendants(&[], |_| false), 0);
    }

    #[test]
    fn shared_is_what_two_threads_use_and_one_changes() {
        let mut census = Census::new();
        census.spawned(0);
        let posted = |kind, object| Operation::new(kind, object, Location::caller());
        for thread in [0, 1] {
            census.executed(thread, posted(OperationKind::Load, 1));
            census.executed(thread, posted(OperationKind::Store, 2 + thread));
        }
        assert!(census.finish().shared().is_empty());

        let mut census = Census::new();
        census.spawned(0);
        census.executed(0, posted(OperationKind::Store, 1));
        census.executed(1, posted(OperationKind::Load, 1));
        assert_eq!(census.finish().shared().len(), 1);
    }
}
