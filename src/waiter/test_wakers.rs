//! Wakers for unit tests, that do what anybody's may do.

use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What a waker calls when it is cloned, and what its clones call when they are dropped.
pub(crate) struct Hooks {
    pub(crate) clone: fn(),
    pub(crate) drop: fn(),
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake, drop_waker);

/// A waker that calls `hooks`, and wakes nobody. It is not dropped itself: its clones are.
pub(crate) fn hooked(hooks: &'static Hooks) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(ptr::from_ref(hooks).cast(), &VTABLE);
    // SAFETY: the table's functions come to nothing but the hooks, which are there for ever and may
    // be called on any thread.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// A waker whose clones panic when they are dropped.
pub(crate) fn nervous() -> ManuallyDrop<Waker> {
    static HOOKS: Hooks = Hooks { clone: || {}, drop: || panic!("planned") };
    hooked(&HOOKS)
}

/// # Safety
/// `data` comes from `hooked`.
unsafe fn hooks_of(data: *const ()) -> &'static Hooks {
    // SAFETY: the caller's promise.
    unsafe { &*data.cast::<Hooks>() }
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: the table is that of `hooked` alone.
    (unsafe { hooks_of(data) }.clone)();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(_data: *const ()) {}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as above.
    (unsafe { hooks_of(data) }.drop)();
}
