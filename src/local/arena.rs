//! Where local tasks live: slots of a few sizes, in chunks that never move and are used again.
//!
//! A slot is a header, then room for a future and later for its output. What is larger than the
//! largest slot has room for, or wants more alignment, is boxed, and the slot has the pointer. A
//! slot that is given back gets the next generation; an [`Id`] of an earlier one is refused.
//!
//! An id is one pointer: slots are aligned to 64 bytes, and the low six bits are the generation
//! modulo 64. An id that is 64 generations old passes for a new one: for a waker that means that
//! a task is polled once more than necessary, which every future has to bear.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::Waker;

use super::executor::Executor;
use super::inbox::Mark;
use super::task::Vtable;

/// The alignment of slots: as much of an id is its generation.
const ALIGN: usize = 64;
/// The alignment of what is stored in a slot.
const ROOM_ALIGN: usize = 16;
/// Bytes of a slot before its room.
const HEADER: usize = size_of::<Slot>().next_multiple_of(ROOM_ALIGN);
/// Bytes of a slot, its header included, in each class: 64, 128, 256 and 512, or as much more as
/// a larger header takes: in a simulation atomics are larger. Every class has room for a pointer.
const CLASSES: [usize; 4] = [slot_with(16), slot_with(80), slot_with(208), slot_with(464)];
/// Bytes of a class's first chunk; each following one has twice as many, up to the largest.
const FIRST_CHUNK: usize = 4 << 10;
const LARGEST_CHUNK: usize = 64 << 10;

/// Bytes of a slot with so much room, or with what its alignment adds to that.
const fn slot_with(room: usize) -> usize {
    (HEADER + room).next_multiple_of(ALIGN)
}

/// The smallest class with room for so many bytes of that alignment.
pub(super) const fn class_of(layout: Layout) -> Option<u8> {
    let mut class = 0;
    while layout.align() <= ROOM_ALIGN && class < CLASSES.len() {
        if CLASSES[class] >= HEADER + layout.size() {
            return Some(class as u8);
        }
        class += 1;
    }
    None
}

/// The header of a slot. The runtime's thread alone touches it, but for `executor`, which never
/// changes, and `mark`, which the inbox guards.
#[repr(C)]
pub(super) struct Slot {
    pub(super) executor: NonNull<Executor>,
    pub(super) vtable: Cell<&'static Vtable>,
    /// The next one in the queue, or among those that are free.
    pub(super) next: Cell<Option<SlotRef>>,
    /// Whom to wake when the task has ended.
    pub(super) awaiter: Cell<Option<Waker>>,
    /// See `executor`.
    pub(super) state: Cell<u8>,
    /// How often it was given back, modulo [`ALIGN`].
    generation: Cell<u8>,
    class: u8,
    pub(super) mark: Mark,
}

/// A slot, whatever is in it. Whoever has one has its arena too, or a count that keeps it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotRef(NonNull<Slot>);

impl Deref for SlotRef {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        // SAFETY: the arena made the header before it gave out the reference, and is there as the
        // type's documentation says; the header is only changed through its cells.
        unsafe { self.0.as_ref() }
    }
}

impl SlotRef {
    /// Where the future or the output is, or the pointer to it.
    #[inline]
    pub(super) fn room(self) -> NonNull<u8> {
        // SAFETY: every class is larger than the header, and the pointer is that of the chunk.
        unsafe { self.0.cast::<u8>().add(HEADER) }
    }

    /// The name of what is in it now.
    #[inline]
    pub(super) fn id(self) -> Id {
        let tag = usize::from(self.generation.get());
        // The tag is in bits that are 0 in the address.
        Id(self.0.as_ptr().map_addr(|address| address | tag).cast_const())
    }
}

/// A task by name: its slot and generation, in one pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(*const Slot);

impl Id {
    /// As the data of a waker.
    #[inline]
    pub(super) fn into_raw(self) -> *const () {
        self.0.cast()
    }

    /// The id that `into_raw` made `data` of.
    #[inline]
    pub(super) fn from_raw(data: *const ()) -> Id {
        Id(data.cast())
    }

