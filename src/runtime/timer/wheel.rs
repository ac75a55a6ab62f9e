//! The timer wheel of one worker: which of its deadlines have passed, and when to look again.
//!
//! The algorithm is the hierarchical timing wheel of G. Varghese and T. Lauck, "Hashed and
//! Hierarchical Timing Wheels: Data Structures for the Efficient Implementation of a Timer
//! Facility" (SOSP 1987). Starting and stopping a timer take constant time however many there
//! are, and on its way to its deadline an entry moves at most once per level.
//!
//! # Where an entry stands
//!
//! There are six levels of 64 slots. A slot of level 0 is one tick wide; a slot of any other level
//! is as wide as the whole level below. Slots are absolute: the slot of a tick on level `n` is
//! `(tick >> 6n) & 63`, whatever the time is. The level follows from the highest bit in which the
//! deadline differs from the tick that the wheel has reached, its *elapsed* tick: the lowest level
//! whose current round has the deadline in it. So an entry's place is a function of its deadline
//! and of the elapsed tick alone ([`Place::of`]), and two things follow.
//!
//! - Everything on a level is due before anything on the levels above. The next slot to look at is
//!   the first occupied one of the lowest occupied level: one occupancy word per level tells.
//! - Entries due at the same tick stand in the same slot at all times. Slots are queues, and a slot
//!   is emptied from its front, so these entries keep the order in which they were inserted.
//!
//! # How it advances
//!
//! The elapsed tick moves from the start of one occupied slot to the start of the next, never past
//! one. At the start of a slot above level 0 its entries go to the levels below, which are empty by
//! then. At a slot of level 0 they are due.
//!
//! The six levels reach 2^36 ticks ahead. A deadline beyond that horizon stands on the top level,
//! in its slot, but some rounds too early: at the start of the slot its place is computed again,
//! and it stays there for another round.
//!
//! # Rules
//!
//! The SAFETY comments refer to these by number.
//!
//! - W1. A linked entry is valid for reads and writes and does not move. Whoever inserts it
//!   promises that this holds until it is removed or popped.
//! - W2. While an entry is linked, only methods of its wheel write to it (except to `waker`, which
//!   is the business of whoever owns the entry), and nobody reads it while such a method runs.
//!   The lock of the wheel's owner sees to that.
//! - W3. The entries of a slot form a circle through `previous` and `next`, which the slot enters
//!   at the oldest. Everything that a slot or a linked entry points at is linked in that slot, and
//!   `place` of each entry names it.
//! - W4. A bit of `occupied` is set when its slot has entries, and only then.
//! - W5. No linked entry is due before `elapsed`, and each stands at `Place::of(due, elapsed)`.

use std::iter;
use std::marker::PhantomPinned;
use std::mem;
use std::ptr::NonNull;
use std::task::Waker;

/// How many bits of a tick one level covers.
const SLOT_BITS: u32 = 6;
/// The slots of a level: as many as an occupancy word has bits.
const SLOTS: usize = 1 << SLOT_BITS;
/// The bits that number a slot.
const SLOT_MASK: u64 = SLOTS as u64 - 1;
/// The levels of a wheel.
const LEVELS: usize = 6;
/// The level that also holds what is beyond the horizon.
const TOP: usize = LEVELS - 1;
/// The ticks in one round of the top level.
const HORIZON: u64 = 1 << shift(LEVELS);

/// By how many bits a tick is shifted to number the slots of `level`.
const fn shift(level: usize) -> u32 {
    SLOT_BITS * level as u32
}

/// What has become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Never inserted, or removed.
    Idle,
    /// In a wheel.
    Linked,
    /// Handed out by [`Wheel::pop_expired`] and not inserted since.
    Fired,
}

/// A slot of a wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    level: u8,
    slot: u8,
}

impl Place {
    /// Where an entry due at `due` stands when the wheel has reached `elapsed`.
    fn of(due: u64, elapsed: u64) -> Place {
        // The mask gives equal ticks a highest differing bit too, that of level 0.
        let highest = ((due ^ elapsed) | SLOT_MASK).ilog2();
        let level = (highest / SLOT_BITS).min(TOP as u32);
        let slot = (due >> (SLOT_BITS * level)) & SLOT_MASK;
        Place { level: level as u8, slot: slot as u8 }
    }

    fn level(self) -> usize {
        usize::from(self.level)
    }

    fn slot(self) -> usize {
        usize::from(self.slot)
    }

