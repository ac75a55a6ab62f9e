//! The queue that a worker has to itself: a ring of fixed size. Its owner pushes and pops, oldest
//! first; other workers steal from it, half of what waits at a time.
//!
//! The design is the bounded run queue of Go's scheduler, with the two-part head that tokio gave
//! it: a thief first claims tasks, then copies them, and its claim can be seen meanwhile.
//!
//! ```text
//!         steal             real               tail              steal + CAPACITY
//!           │ claimed:        │ waiting:         │ free:               │
//!   ────────┤ a thief copies  ├ anybody may take ├ the owner may write ├────────
//! ```
//!
//! `steal` and `real` share one word, the head. They differ while a thief is at work:
//!
//! ```text
//!   push: tail + 1                                    push: tail + 1
//!   pop: steal, real + 1                              pop: real + 1
//!   overflow: steal, real + CAPACITY / 2
//!        ┌──┐                                              ┌──┐
//!        │  ▼          claim (thief): real + n             │  ▼
//!     unclaimed ─────────────────────────────────────► claimed
//!    steal = real                                    steal < real
//!         ▲          finish (thief): steal = real          │
//!         └────────────────────────────────────────────────┘
//! ```
//!
//! Rules, cited where they are relied on:
//! 1. Positions count up and wrap; `steal <= real <= tail <= steal + CAPACITY`. The owner alone
//!    writes the tail.
//! 2. The slots in `[tail, steal + CAPACITY)` are the owner's to write.
//! 3. A slot in `[real, tail)` belongs to whoever moves `real` past it: by pop, overflow or claim.
//! 4. What a thief has claimed is its own until it finishes: there is one thief at a time, and
//!    `steal` stands still, whatever the owner pops meanwhile. A queue that is empty to its owner
//!    may therefore have no room, and whoever writes slots reckons from `steal`, never from `real`.
//!
//! What pairs with what:
//! * [`Queue::publish`] releases the tasks in the slots, [`Queue::claim`] acquires them.
//! * [`Queue::finish`] releases the slots that were read, [`Queue::push`] and [`Queue::room`]
//!   acquire them before they are written again.
//! * Every other change of the head releases the tail that its author knew; [`Queue::claim`] and
//!   [`Queue::len`] acquire it, so that the tail they read next is not behind `real`.
//!
//! A thief that looks, sleeps, and claims would take wrong slots only if a multiple of 2³² tasks
//! had passed through meanwhile.

use std::array;
use std::iter;
use std::mem::MaybeUninit;
use std::ptr;

use crate::platform::knob::Knob;
use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::platform::thread;

/// How many tasks a queue has room for. Small in models, where a full ring must come soon.
const CAPACITY: usize = if cfg!(volt_loom) { 4 } else { 256 };
/// How many it holds in the simulated runs in which a full ring is to come soon.
pub(crate) const SMALL_CAPACITY: u32 = 4;

/// How many tasks a queue holds: all that it has room for, in production.
pub(crate) type Capacity = Knob<{ CAPACITY as u32 }>;

// Positions wrap at a multiple of the capacity only if it is a power of two.
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY >= SMALL_CAPACITY as usize);
const _: () = assert!(SMALL_CAPACITY.is_power_of_two() && SMALL_CAPACITY >= 2);

/// See the module documentation.
pub(crate) struct Queue<T> {
    head: CacheLine<AtomicU64>,
    tail: CacheLine<AtomicU32>,
    slots: CacheLine<[UnsafeCell<MaybeUninit<T>>; CAPACITY]>,
    capacity: Capacity,
}

/// Keeps apart what different threads write: two lines of 64 bytes, which processors fetch in
/// pairs, or one of the 128 that some have.
#[repr(align(128))]
struct CacheLine<T>(T);

/// The two positions in the head.
#[derive(Clone, Copy)]
struct Head {
    steal: u32,
    real: u32,
}

impl Head {
    fn unclaimed(position: u32) -> Head {
        Head { steal: position, real: position }
    }

    fn unpack(word: u64) -> Head {
        Head { steal: (word >> 32) as u32, real: word as u32 }
    }

    fn pack(self) -> u64 {
        (u64::from(self.steal) << 32) | u64::from(self.real)
    }

