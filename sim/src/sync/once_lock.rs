//! A cell that is written once: a [`Once`] and the value it guards.
//!
//! ```text
//!   empty ─── get_or_init, set: the Once runs ──► full     (shared from now on, until `take`)
//!   empty ─── get_or_init: the closure panics ──► empty    (the Once's poison is ignored)
//!   full  ─── take, into_inner: exclusive ──────► empty    (with a fresh Once)
//! ```

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::Once;

/// A cell that is written once and then shared, as `std::sync::OnceLock`.
///
/// ```
/// use volt_sim::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert!(NAME.get().is_none());
/// assert_eq!(NAME.get_or_init(|| "volt".to_string()), "volt");
/// assert_eq!(NAME.set("other".to_string()), Err("other".to_string()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Written by the closure that completes `once`, and shared from then on.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: a shared cell gives out `&T`, hence `T: Sync`. The thread that fills it may be another
// than the one that empties or drops it, hence `T: Send`.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}

// A panic during initialization leaves the cell empty; afterwards it gives out `&T` alone.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell.
    #[must_use]
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// The value, or none while the cell is empty. It never blocks.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        if self.once.is_completed() {
            // SAFETY: the `Once` has completed.
            unsafe { self.shared() }
        } else {
            None
        }
    }

    /// The value, without synchronization: the exclusive borrow makes it unnecessary.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Blocks until another thread has filled the cell.
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        // SAFETY: the `Once` has completed.
        unsafe { self.shared() }.expect("a completed cell is full")
    }

    /// Fills the cell with `value`. It waits for another thread that is filling it.
    ///
    /// # Errors
    ///
    /// Gives `value` back if the cell is full.
    ///
    /// ```
    /// use volt_sim::sync::OnceLock;
    /// let cell = OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.once.call_once_force(|_| {
            // SAFETY: the `Once` runs one closure at a time and has not completed, so nothing
            // else refers to the value.
            unsafe { *self.value.get() = value.take() };
        });
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// The value; if the cell is empty it is filled with what `f` returns. Of several threads one
    /// runs its closure and the others wait. A closure that fills the same cell waits for itself:
    /// a deadlock, which a simulation reports.
    ///
    /// # Panics
    ///
    /// If `f` panics. The cell then stays empty, and the next caller tries again.
    #[inline]
    #[track_caller]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        self.once.call_once_force(|_| {
            let value = f();
            // SAFETY: the `Once` runs one closure at a time and has not completed, so nothing
            // else refers to the value.
            unsafe { *self.value.get() = Some(value) };
        });
        // SAFETY: the `Once` has completed.
        unsafe { self.shared() }.expect("a completed cell is full")
    }

    /// Consumes the cell and returns its value, or none if it is empty.
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out; the cell is empty again.
    ///
    /// ```
    /// use volt_sim::sync::OnceLock;
    /// let mut cell = OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.set(2), Ok(()));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.once = Once::new();
        self.value.get_mut().take()
    }

    /// # Safety
    ///
    /// The caller has seen `once` complete.
    unsafe fn shared(&self) -> Option<&T> {
        // SAFETY: once completed the value changes only through an exclusive borrow, and seeing
        // the completion makes its initialization visible.
        unsafe { (*self.value.get()).as_ref() }
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        OnceLock { once: Once::completed(), value: UnsafeCell::new(Some(value)) }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    #[track_caller]
    fn clone(&self) -> OnceLock<T> {
        match self.get() {
            Some(value) => OnceLock::from(value.clone()),
            None => OnceLock::new(),
        }
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    #[track_caller]
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cell = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => cell.field(value),
            None => cell.field(&format_args!("<uninit>")),
        };
        cell.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn threads_agree_on_one_value() {
        let cell = OnceLock::new();
        let values = thread::scope(|scope| {
            let cell = &cell;
            [1, 2, 3, 4]
                .map(|n| scope.spawn(move || *cell.get_or_init(|| n)))
                .map(|thread| thread.join().unwrap())
        });
        assert_eq!(values, [*cell.get().unwrap(); 4]);
    }

    #[test]
    fn a_panic_leaves_the_cell_empty() {
        let cell = OnceLock::new();
        let attempt = AssertUnwindSafe(|| {
            cell.get_or_init(|| panic!("no value"));
        });
        assert!(catch_unwind(attempt).is_err());
        assert_eq!(cell.get(), None);
        assert_eq!(cell.get_or_init(|| 5), &5);
    }

    #[test]
    fn waiting_threads_get_the_value() {
        let cell = OnceLock::<u32>::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| *cell.wait());
            cell.set(6).unwrap();
            assert_eq!(waiter.join().unwrap(), 6);
        });
    }

    #[test]
    fn exclusive_access_changes_and_empties_the_cell() {
        let mut cell = OnceLock::from(1);
        *cell.get_mut().unwrap() += 1;
        assert_eq!(cell.clone(), OnceLock::from(2));
        assert_eq!(cell.take(), Some(2));
        assert_eq!(cell.get(), None);
        assert_eq!(cell.get_mut(), None);
        cell.set(3).unwrap();
        assert_eq!(cell.into_inner(), Some(3));
    }

    #[test]
    fn debug_shows_whether_there_is_a_value() {
        let cell = OnceLock::new();
        assert_eq!(format!("{cell:?}"), "OnceLock(<uninit>)");
        cell.set(1).unwrap();
        assert_eq!(format!("{cell:?}"), "OnceLock(1)");
    }
}
