//! A value that is made once, by whoever needs it first. Who makes it is settled by
//! [`super::raw_once`].

mod initialize;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

use std::fmt;
use std::future::{self, Future};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::Poll;

use super::raw_once::{RawOnce, Right, Role};
use crate::platform::sync::{UnsafeCell, const_fn};
use crate::waiter::{Waiter, block_on};

pub use initialize::{GetOrInit, GetOrTryInit, WaitInitialized};

/// A value that is made once, asynchronously, by whoever needs it first; the others wait for it.
///
/// One initialiser runs at a time. If it fails, panics or is dropped, the next one that waits tries
/// with its own closure, in the order in which they came. Once the value is there, [`get`] is one
/// load.
///
/// | level | |
/// |---|---|
/// | try | [`get`], [`set`] |
/// | await, future | [`get_or_init`], [`get_or_try_init`], [`wait`] |
/// | waiter | [`get_or_init_wait`], [`wait_wait`] |
/// | plain threads | [`blocking_get_or_init`], [`blocking_wait`] |
///
/// An initialiser that waits for its own cell waits for ever. A future of the cell that was given
/// the right to initialise and is not polled any more keeps it, and the others waiting, until it is
/// dropped.
///
/// ```
/// use volt::sync::OnceCell;
///
/// static ADDRESS: OnceCell<String> = OnceCell::new();
///
/// async fn address() -> &'static str {
///     ADDRESS.get_or_init(async || "server:80".to_owned()).await
/// }
///
/// volt::run(|_io| async {
///     assert_eq!(ADDRESS.get(), None);
///     assert_eq!(address().await, "server:80");
///     assert!(ADDRESS.is_initialized());
/// });
/// ```
///
/// [`get`]: OnceCell::get
/// [`set`]: OnceCell::set
/// [`get_or_init`]: OnceCell::get_or_init
/// [`get_or_try_init`]: OnceCell::get_or_try_init
/// [`wait`]: OnceCell::wait
/// [`get_or_init_wait`]: OnceCell::get_or_init_wait
/// [`wait_wait`]: OnceCell::wait_wait
/// [`blocking_get_or_init`]: OnceCell::blocking_get_or_init
/// [`blocking_wait`]: OnceCell::blocking_wait
pub struct OnceCell<T> {
    once: RawOnce,
    /// Written by who has the right to; read when `once` is set.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: threads share the value by reference, so it is `Sync`; and one may make what another
// takes or drops, so it is `Send`.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

// The value is there as a whole or not at all, whoever panics.
impl<T: UnwindSafe> UnwindSafe for OnceCell<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_fn! {
        /// A cell without a value.
        ///
        /// ```
        /// use volt::sync::OnceCell;
        ///
        /// static CELL: OnceCell<u32> = OnceCell::new();
        /// assert!(!CELL.is_initialized());
        /// ```
        #[doc(alias = "const_new")]
        #[must_use]
        pub fn new() -> OnceCell<T> {
            OnceCell { once: RawOnce::new(false), value: UnsafeCell::new(None) }
        }

        /// A cell with a value, if there is one.
        ///
        /// ```
        /// use volt::sync::OnceCell;
        ///
        /// static CELL: OnceCell<u32> = OnceCell::new_with(Some(7));
        /// assert_eq!(CELL.get(), Some(&7));
        /// ```
        #[doc(alias = "const_new_with")]
        #[must_use]
        pub fn new_with(value: Option<T>) -> OnceCell<T> {
            // Not `is_some`: a const function that borrows a value must be able to drop it.
            let once = match value {
                Some(_) => RawOnce::new(true),
                None => RawOnce::new(false),
            };
            OnceCell { once, value: UnsafeCell::new(value) }
        }
    }

    /// Whether the value is there. It stays, unless it is taken with [`take`](OnceCell::take).
    ///
    /// ```
    /// assert!(volt::sync::OnceCell::from(7).is_initialized());
    /// ```
    #[doc(alias = "initialized")]
    #[inline]
    pub fn is_initialized(&self) -> bool {
        self.once.is_set()
    }