    fn is_claimed(self) -> bool {
        self.steal != self.real
    }
}

/// What a thief has claimed.
struct Claim {
    first: u32,
    count: u32,
}

// SAFETY: tasks move between threads, and are never shared: each slot belongs to one thread at a
// time (rules 2, 3 and 4).
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: Capacity) -> Queue<T> {
        Queue {
            head: CacheLine(AtomicU64::new(Head::unclaimed(0).pack())),
            tail: CacheLine(AtomicU32::new(0)),
            slots: CacheLine(array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit()))),
            capacity,
        }
    }

    /// How many tasks it holds at most.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity.get() as usize
    }

    /// What overflows at once, and the most that is stolen at once.
    #[inline]
    fn half(&self) -> u32 {
        self.capacity.get() / 2
    }

    /// How many tasks wait, at a moment between the call and its return; what a thief has claimed
    /// no longer does.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Acquire: the tail that is read next is not behind this head. A worker that must not
        // miss a task fences before it looks, see `idle`.
        let head = Head::unpack(self.head.0.load(Ordering::Acquire));
        // Relaxed: no slot is read for it.
        let waiting = self.tail.0.load(Ordering::Relaxed).wrapping_sub(head.real);
        // The head may have moved on before the tail was read.
        (waiting as usize).min(self.capacity())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tasks the owner can push before the queue overflows, at least: thieves make room
    /// meanwhile. For others than the owner it is a hint.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        // Acquire: pairs with `finish`, since the owner may go on to write the free slots.
        let head = Head::unpack(self.head.0.load(Ordering::Acquire));
        // Rule 4: slots that a slow thief has claimed are not free.
        let first = mutation!("local-queue-room-ignores-thief", head.steal, head.real);
        // Relaxed: the owner's own write.
        let used = self.tail.0.load(Ordering::Relaxed).wrapping_sub(first);
        // Another thread may have read a head that is out of date.
        self.capacity().saturating_sub(used as usize)
    }

    /// Adds a task. If the queue is full, `overflow` is called with the older half of the ring and
    /// then `task`, or with `task` alone while a thief is at work, which makes room itself. What
    /// `overflow` does not take is dropped.
    ///
    /// # Safety
    /// Only the owner calls it: one thread at a time. Neither `overflow` nor the drop of a task
    /// that it leaves may use the queue.
    #[inline]
    pub(crate) unsafe fn push(&self, task: T, overflow: impl FnOnce(&mut dyn Iterator<Item = T>)) {
        // Relaxed: the owner's own write.
        let tail = self.tail.0.load(Ordering::Relaxed);
        // Acquire: pairs with `finish`; the thief has read the slot that is written next.
        let mut before = self.head.0.load(Ordering::Acquire);
        loop {
            let head = Head::unpack(before);
            if tail.wrapping_sub(head.steal) < self.capacity.get() {
                // SAFETY: the caller is the owner, and the slot at the tail is free (rule 2).
                unsafe { self.write(tail, task) };
                self.publish(tail.wrapping_add(1));
                return;
            }
            if head.is_claimed() {
                overflow(&mut iter::once(task));
                return;
            }
            match self.give_up_half(head) {
                Ok(()) => {
                    let last = Some(task);
                    let left = self.half();
                    let mut tasks = Overflow { queue: self, next: head.real, left, last };
                    overflow(&mut tasks);
                    return;
                }
                Err(actual) => before = actual,
            }
        }
    }

    /// The oldest task.
    ///
    /// # Safety
    /// Only the owner calls it: one thread at a time.
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<T> {
        // Relaxed: the owner's own write.
        let tail = self.tail.0.load(Ordering::Relaxed);
        // Relaxed: the slot that is read was written by the owner, and an old head is found out
        // by the exchange. An old head never looks empty: thieves only bring it nearer the tail.
        let mut before = self.head.0.load(Ordering::Relaxed);
        loop {
            let head = Head::unpack(before);
            if head.real == tail {
                return None;
            }
            let real = head.real.wrapping_add(1);
            let after =
                if head.is_claimed() { Head { real, ..head } } else { Head::unclaimed(real) };
            // Release: for those who read the tail next, see the module documentation.
            match self.head.0.compare_exchange_weak(
                before,
                after.pack(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                // SAFETY: the task waited, and `real` was moved past it (rule 3).
                Ok(_) => return Some(unsafe { self.read(head.real) }),
                Err(actual) => before = actual,
            }
        }
    }

    /// Steals half of what waits here, rounded up, as far as there is room in `own`: the oldest
    /// task is returned, the others go to `own`. Takes nothing while another thief is at work.
    ///
    /// # Safety
    /// The caller owns `own`, which is another queue: it alone pushes, pops and steals into it.
    pub(crate) unsafe fn steal_into(&self, own: &Queue<T>) -> Option<T> {
        debug_assert!(!ptr::eq(self, own), "a queue is stolen from by its owner");
        let claim = self.claim(own.room() as u32 + 1)?;
        // Relaxed: the caller's own write.
        let own_tail = own.tail.0.load(Ordering::Relaxed);
        // SAFETY: claimed (rule 4), and read once.
        let first = unsafe { self.read(claim.first) };
        for offset in 1..claim.count {
            // SAFETY: claimed (rule 4), and read once.
            let task = unsafe { self.read(claim.first.wrapping_add(offset)) };
            // SAFETY: the caller owns `own`, which had room for all but the first (rule 2).
            unsafe { own.write(own_tail.wrapping_add(offset - 1), task) };
        }
        self.finish();
        if claim.count > 1 {
            own.publish(own_tail.wrapping_add(claim.count - 1));
        }
        Some(first)
    }

    /// Owner: what was written up to `tail` waits from now on.
    #[inline]
    fn publish(&self, tail: u32) {
        // Release: pairs with `claim`; a thief sees the tasks in the slots.
        let release = mutation!("local-queue-tail-relaxed", Ordering::Release, Ordering::Relaxed);
        self.tail.0.store(tail, release);
    }

    /// Owner: takes the older half out of a full ring, if its head is still the unclaimed `head`;
    /// else returns what the head is.
    #[cold]
    fn give_up_half(&self, head: Head) -> Result<(), u64> {
        let after = Head::unclaimed(head.real.wrapping_add(self.half()));
        // Release: for those who read the tail next, see the module documentation. Acquire on
        // failure: a thief may have finished meanwhile, and left slots to write.
        self.head
            .0
            .compare_exchange_weak(head.pack(), after.pack(), Ordering::Release, Ordering::Acquire)
            .map(|_| ())
    }

    /// Thief: claims half of what waits, rounded up, but no more than `most`.
    fn claim(&self, most: u32) -> Option<Claim> {
        // Acquire: the tail that is read next is not behind this head.
        let mut before = self.head.0.load(Ordering::Acquire);
        loop {
            let head = Head::unpack(before);
            if head.is_claimed() {
                return None;
            }
            // Acquire: pairs with `publish`; the tasks up to the tail are in their slots.
            let waiting = self.tail.0.load(Ordering::Acquire).wrapping_sub(head.real);
            // An old head can be too far from the tail; then the exchange fails.
            let count = waiting.div_ceil(2).min(self.half()).min(most);
            if count == 0 {
                return None;
            }
            let after = Head { real: head.real.wrapping_add(count), ..head };
            // Release: for those who read the tail next. No Acquire on success: the head is the
            // one that was acquired above. On failure as for the load above.
            match self.head.0.compare_exchange_weak(
                before,
                after.pack(),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(Claim { first: head.real, count }),
                Err(actual) => before = actual,
            }
        }
    }

    /// Thief: gives back the slots that it claimed, and those that the owner popped since.
    fn finish(&self) {
        // Release: pairs with `push` and `room`; the slots have been read before they are written
        // again.
        let release = mutation!("local-queue-finish-relaxed", Ordering::Release, Ordering::Relaxed);
        // Relaxed, here and on failure: a first guess, at least as new as the claim.
        let mut before = self.head.0.load(Ordering::Relaxed);
        loop {
            let after = Head::unclaimed(Head::unpack(before).real).pack();
            match self.head.0.compare_exchange_weak(before, after, release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(actual) => before = actual,
            }
        }
    }

    fn slot(&self, position: u32) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots.0[position as usize & (self.capacity() - 1)]
    }

    /// Moves a task out of its slot.
    ///
    /// # Safety
    /// The slot holds a task that belongs to the caller (rules 3 and 4), who reads it once.
    #[inline]
    unsafe fn read(&self, position: u32) -> T {
        // SAFETY: nobody writes the slot, and it was written: the caller's promise.
        self.slot(position).with(|slot| unsafe { slot.read().assume_init() })
    }

    /// Moves a task into a slot.
    ///
    /// # Safety
    /// The slot is free and belongs to the caller (rule 2).
    #[inline]
    unsafe fn write(&self, position: u32, task: T) {
        // SAFETY: nobody else has the slot: the caller's promise.
        self.slot(position).with_mut(|slot| unsafe { slot.write(MaybeUninit::new(task)) });
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // SAFETY: nobody else has the queue any more.
        while unsafe { self.pop() }.is_some() {}
    }
}

