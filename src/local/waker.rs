//! Wakers of local tasks: an [`Id`], which is one pointer, and a table of functions. A clone
//! allocates nothing.
//!
//! A waker may go to any thread, so it must not trust the thread that it is on:
//!
//! 1. What it points into stays: every waker is counted in [`References`](super::references), and
//!    the memory of all slots is freed after the last of them. Counting is sound from any thread.
//! 2. On another thread it reads two things of a slot: `executor`, which never changes, and
//!    `mark`, under the inbox's lock. On the runtime's own thread it touches the queue, which
//!    nobody else does. [`References::is_here`](super::references::References::is_here) says
//!    which.
//! 3. The task may be gone, and its slot have another: then the generation differs and the wake
//!    is refused. The runtime may be gone: then the wake is dropped.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::arena::Id;
use super::executor::Executor;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A waker that is not counted: it must not be dropped, nor outlive the runtime.
#[inline]
pub(super) fn waker_of(id: Id) -> ManuallyDrop<Waker> {
    // SAFETY: the functions keep to the contract of wakers, as the module documentation argues.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(id.into_raw(), &VTABLE)) })
}

/// # Safety
/// `data` is that of a waker which is there; so for all functions below.
unsafe fn executor_of(data: *const ()) -> NonNull<Executor> {
    // SAFETY: the waker keeps the arena.
    unsafe { Id::from_raw(data).slot() }.executor
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: as the caller says; the executor is there as long as the waker.
    unsafe { executor_of(data).as_ref() }.references().add();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as the caller says, whose waker this was.
    unsafe {
        wake_by_ref(data);
        drop_waker(data);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    let id = Id::from_raw(data);
    // SAFETY: as the caller says; the executor is there as long as the waker.
    let executor = unsafe { executor_of(data).as_ref() };
    if executor.references().is_here() {
        executor.wake_here(id);
    } else if !executor.references().has_ended() {
        // SAFETY: the waker keeps the arena.
        let slot = unsafe { id.slot() };
        executor.inbox().push(id, &slot.mark, id.tag());
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as the caller says.
    let executor = unsafe { executor_of(data) };
    // SAFETY: the executor is there as long as the waker.
    if unsafe { executor.as_ref() }.references().remove() {
        // SAFETY: it was the last reference, and the runtime has ended.
        drop(unsafe { Box::from_raw(executor.as_ptr()) });
    }
}
