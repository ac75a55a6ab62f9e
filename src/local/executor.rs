//! The engine of a local runtime: the queue of tasks that are ready, and what polls them.
//!
//! ```text
//!   FREE ──spawn──► LIVE|QUEUED ──polled──► LIVE|POLLED ──pending──► LIVE ──wake──► LIVE|QUEUED
//!    ▲                  │ CANCELLED             │ ready, panicked
//!    │                  ▼                       ▼
//!    └──taken, or nobody has the handle──────  DONE
//! ```
//!
//! The state of a task is a byte in its slot that the runtime's thread alone touches. A task that
//! is woken while it is polled goes into the queue after the poll; one that is queued already is
//! not queued again. `JOINED` says that there is a handle, which gives the slot back.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod turns;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::arena::{Arena, Id, SlotRef};
use super::error::JoinError;
use super::host;
use super::inbox::Inbox;
use super::references::References;
use super::task::{Task, Vtable};
use super::timers::Timers;
use super::waker::waker_of;
use crate::coop;
use crate::platform::thread;

const FREE: u8 = 0;
/// There is a future.
const LIVE: u8 = 1;
/// There is an output.
const DONE: u8 = 2;
const QUEUED: u8 = 4;
const POLLED: u8 = 8;
const JOINED: u8 = 16;
const CANCELLED: u8 = 32;