/// The tasks that leave a full queue, oldest first. What is not taken is dropped.
struct Overflow<'a, T> {
    queue: &'a Queue<T>,
    /// The slots that have not been read yet; `real` was moved past them.
    next: u32,
    left: u32,
    last: Option<T>,
}

impl<T> Iterator for Overflow<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.left == 0 {
            return self.last.take();
        }
        let position = self.next;
        self.next = position.wrapping_add(1);
        self.left -= 1;
        // SAFETY: the owner moved `real` past the task (rule 3), which is read once, and writes
        // nothing until `overflow` is over: the promise of `push`.
        Some(unsafe { self.queue.read(position) })
    }
}

impl<T> Drop for Overflow<'_, T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::collections::VecDeque;
    use std::ops::Range;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const FULL: u32 = CAPACITY as u32;
    const HALF: u32 = FULL / 2;

    /// An empty queue that has seen as many tasks.
    fn queue_at(position: u32) -> Queue<u32> {
        let queue = Queue::new(Capacity::usual());
        queue.head.0.store(Head::unclaimed(position).pack(), Ordering::Relaxed);
        queue.tail.0.store(position, Ordering::Relaxed);
        queue
    }

    fn queue_of(tasks: Range<u32>) -> Queue<u32> {
        let queue = Queue::new(Capacity::usual());
        for task in tasks {
            assert!(push(&queue, task).is_empty());
        }
        queue
    }

    /// Pushes a task and returns what overflows.
    fn push(queue: &Queue<u32>, task: u32) -> Vec<u32> {
        let mut overflowed = Vec::new();
        // SAFETY: a test has one thread.
        unsafe { queue.push(task, |tasks| overflowed.extend(tasks)) };
        overflowed
    }

    fn pop(queue: &Queue<u32>) -> Option<u32> {
        // SAFETY: as in `push`.
        unsafe { queue.pop() }
    }

    fn pop_all(queue: &Queue<u32>) -> Vec<u32> {
        iter::from_fn(|| pop(queue)).collect()
    }

    fn steal(victim: &Queue<u32>, own: &Queue<u32>) -> Option<u32> {
        // SAFETY: as in `push`, and the queues are two.
        unsafe { victim.steal_into(own) }
    }

    /// What a slow thief does at last with its claim.
    fn copy_and_finish(victim: &Queue<u32>, claim: &Claim) -> Vec<u32> {
        let positions = (0..claim.count).map(|offset| claim.first.wrapping_add(offset));
        // SAFETY: claimed, and read once.
        let tasks = positions.map(|position| unsafe { victim.read(position) }).collect();
        victim.finish();
        tasks
    }

    fn numbers(range: Range<u32>) -> Vec<u32> {
        range.collect()
    }

    #[test]
    fn tasks_leave_in_the_order_in_which_they_came() {
        let queue = queue_of(0..3);
        assert_eq!((queue.len(), queue.room()), (3, CAPACITY - 3));
        assert_eq!(pop_all(&queue), [0, 1, 2]);
        assert!(queue.is_empty());
        assert_eq!(queue.room(), CAPACITY);
    }

    #[test]
    fn the_older_half_of_a_full_queue_overflows_before_the_new_task() {
        let queue = queue_of(0..FULL);
        assert_eq!(queue.room(), 0);
        let mut expected = numbers(0..HALF);
        expected.push(FULL);
        assert_eq!(push(&queue, FULL), expected);
        assert_eq!(pop_all(&queue), numbers(HALF..FULL));
    }

    #[test]
    fn the_new_task_alone_overflows_while_a_thief_is_at_work() {
        let queue = queue_of(0..FULL);
        let claim = queue.claim(HALF).expect("tasks wait and nobody steals");
        assert_eq!(push(&queue, FULL), [FULL]);
        assert_eq!(queue.len(), CAPACITY / 2);
        assert_eq!(copy_and_finish(&queue, &claim), numbers(0..HALF));
        assert!(push(&queue, FULL + 1).is_empty());
        let mut expected = numbers(HALF..FULL);
        expected.push(FULL + 1);
        assert_eq!(pop_all(&queue), expected);
    }

    #[test]
    fn a_thief_takes_half_rounded_up() {
        for (waiting, taken) in [(1, 1), (2, 1), (3, 2), (FULL - 1, HALF), (FULL, HALF)] {
            let (victim, own) = (queue_of(0..waiting), Queue::new(Capacity::usual()));
            assert_eq!(steal(&victim, &own), Some(0));
            assert_eq!(pop_all(&own), numbers(1..taken));
            assert_eq!(pop_all(&victim), numbers(taken..waiting));
        }
        assert_eq!(steal(&Queue::new(Capacity::usual()), &Queue::new(Capacity::usual())), None);
    }

    #[test]
    fn a_thief_takes_no_more_than_it_has_room_for() {
        for room in 0..3 {
            let (victim, own) = (queue_of(0..FULL), queue_of(FULL..2 * FULL - room));
            assert_eq!(steal(&victim, &own), Some(0));
            let mut expected = numbers(FULL..2 * FULL - room);
            expected.extend(1..=room);
            assert_eq!(pop_all(&own), expected);
            assert_eq!(pop_all(&victim), numbers(1 + room..FULL));
        }
    }

    #[test]
    fn slots_that_a_slow_thief_has_claimed_are_not_free() {
        let own = queue_of(0..FULL);
        let claim = own.claim(HALF).expect("tasks wait and nobody steals");
        assert_eq!(pop_all(&own), numbers(HALF..FULL));
        assert!(own.is_empty());
        assert_eq!(own.room(), 0);
        let victim = queue_of(FULL..2 * FULL);
        assert_eq!(steal(&victim, &own), Some(FULL));
        assert_eq!(victim.len(), CAPACITY - 1);
        assert_eq!(copy_and_finish(&own, &claim), numbers(0..HALF));
        assert_eq!((own.len(), own.room()), (0, CAPACITY));
    }

    #[test]
    fn a_second_thief_waits_for_the_first() {
        let (victim, own) = (queue_of(0..FULL), Queue::new(Capacity::usual()));
        let claim = victim.claim(2).expect("tasks wait and nobody steals");
        assert_eq!(steal(&victim, &own), None);
        assert_eq!(pop(&victim), Some(2));
        assert_eq!(copy_and_finish(&victim, &claim), [0, 1]);
        assert_eq!(steal(&victim, &own), Some(3));
    }

    #[test]
    fn what_is_left_is_dropped() {
        let task = Arc::new(());
        let queue = Queue::new(Capacity::usual());
        for _ in 0..CAPACITY {
            // SAFETY: a test has one thread.
            unsafe { queue.push(Arc::clone(&task), |_| panic!("there is room")) };
        }
        // SAFETY: as above; the closure and the tasks leave the queue alone.
        unsafe { queue.push(Arc::clone(&task), |tasks| drop(tasks.next())) };
        assert_eq!(Arc::strong_count(&task), 1 + CAPACITY / 2);
        drop(queue);
        assert_eq!(Arc::strong_count(&task), 1);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push { queue: usize, count: usize },
        Pop { queue: usize, count: usize },
        Steal { victim: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..2_usize, 1..200_usize).prop_map(|(queue, count)| Step::Push { queue, count }),
            (0..2_usize, 1..200_usize).prop_map(|(queue, count)| Step::Pop { queue, count }),
            (0..2_usize).prop_map(|victim| Step::Steal { victim }),
        ]
    }

    /// Where a queue starts: often short of where positions wrap.
    fn position() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0_u32), u32::MAX - 1000..=u32::MAX, any::<u32>()]
    }

    /// Two queues beside plain ones that do the same.
    struct Comparison {
        queues: [Queue<u32>; 2],
        plain: [VecDeque<u32>; 2],
        next_task: u32,
    }

    impl Comparison {
        fn run(&mut self, step: Step) {
            match step {
                Step::Push { queue, count } => (0..count).for_each(|_| self.push(queue)),
                Step::Pop { queue, count } => (0..count).for_each(|_| self.pop(queue)),
                Step::Steal { victim } => self.steal(victim),
            }
            for (queue, plain) in self.queues.iter().zip(&self.plain) {
                assert_eq!(queue.len(), plain.len());
                assert_eq!(queue.is_empty(), plain.is_empty());
                assert_eq!(queue.room(), CAPACITY - plain.len());
            }
        }

        fn push(&mut self, queue: usize) {
            let task = self.next_task;
            self.next_task += 1;
            let plain = &mut self.plain[queue];
            let mut overflowed = Vec::new();
            if plain.len() == CAPACITY {
                overflowed.extend(plain.drain(..CAPACITY / 2));
                overflowed.push(task);
            } else {
                plain.push_back(task);
            }
            assert_eq!(push(&self.queues[queue], task), overflowed);
        }

        fn pop(&mut self, queue: usize) {
            assert_eq!(pop(&self.queues[queue]), self.plain[queue].pop_front());
        }

        fn steal(&mut self, victim: usize) {
            let own = 1 - victim;
            let room = CAPACITY - self.plain[own].len();
            let half = self.plain[victim].len().div_ceil(2);
            let mut stolen: VecDeque<u32> =
                self.plain[victim].drain(..half.min(room + 1)).collect();
            let first = stolen.pop_front();
            self.plain[own].extend(stolen);
            assert_eq!(steal(&self.queues[victim], &self.queues[own]), first);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            // A failure prints its smallest case, to become a test with a name.
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn two_queues_agree_with_plain_ones(
            positions in [position(), position()],
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let queues = positions.map(queue_at);
            let mut comparison = Comparison { queues, plain: Default::default(), next_task: 0 };
            for step in steps {
                comparison.run(step);
            }
            for (queue, plain) in comparison.queues.iter().zip(comparison.plain) {
                assert_eq!(pop_all(queue), Vec::from(plain));
            }
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::ops::Range;
    use std::sync::Arc;

    use loom::thread::JoinHandle;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;

    fn queue_of(tasks: Range<u32>) -> Arc<Queue<u32>> {
        let queue = Arc::new(Queue::new(Capacity::usual()));
        tasks.for_each(|task| push(&queue, task));
        queue
    }

    fn push(queue: &Queue<u32>, task: u32) {
        // SAFETY: one thread of a model owns a queue at a time.
        unsafe { queue.push(task, |_| panic!("there is room")) };
    }

    fn pop(queue: &Queue<u32>) -> Option<u32> {
        // SAFETY: as in `push`.
        unsafe { queue.pop() }
    }

    fn pop_all(queue: &Queue<u32>) -> Vec<u32> {
        iter::from_fn(|| pop(queue)).collect()
    }

    fn steal(victim: &Queue<u32>, own: &Queue<u32>) -> Option<u32> {
        // SAFETY: as in `push`, and the queues are two.
        unsafe { victim.steal_into(own) }
    }

    /// A thread that steals once, and returns what it got.
    fn thief(victim: &Arc<Queue<u32>>) -> JoinHandle<Vec<u32>> {
        let victim = Arc::clone(victim);
        loom::thread::spawn(move || {
            let own = Queue::new(Capacity::usual());
            let first = steal(&victim, &own);
            first.into_iter().chain(pop_all(&own)).collect()
        })
    }

    fn assert_each_once(mut tasks: Vec<u32>, expected: Range<u32>) {
        tasks.sort_unstable();
        assert!(tasks.iter().copied().eq(expected), "lost or taken twice: {tasks:?}");
    }

    #[test]
    fn the_owner_pops_while_a_thief_steals() {
        model(|| {
            let queue = queue_of(0..3);
            let thief = thief(&queue);
            let mut tasks = pop_all(&queue);
            tasks.extend(thief.join().unwrap());
            assert_each_once(tasks, 0..3);
        });
    }

    fn push_and_steal() {
        let queue = queue_of(0..0);
        let thief = thief(&queue);
        push(&queue, 0);
        push(&queue, 1);
        let mut tasks: Vec<u32> = pop(&queue).into_iter().collect();
        tasks.extend(thief.join().unwrap());
        tasks.extend(pop_all(&queue));
        assert_each_once(tasks, 0..2);
    }

    #[test]
    fn the_owner_pushes_while_a_thief_steals() {
        model(push_and_steal);
    }

    #[test]
    fn relaxed_tail_mutant_is_noticed() {
        assert!(is_noticed("local-queue-tail-relaxed", || model(push_and_steal)));
    }

    /// The push finds the queue full, or full with a thief at work, or with the room that the
    /// thief has made.
    fn overflow_and_steal() {
        let queue = queue_of(0..4);
        let thief = thief(&queue);
        let mut tasks = Vec::new();
        // SAFETY: this thread owns the queue, and the closure leaves it alone.
        unsafe { queue.push(4, |overflowed| tasks.extend(overflowed)) };
        tasks.extend(thief.join().unwrap());
        tasks.extend(pop_all(&queue));
        assert_each_once(tasks, 0..5);
    }

    #[test]
    fn a_full_queue_overflows_while_a_thief_steals() {
        model(overflow_and_steal);
    }

    #[test]
    fn relaxed_finish_mutant_is_noticed() {
        assert!(is_noticed("local-queue-finish-relaxed", || model(overflow_and_steal)));
    }

    /// The owner of a full queue pops what a thief leaves, then steals: its queue may be empty,
    /// and yet have no room until the thief has copied.
    fn steal_into_a_queue_that_is_stolen_from() {
        let (own, victim) = (queue_of(0..4), queue_of(4..8));
        let thief = thief(&own);
        let queues = (Arc::clone(&own), Arc::clone(&victim));
        let owner = loom::thread::spawn(move || {
            let (own, victim) = queues;
            [pop(&own), pop(&own), steal(&victim, &own)]
        });
        let mut tasks: Vec<u32> = pop(&victim).into_iter().collect();
        tasks.extend(thief.join().unwrap());
        tasks.extend(owner.join().unwrap().into_iter().flatten());
        tasks.extend(pop_all(&own));
        tasks.extend(pop_all(&victim));
        assert_each_once(tasks, 0..8);
    }

    #[test]
    fn an_owner_steals_while_a_slow_thief_copies_from_it() {
        model(steal_into_a_queue_that_is_stolen_from);
    }

    #[test]
    fn room_ignores_thief_mutant_is_noticed() {
        let scenario = || model(steal_into_a_queue_that_is_stolen_from);
        assert!(is_noticed("local-queue-room-ignores-thief", scenario));
    }

    #[test]
    fn two_thieves_steal_while_the_owner_pops() {
        model(|| {
            let queue = queue_of(0..4);
            let thieves = [thief(&queue), thief(&queue)];
            let mut tasks: Vec<u32> = pop(&queue).into_iter().collect();
            for thief in thieves {
                tasks.extend(thief.join().unwrap());
            }
            tasks.extend(pop_all(&queue));
            assert_each_once(tasks, 0..4);
        });
    }

    #[test]
    fn what_was_stolen_is_stolen_again() {
        model(|| {
            let (victim, own) = (queue_of(0..4), queue_of(0..0));
            let thief = thief(&own);
            let mut tasks: Vec<u32> = steal(&victim, &own).into_iter().collect();
            tasks.extend(thief.join().unwrap());
            tasks.extend(pop_all(&own));
            tasks.extend(pop_all(&victim));
            assert_each_once(tasks, 0..4);
        });
    }
}
