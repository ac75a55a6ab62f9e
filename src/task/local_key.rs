//! Values that belong to a future, and that all it calls can see: task-locals.
//!
//! Where a value is seen is a slot of the thread. While a future of [`LocalKey::scope`] is polled
//! or dropped, the slot points to the value, which stays in the future; after that, to what it
//! pointed to before. Scopes of one thread lie within one another, as calls do, so the pointer is
//! good whenever somebody finds it.
//!
//! The slot is a thread-local of [`crate::platform::sync`], so that simulated threads have one
//! each, however the simulation keeps their native thread-locals apart, and of std in a build
//! without simulation. [`task_local!`](crate::task_local) declares it in the user's crate, and
//! hands it over by a function: a type of either kind stands nowhere.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Declares task-locals: values that belong to a future, given to it by [`LocalKey::scope`], and
/// that all it calls can see.
///
/// As many as you like stand in one call, each with its attributes and its visibility. They have no
/// value outside a scope.
///
/// ```
/// volt::task_local! {
///     /// Who asked.
///     pub static USER: String;
///     static REQUEST: u64
/// }
///
/// async fn describe() -> String {
///     USER.with(|user| format!("request {} of {user}", REQUEST.get()))
/// }
///
/// volt::run(|io| async move {
///     let request = USER.scope("ada".to_owned(), REQUEST.scope(7, describe()));
///     assert_eq!(io.spawn(request).await.unwrap(), "request 7 of ada");
///     assert!(USER.try_with(|_| ()).is_err());
/// });
/// ```
///
/// A task that is spawned inside a scope is not in it: give it what it needs with a scope of its
/// own.
///
/// [`LocalKey::scope`]: crate::task::LocalKey::scope
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            $crate::platform::sync::thread_local! {
                static SLOT: $crate::task::LocalSlot<$type> =
                    const { $crate::task::LocalSlot::new() };
            }
            fn access(f: &mut dyn ::core::ops::FnMut(&$crate::task::LocalSlot<$type>)) {
                let _ = SLOT.try_with(f);
            }
            $crate::task::LocalKey::new(::core::stringify!($name), access)
        };
        $($crate::task_local! { $($rest)* })?
    };
}

/// Lends the slot of the running thread.
type Access<T> = fn(&mut dyn FnMut(&LocalSlot<T>));

/// A task-local declared by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    name: &'static str,
    /// Calls the closure with the running thread's slot, unless the thread is ending.
    access: Access<T>,
}

/// Where one thread sees the value of one key.
///
/// The pointer is there only during a call that has a reference to the slot, and is good for that
/// long. So whatever hands slots to closures, nobody finds a pointer that is not.
#[doc(hidden)]
pub struct LocalSlot<T>(Cell<Option<NonNull<T>>>);

/// A task-local has no value here; see [`LocalKey::try_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError {
    name: &'static str,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(name: &'static str, access: Access<T>) -> LocalKey<T> {
        LocalKey { name, access }
    }

    /// Gives `value` to `future`: it and all that it calls see it, whenever it is polled and when
    /// it is dropped. A scope of the same key inside it has a value of its own, for as long.
    ///
    /// Cancel safety: that of `future`.
    ///
    /// ```
    /// volt::task_local! {
    ///     static LEVEL: u32;
    /// }
    ///
    /// volt::run(|_io| async {
    ///     let inner = LEVEL.scope(2, async { LEVEL.get() });
    ///     let outer = LEVEL.scope(1, async { (inner.await, LEVEL.get()) });
    ///     assert_eq!(outer.await, (2, 1));
    /// });
    /// ```
    pub fn scope<F>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F::IntoFuture>
    where
        F: IntoFuture,
    {
        TaskLocalFuture { key: self, value: Some(value), future: Some(future.into_future()) }
    }

    /// Gives `value` to what `f` calls, until it returns.
    ///
    /// # Panics
    /// If the thread is ending, and has destroyed its thread-locals.
    ///
    /// ```
    /// volt::task_local! {
    ///     static LEVEL: u32;
    /// }
    ///
    /// assert_eq!(LEVEL.sync_scope(7, || LEVEL.get()), 7);
    /// ```
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        match self.enter(Some(&value), f) {
            Ok(result) => result,
            Err(_) => self.thread_ends(),
        }
    }

    /// Lends the value to `f`.
    ///
    /// # Panics
    /// If the task-local has no value here: see [`try_with`](LocalKey::try_with).
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Lends the value to `f`.
    ///
    /// # Errors
    /// If the task-local has no value here: outside its scopes, in a task that was spawned inside
    /// one, and in one whose value was [taken](TaskLocalFuture::take_value).
    ///
    /// ```
    /// volt::task_local! {
    ///     static LEVEL: u32;
    /// }
    ///
    /// assert!(LEVEL.try_with(|_| ()).is_err());
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let mut f = Some(f);
        let mut result = None;
        (self.access)(&mut |slot| {
            if let (Some(value), Some(f)) = (slot.0.get(), f.take()) {
                // SAFETY: the scope that has set the pointer is around this call.
                result = Some(f(unsafe { value.as_ref() }));
            }
        });
        result.ok_or(AccessError { name: self.name })
    }

    /// A clone of the value.
    ///
    /// # Panics
    /// If the task-local has no value here: see [`try_with`](LocalKey::try_with).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Calls `f` while the running thread sees `value`.
    ///
    /// # Errors
    /// `f`, if the thread is ending, and has no slot any more.
    fn enter<R, F: FnOnce() -> R>(&self, value: Option<&T>, f: F) -> Result<R, F> {
        /// Also after a panic.
        struct Restore<'a, T>(&'a LocalSlot<T>, Option<NonNull<T>>);
        impl<T> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                self.0.0.set(self.1);
            }
        }
        let mut f = Some(f);
        let mut result = None;
        (self.access)(&mut |slot| {
            if let Some(f) = f.take() {
                let _restore = Restore(slot, slot.0.replace(value.map(NonNull::from)));
                result = Some(f());
            }
        });
        result.ok_or_else(|| f.expect("what was not called is there"))
    }

    #[cold]
    #[track_caller]
    fn thread_ends(&self) -> ! {
        panic!(
            "the task-local `{}` cannot be given a value: the thread is ending, and has destroyed \
             its thread-locals",
            self.name
        )
    }
}

