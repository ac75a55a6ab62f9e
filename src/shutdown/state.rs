//! Whether a program is to end, how much work is under way, and who waits for either.
//!
//! ```text
//!   RUNNING ─────────────────────── trigger ──────────────────────► TRIGGERED
//!
//!   n guards, nobody waits ◄──── begin, end ────► n ± 1 guards, nobody waits
//!      │ somebody waits: DRAINING
//!      ▼
//!   n guards, DRAINING ──── end of the last one, under the lock ────► none: all who wait are
//!                                                                     served, DRAINING is gone
//! ```
//!
//! All of it is one word, and two lists of waiters with a lock each.
//!
//! Rules:
//! 1. TRIGGERED is set under the lock of its list, and stays.
//! 2. A waiter for the end of the work is in its list before the lock is free, and set DRAINING
//!    under it. Whoever finds DRAINING takes the number of guards from one to none under that lock
//!    alone. So everybody in the list was there when the number was none, and nobody is served who
//!    came after that, with another guard perhaps.
//! 3. DRAINING may stay when nobody waits any more. It costs the next last guard a lock.

use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::{Mutex, MutexGuard};
use crate::signal::SignalKind;
use crate::waiter::{Outcome, Place, WaitList, Waiter, WakeBatch};

const TRIGGERED: usize = 1;
const DRAINING: usize = 2;
/// One guard.
const GUARD: usize = 4;

/// See the module documentation.
pub(super) struct State {
    word: AtomicUsize,
    /// The signal that triggered it, if one did.
    cause: Mutex<Option<SignalKind>>,
    triggered: Crowd,
    drained: Crowd,
}

impl State {
    pub(super) fn new() -> State {
        State {
            word: AtomicUsize::new(0),
            cause: Mutex::new(None),
            triggered: Crowd::new(),
            drained: Crowd::new(),
        }
    }

    pub(super) fn is_triggered(&self) -> bool {
        // Acquire: pairs with `trigger`: whoever sees it sees what came before it.
        self.word.load(Ordering::Acquire) & TRIGGERED != 0
    }

    pub(super) fn cause(&self) -> Option<SignalKind> {
        *self.cause.lock()
    }

    /// How many guards there are.
    pub(super) fn pending(&self) -> usize {
        // Relaxed: it may be untrue when it is returned.
        self.word.load(Ordering::Relaxed) / GUARD
    }

    /// The program is to end, by `cause` if that is a signal. The first call counts.
    pub(super) fn trigger(&self, cause: Option<SignalKind>) {
        let waiters = self.triggered.waiters.lock();
        // Relaxed: rule 1.
        if self.word.load(Ordering::Relaxed) & TRIGGERED != 0 {
            return;
        }
        *self.cause.lock() = cause;
        // Release: pairs with `is_triggered`.
        let order = mutation!("shutdown-triggers-relaxed", Ordering::Release, Ordering::Relaxed);
        self.word.fetch_or(TRIGGERED, order);
        self.triggered.serve(waiters);
    }

    /// Waits until the program is to end.
    pub(super) fn poll_triggered<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<()> {
        if self.is_triggered() {
            return Poll::Ready(());
        }
        let look = || mutation!("shutdown-no-second-look", self.is_triggered(), false);
        self.triggered.poll(waiter, waker, look)
    }

    /// Work begins: one more guard.
    pub(super) fn begin(&self) {
        // Relaxed: whoever waits for the end of the work waits for what its end tells.
        self.word.fetch_add(GUARD, Ordering::Relaxed);
    }

