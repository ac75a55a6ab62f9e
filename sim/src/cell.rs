//! Cells whose races are found.

use std::panic::Location;

use crate::failure::FailureKind;
use crate::kernel;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::identity::Identity;

/// A `std::cell::UnsafeCell` whose unordered accesses by two simulated threads fail the run, with
/// both places.
///
/// An access through [`with`](UnsafeCell::with) is a read, one through
/// [`with_mut`](UnsafeCell::with_mut) or [`get`](UnsafeCell::get) a write. Accesses must be
/// ordered by the operations of `sim::sync` and `sim::thread`; a lock of std or `parking_lot`
/// is invisible to the search.
///
/// ```
/// use volt_sim::cell::UnsafeCell;
///
/// let cell = UnsafeCell::new(1);
/// // SAFETY: no other thread has the cell.
/// cell.with_mut(|value| unsafe { *value = 2 });
/// assert_eq!(cell.into_inner(), 2);
/// ```
pub struct UnsafeCell<T: ?Sized> {
    identity: Identity,
    value: std::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell { identity: Identity::new(), value: std::cell::UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Lends a pointer for reading to `f`.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.access(OperationKind::CellRead);
        f(self.value.get())
    }

    /// Lends a pointer for writing to `f`.
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.access(OperationKind::CellWrite);
        f(self.value.get())
    }

    /// A pointer to the value, as `std::cell::UnsafeCell::get` gives it; counts as a write now,
    /// whenever it is used.
    #[track_caller]
    pub fn get(&self) -> *mut T {
        self.access(OperationKind::CellWrite);
        self.value.get()
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[track_caller]
    fn access(&self, kind: OperationKind) {
        let Some(world) = kernel::current() else { return };
        let place = Location::caller();
        let object = self.identity.touch(world, place);
        if !world.finds_races() {
            world.repeat_with_races();
        }
        let operation = Operation::new(kind, object, place);
        world.point(operation);
        let writes = kind == OperationKind::CellWrite;
        if let Some(race) = world.races(|races, me| races.access(me, object, writes, place)) {
            world.fail(FailureKind::Law, race);
        }
        world.complete(operation, 0);
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> UnsafeCell<T> {
        UnsafeCell::new(T::default())
    }
}

impl<T> From<T> for UnsafeCell<T> {
    fn from(value: T) -> UnsafeCell<T> {
        UnsafeCell::new(value)
    }
}

impl<T: ?Sized> std::fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}
