//! One who waits. The states are drawn in the [layer's documentation](super).

use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Waker};

use crate::coop;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::{UnsafeCell, const_fn};
use crate::platform::thread;

/// Not in a list, and nothing was given to it.
const FREE: usize = 0;
/// In a list.
const QUEUED: usize = 1;

/// What a waiter was served with. Each primitive names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome(usize);

impl Outcome {
    /// The waiter has what it waited for.
    pub(crate) const GIVEN: Outcome = Outcome(2);
    /// What it waited for will never come.
    pub(crate) const CLOSED: Outcome = Outcome(3);
    /// As [`GIVEN`](Outcome::GIVEN), but to everybody: nobody else needs it.
    pub(crate) const GIVEN_TO_ALL: Outcome = Outcome(4);
}

/// Where waiters wait.
///
/// # Safety
/// After [`withdraw`](Place::withdraw) the waiter must be in no list of the place, also when it
/// panics, which it may then.
///
/// A waiter tells places by their addresses: so a place has a size, and does not begin with a
/// field that is a place, too.
pub(crate) unsafe trait Place: Sync {
    /// The waiter does not wait any more. If it is in the list, it is taken out. If it was served
    /// with something that another one can use, that is handed on. The caller holds no lock.
    fn withdraw(&self, waiter: &Waiter<'_>);
}

/// What one poll of a future may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Take what it waits for, if that is there.
    Take,
    /// The budget of the task is spent: take nothing, but a place in the queue.
    QueueOnly,
}

impl Turn {
    /// What the running task may do.
    #[inline]
    pub(crate) fn of_task() -> Turn {
        if coop::has_budget_remaining() { Turn::Take } else { Turn::QueueOnly }
    }

    /// Ends a poll: what was had is paid for, and a task whose budget is spent comes again.
    #[inline]
    pub(crate) fn end<T>(self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<T> {
        // Ready with a budget spends from it; not ready without one wakes the task. What a task
        // was given in the queue it has without a budget, too, and needs no wake-up: nor could that
        // be allowed to panic, which would lose what was given.
        if polled.is_ready() == (self == Turn::Take) {
            let _ = coop::poll_proceed(context);
        }
        polled
    }
}

/// What a list knows of a waiter in it. Under the list's lock.
pub(super) struct Entry {
    pub(super) previous: Option<NonNull<Waiter<'static>>>,
    pub(super) next: Option<NonNull<Waiter<'static>>>,
    pub(super) waker: Option<Waker>,
    /// What the waiter wants, in words of the primitive.
    pub(super) tag: usize,
    /// How many came to the list before it.
    pub(super) sequence: u64,
}

/// One who waits for a lock, a permit, a message or a notification, without a heap: for
/// schedulers and callbacks that are not futures. The futures of Volt have one each.
///
/// It is pinned by its owner, and passed to a method whose name ends in `_wait`. That either gives
/// what was asked for, or queues the waiter and has its waker called later; then the same method
/// is called again. One waiter waits in one place at a time. Dropping it, or the method whose name
/// begins with `cancel_`, ends the wait: nothing that was handed to the waiter is lost.
///
/// ```
/// use std::pin::pin;
/// use std::task::Waker;
/// use volt::sync::{Mutex, Waiter};
///
/// let mutex = Mutex::new(1);
/// let guard = mutex.try_lock().unwrap();
/// let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
/// assert!(mutex.lock_wait(waiter.as_mut()).is_none());
/// drop(guard);
/// assert_eq!(*mutex.lock_wait(waiter.as_mut()).unwrap(), 1);
/// ```
pub struct Waiter<'a> {
    /// Of level four; a future gets its waker with each poll.
    own_waker: Option<Waker>,
    /// Where it waits: from when it is queued until it has what it waited for. For the owner.
    place: Option<&'a dyn Place>,
    /// A word, though a byte would do: a future that ends in a byte and padding is moved in pieces
    /// that overlap, and reading it back waits for the stores.
    state: AtomicUsize,
    entry: UnsafeCell<Entry>,
    _pinned: PhantomPinned,
}

// SAFETY: `entry` is touched under the lock of the list alone, or by the owner while no list has
// the waiter. `place` is `Sync`.
unsafe impl Send for Waiter<'_> {}
// SAFETY: through a shared reference there is only `is_ready`, of an atomic, and what is done
// under the list's lock.
unsafe impl Sync for Waiter<'_> {}