/// The future of `run_until`: its slot, and what polls it; true when it is done.
type Root<'a> = (SlotRef, &'a mut dyn FnMut(&mut Context<'_>) -> bool);

/// See the module documentation.
pub(super) struct Executor {
    /// Where it is, as it was allocated: the memory is freed through the slots' copies of this.
    this: Cell<NonNull<Executor>>,
    references: References,
    inbox: Inbox<Id>,
    arena: Arena,
    first: Cell<Option<SlotRef>>,
    last: Cell<Option<SlotRef>>,
    /// Tasks that have not ended.
    tasks: Cell<usize>,
    is_running: Cell<bool>,
    has_ended: Cell<bool>,
    timers: Timers,
    /// What was taken out of the inbox; kept for its memory.
    taken: RefCell<Vec<Id>>,
}

impl Executor {
    /// A runtime of the calling thread, without references but its own.
    pub(super) fn new() -> NonNull<Executor> {
        let owner = thread::token().expect("the thread is not ending");
        let executor = Box::new(Executor {
            this: Cell::new(NonNull::dangling()),
            references: References::new(owner),
            inbox: Inbox::new(),
            arena: Arena::new(),
            first: Cell::new(None),
            last: Cell::new(None),
            tasks: Cell::new(0),
            is_running: Cell::new(false),
            has_ended: Cell::new(false),
            timers: Timers::new(),
            taken: RefCell::new(Vec::new()),
        });
        let this = NonNull::from(Box::leak(executor));
        // SAFETY: it was allocated just now, and nobody else has it.
        let executor = unsafe { this.as_ref() };
        executor.this.set(this);
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        executor.be_called();
        this
    }

    pub(super) fn references(&self) -> &References {
        &self.references
    }

    pub(super) fn inbox(&self) -> &Inbox<Id> {
        &self.inbox
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks.get()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Makes a task, which has a handle.
    #[inline]
    pub(super) fn spawn<F>(&self, future: F) -> SlotRef
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if self.has_ended.get() {
            drop(future);
            let slot = self.arena.take(Task::<F>::CLASS, self.this.get());
            // SAFETY: the slot was free, and is of its class.
            unsafe { Task::<F>::store_refused(slot) };
            slot.state.set(DONE | JOINED);
            return slot;
        }
        let slot = self.arena.take(Task::<F>::CLASS, self.this.get());
        // SAFETY: as above.
        unsafe { Task::store(slot, future) };
        slot.state.set(LIVE | QUEUED | JOINED);
        self.tasks.set(self.tasks.get() + 1);
        self.push(slot);
        slot
    }

    #[inline]
    fn push(&self, slot: SlotRef) {
        slot.next.set(None);
        match self.last.replace(Some(slot)) {
            Some(last) => last.next.set(Some(slot)),
            None => self.first.set(Some(slot)),
        }
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        self.ask_for_turn();
    }

    #[inline]
    fn pop(&self) -> Option<SlotRef> {
        let slot = self.first.get()?;
        let next = slot.next.get();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        Some(slot)
    }

    /// Wakes a task, on the runtime's thread. A stale id is refused.
    #[inline]
    pub(super) fn wake_here(&self, id: Id) {
        // SAFETY: the arena is ours, and this is its thread.
        if let Some(slot) = unsafe { id.current() } {
            self.queue(slot);
        }
    }

    #[inline]
    fn queue(&self, slot: SlotRef) {
        let state = slot.state.get();
        if state & (LIVE | QUEUED) != LIVE || self.has_ended.get() {
            return;
        }
        slot.state.set(state | QUEUED);
        if state & POLLED == 0 {
            self.push(slot);
        }
    }

    /// Asks a task to end: it is dropped when its turn comes.
    pub(super) fn abort(&self, slot: SlotRef) {
        let state = slot.state.get();
        if state & LIVE != 0 {
            slot.state.set(state | CANCELLED);
            self.queue(slot);
        }
    }

    /// The output of a task whose handle asks; else that is woken when it is there. The slot is
    /// the runtime's again with the output.
    ///
    /// # Safety
    /// The task has a handle, and gives a `T`.
    pub(super) unsafe fn poll_output<T>(
        &self,
        slot: SlotRef,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, JoinError>> {
        if slot.state.get() & DONE != 0 {
            // SAFETY: as the caller says.
            return Poll::Ready(unsafe { self.take_output(slot) });
        }
        let known = slot.awaiter.take();
        if known.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            slot.awaiter.set(known);
        } else {
            slot.awaiter.set(Some(context.waker().clone()));
        }
        Poll::Pending
    }

    /// # Safety
    /// As of `poll_output`, and there is an output.
    unsafe fn take_output<T>(&self, slot: SlotRef) -> Result<T, JoinError> {
        let mut output = MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: the type is right, and the output is not used again.
        let output = unsafe {
            (slot.vtable.get().take_output)(slot, output.as_mut_ptr().cast());
            output.assume_init()
        };
        self.release(slot);
        output
    }

    /// The handle of a task is dropped.
    ///
    /// # Safety
    /// As of `poll_output`.
    pub(super) unsafe fn detach<T>(&self, slot: SlotRef) {
        let state = slot.state.get();
        if state & DONE != 0 {
            // SAFETY: as the caller says.
            drop(unsafe { self.take_output::<T>(slot) });
        } else {
            slot.state.set(state & !JOINED);
            drop(slot.awaiter.take());
        }
    }

    pub(super) fn is_finished(slot: SlotRef) -> bool {
        slot.state.get() & DONE != 0
    }

    /// Gives the slot of a task back that is gone.
    fn release(&self, slot: SlotRef) {
        // An awaiter that nobody calls any more: the handle has its output.
        let awaiter = slot.awaiter.take();
        // SAFETY: there is neither a future nor an output.
        unsafe { (slot.vtable.get().free)(slot) };
        slot.vtable.set(Vtable::NOTHING);
        slot.state.set(FREE);
        self.arena.give_back(slot);
        drop(awaiter);
    }

    /// The output of a task is there.
    fn complete(&self, slot: SlotRef) {
        let joined = slot.state.get() & JOINED;
        slot.state.set(DONE | joined);
        self.tasks.set(self.tasks.get() - 1);
        if joined == 0 {
            // SAFETY: there is an output, and nobody has a handle.
            unsafe { (slot.vtable.get().drop_output)(slot) };
            self.release(slot);
        } else if let Some(awaiter) = slot.awaiter.take() {
            awaiter.wake();
        }
    }

    /// Calls `poll` with the waker of a task, and queues that if it was woken meanwhile.
    fn poll_one(&self, slot: SlotRef, poll: impl FnOnce(&mut Context<'_>) -> bool) -> bool {
        slot.state.set(slot.state.get() & !QUEUED | POLLED);
        // Not counted: the runtime keeps the memory while it polls.
        let waker: ManuallyDrop<Waker> = waker_of(slot.id());
        let mut context = Context::from_waker(&waker);
        if coop::with_budget(coop::BUDGET, || poll(&mut context)) {
            return true;
        }
        let state = slot.state.get() & !POLLED;
        slot.state.set(state);
        if state & QUEUED != 0 {
            self.push(slot);
        }
        false
    }

    fn run_task(&self, slot: SlotRef) {
        let state = slot.state.get();
        if state & DONE != 0 {
            // The future of a `run_until` that ended while this was in the queue.
            self.release(slot);
        } else if state & CANCELLED != 0 {
            // Whatever its destructors wake, it is not queued again.
            slot.state.set(state | POLLED);
            // SAFETY: there is a future, which nobody polls.
            unsafe { (slot.vtable.get().cancel)(slot) };
            self.complete(slot);
        } else {
            // SAFETY: there is a future, which nobody polls: a task is queued once.
            let poll =
                |context: &mut Context<'_>| unsafe { (slot.vtable.get().poll)(slot, context) };
            if self.poll_one(slot, poll) {
                self.complete(slot);
            }
        }
    }

    /// Queues what other threads have woken, and what waited for a moment that is past.
    fn collect(&self) {
        let mut taken = self.taken.take();
        self.inbox.take(&mut taken, |id| {
            // SAFETY: the arena is ours; the reference does not outlive this call.
            let slot = unsafe { id.slot() };
            let mark = &raw const slot.mark;
            // SAFETY: as above: a header is never dropped while the arena is there.
            unsafe { &*mark }
        });
        for id in taken.drain(..) {
            self.wake_here(id);
        }
        self.taken.replace(taken);
        if !self.timers.is_empty() {
            let now = host::now();
            while let Some(waker) = self.timers.take_due(now) {
                waker.wake();
            }
        }
    }

    /// Polls what is ready now, each once, in the order of the queue; true when the root is done.
    fn tick_with(&self, root: Option<Root<'_>>) -> bool {
        self.tick_while(root, || true)
    }

    /// As `tick_with`, as long as `goes_on`, which is asked before each poll but the first.
    fn tick_while(&self, mut root: Option<Root<'_>>, goes_on: impl Fn() -> bool) -> bool {
        self.collect();
        let Some(last) = self.last.get() else { return false };
        while let Some(slot) = self.pop() {
            match &mut root {
                Some((root, poll)) if *root == slot => {
                    if self.poll_one(slot, &mut **poll) {
                        return true;
                    }
                }
                _ => self.run_task(slot),
            }
            if slot == last || !goes_on() {
                break;
            }
        }
        false
    }

    /// As [`super::Runtime::tick`].
    #[track_caller]
    pub(super) fn tick(&self) -> bool {
        let _running = self.enter();
        self.tick_with(None);
        self.first.get().is_some()
    }

    /// As [`super::Runtime::run_until_stalled`].
    #[track_caller]
    pub(super) fn run_until_stalled(&self) {
        let _running = self.enter();
        loop {
            self.tick_with(None);
            if self.first.get().is_none() {
                return;
            }
        }
    }

    /// As [`super::Runtime::run`].
    #[track_caller]
    pub(super) fn run(&self) {
        let _running = self.enter();
        while self.tasks.get() > 0 {
            self.tick_with(None);
            if self.tasks.get() > 0 {
                self.sleep_if_idle();
            }
        }
    }

    /// As [`super::Runtime::run_until`].
    #[track_caller]
    pub(super) fn run_until<F: Future>(&self, future: F) -> F::Output {
        let _running = self.enter();
        let mut future = pin!(future);
        let mut output = None;
        let slot = self.arena.take(0, self.this.get());
        slot.state.set(LIVE | QUEUED);
        self.push(slot);
        let _seat = Seat { executor: self, slot };
        let mut poll = |context: &mut Context<'_>| match future.as_mut().poll(context) {
            Poll::Ready(value) => {
                output = Some(value);
                true
            }
            Poll::Pending => false,
        };
        while !self.tick_with(Some((slot, &mut poll))) {
            self.sleep_if_idle();
        }
        output.expect("the future is done")
    }

    fn sleep_if_idle(&self) {
        if self.first.get().is_none() {
            self.inbox.sleep(self.timers.next());
        }
    }

    #[track_caller]
    fn enter(&self) -> Running<'_> {
        assert!(
            !self.is_running.replace(true),
            "the runtime runs already: a task of it awaits instead of running it"
        );
        Running(self)
    }

    /// The runtime ends: every task is dropped, and no other one begins. True if nobody has a
    /// reference: then the caller frees the memory.
    #[must_use]
    pub(super) fn end(&self) -> bool {
        self.has_ended.set(true);
        self.first.set(None);
        self.last.set(None);
        self.arena.for_each(|slot| {
            let state = slot.state.get();
            if state & LIVE != 0 {
                slot.state.set(state | POLLED);
                // SAFETY: there is a future, which nobody polls: the runtime does not run.
                unsafe { (slot.vtable.get().cancel)(slot) };
                self.complete(slot);
            }
        });
        self.timers.clear();
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        self.inbox.host().end();
        self.references.end()
    }
}

/// While the runtime runs.
struct Running<'a>(&'a Executor);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.is_running.set(false);
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        self.0.arrange_turn();
    }
}

/// The slot of a future that is no task. When it is dropped the future is done, or has panicked.
struct Seat<'a> {
    executor: &'a Executor,
    slot: SlotRef,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let state = self.slot.state.get();
        if state & (QUEUED | POLLED) == QUEUED {
            // It is in the queue, which gives the slot back.
            self.slot.state.set(DONE | QUEUED);
        } else {
            self.executor.release(self.slot);
        }
    }
}
