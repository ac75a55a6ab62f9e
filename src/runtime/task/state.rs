//! The state word of a task: lifecycle, flags and reference count in one atomic.
//!
//! ```text
//!               spawn                 start                  complete
//!   ─────────────────► SCHEDULED ─────────────► RUNNING ───────────────► COMPLETE
//!                        ▲    ▲                   │  │
//!            wake, abort │    └── wake meanwhile ─┘  │ pending, nobody woke it
//!                        │                           ▼
//!                        └───────────────────────── idle
//! ```
//!
//! idle is the absence of the three bits. `SCHEDULED` beside `RUNNING` says that the task was
//! woken while it is polled: its poller queues it again.
//!
//! Rules, cited where they are relied on:
//! 1. Whoever sets `SCHEDULED` on an idle task queues it, once; the queue owns a reference.
//! 2. Whoever sets `RUNNING` (only [`State::start`], from `SCHEDULED`) has the future to itself
//!    until it clears the bit or sets `COMPLETE`.
//! 3. `COMPLETE` is set once, after the future was dropped and the output written. From then on
//!    the output belongs to the join handle if `JOIN_INTEREST` is set, else to the completer,
//!    who drops it.
//! 4. While `JOIN_WAKER` is clear the join handle owns the waker slot; while it is set, the
//!    completer may read it. The handle clears the bit to change the waker, unless the task is
//!    complete.
//! 5. The allocation is freed by whoever drops the last reference.
//!
//! All transitions are AcqRel on success: each hands over, or takes, what the rules speak of.

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::const_fn;
use crate::platform::thread;

const SCHEDULED: usize = 1;
const RUNNING: usize = 1 << 1;
const COMPLETE: usize = 1 << 2;
const CANCELLED: usize = 1 << 3;
const JOIN_INTEREST: usize = 1 << 4;
const JOIN_WAKER: usize = 1 << 5;
const REFERENCE: usize = 1 << 6;
/// Half of what the count can hold: more references than that are a leak in a loop.
const MOST_REFERENCES: usize = usize::MAX / REFERENCE / 2;

/// The queue, the registry and the join handle each hold one.
const FIRST_REFERENCES: usize = 3;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct State(AtomicUsize);

/// What a waker has to do after it changed the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Queue the task; the queue's reference has been counted.
    Queue,
    /// Nothing.
    Done,
    /// Free the task: its last reference is gone.
    Free,
}

/// What the poller has to do after a poll that was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The task waits to be woken; the queue's reference is gone.
    Idle,
    /// It was woken meanwhile: queue it again, with the reference it had.
    Queue,
    /// It was asked to end: drop the future and complete.
    Cancelled,
}

/// What the completer has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// The join handle is there and has the output.
    pub(crate) join_interest: bool,
    /// The join handle has left a waker.
    pub(crate) join_waker: bool,
}

impl State {
    const_fn! {
        /// A task that is in a queue, in the registry, and has a join handle.
        pub(crate) fn new() -> State {
            State(AtomicUsize::new(
                SCHEDULED | JOIN_INTEREST | (FIRST_REFERENCES * REFERENCE),
            ))
        }
    }