impl<T> LocalSlot<T> {
    #[doc(hidden)]
    pub const fn new() -> LocalSlot<T> {
        LocalSlot(Cell::new(None))
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    ///
    /// # Panics
    /// When it is polled again after it was ready, or polled while its thread is ending.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        value: Option<T>,
        // `None` when it is over: it is dropped inside the scope, too.
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let mut future = this.future;
            if future.is_none() {
                return;
            }
            let dropped = this.key.enter(this.value.as_ref(), || future.set(None));
            if let Err(drop_future) = dropped {
                drop_future();
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value back; `None` if it was taken before. If the future is polled after that, it
    /// sees none.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// volt::task_local! {
    ///     static VISITS: std::cell::Cell<u32>;
    /// }
    ///
    /// volt::run(|_io| async {
    ///     let visit = async { VISITS.with(|visits| visits.set(visits.get() + 1)) };
    ///     let mut scope = pin!(VISITS.scope(std::cell::Cell::new(6), visit));
    ///     scope.as_mut().await;
    ///     assert_eq!(scope.take_value().unwrap().get(), 7);
    /// });
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut future = this.future;
        let polled = this.key.enter(this.value.as_ref(), || {
            let running = future.as_mut().as_pin_mut();
            let running = running.expect("`TaskLocalFuture` polled after it was ready");
            let polled = running.poll(context);
            if polled.is_ready() {
                future.set(None);
            }
            polled
        });
        match polled {
            Ok(polled) => polled,
            Err(_) => this.key.thread_ends(),
        }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        write!(
            f,
            "the task-local `{name}` has no value here: run this inside `{name}.scope(value, \
             future)` or `{name}.sync_scope(value, || ..)`; a spawned task needs a scope of its own"
        )
    }
}

impl Error for AccessError {}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LocalSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSlot").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut future = f.debug_struct("TaskLocalFuture");
        future.field("key", self.key).field("value", &self.value).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, poll_fn, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;
    use std::thread;

    use super::*;

    crate::task_local! {
        /// With an attribute and a visibility.
        pub(super) static LEVEL: u32;
        static NAMES: RefCell<Vec<&'static str>>;
        #[expect(dead_code, reason = "the attribute reaches the declaration")]
        static UNUSED: Option<(u8, Box<dyn Fn(u8) -> u8>)>
    }

    crate::task_local! {}

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn level() -> Option<u32> {
        LEVEL.try_with(|level| *level).ok()
    }

    #[test]
    fn a_value_is_seen_in_its_scope_alone() {
        assert_eq!(level(), None);
        let mut is_first = true;
        let mut scope = pin!(LEVEL.scope(
            1,
            poll_fn(|_| {
                assert_eq!(level(), Some(1));
                if std::mem::replace(&mut is_first, false) { Poll::Pending } else { Poll::Ready(7) }
            })
        ));
        assert!(poll(scope.as_mut()).is_pending());
        assert_eq!(level(), None);
        assert_eq!(LEVEL.sync_scope(2, || poll(scope.as_mut())), Poll::Ready(7));
        assert_eq!(level(), None);
    }

    #[test]
    fn scopes_lie_within_one_another() {
        let seen = LEVEL.sync_scope(1, || {
            let inner = LEVEL.sync_scope(2, || LEVEL.get());
            let polled = poll(pin!(LEVEL.scope(3, async { LEVEL.get() })));
            assert_eq!(polled, Poll::Ready(3));
            (inner, LEVEL.get())
        });
        assert_eq!(seen, (2, 1));
    }

