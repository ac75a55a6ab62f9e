//! The names of the simulated machine in a build without it: std's own.

pub use std::{hint, sync, thread, thread_local};

/// Cells, as std's.
pub mod cell {
    /// `std::cell::UnsafeCell` with the access by closure that the simulated one has.
    #[derive(Debug, Default)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        pub const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Lends a pointer for reading to `f`.
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Lends a pointer for writing to `f`.
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }

        /// A pointer to the value.
        pub const fn get(&self) -> *mut T {
            self.0.get()
        }

        /// The value, which nobody else can have.
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }
}
