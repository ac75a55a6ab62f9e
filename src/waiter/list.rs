//! Who waits, first come, first served: a list through the waiters themselves.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::waiter::{Entry, Outcome, Place, Waiter};
use super::wake_batch::WakeBatch;
use crate::platform::mutation::mutation;
use crate::platform::probe;

type Link = Option<NonNull<Waiter<'static>>>;

/// The waiters of one place, in the order in which they came. Its owner keeps it behind a lock:
/// whoever has a `&mut WaitList` holds that.
///
/// Every waiter in the list is alive and stays where it is: it is pinned, and takes itself out, by
/// [`Place::withdraw`], before it is dropped.
pub(crate) struct WaitList {
    first: Link,
    last: Link,
    length: usize,
    /// How many have come so far.
    came: u64,
}

// SAFETY: the list is behind a lock, and `Waiter` is `Send` and `Sync`.
unsafe impl Send for WaitList {}

impl WaitList {
    /// Nobody waits.
    pub(crate) const fn new() -> WaitList {
        WaitList { first: None, last: None, length: 0, came: 0 }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// What tells those who wait now from those who come later: see
    /// [`first_came_before`](WaitList::first_came_before).
    pub(crate) fn mark(&self) -> u64 {
        self.came
    }

    /// Whether there is a first one, who came before `mark` was taken.
    pub(crate) fn first_came_before(&self, mark: u64) -> bool {
        self.first_entry(|entry| entry.sequence < mark).unwrap_or(false)
    }

    /// `waiter` begins to wait, after all others, in the `place` whose list this is.
    ///
    /// # Panics
    /// If it waits already.
    pub(crate) fn push<'a>(
        &mut self,
        mut waiter: Pin<&mut Waiter<'a>>,
        place: &'a dyn Place,
        waker: Waker,
        tag: usize,
    ) {
        assert!(waiter.outcome().is_none() && !waiter.is_queued(), "a waiter waits twice");
        let sequence = self.came;
        let entry = Entry { previous: self.last, next: None, waker: Some(waker), tag, sequence };
        // SAFETY: no list has the waiter, and it is the caller's.
        let before = unsafe { waiter.with_entry(|old| mem::replace(old, entry)) };
        debug_assert!(before.waker.is_none(), "a waiter in no list has a waker");
        waiter.set_queued();
        waiter.as_mut().begin(place);
        let link = Some(NonNull::from(waiter.as_ref().get_ref()).cast());
        match self.last {
            // SAFETY: it is in the list, whose lock the caller holds.
            Some(last) => unsafe { entry_of(last, |entry| entry.next = link) },
            None => self.first = link,
        }
        self.last = link;
        self.length += 1;
        self.came += 1;
        probe::waiter_queued(ptr::from_ref(place).addr(), ptr::from_ref(&*waiter).addr());
    }

    /// Leaves `waker` for `waiter`, which waits in this list, and gives the one that has no use
    /// any more, to be dropped when the lock is free.
    pub(crate) fn renew(&mut self, waiter: &Waiter<'_>, waker: Waker) -> Option<Waker> {
        debug_assert!(waiter.is_queued(), "a waiter renews its waker and does not wait");
        // SAFETY: it is in the list, whose lock the caller holds.
        unsafe { waiter.with_entry(|entry| entry.waker.replace(waker)) }
    }

    /// What the first one wants.
    pub(crate) fn first_tag(&self) -> Option<usize> {
        self.first_entry(|entry| entry.tag)
    }

    /// The first one wants something else from now on.
    pub(crate) fn set_first_tag(&mut self, tag: usize) {
        self.first_entry(|entry| entry.tag = tag);
    }

    /// What `waiter`, which waits in this list, wants.
    pub(crate) fn tag_of(&self, waiter: &Waiter<'_>) -> usize {
        // SAFETY: it is in the list, whose lock the caller holds.
        unsafe { waiter.with_entry(|entry| entry.tag) }
    }

    /// Whether `waiter` is the first one.
    pub(crate) fn is_first(&self, waiter: &Waiter<'_>) -> bool {
        self.first == Some(NonNull::from(waiter).cast())
    }

    /// The waker of the first one, who goes on waiting; `None` if it has been taken before.
    pub(crate) fn take_first_waker(&mut self) -> Option<Waker> {
        self.first_entry(|entry| entry.waker.take()).flatten()
    }