    /// Wakes by a waker that is kept.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Wake {
        self.update(|state| {
            if state & (SCHEDULED | COMPLETE) != 0 {
                // Already going to run, or never again.
                return (None, Wake::Done);
            }
            let running = state & RUNNING != 0;
            if mutation!("task-queued-twice", running, false) {
                return (Some(state | SCHEDULED), Wake::Done);
            }
            check_references(state);
            (Some((state | SCHEDULED) + REFERENCE), Wake::Queue)
        })
    }

    /// Wakes by a waker that ends with it: its reference becomes the queue's.
    #[inline]
    pub(crate) fn wake_by_value(&self) -> Wake {
        self.update(|state| {
            if state & (SCHEDULED | COMPLETE) != 0 {
                let left = state - REFERENCE;
                return (Some(left), if left < REFERENCE { Wake::Free } else { Wake::Done });
            }
            if state & RUNNING != 0 {
                // The poller's reference is left.
                return (Some((state | SCHEDULED) - REFERENCE), Wake::Done);
            }
            (Some(state | SCHEDULED), Wake::Queue)
        })
    }

    /// The poller takes the task from its queue; true if the task was asked to end.
    #[inline]
    pub(crate) fn start(&self) -> bool {
        // One read-modify-write: the bits are known, rule 1 and 2.
        let before = self.0.fetch_xor(SCHEDULED | RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before & (SCHEDULED | RUNNING | COMPLETE), SCHEDULED);
        before & CANCELLED != 0
    }

    /// The poll was pending.
    #[inline]
    pub(crate) fn pend(&self) -> Pending {
        self.update(|state| {
            debug_assert_eq!(state & (RUNNING | COMPLETE), RUNNING);
            if state & CANCELLED != 0 {
                return (None, Pending::Cancelled);
            }
            let woken = state & SCHEDULED != 0;
            if mutation!("task-wake-while-polled", woken, false) {
                return (Some(state & !RUNNING), Pending::Queue);
            }
            let left = (state & !(RUNNING | SCHEDULED)) - REFERENCE;
            // The registry keeps its reference until the task is complete.
            debug_assert!(left >= REFERENCE);
            (Some(left), Pending::Idle)
        })
    }

    /// The output is written; the poller still has its reference.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        let before = self.0.fetch_xor(RUNNING | COMPLETE, Ordering::AcqRel);
        debug_assert_eq!(before & (RUNNING | COMPLETE), RUNNING);
        Completed {
            join_interest: before & JOIN_INTEREST != 0,
            join_waker: before & JOIN_WAKER != 0,
        }
    }

    /// Asks the task to end. An idle task must run once more to do so.
    pub(crate) fn cancel(&self) -> Wake {
        self.update(|state| {
            if state & (COMPLETE | CANCELLED) != 0 {
                return (None, Wake::Done);
            }
            if state & (SCHEDULED | RUNNING) != 0 {
                return (Some(state | CANCELLED), Wake::Done);
            }
            check_references(state);
            (Some((state | CANCELLED | SCHEDULED) + REFERENCE), Wake::Queue)
        })
    }

    /// The join handle has written its waker; false if the task completed meanwhile, and the
    /// handle still owns the slot.
    pub(crate) fn set_join_waker(&self) -> bool {
        self.update(|state| {
            debug_assert_eq!(state & (JOIN_INTEREST | JOIN_WAKER), JOIN_INTEREST);
            let complete = state & COMPLETE != 0;
            if mutation!("task-join-after-complete", complete, false) {
                return (None, false);
            }
            (Some(state | JOIN_WAKER), true)
        })
    }

    /// The join handle takes the waker slot back; false if the task completed meanwhile.
    pub(crate) fn take_join_waker(&self) -> bool {
        self.update(|state| {
            if state & COMPLETE != 0 {
                return (None, false);
            }
            (Some(state & !JOIN_WAKER), true)
        })
    }

    /// The completer has woken the join handle; true if the handle is gone since, and left the
    /// waker to be dropped.
    pub(crate) fn join_woken(&self) -> bool {
        let before = self.0.fetch_and(!JOIN_WAKER, Ordering::AcqRel);
        before & JOIN_INTEREST == 0
    }

    /// The join handle goes; what it has to drop first. Its reference stays.
    pub(crate) fn drop_join_interest(&self) -> DropInterest {
        self.update(|state| {
            debug_assert_ne!(state & JOIN_INTEREST, 0);
            let complete = state & COMPLETE != 0;
            // A complete task's waker belongs to the completer while the bit is set.
            let waker = !complete || state & JOIN_WAKER == 0;
            let mut left = state & !JOIN_INTEREST;
            if !complete {
                left &= !JOIN_WAKER;
            }
            (Some(left), DropInterest { output: complete, waker })
        })
    }

    /// Whether the output is there.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        // Acquire: pairs with `complete`; the output is read after.
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Whether the join handle has a waker registered.
    #[inline]
    pub(crate) fn has_join_waker(&self) -> bool {
        self.0.load(Ordering::Acquire) & JOIN_WAKER != 0
    }

    /// A name for the state, for reports.
    pub(crate) fn describe(&self) -> &'static str {
        // Relaxed: a snapshot.
        let state = self.0.load(Ordering::Relaxed);
        match () {
            () if state & COMPLETE != 0 => "complete",
            () if state & RUNNING != 0 => "running",
            () if state & SCHEDULED != 0 => "scheduled",
            () => "waiting",
        }
    }

    /// One more reference.
    #[inline]
    pub(crate) fn add_reference(&self) {
        // Relaxed: the caller has a reference, which keeps the task alive.
        check_references(self.0.fetch_add(REFERENCE, Ordering::Relaxed));
    }

    /// One reference less; true if it was the last.
    #[inline]
    pub(crate) fn drop_reference(&self) -> bool {
        // AcqRel: what other owners did happens before the task is freed.
        let before = self.0.fetch_sub(REFERENCE, Ordering::AcqRel);
        debug_assert!(before >= REFERENCE);
        before < 2 * REFERENCE
    }

    #[inline]
    fn update<R>(&self, mut step: impl FnMut(usize) -> (Option<usize>, R)) -> R {
        let mut state = self.0.load(Ordering::Acquire);
        loop {
            let (next, result) = step(state);
            let Some(next) = next else { return result };
            let exchanged =
                self.0.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => return result,
                Err(found) => state = found,
            }
        }
    }
}

