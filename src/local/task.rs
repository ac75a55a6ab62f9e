//! What is in a slot: a future, then its output.

use std::alloc::{self, Layout};
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::arena::{SlotRef, class_of};
use super::error::JoinError;

/// What can be done with a task whose type is not known.
pub(super) struct Vtable {
    /// Polls the future; true when its output, or its panic, is in its place.
    pub(super) poll: unsafe fn(SlotRef, &mut Context<'_>) -> bool,
    /// Drops the future and says in its place that it was cancelled.
    pub(super) cancel: unsafe fn(SlotRef),
    /// Moves the output to where the pointer says.
    pub(super) take_output: unsafe fn(SlotRef, *mut ()),
    /// Drops the output.
    pub(super) drop_output: unsafe fn(SlotRef),
    /// Frees the memory beside the slot.
    pub(super) free: unsafe fn(SlotRef),
}

impl Vtable {
    /// That of a slot without a task.
    pub(super) const NOTHING: &'static Vtable = &Vtable {
        poll: |_, _| true,
        cancel: |_| {},
        take_output: |_, _| {},
        drop_output: |_| {},
        free: |_| {},
    };
}

/// Drops `value`; a panic of it goes no further.
fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Dropping the payload might panic again.
        std::mem::forget(payload);
    }
}

/// Tasks whose future is an `F`.
pub(super) struct Task<F>(PhantomData<F>);

impl<F: Future + 'static> Task<F>
where
    F::Output: 'static,
{
    const LAYOUT: Layout = {
        let (future, output) = (Layout::new::<F>(), Layout::new::<Result<F::Output, JoinError>>());
        let size = if future.size() > output.size() { future.size() } else { output.size() };
        let align = if future.align() > output.align() { future.align() } else { output.align() };
        match Layout::from_size_align(size, align) {
            Ok(layout) => layout,
            Err(_) => panic!("the future is too large"),
        }
    };
    const IS_BOXED: bool = class_of(Self::LAYOUT).is_none();
    /// The class of its slot.
    pub(super) const CLASS: u8 =
        match class_of(if Self::IS_BOXED { Layout::new::<*mut u8>() } else { Self::LAYOUT }) {
            Some(class) => class,
            None => panic!("a slot has room for a pointer"),
        };
    const VTABLE: &'static Vtable = &Vtable {
        poll: Self::poll,
        cancel: Self::cancel,
        take_output: Self::take_output,
        drop_output: Self::drop_output,
        free: Self::free,
    };

    /// Makes `slot` one of these tasks; its future, or its output, is to be written to the place
    /// that is returned.
    ///
    /// # Safety
    /// The slot is the caller's, and of the right class.
    unsafe fn prepare(slot: SlotRef) -> *mut u8 {
        slot.vtable.set(Self::VTABLE);
        if !Self::IS_BOXED {
            return slot.room().as_ptr();
        }
        // SAFETY: it has more than a slot's room or alignment; a type of size 0 with such an
        // alignment is given a byte.
        let place = unsafe { alloc::alloc(Self::boxed_layout()) };
        if place.is_null() {
            alloc::handle_alloc_error(Self::boxed_layout());
        }
        // SAFETY: the class has room for a pointer.
        unsafe { slot.room().cast::<*mut u8>().write(place) };
        place
    }

    /// The layout of what is beside the slot; never of size 0.
    fn boxed_layout() -> Layout {
        match Self::LAYOUT.size() {
            0 => Layout::from_size_align(1, Self::LAYOUT.align()).unwrap_or(Self::LAYOUT),
            _ => Self::LAYOUT,
        }
    }

    /// Puts `future` into `slot`.
    ///
    /// # Safety
    /// The slot is the caller's, of class [`CLASS`](Task::CLASS), and empty.
    pub(super) unsafe fn store(slot: SlotRef, future: F) {
        // SAFETY: as the caller says; the place fits a future.
        unsafe { Self::prepare(slot).cast::<F>().write(future) };
    }

    /// Puts the end of a task that never began into `slot`.
    ///
    /// # Safety
    /// As of `store`.
    pub(super) unsafe fn store_refused(slot: SlotRef) {
        // SAFETY: as the caller says; the place fits an output.
        unsafe {
            let place = Self::prepare(slot).cast::<Result<F::Output, JoinError>>();
            place.write(Err(JoinError::cancelled()));
        }
    }

    /// Where the future or the output is.
    ///
    /// # Safety
    /// The slot has one of these tasks; so for all functions below.
    unsafe fn place(slot: SlotRef) -> *mut u8 {
        if Self::IS_BOXED {
            // SAFETY: `prepare` put the pointer there.
            unsafe { slot.room().cast::<*mut u8>().read() }
        } else {
            slot.room().as_ptr()
        }
    }

    /// # Safety
    /// There is a future, and nobody polls it.
    unsafe fn poll(slot: SlotRef, context: &mut Context<'_>) -> bool {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: there is a future, which does not move until it is dropped.
            let future = unsafe { Pin::new_unchecked(&mut *Self::place(slot).cast::<F>()) };
            future.poll(context)
        }));
        let result = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::panicked(payload)),
        };
        // SAFETY: as above.
        unsafe { Self::finish(slot, result) };
        true
    }

    /// # Safety
    /// As of `poll`.
    unsafe fn cancel(slot: SlotRef) {
        // SAFETY: as the caller says.
        unsafe { Self::finish(slot, Err(JoinError::cancelled())) };
    }

    /// Drops the future and puts `result` in its place; a panic of its destructor is the result
    /// then.
    ///
    /// # Safety
    /// As of `poll`.
    unsafe fn finish(slot: SlotRef, result: Result<F::Output, JoinError>) {
        // SAFETY: as the caller says.
        let place = unsafe { Self::place(slot) };
        // SAFETY: there is a future, which nobody uses again.
        let dropped =
            catch_unwind(AssertUnwindSafe(|| unsafe { place.cast::<F>().drop_in_place() }));
        let result = match dropped {
            Ok(()) => result,
            Err(payload) => {
                discard(result);
                Err(JoinError::panicked(payload))
            }
        };
        // SAFETY: the place is empty and fits an output.
        unsafe { place.cast::<Result<F::Output, JoinError>>().write(result) };
    }

    /// # Safety
    /// There is an output, which is not used again; `to` is a place for one.
    unsafe fn take_output(slot: SlotRef, to: *mut ()) {
        // SAFETY: as the caller says.
        unsafe {
            let output = Self::place(slot).cast::<Result<F::Output, JoinError>>().read();
            to.cast::<Result<F::Output, JoinError>>().write(output);
        }
    }

    /// # Safety
    /// There is an output, which is not used again.
    unsafe fn drop_output(slot: SlotRef) {
        // SAFETY: as the caller says.
        discard(unsafe { Self::place(slot).cast::<Result<F::Output, JoinError>>().read() });
    }

    /// # Safety
    /// There is neither a future nor an output any more.
    unsafe fn free(slot: SlotRef) {
        if Self::IS_BOXED {
            // SAFETY: `prepare` allocated it so.
            unsafe { alloc::dealloc(Self::place(slot), Self::boxed_layout()) };
        }
    }
}