    /// The bit of the slot in its level's occupancy word.
    fn bit(self) -> u64 {
        1 << self.slot
    }
}

/// A timer, in the memory of the future that waits for it; in one wheel at most.
pub(crate) struct Entry {
    /// Whom to wake when the entry fires. The wheel leaves it alone.
    pub(crate) waker: Option<Waker>,
    state: State,
    /// The slot that the entry is linked in; stale when it is not linked.
    place: Place,
    /// The tick at which the entry fires; stale when it is not linked.
    due: u64,
    /// The neighbours in the slot's circle; dangling or stale when the entry is not linked.
    previous: NonNull<Entry>,
    next: NonNull<Entry>,
    /// Others point at a linked entry, so a `&mut` to the future must not claim to be alone.
    _pinned: PhantomPinned,
}

// SAFETY: An entry that is not linked is a `Waker`, which is `Send`, and plain data that points at
// nothing in use. A linked one is written to by its wheel alone, under a lock (W2), so it does not
// matter which thread has it.
unsafe impl Send for Entry {}

impl Entry {
    /// An entry that is in no wheel.
    pub(crate) const fn new() -> Entry {
        Entry {
            waker: None,
            state: State::Idle,
            place: Place { level: 0, slot: 0 },
            due: 0,
            previous: NonNull::dangling(),
            next: NonNull::dangling(),
            _pinned: PhantomPinned,
        }
    }

    #[cfg(test)]
    /// Whether the entry is in a wheel: inserted, and neither removed nor popped since.
    pub(crate) fn is_linked(&self) -> bool {
        self.state == State::Linked
    }

    #[cfg(test)]
    /// Whether the entry has been popped, and not inserted again since.
    pub(crate) fn is_fired(&self) -> bool {
        self.state == State::Fired
    }
}

/// The entries of one slot, oldest first.
struct List {
    /// The oldest entry, where the circle is entered.
    first: Option<NonNull<Entry>>,
}

impl List {
    const EMPTY: List = List { first: None };

    /// Links `entry` behind all others.
    ///
    /// # Safety
    ///
    /// W1 and W2 hold for `entry`, and it is in no list.
    unsafe fn push_back(&mut self, entry: NonNull<Entry>) {
        // SAFETY: `entry` may be written to, as the caller promises. `first` and `last` may by W1
        // and W2, being linked by W3.
        unsafe {
            let Some(first) = self.first else {
                (*entry.as_ptr()).previous = entry;
                (*entry.as_ptr()).next = entry;
                self.first = Some(entry);
                return;
            };
            let last = (*first.as_ptr()).previous;
            (*entry.as_ptr()).previous = last;
            (*entry.as_ptr()).next = first;
            (*last.as_ptr()).next = entry;
            (*first.as_ptr()).previous = entry;
        }
    }

    /// Takes `entry` out.
    ///
    /// # Safety
    ///
    /// `entry` is in this list.
    unsafe fn unlink(&mut self, entry: NonNull<Entry>) {
        // SAFETY: `entry` is linked, so its neighbours are too by W3, and W1 and W2 allow the
        // access.
        unsafe {
            let previous = (*entry.as_ptr()).previous;
            let next = (*entry.as_ptr()).next;
            if next == entry {
                self.first = None;
                return;
            }
            (*previous.as_ptr()).next = next;
            (*next.as_ptr()).previous = previous;
            if self.first == Some(entry) {
                self.first = Some(next);
            }
        }
    }

    /// All entries, oldest first.
    fn iter(&self) -> impl Iterator<Item = NonNull<Entry>> {
        let first = self.first;
        iter::successors(first, move |entry| {
            // SAFETY: `entry` is linked by W3, and stays so while `self` is borrowed; W1 and W2
            // allow the access.
            let next = unsafe { (*entry.as_ptr()).next };
            (Some(next) != first).then_some(next)
        })
    }
}

/// The start of an occupied slot.
struct Stop {
    level: usize,
    tick: u64,
}

/// A hierarchical timer wheel; see the [module](self) for how it works.
///
/// It knows no clock: ticks are what its owner says they are, and time passes when the owner calls
/// [`Wheel::pop_expired`]. Dropping it leaves its entries as they are; whoever drops it makes sure
/// that none of them is removed afterwards.
pub(crate) struct Wheel {
    /// The tick that the wheel has reached.
    elapsed: u64,
    /// How many entries are linked.
    len: usize,
    /// For each level, a bit for each slot that has entries.
    occupied: [u64; LEVELS],
    slots: [[List; SLOTS]; LEVELS],
}