    /// The value, if it is there: one load.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.get(), None);
    /// cell.set(7).unwrap();
    /// assert_eq!(cell.get(), Some(&7));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_set() {
            return None;
        }
        // SAFETY: it is set.
        Some(unsafe { self.value() })
    }

    /// The value, if it is there.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// let mut cell = OnceCell::from(7);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.get(), Some(&8));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: nobody else has the cell.
        self.value.with_mut(|value| unsafe { &mut *value }).as_mut()
    }

    /// Gives the cell its value.
    ///
    /// # Errors
    /// The value, if the cell has one, or an initialiser is making one.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.set(7), Ok(()));
    /// assert_eq!(cell.set(8), Err(8));
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.once.try_begin() {
            Some(right) => {
                self.put(right, value);
                Ok(())
            }
            None => Err(value),
        }
    }

    /// The value. If it is not there, it is made by the future that `f` returns; if another one is
    /// making it, this waits, and makes it with `f` if that one fails. A cell that has its value
    /// costs nothing of a task's budget.
    ///
    /// Cancel safety: a future that is dropped has done nothing to the cell. If it was making the
    /// value, the next one that waits tries.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// volt::run(|_io| async {
    ///     let cell = OnceCell::new();
    ///     assert_eq!(*cell.get_or_init(async || 7).await, 7);
    ///     assert_eq!(*cell.get_or_init(async || 8).await, 7);
    /// });
    /// ```
    #[track_caller]
    pub fn get_or_init<F, Fut>(&self, f: F) -> GetOrInit<'_, T, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        GetOrInit::new(self, f)
    }

    /// As [`get_or_init`](OnceCell::get_or_init), with a future that may fail: then the cell stays
    /// without a value, and the next one that waits tries.
    ///
    /// Cancel safety: as [`get_or_init`](OnceCell::get_or_init).
    ///
    /// # Errors
    /// That of the future which `f` returns.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// volt::run(|_io| async {
    ///     let cell = OnceCell::new();
    ///     assert_eq!(cell.get_or_try_init(async || "7a".parse::<u32>()).await.ok(), None);
    ///     assert_eq!(cell.get_or_try_init(async || "7".parse::<u32>()).await, Ok(&7));
    /// });
    /// ```
    #[track_caller]
    pub fn get_or_try_init<F, Fut, E>(&self, f: F) -> GetOrTryInit<'_, T, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        GetOrTryInit::new(self, f)
    }

    /// Waits until the value is there, and does nothing towards it.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use volt::sync::OnceCell;
    ///
    /// volt::run(|io| async move {
    ///     let cell = Arc::new(OnceCell::new());
    ///     let reader = Arc::clone(&cell);
    ///     let reader = io.spawn(async move { *reader.wait().await });
    ///     cell.set(7).unwrap();
    ///     assert_eq!(reader.await.unwrap(), 7);
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> WaitInitialized<'_, T> {
        WaitInitialized::new(self)
    }

    /// As [`get_or_init`](OnceCell::get_or_init) for a caller-owned waiter: the value, or `None` if
    /// another one is making it; then call this again when the waiter was woken. `f` is called if
    /// the value is this caller's to make, and must not wait.
    ///
    /// # Panics
    /// If the waiter waits somewhere else, or with [`wait_wait`](OnceCell::wait_wait). If `f`
    /// panics, the next one tries.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{OnceCell, Waiter};
    ///
    /// let cell = OnceCell::new();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert_eq!(cell.get_or_init_wait(waiter.as_mut(), || 7), Some(&7));
    /// ```
    pub fn get_or_init_wait<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        f: impl FnOnce() -> T,
    ) -> Option<&'a T> {
        let waker = waiter.own_waker();
        match self.once.poll_begin(waiter, &waker) {
            Poll::Ready(Role::Reader) => self.get(),
            Poll::Ready(Role::Initializer(right)) => Some(self.put(right, f())),
            Poll::Pending => None,
        }
    }

    /// Ends the wait of [`get_or_init_wait`](OnceCell::get_or_init_wait). If the value was this
    /// waiter's to make, the next one tries.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    pub fn cancel_get_or_init(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(&self.once) {
            waiter.cancel();
        }
    }

    /// As [`wait`](OnceCell::wait) for a caller-owned waiter: the value, or `None` if it is not
    /// there; then call this again when the waiter was woken.
    ///
    /// # Panics
    /// If the waiter waits somewhere else, or with
    /// [`get_or_init_wait`](OnceCell::get_or_init_wait).
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{OnceCell, Waiter};
    ///
    /// let cell = OnceCell::new();
    /// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
    /// assert_eq!(cell.wait_wait(waiter.as_mut()), None);
    /// cell.set(7).unwrap();
    /// assert!(waiter.is_ready());
    /// assert_eq!(cell.wait_wait(waiter.as_mut()), Some(&7));
    /// ```
    pub fn wait_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<&'a T> {
        let waker = waiter.own_waker();
        match self.once.poll_set(waiter, &waker) {
            Poll::Ready(()) => self.get(),
            Poll::Pending => None,
        }
    }

    /// Ends the wait of [`wait_wait`](OnceCell::wait_wait).
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    pub fn cancel_wait(&self, waiter: Pin<&mut Waiter<'_>>) {
        self.cancel_get_or_init(waiter);
    }

    /// As [`get_or_init`](OnceCell::get_or_init) on a plain thread, with a closure that makes the
    /// value on it.
    ///
    /// # Panics
    /// If `f` does; then the next one tries. Inside a task, unless the value is there: the other
    /// tasks of its worker would wait, too.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// static CELL: OnceCell<String> = OnceCell::new();
    /// assert_eq!(CELL.blocking_get_or_init(|| "made".to_owned()), "made");
    /// assert_eq!(CELL.blocking_get_or_init(|| unreachable!()), "made");
    /// ```
    #[track_caller]
    pub fn blocking_get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let made = self.get_or_init(|| future::ready(f()));
        block_on("blocking_get_or_init", "get_or_init", made)
    }

    /// As [`wait`](OnceCell::wait) on a plain thread.
    ///
    /// # Panics
    /// Inside a task, unless the value is there: the other tasks of its worker would wait, too.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// static CELL: OnceCell<u32> = OnceCell::new();
    /// let thread = std::thread::spawn(|| *CELL.blocking_wait());
    /// CELL.set(7).unwrap();
    /// assert_eq!(thread.join().unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn blocking_wait(&self) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        block_on("blocking_wait", "wait", self.wait())
    }

    /// The value, if it is there.
    ///
    /// ```
    /// assert_eq!(volt::sync::OnceCell::from(7).into_inner(), Some(7));
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out: the cell can be initialised again.
    ///
    /// ```
    /// use volt::sync::OnceCell;
    ///
    /// let mut cell = OnceCell::from(7);
    /// assert_eq!(cell.take(), Some(7));
    /// assert_eq!(cell.set(8), Ok(()));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        // As a whole: a future that was leaked in the middle of an attempt has left its traces.
        std::mem::take(self).into_inner()
    }

    /// Gives the cell its value, with the right to that.
    #[inline]
    fn put(&self, right: Right<'_>, value: T) -> &T {
        // SAFETY: whoever has the right is alone with the value, which is not there.
        self.value.with_mut(|slot| unsafe { slot.write(Some(value)) });
        right.complete();
        // SAFETY: it is set.
        unsafe { self.value() }
    }

    /// # Safety
    /// The caller has seen that the value is there.
    #[inline]
    unsafe fn value(&self) -> &T {
        // SAFETY: from when the value is there it is not written to, but with a `&mut` cell.
        let value = self.value.with(|value| unsafe { &*value });
        // SAFETY: it is there.
        unsafe { value.as_ref().unwrap_unchecked() }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> OnceCell<T> {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> OnceCell<T> {
        OnceCell::new_with(Some(value))
    }
}

/// A cell with a clone of the value, if that is there.
impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> OnceCell<T> {
        OnceCell::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &OnceCell<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell").field("value", &self.get()).finish()
    }
}
