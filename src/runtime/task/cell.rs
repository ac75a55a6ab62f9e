//! The allocation of a task, and what its poller does with it.

use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tracing::trace_span;

use super::state::{Pending, State, Wake};
use super::{Id, JoinError, waker};
use crate::platform::probe;
use crate::platform::sync::UnsafeCell;
use crate::runtime::scheduler::Scheduler;

/// What every task begins with, whatever its future. The rules are those of [`super::state`].
#[repr(C)]
pub(crate) struct Header {
    state: State,
    vtable: &'static Vtable,
    /// The next task of the queue that holds this one; the queue's, under its rules.
    queue_next: UnsafeCell<Option<NonNull<Header>>>,
    scheduler: Arc<Scheduler>,
    id: UnsafeCell<Option<Id>>,
    /// Rule 4.
    join_waker: UnsafeCell<Option<Waker>>,
}

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The future until the task is complete, then the output until somebody takes it: the state
/// word tells which (rules 2 and 3).
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

/// What depends on the type of the future.
struct Vtable {
    /// Polls the future; on `Ready` it is gone and the output is written. Rule 2.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Poll<()>,
    /// Drops the future and writes an error in its place, with the reason if it never ran.
    /// Rule 2.
    cancel: unsafe fn(NonNull<Header>, Option<&'static str>),
    /// Drops the output. Rule 3.
    drop_output: unsafe fn(NonNull<Header>),
    /// Moves the output to where the pointer, of the output's type, says. Rule 3.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Frees the allocation, whose future and output are gone. Rule 5.
    free: unsafe fn(NonNull<Header>),
}

impl<F: Future> Cell<F> {
    const VTABLE: Vtable = Vtable {
        poll: poll::<F>,
        cancel: cancel::<F>,
        drop_output: drop_output::<F>,
        take_output: take_output::<F>,
        free: free::<F>,
    };

    /// # Safety
    /// `header` is that of a live `Cell<F>`.
    unsafe fn stage<'a>(header: NonNull<Header>) -> &'a UnsafeCell<Stage<F>> {
        // SAFETY: `Cell` is `repr(C)` and begins with its header.
        unsafe { &header.cast::<Cell<F>>().as_ref().stage }
    }
}

/// Makes a task that is to be queued: its first run, and its join handle's reference.
pub(crate) fn new<F>(scheduler: Arc<Scheduler>, future: F) -> (Notified, TaskReference)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let cell = Box::new(Cell {
        header: Header {
            state: State::new(),
            vtable: &Cell::<F>::VTABLE,
            queue_next: UnsafeCell::new(None),
            scheduler,
            id: UnsafeCell::new(None),
            join_waker: UnsafeCell::new(None),
        },
        stage: UnsafeCell::new(Stage { future: ManuallyDrop::new(future) }),
    });
    let header = NonNull::from(Box::leak(cell)).cast::<Header>();
    (Notified(header), TaskReference(header))
}

/// # Safety
/// See [`Vtable::poll`].
unsafe fn poll<F: Future>(header: NonNull<Header>, context: &mut Context<'_>) -> Poll<()> {
    // SAFETY: rule 2: the future is ours, and it never moves from its allocation.
    unsafe { Cell::<F>::stage(header) }.with_mut(|stage| {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: as above; the stage holds the future, since the task is not complete.
            let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
            future.poll(context)
        }));
        let output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        // SAFETY: as above; it is not polled again, and overwritten below.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
            ManuallyDrop::drop(&mut (*stage).future);
        }));
        let output = match (output, dropped) {
            (Ok(output), Ok(())) => Ok(output),
            // The first panic is the one that is told.
            (Err(payload), _) | (Ok(_), Err(payload)) => Err(panicked(header, payload)),
        };
        // SAFETY: as above: the stage holds nothing.
        unsafe { (*stage).output = ManuallyDrop::new(output) };
        Poll::Ready(())
    })
}

/// # Safety
/// See [`Vtable::cancel`].
unsafe fn cancel<F: Future>(header: NonNull<Header>, refused: Option<&'static str>) {
    // SAFETY: rule 2, as in `poll`.
    unsafe { Cell::<F>::stage(header) }.with_mut(|stage| {
        // SAFETY: as in `poll`.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
            ManuallyDrop::drop(&mut (*stage).future);
        }));
        let error = match dropped {
            Ok(()) => match (refused, id(header)) {
                (None, Some(id)) => JoinError::cancelled(id),
                (why, _) => JoinError::refused(why.unwrap_or("its runtime has shut down")),
            },
            Err(payload) => panicked(header, payload),
        };
        // SAFETY: as in `poll`.
        unsafe { (*stage).output = ManuallyDrop::new(Err(error)) };
    });
}