// SAFETY: The wheel's pointers lead to linked entries, which are `Send` and which nobody else
// writes to (W2).
unsafe impl Send for Wheel {}

impl Wheel {
    /// An empty wheel that has reached `now_tick`.
    pub(crate) const fn new(now_tick: u64) -> Wheel {
        Wheel {
            elapsed: now_tick,
            len: 0,
            occupied: [0; LEVELS],
            slots: [const { [List::EMPTY; SLOTS] }; LEVELS],
        }
    }

    #[cfg(test)]
    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether no entry waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Has `entry` fire at `deadline_tick`, or at the next [`Wheel::pop_expired`] if the wheel has
    /// reached that tick already: then it counts as due at the tick that the wheel has reached.
    ///
    /// # Safety
    ///
    /// `entry` is valid for reads and writes and is in no wheel. Until it is removed or popped it
    /// stays valid and where it is (W1), and all access to it obeys W2.
    pub(crate) unsafe fn insert(&mut self, entry: NonNull<Entry>, deadline_tick: u64) {
        // SAFETY: The caller promises W1 and W2 for `entry`, and that it is in no list.
        unsafe {
            let state = (*entry.as_ptr()).state;
            debug_assert!(state != State::Linked, "a timer entry is inserted twice");
            (*entry.as_ptr()).state = State::Linked;
            // Not the deadline itself: an entry of the past would stand in a slot that the wheel
            // has passed, and wait for the next round.
            (*entry.as_ptr()).due = deadline_tick.max(self.elapsed);
            self.place(entry);
        }
        self.len += 1;
    }

    /// Takes `entry` out, so that it will not fire.
    ///
    /// # Safety
    ///
    /// `entry` is linked ([`Entry::is_linked`]), and in this wheel.
    pub(crate) unsafe fn remove(&mut self, entry: NonNull<Entry>) {
        // SAFETY: The caller promises that `entry` is linked in this wheel.
        unsafe { self.unlink(entry, State::Idle) };
    }

    /// The tick at which [`Wheel::pop_expired`] next has something to do: entries to hand out, or
    /// to move to a lower level. Never later than the earliest deadline; `None` if no entry waits.
    pub(crate) fn next_expiration(&self) -> Option<u64> {
        if self.due_now().is_some() {
            return Some(self.elapsed);
        }
        self.next_stop().map(|stop| stop.tick)
    }

    /// Advances to `now_tick` and hands back an entry that is due, unlinked and marked as fired;
    /// `None` once nothing is due and the wheel has reached `now_tick`. Entries come in the order
    /// of the ticks at which they are due; those of one tick, in the order of their insertion.
    ///
    /// Entries may be inserted and removed between two calls. A `now_tick` before the one that
    /// the wheel has reached does not take it back.
    pub(crate) fn pop_expired(&mut self, now_tick: u64) -> Option<NonNull<Entry>> {
        loop {
            if let Some(entry) = self.due_now() {
                // SAFETY: `entry` was found in a slot, so it is linked (W3).
                unsafe { self.unlink(entry, State::Fired) };
                return Some(entry);
            }
            if now_tick <= self.elapsed {
                return None;
            }
            match self.next_stop_until(now_tick) {
                Some(stop) if stop.tick <= now_tick => {
                    self.elapsed = stop.tick;
                    // A slot of level 0 is where its entries belong until they fire.
                    if stop.level > 0 {
                        self.cascade(stop.level);
                    }
                }
                _ => {
                    // No occupied slot starts on the way, so W5 still holds for all entries.
                    self.elapsed = now_tick;
                    return None;
                }
            }
        }
    }

    /// The oldest of the entries that are due at the elapsed tick.
    fn due_now(&self) -> Option<NonNull<Entry>> {
        self.slots[0][self.current_slot(0)].first
    }

    /// The slot of `level` that the elapsed tick is in.
    fn current_slot(&self, level: usize) -> usize {
        ((self.elapsed >> shift(level)) & SLOT_MASK) as usize
    }