impl<'a> Waiter<'a> {
    /// A waiter that has `waker` called when there is something for it.
    pub fn new(waker: Waker) -> Waiter<'a> {
        let mut waiter = Waiter::of_future();
        waiter.own_waker = Some(waker);
        waiter
    }

    /// Whether the waiter was given what it waits for. The call that takes it does not wait.
    pub fn is_ready(&self) -> bool {
        self.outcome().is_some()
    }

    const_fn! {
        /// The waiter of a future, which gets its waker with each poll.
        pub(crate) fn of_future() -> Waiter<'a> {
            let entry =
                Entry { previous: None, next: None, waker: None, tag: 0, sequence: 0 };
            Waiter {
                own_waker: None,
                place: None,
                state: AtomicUsize::new(FREE),
                entry: UnsafeCell::new(entry),
                _pinned: PhantomPinned,
            }
        }
    }

    /// The waker of level four.
    ///
    /// # Panics
    /// If it is the waiter of a future.
    pub(crate) fn own_waker(&self) -> Waker {
        self.own_waker.clone().expect("a waiter of level four has a waker")
    }

    /// What it was served with, if it was.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        // Acquire: pairs with `publish`: the owner goes on where the server was.
        let state = self.state.load(Ordering::Acquire);
        (state > QUEUED).then_some(Outcome(state))
    }

    /// Takes what it was served with, if it was: it is had, and nobody hands it on any more.
    #[inline]
    pub(crate) fn take_outcome(self: Pin<&mut Self>) -> Option<Outcome> {
        let outcome = self.outcome()?;
        self.finish();
        Some(outcome)
    }

    /// Whether it waits in `place`, or was served there and has not taken it.
    ///
    /// # Panics
    /// If it waits somewhere else.
    #[inline]
    #[track_caller]
    pub(crate) fn is_in<P: Place>(&self, place: &P) -> bool {
        let Some(own) = self.place else { return false };
        assert!(
            ptr::addr_eq(ptr::from_ref(own), ptr::from_ref(place)),
            "the waiter waits somewhere else: cancel that first, or use another waiter"
        );
        true
    }

    /// Ends the wait. What was handed to it goes to the next one.
    pub(crate) fn cancel(self: Pin<&mut Self>) {
        /// Also when the destructor of a waker panics: else the waiter would seem to wait.
        struct Finish<'p, 'a>(Pin<&'p mut Waiter<'a>>);
        impl Drop for Finish<'_, '_> {
            fn drop(&mut self) {
                self.0.as_mut().finish();
            }
        }
        if let Some(place) = self.place {
            let finish = Finish(self);
            place.withdraw(&finish.0);
        }
    }

    /// Where it waits, as a key. Under the list's lock.
    pub(super) fn place_address(&self) -> usize {
        self.place.map_or(0, |place| ptr::from_ref(place).addr())
    }

    /// Waits in `place` from now on. The list has taken it.
    pub(super) fn begin(self: Pin<&mut Self>, place: &'a dyn Place) {
        // SAFETY: nothing is moved out of the waiter.
        unsafe { self.get_unchecked_mut() }.place = Some(place);
    }

    /// It has what it waited for, and is in no list.
    pub(crate) fn finish(self: Pin<&mut Self>) {
        // SAFETY: nothing is moved out of the waiter.
        let this = unsafe { self.get_unchecked_mut() };
        this.place = None;
        // A model that fails cannot take its waiters out: loom grants it no lock any more.
        let fails = cfg!(volt_loom) && thread::panicking();
        debug_assert!(fails || !this.is_queued(), "a waiter is finished, and a list has it");
        // Relaxed: no list has it.
        this.state.store(FREE, Ordering::Relaxed);
    }

    /// Whether a list has it. Under the list's lock, or for the owner.
    #[inline]
    pub(super) fn is_queued(&self) -> bool {
        // Relaxed: it is set by the owner, and changed under the lock.
        self.state.load(Ordering::Relaxed) == QUEUED
    }

    pub(super) fn set_queued(&self) {
        // Relaxed: others come to the waiter through the list, under its lock.
        self.state.store(QUEUED, Ordering::Relaxed);
    }

    pub(super) fn set_free(&self) {
        // Relaxed: it concerns the owner alone, who withdraws it.
        self.state.store(FREE, Ordering::Relaxed);
    }

    /// The last thing that a server does with a waiter: it may be gone once the outcome is there,
    /// before this returns. So this has no reference to the waiter, all of which would have to stay
    /// until it returns; one to an atomic need not.
    ///
    /// # Safety
    /// The waiter is alive: it has not been served, and the caller holds the lock of the list that
    /// had it.
    pub(super) unsafe fn publish(waiter: NonNull<Waiter<'a>>, outcome: Outcome) {
        // SAFETY: the waiter is alive until the store.
        let state = unsafe { &(*waiter.as_ptr()).state };
        // Release: pairs with `outcome`.
        let order = mutation!("waiter-publishes-relaxed", Ordering::Release, Ordering::Relaxed);
        state.store(outcome.0, order);
    }

    /// What the list knows of it.
    ///
    /// # Safety
    /// The caller holds the lock of the list that has the waiter, or owns the waiter while no
    /// list has it.
    #[inline]
    pub(super) unsafe fn with_entry<R>(&self, f: impl FnOnce(&mut Entry) -> R) -> R {
        // SAFETY: the caller is alone with the entry, and `f` comes to no other waiter's.
        self.entry.with_mut(|entry| f(unsafe { &mut *entry }))
    }
}

