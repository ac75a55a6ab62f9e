//! Thread-locals of simulated threads: one value for each, whatever OS thread carries them.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use crate::kernel;

/// A thread-local declared by [`thread_local!`](crate::thread_local), as `std::thread::LocalKey`.
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub ordinary: &'static std::thread::LocalKey<T>,
    #[doc(hidden)]
    pub initial: fn() -> T,
}

/// The thread-local's value has been destroyed: its thread is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread-local of an ending thread is gone")
    }
}

impl std::error::Error for AccessError {}

impl<T: 'static> LocalKey<T> {
    /// Lends the running thread's value to `f`, made at first use.
    ///
    /// # Panics
    /// If the value is gone because the thread is ending.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`with`](LocalKey::with).
    ///
    /// # Errors
    /// If the value is gone because the thread is ending.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let Some(world) = kernel::current() else {
            return self.ordinary.try_with(f).map_err(|_| AccessError);
        };
        let locals = world.running_locals().ok_or(AccessError)?;
        let key = std::ptr::from_ref(self) as usize;
        let value = match locals.get(key) {
            Some(Some(value)) => value,
            Some(None) => return Err(AccessError),
            None => {
                let value: Rc<dyn Any> = Rc::new((self.initial)());
                locals.insert(key, Rc::clone(&value));
                value
            }
        };
        value.downcast_ref::<T>().map(f).ok_or(AccessError)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// As `std::thread_local!`, with one value for each simulated thread.
///
/// ```
/// use std::cell::Cell;
///
/// volt_sim::thread_local! {
///     static CALLS: Cell<u32> = Cell::new(0);
/// }
/// CALLS.with(|calls| calls.set(calls.get() + 1));
/// assert_eq!(CALLS.with(Cell::get), 1);
/// ```
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const { $initial:expr }
        $(; $($rest:tt)*)?) => {
        $crate::thread_local! {
            $(#[$attribute])* $visibility static $name: $type = $initial; $($($rest)*)?
        }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $initial:expr
        $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::thread::LocalKey<$type> = {
            ::std::thread_local! {
                static ORDINARY: $type = initial();
            }
            fn initial() -> $type {
                $initial
            }
            $crate::thread::LocalKey { ordinary: &ORDINARY, initial }
        };
        $($crate::thread_local! { $($rest)* })?
    };
}