    /// The next start of an occupied slot, provided that nothing is due now.
    fn next_stop(&self) -> Option<Stop> {
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        // The search starts behind the current slot, and ends with it. Only the top level has
        // occupied slots at or before the current one, whose next start is in the next round: by
        // W5, what is due in the current slot of a level stands on a level below.
        let behind = self.current_slot(level) as u32 + 1;
        let distance = 1 + self.occupied[level].rotate_right(behind).trailing_zeros();
        // No overflow: an entry of that slot is due at this tick or later.
        let tick = ((self.elapsed >> shift(level)) + u64::from(distance)) << shift(level);
        Some(Stop { level, tick })
    }

    /// As `next_stop`, on the way to `now_tick`, but without a stop in each round of the top level
    /// when `now_tick` is rounds away: a deadline that stands for "never" would cost 2^28 of them.
    fn next_stop_until(&self, now_tick: u64) -> Option<Stop> {
        let stop = self.next_stop()?;
        if stop.level < TOP || now_tick - self.elapsed < HORIZON {
            return Some(stop);
        }
        // All entries stand on the top level. Up to the slot of the earliest, none is due in the
        // slot that the wheel is in, so W5 keeps all of them on that level. A look at every entry
        // is affordable, as such a jump takes a clock two years.
        let earliest = self.slots[TOP].iter().flat_map(List::iter).map(|entry| {
            // SAFETY: `entry` was found in a slot, so it is linked (W3), and W1 and W2 allow the
            // access.
            unsafe { (*entry.as_ptr()).due }
        });
        earliest.min().map(|due| Stop { level: TOP, tick: due >> shift(TOP) << shift(TOP) })
    }

    /// Moves the entries of the slot of `level` that the elapsed tick is in to where they belong
    /// now that it has started.
    fn cascade(&mut self, level: usize) {
        let slot = self.current_slot(level);
        let mut entries = mem::replace(&mut self.slots[level][slot], List::EMPTY);
        self.occupied[level] &= !(1 << slot);
        while let Some(entry) = entries.first {
            // SAFETY: `entry` was found in a slot, so W1 and W2 hold for it (W3). It leaves one
            // list before it joins another.
            unsafe {
                entries.unlink(entry);
                self.place(entry);
            }
        }
    }

    /// Links `entry` at the end of the slot where W5 has it.
    ///
    /// # Safety
    ///
    /// W1 and W2 hold for `entry`, it is in no list, and `due` is set.
    unsafe fn place(&mut self, entry: NonNull<Entry>) {
        // SAFETY: As the caller promises.
        unsafe {
            let place = Place::of((*entry.as_ptr()).due, self.elapsed);
            (*entry.as_ptr()).place = place;
            self.slots[place.level()][place.slot()].push_back(entry);
            self.occupied[place.level()] |= place.bit();
        }
    }