/// # Safety
/// See [`Vtable::drop_output`].
unsafe fn drop_output<F: Future>(header: NonNull<Header>) {
    // SAFETY: rule 3: the output is ours.
    unsafe { Cell::<F>::stage(header) }.with_mut(|stage| {
        // A panic here has nobody to go to: the handle is gone, or going.
        // SAFETY: as above; nobody touches it again.
        let _ = catch_unwind(AssertUnwindSafe(|| unsafe {
            ManuallyDrop::drop(&mut (*stage).output);
        }));
    });
}

/// # Safety
/// See [`Vtable::take_output`].
unsafe fn take_output<F: Future>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: rule 3: the output is ours, and is taken once.
    unsafe { Cell::<F>::stage(header) }.with_mut(|stage| unsafe {
        let output = ManuallyDrop::take(&mut (*stage).output);
        to.cast::<Poll<Result<F::Output, JoinError>>>().write(Poll::Ready(output));
    });
}

/// # Safety
/// See [`Vtable::free`].
unsafe fn free<F: Future>(header: NonNull<Header>) {
    probe::task_freed(header.as_ptr().addr());
    // SAFETY: made by `Box::leak`, and nobody has a reference any more (rule 5).
    drop(unsafe { Box::from_raw(header.cast::<Cell<F>>().as_ptr()) });
}

fn panicked(header: NonNull<Header>, payload: Box<dyn Any + Send>) -> JoinError {
    JoinError::panicked(id(header), payload)
}

/// The task's name; `None` for one that its registry refused.
fn id(header: NonNull<Header>) -> Option<Id> {
    // SAFETY: the callers have a reference; the name is written once, before the task is shared.
    unsafe { header.as_ref() }.id.with(|id| unsafe { *id })
}

/// A task that is to run: the queue's reference, then its poller's.
pub(crate) struct Notified(NonNull<Header>);

/// A counted reference.
pub(crate) struct TaskReference(NonNull<Header>);

// SAFETY: a task's future and output are Send (see `new`), and all access follows the rules.
unsafe impl Send for Notified {}
// SAFETY: as above.
unsafe impl Send for TaskReference {}
// SAFETY: as above; the methods on `&self` are those of the state word.
unsafe impl Sync for TaskReference {}