    /// The first one is served: it does not wait any more, and may be gone once this returns. Its
    /// waker is to be called when the lock is free; it has none if that has been taken before.
    pub(crate) fn serve_first(&mut self, outcome: Outcome) -> Option<Served> {
        let first = self.first?;
        let waker = self.unlink(first);
        // SAFETY: it has not been served, so it is alive, and the caller holds the lock.
        unsafe { Waiter::publish(first, outcome) };
        Some(Served(waker))
    }

    /// Serves the first one, for as long as there is one, `is_due` says so and `batch` has room.
    /// True if none is due any more; else the caller frees the lock, drops the batch, and goes on
    /// with the next one.
    pub(crate) fn serve_while(
        &mut self,
        batch: &mut WakeBatch,
        outcome: Outcome,
        is_due: impl Fn(&WaitList) -> bool,
    ) -> bool {
        while !self.is_empty() && is_due(self) {
            if !batch.has_room() {
                return false;
            }
            let served = self.serve_first(outcome);
            if let Some(waker) = served.and_then(|served| served.0) {
                batch.push(waker);
            }
        }
        true
    }

    /// `waiter` does not wait any more: its waker, to be dropped when the lock is free; or what it
    /// was served with before it could be taken out.
    ///
    /// # Errors
    /// What it was served with.
    pub(crate) fn remove(&mut self, waiter: &Waiter<'_>) -> Result<Option<Waker>, Outcome> {
        if let Some(outcome) = waiter.outcome() {
            return Err(outcome);
        }
        if !waiter.is_queued() {
            return Ok(None);
        }
        let waker = mutation!(
            "wait-list-leaves-the-withdrawn",
            self.unlink(NonNull::from(waiter).cast()),
            None
        );
        waiter.set_free();
        Ok(waker)
    }

    fn first_entry<R>(&self, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        // SAFETY: it is in the list, whose lock the caller holds.
        self.first.map(|first| unsafe { entry_of(first, f) })
    }

    fn unlink(&mut self, waiter: NonNull<Waiter<'static>>) -> Option<Waker> {
        // SAFETY: it is in the list, whose lock the caller holds.
        let (previous, next, waker) = unsafe {
            entry_of(waiter, |entry| (entry.previous.take(), entry.next.take(), entry.waker.take()))
        };
        match previous {
            // SAFETY: as above.
            Some(previous) => unsafe { entry_of(previous, |entry| entry.next = next) },
            None => self.first = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { entry_of(next, |entry| entry.previous = previous) },
            None => self.last = previous,
        }
        self.length -= 1;
        // SAFETY: as above; its place is set before it comes into the list.
        let place = unsafe { waiter.as_ref() }.place_address();
        probe::waiter_left(place, waiter.as_ptr().addr());
        waker
    }
}

/// One who was served: its waker is to be called when the lock is free.
#[must_use = "the waiter sleeps until its waker is called"]
#[derive(Debug)]
pub(crate) struct Served(pub(crate) Option<Waker>);

impl fmt::Debug for WaitList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").field("length", &self.length).finish_non_exhaustive()
    }
}