    #[test]
    fn a_scope_may_begin_while_the_value_around_it_is_borrowed() {
        LEVEL.sync_scope(1, || {
            LEVEL.with(|outer| {
                LEVEL.sync_scope(2, || LEVEL.with(|inner| assert_eq!((*outer, *inner), (1, 2))));
                assert_eq!((*outer, LEVEL.get()), (1, 1));
            });
        });
    }

    #[test]
    fn a_value_may_be_changed_through_a_cell() {
        let mut scope = pin!(NAMES.scope(RefCell::default(), async {
            NAMES.with(|names| names.borrow_mut().push("ada"));
        }));
        assert!(poll(scope.as_mut()).is_ready());
        assert_eq!(scope.as_mut().take_value().unwrap().into_inner(), ["ada"]);
        assert!(scope.take_value().is_none());
    }

    /// Notes what it sees when it is dropped.
    struct Looks(Arc<AtomicUsize>);

    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.store(level().map_or(99, |level| level as usize), Ordering::Relaxed);
        }
    }

    #[test]
    fn a_value_is_seen_while_the_future_is_dropped() {
        let seen = Arc::new(AtomicUsize::new(0));
        let looks = || {
            let looks = Looks(Arc::clone(&seen));
            async move {
                let _looks = looks;
                pending::<()>().await;
            }
        };
        // Before the first poll, and after it.
        drop(LEVEL.scope(1, looks()));
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        let mut scope = Box::pin(LEVEL.scope(2, looks()));
        assert!(poll(scope.as_mut()).is_pending());
        LEVEL.sync_scope(3, || drop(scope));
        assert_eq!(seen.load(Ordering::Relaxed), 2);
        // What the future holds when it is ready.
        let held = Looks(Arc::clone(&seen));
        let ready = poll_fn(move |_| {
            let _held = &held;
            Poll::Ready(())
        });
        let mut scope = pin!(LEVEL.scope(4, ready));
        assert!(poll(scope.as_mut()).is_ready());
        assert_eq!(seen.load(Ordering::Relaxed), 4);
        assert_eq!(level(), None);
    }

    #[test]
    fn a_panic_ends_the_scope() {
        let mut scope = Box::pin(LEVEL.scope(1, async { panic!("planned") }));
        let polled: thread::Result<Poll<()>> =
            catch_unwind(AssertUnwindSafe(|| poll(scope.as_mut())));
        assert!(polled.is_err());
        assert_eq!(level(), None);
        let entered: thread::Result<()> =
            catch_unwind(|| LEVEL.sync_scope(1, || panic!("planned")));
        assert!(entered.is_err());
        assert_eq!(level(), None);
    }

    #[test]
    fn without_a_scope_the_message_says_what_to_do() {
        let read = catch_unwind(|| LEVEL.get()).expect_err("there is no value");
        let message = read.downcast_ref::<String>().expect("a message");
        assert!(message.contains("`LEVEL.scope(value, future)`"), "{message}");
        let error = LEVEL.try_with(|_| ()).expect_err("there is no value");
        assert_eq!(*message, error.to_string());
        assert_eq!(format!("{LEVEL:?}"), "LocalKey { name: \"LEVEL\", .. }");
    }

    #[test]
    fn a_future_whose_value_was_taken_sees_none() {
        let mut scope = pin!(LEVEL.scope(1, async { level() }));
        assert_eq!(scope.as_mut().take_value(), Some(1));
        // Nor that of the scope around it.
        assert_eq!(LEVEL.sync_scope(2, || poll(scope.as_mut())), Poll::Ready(None));
    }

    #[test]
    fn a_future_that_is_over_says_so() {
        let mut scope = pin!(LEVEL.scope(1, ready(7)));
        assert_eq!(poll(scope.as_mut()), Poll::Ready(7));
        let again = catch_unwind(AssertUnwindSafe(|| poll(scope.as_mut())));
        assert!(again.is_err());
        assert_eq!(level(), None);
    }

    #[test]
    fn a_future_sees_its_value_on_every_thread() {
        fn is_send<T: Send>(_: &T) {}
        let mut seen = Vec::new();
        let mut scope = Box::pin(LEVEL.scope(
            1,
            poll_fn(move |_| {
                seen.push(level());
                if seen.len() == 1 { Poll::Pending } else { Poll::Ready(seen.clone()) }
            }),
        ));
        is_send(&scope);
        assert!(poll(scope.as_mut()).is_pending());
        let seen = thread::spawn(move || poll(scope.as_mut())).join().unwrap();
        assert_eq!(seen, Poll::Ready(vec![Some(1), Some(1)]));
    }

    #[test]
    fn threads_see_their_own_values() {
        LEVEL.sync_scope(1, || {
            assert_eq!(thread::spawn(level).join().unwrap(), None);
            let other = thread::spawn(|| LEVEL.sync_scope(2, || LEVEL.get()));
            assert_eq!((other.join().unwrap(), LEVEL.get()), (2, 1));
        });
    }
}
