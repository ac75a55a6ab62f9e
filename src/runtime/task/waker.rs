//! The waker of a task: two words, a reference to the task and a vtable. Cloning one counts a
//! reference and allocates nothing.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::Header;
use super::cell::{Notified, drop_reference, free_cell, schedule};
use super::state::Wake;

const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// The waker that a poller lends to its poll: it borrows the poller's reference.
pub(super) fn borrowed(task: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the vtable's functions treat the pointer as a counted reference; this one is the
    // poller's, and `ManuallyDrop` keeps it from being dropped.
    ManuallyDrop::new(unsafe { Waker::new(task.as_ptr().cast::<()>(), &VTABLE) })
}

/// Calls a waker that may be anybody's: a panic in it must not unwind through the runtime.
pub(super) fn call(f: impl FnOnce()) {
    // The panic was reported by the hook; there is no task that it belongs to.
    let _ = catch_unwind(AssertUnwindSafe(f));
}

/// # Safety
/// `data` is that of a waker of ours.
unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: `borrowed` and `clone` made it from a task's address, which is not null.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header>()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker's reference keeps the task alive.
    unsafe { header(data).as_ref() }.state().add_reference();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`.
    let task = unsafe { header(data) };
    // SAFETY: as in `clone`; the reference goes with the transition.
    match unsafe { task.as_ref() }.state().wake_by_value() {
        // SAFETY: rule 1: the waker's reference is the queue's now.
        Wake::Queue => schedule(unsafe { Notified::from_raw(task) }),
        Wake::Done => {}
        // SAFETY: rule 5.
        Wake::Free => unsafe { free_cell(task) },
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`.
    let task = unsafe { header(data) };
    // SAFETY: as in `clone`.
    if unsafe { task.as_ref() }.state().wake_by_ref() == Wake::Queue {
        // SAFETY: rule 1: the transition counted a reference for the queue.
        schedule(unsafe { Notified::from_raw(task) });
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker's reference, which goes here.
    unsafe { drop_reference(header(data)) };
}