    /// The slot, whatever is in it by now.
    ///
    /// # Safety
    /// The arena is there still.
    #[inline]
    pub(super) unsafe fn slot(self) -> SlotRef {
        let slot = self.0.map_addr(|address| address & !(ALIGN - 1)).cast_mut();
        // SAFETY: without its tag it is the address of a slot, which is not null.
        SlotRef(unsafe { NonNull::new_unchecked(slot) })
    }

    /// The generation.
    #[inline]
    pub(super) fn tag(self) -> u8 {
        (self.0.addr() & (ALIGN - 1)) as u8
    }

    /// The slot, unless something else came into it.
    ///
    /// # Safety
    /// The arena is there still, and this is its thread.
    #[inline]
    pub(super) unsafe fn current(self) -> Option<SlotRef> {
        // SAFETY: the caller vouches for it.
        let slot = unsafe { self.slot() };
        (slot.generation.get() == self.tag()).then_some(slot)
    }
}

/// Slots of one class that lie side by side.
#[derive(Clone, Copy)]
struct Chunk {
    memory: NonNull<u8>,
    layout: Layout,
    class: u8,
}

impl Chunk {
    fn slots(self) -> impl DoubleEndedIterator<Item = SlotRef> {
        let size = CLASSES[usize::from(self.class)];
        (0..self.layout.size() / size).map(move |number| {
            // SAFETY: the chunk has so many slots of that size.
            SlotRef(unsafe { self.memory.add(number * size) }.cast())
        })
    }
}

/// See the module documentation.
pub(super) struct Arena {
    free: [Cell<Option<SlotRef>>; CLASSES.len()],
    /// Bytes of the next chunk of a class.
    next_chunk: [Cell<usize>; CLASSES.len()],
    chunks: RefCell<Vec<Chunk>>,
}

impl Arena {
    pub(super) fn new() -> Arena {
        Arena {
            free: [const { Cell::new(None) }; CLASSES.len()],
            next_chunk: [const { Cell::new(FIRST_CHUNK) }; CLASSES.len()],
            chunks: RefCell::new(Vec::new()),
        }
    }

    /// A slot of that class, for a task of `executor`.
    #[inline]
    pub(super) fn take(&self, class: u8, executor: NonNull<Executor>) -> SlotRef {
        let free = &self.free[usize::from(class)];
        let slot = match free.get() {
            Some(slot) => slot,
            None => self.grow(class, executor),
        };
        free.set(slot.next.get());
        slot
    }

    /// Makes room for another task; its slot has the next generation from now on.
    #[inline]
    pub(super) fn give_back(&self, slot: SlotRef) {
        slot.generation.set((slot.generation.get() + 1) % ALIGN as u8);
        let free = &self.free[usize::from(slot.class)];
        slot.next.set(free.replace(Some(slot)));
    }

    /// Makes a chunk of free slots; the first of them.
    #[cold]
    fn grow(&self, class: u8, executor: NonNull<Executor>) -> SlotRef {
        let next_chunk = &self.next_chunk[usize::from(class)];
        let size = next_chunk.get();
        next_chunk.set((size * 2).min(LARGEST_CHUNK));
        let layout = Layout::from_size_align(size, ALIGN).expect("a chunk is small");
        // SAFETY: the size is not 0.
        let Some(memory) = NonNull::new(unsafe { alloc::alloc(layout) }) else {
            alloc::handle_alloc_error(layout)
        };
        let chunk = Chunk { memory, layout, class };
        // The first slot is the first one to be taken: memory is used from its beginning.
        for slot in chunk.slots().rev() {
            let header = Slot {
                executor,
                vtable: Cell::new(Vtable::NOTHING),
                next: Cell::new(self.free[usize::from(class)].get()),
                awaiter: Cell::new(None),
                state: Cell::new(0),
                generation: Cell::new(0),
                class,
                mark: Mark::new(),
            };
            // SAFETY: the slot is ours, large enough, and aligned to more than a header needs.
            unsafe { slot.0.write(header) };
            self.free[usize::from(class)].set(Some(slot));
        }
        self.chunks.borrow_mut().push(chunk);
        self.free[usize::from(class)].get().expect("a chunk has slots")
    }