/// What the join handle has to drop when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DropInterest {
    pub(crate) output: bool,
    pub(crate) waker: bool,
}

/// Ends the process rather than let the count wrap: wakers are being leaked in a loop.
#[inline]
fn check_references(state: usize) {
    if state / REFERENCE > MOST_REFERENCES {
        thread::abort_process();
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_life_without_incident() {
        let state = State::new();
        assert_eq!(state.describe(), "scheduled");
        assert!(!state.start());
        assert_eq!(state.pend(), Pending::Idle);
        assert_eq!(state.describe(), "waiting");
        assert_eq!(state.wake_by_ref(), Wake::Queue);
        assert_eq!(state.wake_by_ref(), Wake::Done);
        assert!(!state.start());
        assert_eq!(state.wake_by_ref(), Wake::Done);
        assert_eq!(state.pend(), Pending::Queue);
        assert!(!state.start());
        assert_eq!(state.complete(), Completed { join_interest: true, join_waker: false });
        assert_eq!(state.wake_by_ref(), Wake::Done);
        assert_eq!(state.drop_join_interest(), DropInterest { output: true, waker: true });
        assert!(!state.drop_reference());
        assert!(!state.drop_reference());
        assert!(state.drop_reference());
    }

    #[test]
    fn an_idle_task_that_is_cancelled_runs_once_more() {
        let state = State::new();
        state.start();
        state.pend();
        assert_eq!(state.cancel(), Wake::Queue);
        assert_eq!(state.cancel(), Wake::Done);
        assert!(state.start());
        let running = State::new();
        running.start();
        assert_eq!(running.cancel(), Wake::Done);
        assert_eq!(running.pend(), Pending::Cancelled);
    }

    #[test]
    fn a_waker_that_ends_gives_its_reference_to_the_queue() {
        let state = State::new();
        state.start();
        state.add_reference();
        state.pend();
        assert_eq!(state.wake_by_value(), Wake::Queue);
        state.start();
        state.add_reference();
        assert_eq!(state.wake_by_value(), Wake::Done);
        assert_eq!(state.pend(), Pending::Queue);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::UnsafeCell;

    /// A task's word with what it guards, so that loom sees every unordered access.
    struct Guarded {
        state: State,
        future: UnsafeCell<u32>,
        waker: UnsafeCell<u32>,
    }

    // SAFETY: the rules of the state word, which the models check.
    unsafe impl Sync for Guarded {}
    // SAFETY: as above.
    unsafe impl Send for Guarded {}

    fn guarded() -> Arc<Guarded> {
        let (future, waker) = (UnsafeCell::new(0), UnsafeCell::new(0));
        Arc::new(Guarded { state: State::new(), future, waker })
    }

    fn poll(task: &Guarded) {
        // SAFETY: rule 2.
        task.future.with_mut(|future| unsafe { *future += 1 });
    }

    /// A wake-up that comes while the task is polled is never lost: either this poll saw what
    /// the waker did, or the task is queued again.
    fn wake_while_polled() {
        let task = guarded();
        let waking = Arc::clone(&task);
        let flag = Arc::new(crate::platform::sync::atomic::AtomicBool::new(false));
        let set = Arc::clone(&flag);
        task.state.start();
        let waker = loom::thread::spawn(move || {
            set.store(true, Ordering::Release);
            waking.state.wake_by_ref()
        });
        let seen = flag.load(Ordering::Acquire);
        poll(&task);
        let pending = task.state.pend();
        let wake = waker.join().unwrap();
        let queued = pending == Pending::Queue || wake == Wake::Queue;
        assert!(seen || queued, "the wake-up is lost");
        assert!(!(pending == Pending::Queue && wake == Wake::Queue), "queued twice");
    }

    #[test]
    fn wake_while_polled_is_not_lost() {
        model(wake_while_polled);
    }

    #[test]
    fn wake_while_polled_mutant_is_noticed() {
        assert!(is_noticed("task-wake-while-polled", || model(wake_while_polled)));
    }

    #[test]
    fn two_wakers_queue_a_task_once() {
        model(|| {
            let task = guarded();
            task.state.start();
            task.state.pend();
            let other = Arc::clone(&task);
            let waker = loom::thread::spawn(move || other.state.wake_by_ref());
            let mine = task.state.cancel();
            let theirs = waker.join().unwrap();
            let queued = [mine, theirs].iter().filter(|wake| **wake == Wake::Queue).count();
            assert_eq!(queued, 1);
            assert!(task.state.start(), "the task is asked to end");
        });
    }

    /// The join handle's waker and the completion: the handle learns of the output one way.
    fn join_and_complete() {
        let task = guarded();
        let completing = Arc::clone(&task);
        task.state.start();
        let completer = loom::thread::spawn(move || {
            poll(&completing);
            let completed = completing.state.complete();
            if completed.join_waker {
                // SAFETY: rule 4.
                completing.waker.with(|waker| assert_eq!(unsafe { *waker }, 7));
            }
            completed.join_waker
        });
        // SAFETY: rule 4: the bit is clear.
        task.waker.with_mut(|waker| unsafe { *waker = 7 });
        let registered = task.state.set_join_waker();
        let woken = completer.join().unwrap();
        assert_eq!(registered, woken, "the join handle sleeps and nobody wakes it");
    }

    #[test]
    fn join_and_complete_meet() {
        model(join_and_complete);
    }

    #[test]
    fn join_after_complete_mutant_is_noticed() {
        assert!(is_noticed("task-join-after-complete", || model(join_and_complete)));
    }

    #[test]
    fn a_dropped_handle_and_the_completer_drop_the_output_once() {
        model(|| {
            let task = guarded();
            let completing = Arc::clone(&task);
            task.state.start();
            let completer = loom::thread::spawn(move || {
                poll(&completing);
                !completing.state.complete().join_interest
            });
            let dropped = task.state.drop_join_interest();
            if dropped.output {
                poll(&task);
            }
            assert!(completer.join().unwrap() != dropped.output);
        });
    }

    #[test]
    fn the_last_reference_is_one() {
        model(|| {
            let task = guarded();
            let other = Arc::clone(&task);
            task.state.drop_reference();
            let thread = loom::thread::spawn(move || {
                poll_shared(&other);
                other.state.drop_reference()
            });
            poll_shared(&task);
            let last = task.state.drop_reference();
            let others = thread.join().unwrap();
            assert!(last != others);
        });
    }

    fn poll_shared(task: &Guarded) {
        // SAFETY: reads only, until the last reference is gone.
        task.future.with(|future| unsafe { *future });
    }
}
