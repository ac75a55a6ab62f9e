//! Who does what to which objects, counted in one run: what SURW weighs threads by.
//!
//! Numbers of threads and objects follow the schedule, so a count of one run means nothing in
//! another under them. Threads go by their [`Path`] instead, objects by their [`Class`]: the places
//! in the source at which they are used. One place alone does not tell, as a helper may use several
//! objects.

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
    /// Operations by thread number.
    totals: Vec<u64>,
    objects: BTreeMap<(Family, ObjectId), Object>,
}

struct Object {
    changed: bool,
    places: BTreeSet<Place>,
    /// Operations on it by thread number.
    threads: BTreeMap<u32, u64>,
}

impl Census {
    pub(super) fn new() -> Census {
        Census { ancestry: Ancestry::new(), totals: vec![0], objects: BTreeMap::new() }
    }

    pub(super) fn spawned(&mut self, parent: u32) {
        self.ancestry.spawned(parent);
        self.totals.push(0);
    }

    /// The thread does this operation.
    pub(super) fn executed(&mut self, thread: u32, operation: Operation) {
        self.totals[thread as usize] += 1;
        let Some((family, object, writes)) = operation.access() else { return };
        let object = self.objects.entry((family, object)).or_insert_with(|| Object {
            changed: false,
            places: BTreeSet::new(),
            threads: BTreeMap::new(),
        });
        object.changed |= writes;
        object.places.insert(operation.place);
        *object.threads.entry(thread).or_default() += 1;
    }

    pub(super) fn finish(self) -> Profile {
        let Census { ancestry, totals, objects } = self;
        let mut all = Counts::default();
        for (thread, total) in (0..).zip(totals) {
            all.add(ancestry.path(thread), total);
        }
        // By their places: whether two threads use one of the objects and one of them changes it,
        // and what is done to all.
        let mut alike: BTreeMap<BTreeSet<Place>, (bool, Counts)> = BTreeMap::new();
        for object in objects.into_values() {
            let races = object.changed && object.threads.len() > 1;
            let (raced, counts) = alike.entry(object.places).or_default();
            *raced |= races;
            for (thread, count) in object.threads {
                counts.add(ancestry.path(thread), count);
            }
        }
        let raced = alike.iter().filter(|(_, (raced, _))| *raced);
        let classes = raced.map(|(places, _)| {
            let mut counts = Counts::default();
            for (_, (_, part)) in alike.iter().filter(|(other, _)| other.is_subset(places)) {
                counts.add_all(part);
            }
            Class { places: places.clone(), counts }
        });
        Profile { all, classes: classes.collect() }
    }
}

/// What a run was seen to do.
#[derive(Debug)]
pub(crate) struct Profile {
    all: Counts,
    classes: Vec<Class>,
}

impl Profile {
    /// All operations, those on no object among them.
    pub(super) fn all(&self) -> &Counts {
        &self.all
    }

    /// The classes of those objects that two threads use and one changes.
    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }
}

/// Objects that are used at the same places.
#[derive(Debug)]
pub(super) struct Class {
    places: BTreeSet<Place>,
    counts: Counts,
}

impl Class {
    /// Where objects of the class are used, each of them at all of these places.
    pub(super) fn places(&self) -> &BTreeSet<Place> {
        &self.places
    }

    /// The operations on objects that are used at places of the class only. Objects that are used
    /// at some of them count as well: in a run nothing tells them from those of the class.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// Numbers of operations, by the path of the thread that does them.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<Path, u64>);

impl Counts {
    fn add(&mut self, path: &[u32], count: u64) {
        *self.0.entry(path.to_vec()).or_default() += count;
    }

    fn add_all(&mut self, other: &Counts) {
        for (path, count) in &other.0 {
            self.add(path, *count);
        }
    }

    /// Those of the thread of this path and of the threads that it starts.
    pub(super) fn with_descendants(&self, path: &[u32]) -> u64 {
        // Paths are ordered as words are, so those that begin alike follow each other.
        self.0
            .range::<[u32], _>((Bound::Included(path), Bound::Unbounded))
            .take_while(|(other, _)| other.starts_with(path))
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
        census.executed(1, Operation::new(OperationKind::Yield, 0, place));
        let profile = census.finish();
        let paths: [&[u32]; 5] = [&[], &[0], &[0, 0], &[1], &[2]];
        let numbers = |counts: &Counts| paths.map(|path| counts.with_descendants(path));
        assert_eq!(numbers(profile.classes()[0].counts()), [15, 10, 8, 4, 0]);
        assert_eq!(numbers(profile.all()), [16, 11, 8, 4, 0], "a yield concerns no object");
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
        assert!(census.finish().classes().is_empty());

        let mut census = Census::new();
        census.spawned(0);
        census.executed(0, posted(OperationKind::Store, 1));
        census.executed(1, posted(OperationKind::Load, 1));
        assert_eq!(census.finish().classes().len(), 1);
    }

    #[test]
    fn objects_that_are_used_at_the_same_places_are_one_class() {
        let mut census = Census::new();
        census.spawned(0);
        let store = |object| Operation::new(OperationKind::Store, object, Location::caller());
        for object in 1..4 {
            census.executed(0, store(object));
            census.executed(1, store(object));
        }
        let profile = census.finish();
        assert_eq!(profile.classes().len(), 1);
        assert_eq!(profile.classes()[0].counts().with_descendants(&[0]), 3);
    }

    #[test]
    fn two_objects_used_at_one_place_are_told_apart_by_their_other_places() {
        let mut census = Census::new();
        census.spawned(0);
        let load = |object| Operation::new(OperationKind::Load, object, Location::caller());
        let first = Operation::new(OperationKind::Store, 1, Location::caller());
        let second = Operation::new(OperationKind::Store, 2, Location::caller());
        census.executed(0, first);
        (0..2).for_each(|_| census.executed(0, second));
        (0..4).for_each(|_| census.executed(1, load(1)));
        (0..8).for_each(|_| census.executed(1, load(2)));
        // Nobody changes this one, so it is no class; yet it looks like either of the others.
        (0..16).for_each(|_| census.executed(1, load(3)));
        let profile = census.finish();
        assert_eq!(profile.classes().len(), 2);
        for (store, all, of_reader) in [(first, 21, 20), (second, 26, 24)] {
            let mut classes = profile.classes().iter();
            let class = classes.find(|class| class.places().contains(store.place)).unwrap();
            assert_eq!(class.places(), &BTreeSet::from([store.place, load(0).place]));
            assert_eq!(class.counts().with_descendants(&[]), all);
            assert_eq!(class.counts().with_descendants(&[0]), of_reader);
        }
    }
}