    /// Calls `f` with every slot, free ones too. It may take and give back slots.
    pub(super) fn for_each(&self, f: impl Fn(SlotRef)) {
        let mut number = 0;
        loop {
            let Some(chunk) = self.chunks.borrow().get(number).copied() else { return };
            chunk.slots().for_each(&f);
            number += 1;
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in self.chunks.get_mut().drain(..) {
            // A header has nothing to drop by now: whom to wake is taken out with the handle.
            // SAFETY: the chunk was allocated so, and nobody has a slot of it.
            unsafe { alloc::dealloc(chunk.memory.as_ptr(), chunk.layout) };
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn the_smallest_class_with_room_is_chosen() {
        for (class, size) in (0..).zip(CLASSES) {
            let room = size - HEADER;
            assert_eq!(class_of(layout(room)), Some(class));
            let next = (class + 1 < CLASSES.len() as u8).then_some(class + 1);
            assert_eq!(class_of(layout(room + 1)), next);
        }
        assert_eq!(class_of(Layout::from_size_align(32, 32).unwrap()), None);
    }

    #[test]
    fn slots_of_every_class_lie_side_by_side() {
        let arena = Arena::new();
        let mut slots = Vec::new();
        for (class, size) in (0..).zip(CLASSES) {
            assert!(size - HEADER >= size_of::<usize>(), "class {class} has no room");
            for _ in 0..100 {
                let slot = arena.take(class, NonNull::dangling());
                let begin = slot.0.addr().get();
                assert_eq!(begin % ALIGN, 0);
                slots.push((begin, begin + size));
            }
        }
        slots.sort_unstable();
        assert!(slots.is_sorted_by(|one, next| one.1 <= next.0), "slots overlap");
        let chunks = arena.chunks.borrow();
        assert!(slots.iter().all(|&(begin, end)| chunks.iter().any(|chunk| {
            let start = chunk.memory.addr().get();
            start <= begin && end <= start + chunk.layout.size()
        })));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        /// By its place among all ids that ever were, modulo their number.
        Remove(usize),
        LookUp(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4_u8).prop_map(Step::Insert),
            2 => any::<usize>().prop_map(Step::Remove),
            2 => any::<usize>().prop_map(Step::LookUp),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        // Fewer removals than generations: a stale id is refused for certain.
        #[test]
        fn it_does_what_a_map_does(steps in prop::collection::vec(step(), 0..ALIGN)) {
            let arena = Arena::new();
            let mut model = HashMap::new();
            let mut ids: Vec<Id> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(class) => {
                        let slot = arena.take(class, NonNull::dangling());
                        // SAFETY: every slot has room for a word.
                        unsafe { slot.room().cast::<usize>().write(number) };
                        prop_assert!(!ids.contains(&slot.id()), "an id is given twice");
                        model.insert(ids.len(), number);
                        ids.push(slot.id());
                    }
                    Step::Remove(_) | Step::LookUp(_) if ids.is_empty() => {}
                    Step::Remove(index) => {
                        let index = index % ids.len();
                        // SAFETY: the arena is there.
                        if let Some(slot) = unsafe { ids[index].current() } {
                            arena.give_back(slot);
                            prop_assert!(model.remove(&index).is_some(), "a stale id is taken");
                        } else {
                            prop_assert!(!model.contains_key(&index), "an id is refused");
                        }
                    }
                    Step::LookUp(index) => {
                        let index = index % ids.len();
                        // SAFETY: the arena is there, and what is in a slot is a word.
                        let found = unsafe {
                            ids[index].current().map(|slot| slot.room().cast::<usize>().read())
                        };
                        prop_assert_eq!(found, model.get(&index).copied());
                    }
                }
            }
        }
    }

    #[test]
    fn memory_is_used_again() {
        let arena = Arena::new();
        for _ in 0..10 {
            let slots: Vec<_> = (0..500).map(|_| arena.take(1, NonNull::dangling())).collect();
            slots.into_iter().for_each(|slot| arena.give_back(slot));
        }
        let bytes: usize = arena.chunks.borrow().iter().map(|chunk| chunk.layout.size()).sum();
        assert!(bytes <= 2 * 500 * CLASSES[1], "{bytes} bytes for 500 slots");
    }
}
