//! A value that its first user computes: a [`Once`], and either the function or its result.
//!
//! ```text
//!   Pending(f) ─── force: the Once takes f and runs it ──► Poisoned ─── f returns ──► Ready
//!                                                             └─── f panics: final
//! ```
//!
//! The function is moved out to be called, so `Poisoned` is also what the cell holds meanwhile.
//! Nobody reads it then: the [`Once`] says that it runs, or that it is poisoned.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::Once;

enum Value<T, F> {
    Pending(F),
    Ready(T),
    Poisoned,
}

/// A value computed by the first thread that uses it, as `std::sync::LazyLock`.
///
/// ```
/// use volt_sim::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..4).map(|n| n * n).collect());
/// assert_eq!(SQUARES.last(), Some(&9));
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    /// Written by the closure that completes `once`, and shared from then on.
    value: UnsafeCell<Value<T, F>>,
}

// SAFETY: once computed the value is shared, hence `T: Sync`. It may be computed on one thread
// and dropped on another, hence `T: Send`. The function is never shared, only called, on whichever
// thread comes first, hence `F: Send`.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

// A panic of the function poisons the value; afterwards it is shared as `&T` alone.
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will compute on first use.
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock { once: Once::new(), value: UnsafeCell::new(Value::Pending(f)) }
    }

    /// The value, computed now if it has not been. Of several threads one computes it and the
    /// others wait. A function that uses its own value waits for itself: a deadlock, which a
    /// simulation reports.
    ///
    /// # Panics
    ///
    /// If the function panics, now or at an earlier use.
    ///
    /// ```
    /// use volt_sim::sync::LazyLock;
    /// let lazy = LazyLock::new(|| 92);
    /// assert_eq!(LazyLock::force(&lazy), &92);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        this.once.call_once(|| {
            // SAFETY: the `Once` runs one closure at a time and has not completed, so nothing
            // else refers to the value.
            let value = unsafe { &mut *this.value.get() };
            let Value::Pending(f) = mem::replace(value, Value::Poisoned) else {
                unreachable!("the function runs once");
            };
            *value = Value::Ready(f());
        });
        // SAFETY: the `Once` has completed.
        unsafe { this.shared() }.expect("a completed value is ready")
    }

    /// As [`LazyLock::force`], for exclusive access.
    ///
    /// # Panics
    ///
    /// If the function panics, now or at an earlier use.
    ///
    /// ```
    /// use volt_sim::sync::LazyLock;
    /// let mut lazy = LazyLock::new(|| 92);
    /// *LazyLock::force_mut(&mut lazy) += 1;
    /// assert_eq!(*lazy, 93);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        LazyLock::force(this);
        LazyLock::get_mut(this).expect("a completed value is ready")
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value if it has been computed; none before that, and if the function panicked.
    ///
    /// ```
    /// use volt_sim::sync::LazyLock;
    /// let lazy = LazyLock::new(|| 92);
    /// assert_eq!(LazyLock::get(&lazy), None);
    /// LazyLock::force(&lazy);
    /// assert_eq!(LazyLock::get(&lazy), Some(&92));
    /// ```
    #[inline]
    #[track_caller]
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        if this.once.is_completed() {
            // SAFETY: the `Once` has completed.
            unsafe { this.shared() }
        } else {
            None
        }
    }

    /// As [`LazyLock::get`], without synchronization: the exclusive borrow makes it unnecessary.
    #[inline]
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        match this.value.get_mut() {
            Value::Ready(value) => Some(value),
            Value::Pending(_) | Value::Poisoned => None,
        }
    }

    /// # Safety
    ///
    /// The caller has seen `once` complete.
    unsafe fn shared(&self) -> Option<&T> {
        // SAFETY: once completed the value changes only through an exclusive borrow, and seeing
        // the completion makes its computation visible.
        match unsafe { &*self.value.get() } {
            Value::Ready(value) => Some(value),
            Value::Pending(_) | Value::Poisoned => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lazy = f.debug_tuple("LazyLock");
        match LazyLock::get(self) {
            Some(value) => lazy.field(value),
            None => lazy.field(&format_args!("<uninit>")),
        };
        lazy.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn the_function_runs_once_for_all_threads() {
        let runs = AtomicU32::new(0);
        let lazy = LazyLock::new(|| runs.fetch_add(1, Ordering::Relaxed) + 7);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(*lazy, 7));
            }
        });
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_panic_poisons_for_good() {
        static LAZY: LazyLock<u32> = LazyLock::new(|| panic!("no value"));
        assert!(catch_unwind(|| *LAZY).is_err());
        assert!(catch_unwind(|| *LAZY).is_err());
        assert_eq!(LazyLock::get(&LAZY), None);
    }

    #[test]
    fn exclusive_access_computes_and_changes_the_value() {
        let mut lazy = LazyLock::new(|| vec![1]);
        assert_eq!(LazyLock::get_mut(&mut lazy), None);
        lazy.push(2);
        assert_eq!(LazyLock::get_mut(&mut lazy), Some(&mut vec![1, 2]));
    }

    #[test]
    fn debug_does_not_compute_the_value() {
        let lazy: LazyLock<u32> = LazyLock::default();
        assert_eq!(format!("{lazy:?}"), "LazyLock(<uninit>)");
        assert_eq!(*lazy, 0);
        assert_eq!(format!("{lazy:?}"), "LazyLock(0)");
    }
}
