//! Data races on [`sim::cell::UnsafeCell`](crate::cell::UnsafeCell), found by vector clocks that
//! honour the declared memory orderings (the happens-before test of Flanagan and Freund's
//! FastTrack, PLDI 2009, with full clocks: simulated programs have few threads).
//!
//! Execution itself is sequentially consistent; a race is two accesses of a cell, one of them a
//! write, that no chain of release and acquire orders.

use std::panic::Location;
use std::sync::atomic::Ordering;

use super::event::ObjectId;

/// How much of each thread's past another thread knows; indexed by thread number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct VectorClock(Vec<u32>);

impl VectorClock {
    fn get(&self, thread: u32) -> u32 {
        self.0.get(thread as usize).copied().unwrap_or(0)
    }

    fn tick(&mut self, thread: u32) {
        let index = thread as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] += 1;
    }

    fn join(&mut self, other: &VectorClock) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }
}

#[derive(Default)]
struct ThreadClocks {
    now: VectorClock,
    /// What relaxed loads have read and an acquire fence would make known.
    acquired_by_fence: VectorClock,
    /// What a release fence made ready for later relaxed stores.
    released_by_fence: VectorClock,
    /// What came with the park token.
    token: VectorClock,
}

/// One access of a cell.
#[derive(Clone, Copy)]
struct Access {
    thread: u32,
    time: u32,
    place: &'static Location<'static>,
}

#[derive(Default)]
struct CellAccesses {
    write: Option<Access>,
    /// The last read of each thread since the last write.
    reads: Vec<Access>,
}

/// The clocks of one run.
pub(crate) struct Races {
    threads: Vec<ThreadClocks>,
    /// By object number: what an acquire load of the object makes known.
    released: Vec<VectorClock>,
    /// By object number.
    cells: Vec<CellAccesses>,
}

impl Races {
    pub(crate) fn new() -> Races {
        Races { threads: Vec::new(), released: Vec::new(), cells: Vec::new() }
    }

    fn thread(&mut self, thread: u32) -> &mut ThreadClocks {
        let index = thread as usize;
        while self.threads.len() <= index {
            let mut clocks = ThreadClocks::default();
            clocks.now.tick(self.threads.len() as u32);
            self.threads.push(clocks);
        }
        &mut self.threads[index]
    }

    fn released(&mut self, object: ObjectId) -> &mut VectorClock {
        let index = object as usize;
        if self.released.len() <= index {
            self.released.resize_with(index + 1, VectorClock::default);
        }
        &mut self.released[index]
    }

    /// An atomic load.
    pub(crate) fn load(&mut self, thread: u32, object: ObjectId, order: Ordering) {
        let released = self.released(object).clone();
        let clocks = self.thread(thread);
        match order {
            Ordering::Relaxed => clocks.acquired_by_fence.join(&released),
            _ => clocks.now.join(&released),
        }
    }

    /// An atomic store: what the object released before is gone.
    pub(crate) fn store(&mut self, thread: u32, object: ObjectId, order: Ordering) {
        let clocks = self.thread(thread);
        let released = match order {
            Ordering::Relaxed => clocks.released_by_fence.clone(),
            _ => clocks.now.clone(),
        };
        clocks.now.tick(thread);
        *self.released(object) = released;
    }

    /// An atomic read-modify-write: it continues the release sequence it reads from.
    pub(crate) fn read_modify_write(&mut self, thread: u32, object: ObjectId, order: Ordering) {
        let acquire = matches!(order, Ordering::Acquire | Ordering::AcqRel | Ordering::SeqCst);
        let release = matches!(order, Ordering::Release | Ordering::AcqRel | Ordering::SeqCst);
        self.load(thread, object, if acquire { Ordering::Acquire } else { Ordering::Relaxed });
        let clocks = self.thread(thread);
        let released = if release { clocks.now.clone() } else { clocks.released_by_fence.clone() };
        clocks.now.tick(thread);
        self.released(object).join(&released);
    }

    pub(crate) fn fence(&mut self, thread: u32, order: Ordering) {
        let clocks = self.thread(thread);
        if order != Ordering::Release {
            let acquired = std::mem::take(&mut clocks.acquired_by_fence);
            clocks.now.join(&acquired);
            clocks.acquired_by_fence = acquired;
        }
        if order != Ordering::Acquire {
            clocks.released_by_fence = clocks.now.clone();
            clocks.now.tick(thread);
        }
    }

    /// `child` knows what its parent knew when it spawned it.
    pub(crate) fn spawn(&mut self, parent: u32, child: u32) {
        let known = self.thread(parent).now.clone();
        self.thread(parent).now.tick(parent);
        self.thread(child).now.join(&known);
    }

