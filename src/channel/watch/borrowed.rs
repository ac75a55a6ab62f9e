//! A look at the value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::shared::Shared;

/// A look at the value, which cannot change meanwhile. See the [module](super) on what to beware
/// of.
pub struct Ref<'a, T> {
    shared: &'a Shared<T>,
    has_changed: bool,
    /// It is not `Send`: a task that holds it while it awaits would keep senders waiting.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: through a shared reference there is the value alone, which is `Sync`.
unsafe impl<T: Send + Sync> Sync for Ref<'_, T> {}

impl<'a, T> Ref<'a, T> {
    /// The caller has begun to read, which the new one ends.
    #[inline]
    pub(super) fn new(shared: &'a Shared<T>, has_changed: bool) -> Ref<'a, T> {
        Ref { shared, has_changed, _not_send: PhantomData }
    }

    /// Whether the receiver that made it had not seen this value before; false for a sender.
    ///
    /// ```
    /// let (sender, mut receiver) = volt::channel::watch(1);
    /// sender.send(2).unwrap();
    /// assert!(receiver.borrow_and_update().has_changed());
    /// assert!(!receiver.borrow_and_update().has_changed());
    /// ```
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the read ends when this is dropped.
        unsafe { self.shared.value() }
    }
}

impl<T> Drop for Ref<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.shared.end_read();
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