impl Drop for Waiter<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            // SAFETY: a waiter in a place is pinned, and is not moved before it is dropped.
            unsafe { Pin::new_unchecked(self) }.cancel();
        }
    }
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state.load(Ordering::Relaxed) {
            FREE => "free",
            QUEUED => "queued",
            _ => "ready",
        };
        f.debug_struct("Waiter").field("state", &state).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::platform::sync::Mutex;
    use crate::waiter::WaitList;

    /// A place, whose withdrawal may panic as the destructor of a waker does.
    struct Room {
        list: Mutex<WaitList>,
        panics: bool,
    }

    // SAFETY: `withdraw` removes the waiter first.
    unsafe impl Place for Room {
        fn withdraw(&self, waiter: &Waiter<'_>) {
            let _ = self.list.lock().remove(waiter);
            assert!(!self.panics, "planned");
        }
    }

    fn room(panics: bool) -> Room {
        Room { list: Mutex::new(WaitList::new()), panics }
    }

    impl Room {
        fn queue<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
            self.list.lock().push(waiter, self, Waker::noop().clone(), 0);
        }
    }

    #[test]
    fn a_waiter_may_go_to_another_thread() {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<Waiter<'static>>();
    }

    #[test]
    fn it_waits_in_one_place_at_a_time_and_may_go_to_another() {
        let (here, there) = (room(false), room(false));
        let mut waiter = pin!(Waiter::of_future());
        assert!(!waiter.is_in(&here) && !waiter.is_in(&there));
        here.queue(waiter.as_mut());
        assert!(waiter.is_in(&here));
        assert!(catch_unwind(AssertUnwindSafe(|| waiter.is_in(&there))).is_err());
        waiter.as_mut().cancel();
        there.queue(waiter.as_mut());
        assert!(waiter.is_in(&there));
        assert!(here.list.lock().is_empty());
        assert!(there.list.lock().serve_first(Outcome::CLOSED).is_some());
        // It is not free before it has taken what it was served with.
        assert!(waiter.is_in(&there) && waiter.is_ready());
        assert_eq!(waiter.as_mut().take_outcome(), Some(Outcome::CLOSED));
        assert!(!waiter.is_in(&here) && !waiter.is_ready());
        assert_eq!(waiter.as_mut().take_outcome(), None);
    }

    #[test]
    fn cancelling_one_that_does_not_wait_does_nothing() {
        let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
        waiter.as_mut().cancel();
        assert_eq!(format!("{waiter:?}"), "Waiter { state: \"free\", .. }");
    }

    #[test]
    fn a_wait_has_ended_also_when_a_destructor_panics_in_its_cancellation() {
        let (panicking, calm) = (room(true), room(false));
        let mut waiter = pin!(Waiter::of_future());
        panicking.queue(waiter.as_mut());
        assert!(catch_unwind(AssertUnwindSafe(|| waiter.as_mut().cancel())).is_err());
        assert!(!waiter.is_in(&calm));
        calm.queue(waiter.as_mut());
        assert!(panicking.list.lock().is_empty() && !calm.list.lock().is_empty());
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends a poll that had so much budget: whether some is left, and how often the task was woken.
    fn end(budget: u32, polled: Poll<()>) -> (bool, usize) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        coop::with_budget(budget, || {
            assert_eq!(Turn::of_task().end(&mut context, polled), polled);
            (coop::has_budget_remaining(), count.0.load(Ordering::Relaxed))
        })
    }

    #[test]
    fn what_was_had_is_paid_for_and_only_a_poll_that_may_take_nothing_comes_again() {
        assert_eq!(end(1, Poll::Ready(())), (false, 0));
        assert_eq!(end(1, Poll::Pending), (true, 0));
        assert_eq!(end(0, Poll::Ready(())), (false, 0));
        assert_eq!(end(0, Poll::Pending), (false, 1));
    }

    #[test]
    fn the_waiter_of_a_future_has_no_waker_of_its_own() {
        assert!(catch_unwind(|| Waiter::of_future().own_waker()).is_err());
        let waker = Waker::noop().clone();
        assert!(Waiter::new(waker.clone()).own_waker().will_wake(&waker));
    }
}