    /// Work ends: one guard less.
    pub(super) fn end(&self) {
        // Relaxed: the compare-and-swap decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let is_awaited = mutation!("shutdown-forgets-the-drain", word & DRAINING != 0, false);
            if is_awaited && word / GUARD == 1 {
                return self.end_awaited();
            }
            // Release: pairs with `announce`, and with `end_awaited`, which passes it on.
            let order = mutation!("shutdown-ends-relaxed", Ordering::Release, Ordering::Relaxed);
            let next = word - GUARD;
            match self.word.compare_exchange_weak(word, next, order, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// What was the last guard ends, and somebody waits for that.
    #[cold]
    fn end_awaited(&self) {
        // Release: as in `end`. Acquire: those who are served see what came before the ends of all.
        let order = Ordering::AcqRel;
        let (waiters, before) = mutation!(
            "shutdown-ends-before-the-lock",
            {
                let waiters = self.drained.waiters.lock();
                (waiters, self.word.fetch_sub(GUARD, order))
            },
            {
                let before = self.word.fetch_sub(GUARD, order);
                (self.drained.waiters.lock(), before)
            }
        );
        if before / GUARD > 1 {
            // Others have come meanwhile, and end later.
            return;
        }
        // Relaxed: it says something of the list, which has a lock.
        self.word.fetch_and(!DRAINING, Ordering::Relaxed);
        self.drained.serve(waiters);
    }

    /// Waits until there is no guard.
    pub(super) fn poll_drained<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<()> {
        self.drained.poll(waiter, waker, || self.announce())
    }

    /// Tells those who end their work that somebody waits, unless there is none. Under the lock of
    /// the list.
    fn announce(&self) -> bool {
        // Acquire: pairs with `end`: who finds no guard sees what came before their ends.
        self.word.fetch_or(DRAINING, Ordering::Acquire) / GUARD == 0
    }
}

/// Those who wait for something that comes to all of them at once.
struct Crowd {
    waiters: Mutex<WaitList>,
}

impl Crowd {
    fn new() -> Crowd {
        Crowd { waiters: Mutex::new(WaitList::new()) }
    }

    /// Whether it has come; if not, `waker` is called when it does. `look` is asked under the lock
    /// of the list, before the waiter comes into it.
    fn poll<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        look: impl FnOnce() -> bool,
    ) -> Poll<()> {
        if waiter.is_in(self) && waiter.as_mut().take_outcome().is_some() {
            return Poll::Ready(());
        }
        // No waker is cloned or dropped under the lock: it is anybody's code.
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        let (polled, unneeded) = if waiter.is_in(self) {
            // It may have been served since; this look is under the lock.
            match waiter.as_mut().take_outcome() {
                Some(_) => (Poll::Ready(()), Some(waker)),
                None => (Poll::Pending, waiters.renew(&waiter, waker)),
            }
        } else if look() {
            (Poll::Ready(()), Some(waker))
        } else {
            waiters.push(waiter, self, waker, 0);
            (Poll::Pending, None)
        };
        drop(waiters);
        drop(unneeded);
        polled
    }

    /// It has come to all who are in the list now. The lock is let go of while wakers are called.
    fn serve<'a>(&'a self, mut waiters: MutexGuard<'a, WaitList>) {
        let mark = waiters.mark();
        loop {
            let mut batch = WakeBatch::new();
            while batch.has_room() && waiters.first_came_before(mark) {
                let served = waiters.serve_first(Outcome::GIVEN_TO_ALL);
                if let Some(waker) = served.and_then(|served| served.0) {
                    batch.push(waker);
                }
            }
            let is_done = !waiters.first_came_before(mark);
            drop(waiters);
            drop(batch);
            if is_done {
                return;
            }
            waiters = self.waiters.lock();
        }
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for Crowd {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        // What came to all is needed by nobody else.
        let removed = self.waiters.lock().remove(waiter);
        drop(removed);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    /// Counts its calls, and finds out whether the locks are free.
    struct Task {
        state: Arc<State>,
        woken: AtomicUsize,
    }

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            assert!(self.state.triggered.waiters.try_lock().is_some(), "woken under the lock");
            assert!(self.state.drained.waiters.try_lock().is_some(), "woken under the lock");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task(state: &Arc<State>) -> (Arc<Task>, Waker) {
        let task = Arc::new(Task { state: Arc::clone(state), woken: AtomicUsize::new(0) });
        (Arc::clone(&task), Waker::from(task))
    }

    #[test]
    fn a_trigger_is_for_all_and_for_good() {
        let state = Arc::new(State::new());
        let (task, waker) = task(&state);
        // More than one batch of wakers.
        let mut waiters: Vec<_> = (0..70).map(|_| Box::pin(Waiter::of_future())).collect();
        for waiter in &mut waiters {
            assert!(state.poll_triggered(waiter.as_mut(), &waker).is_pending());
        }
        // One gives up.
        drop(waiters.pop());
        state.trigger(Some(SignalKind::Terminate));
        state.trigger(None);
        assert_eq!(task.woken.load(Ordering::Relaxed), 69);
        assert!(state.is_triggered());
        assert_eq!(state.cause(), Some(SignalKind::Terminate));
        for waiter in &mut waiters {
            assert!(state.poll_triggered(waiter.as_mut(), &waker).is_ready());
        }
        let late = pin!(Waiter::of_future());
        assert!(state.poll_triggered(late, &waker).is_ready());
    }

    #[test]
    fn the_last_guard_wakes_all_who_wait() {
        let state = Arc::new(State::new());
        let (task, waker) = task(&state);
        assert!(state.poll_drained(pin!(Waiter::of_future()), &waker).is_ready());
        state.begin();
        state.begin();
        assert_eq!(state.pending(), 2);
        let mut first = pin!(Waiter::of_future());
        let mut second = pin!(Waiter::of_future());
        assert!(state.poll_drained(first.as_mut(), &waker).is_pending());
        assert!(state.poll_drained(second.as_mut(), &waker).is_pending());
        state.end();
        assert!(state.poll_drained(first.as_mut(), &waker).is_pending());
        assert_eq!(task.woken.load(Ordering::Relaxed), 0);
        state.end();
        assert_eq!((task.woken.load(Ordering::Relaxed), state.pending()), (2, 0));
        // Whatever comes after that does not concern them.
        state.begin();
        assert!(state.poll_drained(first.as_mut(), &waker).is_ready());
        assert!(state.poll_drained(second.as_mut(), &waker).is_ready());
        assert!(state.poll_drained(first.as_mut(), &waker).is_pending());
        state.end();
        assert!(state.poll_drained(first, &waker).is_ready());
    }

    #[test]
    fn nobody_is_left_to_wake_when_a_waiter_has_gone() {
        let state = Arc::new(State::new());
        let (task, waker) = task(&state);
        state.begin();
        let mut waiter = Box::pin(Waiter::of_future());
        assert!(state.poll_drained(waiter.as_mut(), &waker).is_pending());
        drop(waiter);
        assert!(state.drained.waiters.lock().is_empty());
        state.end();
        assert_eq!(task.woken.load(Ordering::Relaxed), 0);
        assert_eq!(state.word.load(Ordering::Relaxed), 0, "it announces one who has gone");
    }

    #[test]
    fn a_trigger_leaves_the_guards_alone() {
        let state = State::new();
        state.begin();
        state.trigger(None);
        state.begin();
        assert_eq!((state.pending(), state.cause()), (2, None));
        state.end();
        state.end();
        assert_eq!(state.pending(), 0);
        assert!(state.is_triggered());
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    struct Task(AtomicBool);

    impl Task {
        fn is_woken(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }
    }

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    type Boxed<'a> = Pin<Box<Waiter<'a>>>;

    fn waiter<'a>() -> Boxed<'a> {
        Box::pin(Waiter::of_future())
    }

    /// One begins to wait for the trigger while it comes.
    fn trigger_and_wait() {
        let state = Arc::new(State::new());
        let done = Arc::new(AtomicBool::new(false));
        let (task, waker) = task();
        let (other, other_done) = (Arc::clone(&state), Arc::clone(&done));
        let thread = loom::thread::spawn(move || {
            // Relaxed: the trigger must order it.
            other_done.store(true, Ordering::Relaxed);
            other.trigger(None);
        });
        let mut waiter = waiter();
        let polled = state.poll_triggered(waiter.as_mut(), &waker);
        let is_done = done.load(Ordering::Relaxed);
        thread.join().unwrap();
        assert!(polled.is_pending() || is_done, "the trigger is seen before what led to it");
        assert!(polled.is_ready() || task.is_woken(), "the waiter sleeps and nobody wakes it");
        assert!(state.poll_triggered(waiter.as_mut(), &waker).is_ready());
    }

    #[test]
    fn a_trigger_meets_a_waiter() {
        model(trigger_and_wait);
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("shutdown-no-second-look", || model(trigger_and_wait)));
    }

    #[test]
    fn relaxed_trigger_mutant_is_noticed() {
        assert!(is_noticed("shutdown-triggers-relaxed", || model(trigger_and_wait)));
    }

    #[test]
    fn two_triggers_at_once_are_one() {
        model(|| {
            let state = Arc::new(State::new());
            let (task, waker) = task();
            let mut waiter = waiter();
            assert!(state.poll_triggered(waiter.as_mut(), &waker).is_pending());
            let threads = [None, Some(SignalKind::Interrupt)].map(|cause| {
                let state = Arc::clone(&state);
                loom::thread::spawn(move || {
                    state.trigger(cause);
                    state.cause()
                })
            });
            let seen = threads.map(|thread| thread.join().unwrap());
            assert_eq!(seen, [state.cause(); 2], "the cause changes");
            assert!(task.is_woken());
        });
    }

    /// The last guard ends while somebody begins to wait for that.
    fn end_and_drain() {
        let state = Arc::new(State::new());
        let done = Arc::new(AtomicBool::new(false));
        let (task, waker) = task();
        state.begin();
        let (other, other_done) = (Arc::clone(&state), Arc::clone(&done));
        let thread = loom::thread::spawn(move || {
            // Relaxed: the end of the work must order it.
            other_done.store(true, Ordering::Relaxed);
            other.end();
        });
        let mut waiter = waiter();
        let polled = state.poll_drained(waiter.as_mut(), &waker);
        let is_done = done.load(Ordering::Relaxed);
        thread.join().unwrap();
        assert!(polled.is_pending() || is_done, "the end is seen before what led to it");
        assert!(polled.is_ready() || task.is_woken(), "the waiter sleeps and nobody wakes it");
        if polled.is_pending() {
            assert!(state.poll_drained(waiter.as_mut(), &waker).is_ready());
        }
        assert_eq!(state.pending(), 0);
    }

    #[test]
    fn the_last_guard_ends_while_somebody_begins_to_wait() {
        model(end_and_drain);
    }

    #[test]
    fn relaxed_end_mutant_is_noticed() {
        assert!(is_noticed("shutdown-ends-relaxed", || model(end_and_drain)));
    }

    #[test]
    fn forgotten_drain_mutant_is_noticed() {
        assert!(is_noticed("shutdown-forgets-the-drain", || model(end_and_drain)));
    }

    /// Somebody waits, the last guard ends, and another one begins, whose holder waits too.
    fn end_and_begin() {
        let state = Arc::new(State::new());
        let (_, waker) = task();
        state.begin();
        let (mut first, mut second) = (waiter(), waiter());
        assert!(state.poll_drained(first.as_mut(), &waker).is_pending());
        let other = Arc::clone(&state);
        let thread = loom::thread::spawn(move || other.end());
        state.begin();
        let polled = state.poll_drained(second.as_mut(), &waker);
        thread.join().unwrap();
        let again = polled.is_ready() || state.poll_drained(second.as_mut(), &waker).is_ready();
        assert!(!again, "the work is said to have ended, and its guard is there");
        state.end();
        assert!(state.poll_drained(second.as_mut(), &waker).is_ready());
        assert!(state.poll_drained(first.as_mut(), &waker).is_ready());
    }

    #[test]
    fn a_guard_that_begins_when_the_last_one_ends_is_waited_for() {
        model(end_and_begin);
    }

    #[test]
    fn end_before_the_lock_mutant_is_noticed() {
        assert!(is_noticed("shutdown-ends-before-the-lock", || model(end_and_begin)));
    }

    #[test]
    fn two_guards_end_at_once() {
        model(|| {
            let state = Arc::new(State::new());
            let (task, waker) = task();
            state.begin();
            state.begin();
            let threads = [(); 2].map(|()| {
                let state = Arc::clone(&state);
                loom::thread::spawn(move || state.end())
            });
            let mut waiter = waiter();
            let polled = state.poll_drained(waiter.as_mut(), &waker);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(polled.is_ready() || task.is_woken(), "the waiter sleeps and nobody wakes it");
            assert_eq!(state.pending(), 0);
        });
    }
}