impl Notified {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: this is a counted reference.
        unsafe { self.0.as_ref() }
    }

    /// The address of the task's cell: a key for probes, of no meaning otherwise.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Gives the reference to a queue that keeps raw pointers.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `header` came from [`Notified::into_raw`], and comes back once.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Notified {
        Notified(header)
    }

    /// The name that the registry gave the task.
    pub(crate) fn id(&self) -> Option<Id> {
        id(self.0)
    }

    /// Names the task, before it is shared.
    pub(super) fn set_id(&self, id: Id) {
        // SAFETY: the registry names a task before anybody else can have it.
        self.header().id.with_mut(|slot| unsafe { *slot = Some(id) });
    }

    /// Polls the task once. A task that was woken meanwhile is queued again.
    pub(crate) fn run(self) {
        let task = self.0;
        let header = self.header();
        probe::poll_begins(self.address());
        let cancelled = header.state.start();
        if !cancelled {
            let waker = waker::borrowed(task);
            let mut context = Context::from_waker(&waker);
            let span = trace_span!(target: "volt::task", "poll", task = id(task).map(display));
            // SAFETY: rule 2: we set `RUNNING`.
            let polled = span.in_scope(|| unsafe { (header.vtable.poll)(task, &mut context) });
            probe::poll_ends(self.address());
            match polled {
                Poll::Ready(()) => return self.complete(),
                Poll::Pending => match header.state.pend() {
                    Pending::Idle => {
                        // The queue's reference went with the transition.
                        std::mem::forget(self);
                        return;
                    }
                    Pending::Queue => {
                        let scheduler = Arc::clone(&header.scheduler);
                        scheduler.schedule_again(self);
                        return;
                    }
                    Pending::Cancelled => {}
                },
            }
        } else {
            probe::poll_ends(self.address());
        }
        // SAFETY: rule 2: `RUNNING` is still set.
        unsafe { (header.vtable.cancel)(task, None) };
        self.complete();
    }

    /// Ends a task that its registry refused: it never runs.
    pub(crate) fn refuse_unregistered(self) {
        // The registry's reference, which it did not take.
        drop(TaskReference(self.0));
        self.refuse("its runtime has shut down");
    }

    /// Ends a task that has not run and never will.
    pub(crate) fn refuse(self, why: &'static str) {
        self.header().state.start();
        // SAFETY: rule 2.
        unsafe { (self.header().vtable.cancel)(self.0, Some(why)) };
        self.complete();
    }

    /// The output is written: leaves the registry and tells the join handle, in this order, so
    /// that whoever has joined a task does not find it among those that live.
    fn complete(self) {
        let header = self.header();
        let scheduler = Arc::clone(&header.scheduler);
        let registered = id(self.0).and_then(|id| scheduler.registry().remove(id));
        probe::task_ended(self.address());
        let completed = header.state.complete();
        if !completed.join_interest {
            // SAFETY: rule 3: without a handle the output is ours.
            unsafe { (header.vtable.drop_output)(self.0) };
        } else if completed.join_waker {
            header.join_waker.with(|waker| {
                // SAFETY: rule 4: the bit was set when the task completed, so the slot is ours to
                // read until we clear it.
                if let Some(waker) = unsafe { &*waker } {
                    waker::call(|| waker.wake_by_ref());
                }
            });
            if header.state.join_woken() {
                // SAFETY: the handle is gone and left the slot to us.
                let left = header.join_waker.with_mut(|waker| unsafe { (*waker).take() });
                waker::call(|| drop(left));
            }
        }
        drop(registered);
        drop(self);
        scheduler.task_ended();
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        // SAFETY: this is a counted reference.
        unsafe { drop_reference(self.0) };
    }
}

impl TaskReference {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: this is a counted reference.
        unsafe { self.0.as_ref() }
    }

    /// The registry's reference to a new task.
    pub(super) fn of(task: &Notified) -> TaskReference {
        TaskReference(task.0)
    }

    /// Asks the task to end.
    pub(crate) fn cancel(&self) {
        if self.header().state.cancel() == Wake::Queue {
            // SAFETY: the transition counted a reference for the queue (rule 1).
            schedule(unsafe { Notified::from_raw(self.0) });
        }
    }

    pub(crate) fn id(&self) -> Option<Id> {
        id(self.0)
    }

    /// Whether the output is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.header().state.is_complete()
    }

    /// The output, of type `T`, if the task is complete; else `waker` is woken when it is.
    ///
    /// # Safety
    /// This is the join handle's reference, `T` is the output's type, and the output was not
    /// taken before.
    pub(super) unsafe fn poll_output<T>(&self, waker: &Waker) -> Poll<Result<T, JoinError>> {
        let mut output = Poll::Pending;
        if self.is_complete() || !self.register(waker) {
            let to: *mut Poll<Result<T, JoinError>> = &raw mut output;
            // SAFETY: complete, and ours by rule 3; `to` is of the type that the vtable writes.
            unsafe { (self.header().vtable.take_output)(self.0, to.cast()) };
        } else {
            probe::task_joins(self.0.as_ptr().addr());
        }
        output
    }

    /// Leaves a waker for the completion; false if that has come.
    fn register(&self, waker: &Waker) -> bool {
        let header = self.header();
        if header.state.has_join_waker() {
            // SAFETY: while the bit is set both sides only read the slot.
            let same = header.join_waker.with(|slot| unsafe {
                (*slot).as_ref().is_some_and(|before| before.will_wake(waker))
            });
            if same {
                return !header.state.is_complete();
            }
            if !header.state.take_join_waker() {
                return false;
            }
        }
        let waker = waker.clone();
        // SAFETY: rule 4: the bit is clear.
        let before = header.join_waker.with_mut(|slot| unsafe { (*slot).replace(waker) });
        drop(before);
        header.state.set_join_waker()
    }

    /// The join handle goes. `taken` says whether it has taken the output.
    pub(super) fn leave(&self, taken: bool) {
        let header = self.header();
        let leaves = header.state.drop_join_interest();
        if leaves.output && !taken {
            // SAFETY: rule 3: complete while the interest was set.
            unsafe { (header.vtable.drop_output)(self.0) };
        }
        if leaves.waker {
            // SAFETY: rule 4: the bit is clear, and no completer will read the slot.
            let left = header.join_waker.with_mut(|slot| unsafe { (*slot).take() });
            waker::call(|| drop(left));
        }
    }
}