    /// `thread` leaves the park token of `other`,
    pub(crate) fn leave_token(&mut self, thread: u32, other: u32) {
        let known = self.thread(thread).now.clone();
        self.thread(thread).now.tick(thread);
        self.thread(other).token.join(&known);
    }

    /// and `thread` takes its own.
    pub(crate) fn take_token(&mut self, thread: u32) {
        let clocks = self.thread(thread);
        let token = std::mem::take(&mut clocks.token);
        clocks.now.join(&token);
    }

    /// `thread` has seen `other` end.
    pub(crate) fn join(&mut self, thread: u32, other: u32) {
        let known = self.thread(other).now.clone();
        self.thread(other).now.tick(other);
        self.thread(thread).now.join(&known);
    }

    /// An access of a cell; the message names both places when it races with an earlier one.
    pub(crate) fn access(
        &mut self,
        thread: u32,
        object: ObjectId,
        writes: bool,
        place: &'static Location<'static>,
    ) -> Option<String> {
        let now = self.thread(thread).now.clone();
        let index = object as usize;
        if self.cells.len() <= index {
            self.cells.resize_with(index + 1, CellAccesses::default);
        }
        let cell = &mut self.cells[index];
        let unknown = |access: &&Access| access.time > now.get(access.thread);
        let earlier_write = cell.write.as_ref().filter(unknown);
        let earlier_read =
            if writes { cell.reads.iter().find(|access| unknown(access)) } else { None };
        let race = match (earlier_write, earlier_read) {
            (Some(write), _) => Some(("write", write)),
            (None, Some(read)) => Some(("read", read)),
            (None, None) => None,
        };
        if let Some((earlier, access)) = race {
            let this = if writes { "write" } else { "read" };
            return Some(format!(
                "data race on a cell: thread {thread} does a {this} at {place}, and nothing \
                 orders it after the {earlier} by thread {} at {}",
                access.thread, access.place
            ));
        }
        let access = Access { thread, time: now.get(thread), place };
        if writes {
            cell.write = Some(access);
            cell.reads.clear();
        } else {
            cell.reads.retain(|read| read.thread != thread);
            cell.reads.push(access);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(races: &mut Races, thread: u32) -> Option<String> {
        races.access(thread, 9, true, Location::caller())
    }

    fn read(races: &mut Races, thread: u32) -> Option<String> {
        races.access(thread, 9, false, Location::caller())
    }

    #[test]
    fn release_and_acquire_order_accesses() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.store(0, 1, Ordering::Release);
        races.load(1, 1, Ordering::Acquire);
        assert_eq!(write(&mut races, 1), None);
    }

    #[test]
    fn a_relaxed_store_orders_nothing() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.store(0, 1, Ordering::Relaxed);
        races.load(1, 1, Ordering::Acquire);
        let race = read(&mut races, 1).expect("a race");
        assert!(race.contains("after the write by thread 0"), "{race}");
    }

    #[test]
    fn a_relaxed_load_orders_only_with_a_fence() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.store(0, 1, Ordering::Release);
        races.load(1, 1, Ordering::Relaxed);
        assert!(read(&mut races, 1).is_some());
        races.fence(1, Ordering::Acquire);
        assert_eq!(read(&mut races, 1), None);
    }

    #[test]
    fn a_release_fence_serves_later_relaxed_stores() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.fence(0, Ordering::Release);
        races.store(0, 1, Ordering::Relaxed);
        races.load(1, 1, Ordering::Acquire);
        assert_eq!(read(&mut races, 1), None);
    }

    #[test]
    fn read_modify_writes_continue_a_release_sequence() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.store(0, 1, Ordering::Release);
        races.read_modify_write(1, 1, Ordering::Relaxed);
        races.load(2, 1, Ordering::Acquire);
        assert_eq!(read(&mut races, 2), None);
    }

    #[test]
    fn what_follows_a_release_is_not_covered_by_it() {
        let mut races = Races::new();
        races.store(0, 1, Ordering::Release);
        assert_eq!(write(&mut races, 0), None);
        races.load(1, 1, Ordering::Acquire);
        assert!(write(&mut races, 1).is_some());
    }

    #[test]
    fn spawn_and_join_order_accesses_and_reads_do_not_race() {
        let mut races = Races::new();
        assert_eq!(write(&mut races, 0), None);
        races.spawn(0, 1);
        races.spawn(0, 2);
        assert_eq!(read(&mut races, 1), None);
        assert_eq!(read(&mut races, 2), None);
        assert!(write(&mut races, 0).is_some());
        races.join(0, 1);
        races.join(0, 2);
        assert_eq!(write(&mut races, 0), None);
    }
}