/// # Safety
/// The caller holds the lock of the list that has the waiter.
unsafe fn entry_of<R>(waiter: NonNull<Waiter<'static>>, f: impl FnOnce(&mut Entry) -> R) -> R {
    // SAFETY: a waiter in a list is alive, and the caller holds the lock.
    unsafe { waiter.as_ref().with_entry(f) }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread;

    use super::*;
    use crate::platform::sync::Mutex;
    use crate::waiter::wake;

    /// A place whose waiters hand on what they do not want.
    struct Queue {
        list: Mutex<WaitList>,
        handed_on: AtomicUsize,
    }

    // SAFETY: `withdraw` removes the waiter.
    unsafe impl Place for Queue {
        fn withdraw(&self, waiter: &Waiter<'_>) {
            let removed = self.list.lock().remove(waiter);
            match removed {
                Ok(own) => drop(own),
                Err(outcome) => {
                    self.handed_on.fetch_add(1, Ordering::Relaxed);
                    self.serve(outcome);
                }
            }
        }
    }

    type Queued<'a> = Pin<Box<Waiter<'a>>>;

    impl Queue {
        fn new() -> Queue {
            Queue { list: Mutex::new(WaitList::new()), handed_on: AtomicUsize::new(0) }
        }

        fn push<'a>(&'a self, waker: Waker, tag: usize) -> Queued<'a> {
            let mut waiter = Box::pin(Waiter::of_future());
            self.list.lock().push(waiter.as_mut(), self, waker, tag);
            waiter
        }

        fn push_some(&self, count: usize) -> Vec<Queued<'_>> {
            (0..count).map(|tag| self.push(Waker::noop().clone(), tag)).collect()
        }

        fn serve(&self, outcome: Outcome) -> bool {
            let served = self.list.lock().serve_first(outcome);
            let is_served = served.is_some();
            wake(served.and_then(|served| served.0));
            is_served
        }
    }

    /// Those who are served, in the order in which they are.
    fn order(queue: &Queue, waiters: &[Queued<'_>]) -> Vec<usize> {
        let mut order = Vec::new();
        while queue.serve(Outcome::GIVEN) {
            let new = |index: &usize| waiters[*index].is_ready() && !order.contains(index);
            let served: Vec<usize> = (0..waiters.len()).filter(new).collect();
            assert_eq!(served.len(), 1, "one is served at a time");
            order.extend(served);
        }
        order
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn the_first_that_came_is_the_first_served() {
        let queue = Queue::new();
        let waiters = queue.push_some(4);
        assert_eq!(queue.list.lock().len(), 4);
        assert_eq!(order(&queue, &waiters), [0, 1, 2, 3]);
        assert!(queue.list.lock().is_empty());
        assert_eq!(queue.list.lock().len(), 0);
    }

    #[test]
    fn those_who_are_due_are_served_a_batch_at_a_time() {
        for due in [0, 31, 32, 33] {
            let queue = Queue::new();
            let (count, waker) = task();
            let early: Vec<_> = (0..due).map(|tag| queue.push(waker.clone(), tag)).collect();
            let mark = queue.list.lock().mark();
            let late = queue.push(waker.clone(), due);
            let serve = || {
                let mut batch = WakeBatch::new();
                let is_due = |list: &WaitList| list.first_came_before(mark);
                queue.list.lock().serve_while(&mut batch, Outcome::GIVEN_TO_ALL, is_due)
            };
            assert_eq!(serve(), due <= 32);
            assert_eq!(count.0.load(Ordering::Relaxed), due.min(32));
            assert!(serve(), "one round is left at most");
            assert_eq!(count.0.load(Ordering::Relaxed), due);
            assert!(early.iter().all(|waiter| waiter.is_ready()) && !late.is_ready());
        }
    }

    #[test]
    fn whoever_goes_leaves_the_others_in_order() {
        for gone in 0..3 {
            let queue = Queue::new();
            let mut waiters = queue.push_some(3);
            drop(waiters.remove(gone));
            assert_eq!(queue.list.lock().len(), 2);
            let tags: Vec<usize> =
                waiters.iter().map(|waiter| queue.list.lock().tag_of(waiter)).collect();
            assert_eq!(tags, (0..3).filter(|tag| *tag != gone).collect::<Vec<_>>());
            assert_eq!(order(&queue, &waiters), [0, 1]);
        }
    }

    #[test]
    fn all_may_go_in_any_order_and_others_come() {
        for first in 0..3 {
            for second in 0..2 {
                let queue = Queue::new();
                let mut waiters = queue.push_some(3);
                drop(waiters.remove(first));
                drop(waiters.remove(second));
                drop(waiters);
                assert!(queue.list.lock().is_empty());
                assert!(!queue.serve(Outcome::GIVEN));
                let waiters = queue.push_some(2);
                assert_eq!(order(&queue, &waiters), [0, 1]);
            }
        }
    }

    #[test]
    fn whoever_goes_after_it_was_served_hands_that_on() {
        let queue = Queue::new();
        let mut waiters = queue.push_some(2);
        assert!(queue.serve(Outcome::CLOSED));
        drop(waiters.remove(0));
        assert_eq!(queue.handed_on.load(Ordering::Relaxed), 1);
        assert_eq!(waiters[0].outcome(), Some(Outcome::CLOSED));
        assert_eq!(waiters[0].as_mut().take_outcome(), Some(Outcome::CLOSED));
        drop(waiters);
        assert_eq!(queue.handed_on.load(Ordering::Relaxed), 1, "what was taken is handed on");
    }

    #[test]
    fn one_that_is_taken_out_is_taken_out_once() {
        let queue = Queue::new();
        let (count, waker) = task();
        let mut waiter = queue.push(waker, 0);
        let own = queue.list.lock().remove(&waiter).expect("it was not served");
        assert!(own.is_some());
        assert!(queue.list.lock().remove(&waiter).expect("it was not served").is_none());
        waiter.as_mut().cancel();
        drop((own, waiter));
        assert_eq!((count.0.load(Ordering::Relaxed), Arc::strong_count(&count)), (0, 1));
    }

    #[test]
    fn a_waker_is_renewed_and_called_once() {
        let queue = Queue::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let waiter = queue.push(first_waker, 0);
        let unneeded = queue.list.lock().renew(&waiter, second_waker);
        assert!(unneeded.is_some());
        drop(unneeded);
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(queue.serve(Outcome::GIVEN) && !queue.serve(Outcome::GIVEN));
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        assert_eq!(Arc::strong_count(&second), 1);
    }

    #[test]
    fn the_first_may_be_woken_and_keep_its_place() {
        let queue = Queue::new();
        assert!(queue.list.lock().take_first_waker().is_none());
        let waiters = queue.push_some(2);
        assert!(queue.list.lock().take_first_waker().is_some());
        assert!(queue.list.lock().take_first_waker().is_none());
        assert!(queue.list.lock().is_first(&waiters[0]));
        assert!(!queue.list.lock().is_first(&waiters[1]));
        let served = queue.list.lock().serve_first(Outcome::GIVEN).expect("one waits");
        assert!(served.0.is_none() && waiters[0].is_ready());
        assert!(queue.list.lock().is_first(&waiters[1]));
    }

    #[test]
    fn what_the_first_one_wants_may_change() {
        let queue = Queue::new();
        queue.list.lock().set_first_tag(7);
        assert_eq!(queue.list.lock().first_tag(), None);
        let waiters = queue.push_some(2);
        queue.list.lock().set_first_tag(7);
        assert_eq!(queue.list.lock().first_tag(), Some(7));
        drop(waiters);
        assert_eq!(queue.list.lock().first_tag(), None);
    }

    #[test]
    fn a_mark_tells_those_who_wait_from_those_who_come() {
        let queue = Queue::new();
        assert!(!queue.list.lock().first_came_before(u64::MAX));
        let mut waiters = queue.push_some(2);
        let mark = queue.list.lock().mark();
        waiters.extend(queue.push_some(1));
        let mut before = 0;
        while queue.list.lock().first_came_before(mark) {
            assert!(queue.serve(Outcome::GIVEN));
            before += 1;
        }
        assert_eq!((before, queue.list.lock().len()), (2, 1));
        drop(waiters);
    }

    /// Whether the list refuses a waiter.
    fn is_refused<'a>(queue: &'a Queue, waiter: &mut Queued<'a>) -> bool {
        let push = || queue.list.lock().push(waiter.as_mut(), queue, Waker::noop().clone(), 0);
        catch_unwind(AssertUnwindSafe(push)).is_err()
    }

    #[test]
    fn a_waiter_does_not_wait_twice() {
        let queue = Queue::new();
        let mut waiter = queue.push(Waker::noop().clone(), 0);
        assert!(is_refused(&queue, &mut waiter));
        assert!(queue.serve(Outcome::GIVEN));
        assert!(is_refused(&queue, &mut waiter), "what it was served with is lost");
        assert_eq!(waiter.as_mut().take_outcome(), Some(Outcome::GIVEN));
        assert!(!is_refused(&queue, &mut waiter));
        assert_eq!(queue.list.lock().len(), 1);
    }

    /// The waiter is freed as soon as the outcome is there, while the server may still be inside
    /// `serve_first`; in the original it was marked before it was unlinked. For Miri, too.
    #[test]
    fn a_waiter_may_be_freed_while_it_is_served() {
        let queue = Queue::new();
        for _ in 0..if cfg!(miri) { 8 } else { 1_000 } {
            let waiter = queue.push(Waker::noop().clone(), 0);
            thread::scope(|scope| {
                scope.spawn(|| queue.serve(Outcome::GIVEN));
                while !waiter.is_ready() {
                    thread::yield_now();
                }
                let mut waiter = waiter;
                waiter.as_mut().take_outcome();
            });
        }
    }

    #[test]
    fn waiters_come_and_go_on_several_threads() {
        let queue = Queue::new();
        let rounds = if cfg!(miri) { 10 } else { 1_000 };
        thread::scope(|scope| {
            for number in 0..3 {
                let queue = &queue;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let waiters = queue.push_some(2);
                        if (round + number) % 2 == 0 {
                            queue.serve(Outcome::GIVEN);
                        }
                        drop(waiters);
                    }
                });
            }
        });
        assert!(queue.list.lock().is_empty());
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::{Mutex, UnsafeCell};

    /// One gift for the first that waits, which hands it on if it does not want it.
    struct Queue {
        list: Mutex<WaitList>,
        /// The gift while nobody has it.
        left: Mutex<bool>,
        wrapping: UnsafeCell<u32>,
    }

    // SAFETY: `wrapping` is written before the gift is given, and read by whoever has it.
    unsafe impl Sync for Queue {}

    // SAFETY: `withdraw` removes the waiter.
    unsafe impl Place for Queue {
        fn withdraw(&self, waiter: &Waiter<'_>) {
            let removed = self.list.lock().remove(waiter);
            if removed.is_err() {
                self.give();
            }
        }
    }

    impl Queue {
        fn new() -> Arc<Queue> {
            let (list, left) = (Mutex::new(WaitList::new()), Mutex::new(false));
            Arc::new(Queue { list, left, wrapping: UnsafeCell::new(0) })
        }

        fn push<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
            self.list.lock().push(waiter, self, Waker::noop().clone(), 0);
        }

        fn give(&self) {
            let served = self.list.lock().serve_first(Outcome::GIVEN);
            if served.is_none() {
                *self.left.lock() = true;
            }
        }
    }

    /// The only waiter goes while it is served.
    fn serve_and_withdraw() {
        let queue = Queue::new();
        let mut waiter = pin!(Waiter::of_future());
        queue.push(waiter.as_mut());
        let other = Arc::clone(&queue);
        let thread = loom::thread::spawn(move || other.give());
        waiter.as_mut().cancel();
        thread.join().unwrap();
        assert!(!waiter.is_ready(), "a waiter that has gone is served");
        assert!(*queue.left.lock(), "the gift is lost");
        assert!(queue.list.lock().is_empty());
    }

    #[test]
    fn a_server_meets_a_waiter_that_goes() {
        model(serve_and_withdraw);
    }

    #[test]
    fn left_in_the_list_mutant_is_noticed() {
        assert!(is_noticed("wait-list-leaves-the-withdrawn", || model(serve_and_withdraw)));
    }

    #[test]
    fn a_server_meets_the_first_of_two_that_goes() {
        model(|| {
            let queue = Queue::new();
            let mut first = pin!(Waiter::of_future());
            let mut second = pin!(Waiter::of_future());
            queue.push(first.as_mut());
            queue.push(second.as_mut());
            let other = Arc::clone(&queue);
            let thread = loom::thread::spawn(move || other.give());
            first.as_mut().cancel();
            thread.join().unwrap();
            assert!(second.as_mut().take_outcome().is_some(), "the gift is lost");
            assert!(!*queue.left.lock());
        });
    }

    #[test]
    fn two_that_wait_one_behind_the_other_go_at_once() {
        model(|| {
            let queue = Queue::new();
            let mut waiter = pin!(Waiter::of_future());
            queue.push(waiter.as_mut());
            let other = Arc::clone(&queue);
            let thread = loom::thread::spawn(move || {
                let mut waiter = pin!(Waiter::of_future());
                other.push(waiter.as_mut());
            });
            waiter.as_mut().cancel();
            thread.join().unwrap();
            assert!(queue.list.lock().is_empty());
        });
    }

    /// The waiter looks for its outcome without the lock.
    fn serve_and_look() {
        let queue = Queue::new();
        let mut waiter = pin!(Waiter::of_future());
        queue.push(waiter.as_mut());
        let other = Arc::clone(&queue);
        let thread = loom::thread::spawn(move || {
            // SAFETY: nobody has the gift yet.
            other.wrapping.with_mut(|wrapping| unsafe { *wrapping = 7 });
            other.give();
        });
        if waiter.as_mut().take_outcome().is_some() {
            // SAFETY: the gift is the waiter's.
            assert_eq!(queue.wrapping.with(|wrapping| unsafe { *wrapping }), 7);
        }
        thread.join().unwrap();
    }

    #[test]
    fn an_outcome_brings_what_came_before_it() {
        model(serve_and_look);
    }

    #[test]
    fn relaxed_outcome_mutant_is_noticed() {
        assert!(is_noticed("waiter-publishes-relaxed", || model(serve_and_look)));
    }
}