impl Clone for TaskReference {
    fn clone(&self) -> TaskReference {
        self.header().state.add_reference();
        TaskReference(self.0)
    }
}

impl Drop for TaskReference {
    fn drop(&mut self) {
        // SAFETY: this is a counted reference.
        unsafe { drop_reference(self.0) };
    }
}

impl Header {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The link of the queue that holds the task.
    pub(crate) fn queue_next(&self) -> &UnsafeCell<Option<NonNull<Header>>> {
        &self.queue_next
    }

    /// What the task does now, in a word.
    pub(crate) fn describe(&self) -> &'static str {
        self.state.describe()
    }
}

/// Queues a task that was woken.
pub(super) fn schedule(task: Notified) {
    let scheduler = Arc::clone(&task.header().scheduler);
    scheduler.schedule(task);
}

/// Drops one reference.
///
/// # Safety
/// The caller has it and uses it no more.
pub(super) unsafe fn drop_reference(task: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the task alive until here.
    if unsafe { task.as_ref() }.state.drop_reference() {
        // SAFETY: it was the last.
        unsafe { free_cell(task) };
    }
}

/// # Safety
/// Nobody has a reference.
pub(super) unsafe fn free_cell(task: NonNull<Header>) {
    // SAFETY: the caller's promise.
    unsafe { (task.as_ref().vtable.free)(task) };
}

#[cfg(all(test, not(any(feature = "sim", volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_its_future_and_at_most_64_bytes_aligned_to_16_at_most() {
        fn sizes<F: Future>(_: &F) -> (usize, usize, usize) {
            (size_of::<Cell<F>>(), size_of::<F>(), align_of::<Cell<F>>())
        }
        async fn holds<const N: usize>() {
            let bytes = [0_u8; N];
            std::future::pending::<()>().await;
            std::hint::black_box(&bytes);
        }
        for (cell, future, align) in [
            sizes(&async {}),
            sizes(&holds::<8>()),
            sizes(&holds::<100>()),
            sizes(&holds::<4000>()),
        ] {
            assert!(cell <= future + 64, "{cell} bytes for a future of {future}");
            assert!(align <= 16);
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;

    use super::*;
    use crate::platform::model::model;
    use crate::runtime::config::Config;

    fn scheduler() -> Arc<Scheduler> {
        Arc::new(Scheduler::new(Config::for_models(1)).unwrap())
    }

    /// The output goes from the poller to the join handle, or the handle's waker is called.
    #[test]
    fn a_join_handle_and_the_poller_meet() {
        model(|| {
            let scheduler = scheduler();
            let place = std::panic::Location::caller();
            let mut handle = pin!(scheduler.spawn(async { 7 }, None, place));
            let task = scheduler.take_injected(0).unwrap();
            let poller = loom::thread::spawn(move || task.run());
            let mut context = Context::from_waker(Waker::noop());
            let early = handle.as_mut().poll(&mut context);
            poller.join().unwrap();
            let output = match early {
                Poll::Ready(output) => output,
                Poll::Pending => match handle.as_mut().poll(&mut context) {
                    Poll::Ready(output) => output,
                    Poll::Pending => panic!("the task has ended"),
                },
            };
            assert_eq!(output.unwrap(), 7);
        });
    }

    /// A task that is aborted while it is polled is dropped once, and its handle learns so.
    #[test]
    fn an_abort_and_the_poller_meet() {
        model(|| {
            let scheduler = scheduler();
            let place = std::panic::Location::caller();
            let handle = scheduler.spawn(std::future::pending::<()>(), None, place);
            let abort = handle.abort_handle();
            let task = scheduler.take_injected(0).unwrap();
            let poller = loom::thread::spawn(move || task.run());
            abort.abort();
            poller.join().unwrap();
            while let Some(task) = scheduler.take_injected(0) {
                task.run();
            }
            assert!(handle.is_finished(), "the abort is lost");
        });
    }
}