    /// Takes `entry` out and leaves it in `state`.
    ///
    /// # Safety
    ///
    /// `entry` is linked in this wheel.
    unsafe fn unlink(&mut self, entry: NonNull<Entry>, state: State) {
        // SAFETY: `entry` is linked, so W1 and W2 allow the access, and it is in the list of its
        // `place` (W3).
        unsafe {
            let before = (*entry.as_ptr()).state;
            debug_assert!(before == State::Linked, "a timer entry is not linked");
            let place = (*entry.as_ptr()).place;
            let list = &mut self.slots[place.level()][place.slot()];
            list.unlink(entry);
            if list.first.is_none() {
                self.occupied[place.level()] &= !place.bit();
            }
            (*entry.as_ptr()).state = state;
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// A wheel and all entries that it has seen, which are named by their index.
    struct Timers {
        wheel: Wheel,
        entries: Vec<NonNull<Entry>>,
    }

    impl Timers {
        fn new(now_tick: u64) -> Timers {
            Timers { wheel: Wheel::new(now_tick), entries: Vec::new() }
        }

        fn insert(&mut self, deadline_tick: u64) -> usize {
            let entry = NonNull::from(Box::leak(Box::new(Entry::new())));
            self.entries.push(entry);
            // SAFETY: The entry is new, and stays until `self` is dropped (W1), on this thread
            // alone (W2).
            unsafe { self.wheel.insert(entry, deadline_tick) };
            self.entries.len() - 1
        }

        fn insert_again(&mut self, index: usize, deadline_tick: u64) {
            assert!(!self.entry(index).is_linked());
            // SAFETY: As above; and the entry is not linked.
            unsafe { self.wheel.insert(self.entries[index], deadline_tick) };
        }

        fn remove(&mut self, index: usize) {
            assert!(self.entry(index).is_linked());
            // SAFETY: The entry is linked, and there is one wheel only.
            unsafe { self.wheel.remove(self.entries[index]) };
        }

        fn entry(&self, index: usize) -> &Entry {
            // SAFETY: The entry lives as long as `self`, and the wheel does not write to it while
            // `self` is borrowed.
            unsafe { self.entries[index].as_ref() }
        }

        fn pop(&mut self, now_tick: u64) -> Option<usize> {
            let popped = self.wheel.pop_expired(now_tick)?;
            let index = self.entries.iter().position(|&entry| entry == popped);
            let index = index.expect("the wheel holds entries of this test only");
            assert!(self.entry(index).is_fired() && !self.entry(index).is_linked());
            Some(index)
        }

        fn pop_all(&mut self, now_tick: u64) -> Vec<usize> {
            iter::from_fn(|| self.pop(now_tick)).collect()
        }

        /// Checks rules W3 to W5.
        fn check_rules(&self) {
            let mut len = 0;
            for level in 0..LEVELS {
                for slot in 0..SLOTS {
                    let list = &self.wheel.slots[level][slot];
                    let bit = (self.wheel.occupied[level] >> slot) & 1;
                    assert_eq!(bit == 1, list.first.is_some(), "occupancy of {level}, {slot}");
                    let place = Place { level: level as u8, slot: slot as u8 };
                    for entry in list.iter() {
                        // SAFETY: The entries live as long as `self`, and nobody writes to them
                        // while it is borrowed.
                        let next = unsafe { entry.as_ref().next.as_ref() };
                        assert_eq!(next.previous, entry);
                        assert!(next.is_linked());
                        assert!(next.due >= self.wheel.elapsed);
                        assert_eq!(next.place, place);
                        assert_eq!(next.place, Place::of(next.due, self.wheel.elapsed));
                        len += 1;
                    }
                }
            }
            assert_eq!(self.wheel.len(), len);
            assert_eq!(self.wheel.is_empty(), len == 0);
        }
    }

    impl Drop for Timers {
        fn drop(&mut self) {
            for entry in &self.entries {
                // SAFETY: Each entry comes from a box of its own, and the wheel, dropped next, does
                // not touch it again.
                drop(unsafe { Box::from_raw(entry.as_ptr()) });
            }
        }
    }

    /// Ticks at and around the edges of every level, and beyond the horizon.
    fn edges() -> impl Iterator<Item = u64> {
        // Miri takes a thousand times as long for each.
        let slots: &[u64] = if cfg!(miri) { &[1] } else { &[1, 2, 63] };
        let starts =
            (0..=LEVELS).flat_map(move |level| slots.iter().map(move |n| n << shift(level)));
        starts.flat_map(|start| [start - 1, start, start + 1])
    }

    #[test]
    fn an_entry_fires_at_its_deadline_and_not_a_tick_before() {
        for start in edges() {
            for distance in edges().filter(|&distance| distance > 0) {
                let mut timers = Timers::new(start);
                let deadline = start + distance;
                let entry = timers.insert(deadline);
                assert_eq!(timers.pop(deadline - 1), None, "{start} + {distance}");
                timers.check_rules();
                assert_eq!(timers.pop(deadline), Some(entry), "{start} + {distance}");
                assert!(timers.wheel.is_empty());
            }
        }
    }

    #[test]
    fn looking_when_told_to_meets_the_deadline_in_a_few_looks() {
        for start in edges() {
            for distance in edges() {
                let mut timers = Timers::new(start);
                let entry = timers.insert(start + distance);
                let mut looks = 0;
                let (fired, tick) = loop {
                    let tick = timers.wheel.next_expiration().expect("an entry waits");
                    looks += 1;
                    if let Some(fired) = timers.pop(tick) {
                        break (fired, tick);
                    }
                };
                assert_eq!((fired, tick), (entry, start + distance));
                // Once per level, and once more for each round of the top level.
                let limit = LEVELS as u64 + distance / HORIZON + 1;
                assert!(looks <= limit, "{start} + {distance}: {looks} looks");
            }
        }
    }

    #[test]
    fn what_is_overdue_fires_at_the_next_pop_in_insertion_order() {
        let mut timers = Timers::new(1000);
        let entries = [1000, 3, 999, 0].map(|deadline| timers.insert(deadline));
        assert_eq!(timers.wheel.next_expiration(), Some(1000));
        assert_eq!(timers.pop_all(1000), entries);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_take_the_wheel_back() {
        let mut timers = Timers::new(1000);
        let late = timers.insert(1001);
        assert_eq!(timers.pop(10), None);
        let overdue = timers.insert(500);
        assert_eq!(timers.pop_all(10), [overdue]);
        assert_eq!(timers.pop_all(1001), [late]);
    }

    #[test]
    fn entries_of_one_tick_keep_their_order_across_levels() {
        let deadline = HORIZON + 100;
        let mut timers = Timers::new(0);
        // They start out on the levels 5, 5, 1, 1 and 0, and are due together.
        let mut entries = vec![timers.insert(deadline)];
        for elapsed in [HORIZON - 1, HORIZON, HORIZON + 63, HORIZON + 64] {
            assert_eq!(timers.pop(elapsed), None);
            entries.push(timers.insert(deadline));
            timers.check_rules();
        }
        assert_eq!(timers.pop_all(deadline), entries);
    }

    #[test]
    fn removed_entries_do_not_fire() {
        for removed in [[0, 1], [1, 2], [2, 0], [2, 1]] {
            let mut timers = Timers::new(0);
            let entries = [300, 300, 300].map(|deadline| timers.insert(deadline));
            for index in removed {
                timers.remove(entries[index]);
                assert!(!timers.entry(entries[index]).is_linked());
                assert!(!timers.entry(entries[index]).is_fired());
                timers.check_rules();
            }
            let kept = 3 - removed[0] - removed[1];
            assert_eq!(timers.pop_all(400), [entries[kept]]);
            timers.insert(500);
            timers.remove(3);
            assert!(timers.wheel.is_empty());
            assert_eq!(timers.wheel.next_expiration(), None);
        }
    }

    #[test]
    fn the_wheel_may_change_between_two_pops() {
        let mut timers = Timers::new(0);
        let first = timers.insert(70);
        let second = timers.insert(70);
        let third = timers.insert(71);
        assert_eq!(timers.pop(1000), Some(first));
        timers.remove(second);
        // The wheel stands at tick 70, with more to do on its way to 1000.
        let overdue = timers.insert(10);
        let far = timers.insert(999);
        timers.check_rules();
        assert_eq!(timers.pop_all(1000), [overdue, third, far]);
    }

    #[test]
    fn an_entry_can_be_inserted_again() {
        let mut timers = Timers::new(0);
        let entry = timers.insert(10);
        assert_eq!(timers.pop_all(10), [entry]);
        timers.insert_again(entry, 5000);
        assert!(timers.entry(entry).is_linked() && !timers.entry(entry).is_fired());
        timers.remove(entry);
        timers.insert_again(entry, 20);
        assert_eq!(timers.pop(19), None);
        assert_eq!(timers.pop_all(20), [entry]);
    }

    #[test]
    fn the_last_tick_is_a_tick_like_any_other() {
        for start in [0, HORIZON, u64::MAX - HORIZON, u64::MAX - 64, u64::MAX - 1, u64::MAX] {
            let mut timers = Timers::new(start);
            let entry = timers.insert(u64::MAX);
            if start < u64::MAX {
                assert_eq!(timers.pop(u64::MAX - 1), None);
                timers.check_rules();
            }
            assert_eq!(timers.wheel.next_expiration(), Some(u64::MAX));
            assert_eq!(timers.pop(u64::MAX), Some(entry));
            assert_eq!(timers.pop(u64::MAX), None);
        }
    }

    /// A tick, seen from the tick that the wheel has reached.
    #[derive(Clone, Copy, Debug)]
    enum Moment {
        Earlier(u64),
        Later(u64),
        BeforeTheLast(u64),
    }

    impl Moment {
        fn tick(self, elapsed: u64) -> u64 {
            match self {
                Moment::Earlier(distance) => elapsed.saturating_sub(distance),
                Moment::Later(distance) => elapsed.saturating_add(distance),
                Moment::BeforeTheLast(distance) => u64::MAX - distance,
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(Moment),
        /// Inserts an entry that is due together with one that waits already.
        InsertBeside(Index),
        Remove(Index),
        /// Pops once.
        Pop(Moment),
        /// Pops until nothing is due.
        PopAll(Moment),
        /// Pops until nothing is due at the tick that the wheel asks for.
        PopNext,
    }

    /// Distances of every order of magnitude below 2^`bits`.
    fn distance(bits: u32) -> impl Strategy<Value = u64> {
        (any::<u64>(), 64 - bits..64).prop_map(|(distance, shift)| distance >> shift)
    }

    /// Distances around the edges of slots.
    fn edge() -> impl Strategy<Value = u64> {
        (0..64_u64, 0..=LEVELS, -1..=1_i64).prop_map(|(slots, level, beside)| {
            (slots << shift(level)).saturating_add_signed(beside)
        })
    }

    fn moment() -> impl Strategy<Value = Moment> {
        prop_oneof![
            8 => distance(16).prop_map(Moment::Later),
            8 => distance(40).prop_map(Moment::Later),
            8 => edge().prop_map(Moment::Later),
            2 => edge().prop_map(Moment::Earlier),
            1 => distance(64).prop_map(Moment::Later),
            1 => distance(40).prop_map(Moment::BeforeTheLast),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => moment().prop_map(Step::Insert),
            3 => any::<Index>().prop_map(Step::InsertBeside),
            3 => any::<Index>().prop_map(Step::Remove),
            2 => moment().prop_map(Step::Pop),
            2 => moment().prop_map(Step::PopAll),
            3 => Just(Step::PopNext),
        ]
    }

    /// The wheel beside a sorted map of what waits, keyed by due tick and order of insertion.
    struct Comparison {
        timers: Timers,
        waiting: BTreeMap<(u64, usize), usize>,
    }

    impl Comparison {
        fn run(&mut self, step: Step) {
            let elapsed = self.timers.wheel.elapsed;
            match step {
                Step::Insert(moment) => self.insert(moment.tick(elapsed)),
                Step::InsertBeside(index) => {
                    if let Some((due, _)) = self.pick(index) {
                        self.insert(due);
                    }
                }
                Step::Remove(index) => {
                    if let Some(key) = self.pick(index) {
                        let entry = self.waiting.remove(&key).expect("the key was just seen");
                        self.timers.remove(entry);
                    }
                }
                Step::Pop(moment) => {
                    self.pop(moment.tick(elapsed));
                }
                Step::PopAll(moment) => self.pop_all(moment.tick(elapsed)),
                Step::PopNext => {
                    if let Some(tick) = self.timers.wheel.next_expiration() {
                        self.pop_all(tick);
                    }
                }
            }
            self.check();
        }

        fn pick(&self, index: Index) -> Option<(u64, usize)> {
            if self.waiting.is_empty() {
                return None;
            }
            self.waiting.keys().nth(index.index(self.waiting.len())).copied()
        }

        fn insert(&mut self, deadline: u64) {
            let due = deadline.max(self.timers.wheel.elapsed);
            let entry = self.timers.insert(deadline);
            // Entries are numbered in the order of their insertion.
            self.waiting.insert((due, entry), entry);
        }

        /// Pops from both; whether there was something to pop.
        fn pop(&mut self, now: u64) -> bool {
            let reached = now.max(self.timers.wheel.elapsed);
            let first = self.waiting.first_key_value().filter(|((due, _), _)| *due <= reached);
            let expected = first.map(|(key, entry)| (*key, *entry));
            assert_eq!(self.timers.pop(now), expected.map(|(_, entry)| entry));
            if let Some((key, _)) = expected {
                self.waiting.remove(&key);
            }
            expected.is_some()
        }

        fn pop_all(&mut self, now: u64) {
            let reached = now.max(self.timers.wheel.elapsed);
            while self.pop(now) {}
            assert_eq!(self.timers.wheel.elapsed, reached);
        }

        fn check(&self) {
            self.timers.check_rules();
            assert_eq!(self.timers.wheel.len(), self.waiting.len());
            let next = self.timers.wheel.next_expiration();
            let earliest = self.waiting.first_key_value().map(|((due, _), _)| *due);
            assert_eq!(next.is_some(), earliest.is_some());
            assert!(next <= earliest, "{next:?} is later than {earliest:?}");
            assert!(next.is_none_or(|tick| tick >= self.timers.wheel.elapsed));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            // A failure prints its smallest case, to become a test with a name.
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_wheel_agrees_with_a_sorted_map(
            start in moment(),
            steps in prop::collection::vec(step(), 1..100),
        ) {
            let timers = Timers::new(start.tick(0));
            let mut comparison = Comparison { timers, waiting: BTreeMap::new() };
            for step in steps {
                comparison.run(step);
            }
            comparison.pop_all(u64::MAX);
            assert!(comparison.waiting.is_empty());
            comparison.check();
        }
    }
}
