//! What the ends of a watch channel share: the value, its version, and who waits.
//!
//! ```text
//!                    modify, under the lock               the last sender is dropped
//!   version v, open ────────────────────────► v+1, open ─────────────────────────────► closed
//!                        │ AWAITED                          │
//!                        └──► `changes` is told             └──► `changes` is told
//!
//!   receivers: n ── the last one is dropped ──► 0: `closes` is told ── subscribe ──► 1
//! ```
//!
//! A receiver has the version that it saw last. It differs from that of the channel exactly while
//! there is a change that the receiver has not seen: a version is never used again, since 64 bits
//! do not run out.
//!
//! Rules:
//! 1. The value is touched under the lock, and the version changes before a writer leaves it. So
//!    whoever has the lock has the value of the version that it finds; and the versions that one
//!    thread finds never go back.
//! 2. CLOSED is set when no sender is left, so no change comes after it. An unseen change is told
//!    before it.
//! 3. The closure that changes the value runs under the lock; all else of the caller's (the old
//!    value's destructor, wakers) after it. If the closure panics, the lock is released, and there
//!    is no change to be told.

use std::pin::Pin;
use std::task::{Poll, Waker};

use super::super::audience::Audience;
use super::RecvError;
use super::value_lock::ValueLock;
use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::waiter::{Turn, Waiter};

/// In the version: there is no sender.
const CLOSED: u64 = 1;
/// From one version to the next.
const STEP: u64 = 2;

/// Whether no version follows `version`.
pub(super) fn is_last(version: u64) -> bool {
    version & CLOSED != 0
}

/// What a receiver saw last.
pub(super) struct Seen(AtomicU64);

impl Seen {
    /// Nothing, not even the initial value: it is no version, since it has CLOSED set.
    const NOTHING: u64 = u64::MAX;

    /// The channel's version as of now.
    pub(super) fn now<T>(shared: &Shared<T>) -> Seen {
        Seen(AtomicU64::new(shared.version.load(Ordering::Acquire) & !CLOSED))
    }

    // Relaxed throughout: it is the receiver's own, and orders nothing.

    /// Whether there is a change in `version` that was not seen.
    pub(super) fn is_before(&self, version: u64) -> bool {
        version & !CLOSED != self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, version: u64) {
        self.0.store(version & !CLOSED, Ordering::Relaxed);
    }

    pub(super) fn set_nothing(&self) {
        self.0.store(Seen::NOTHING, Ordering::Relaxed);
    }

    pub(super) fn set_now<T>(&self, shared: &Shared<T>) {
        self.set(shared.version.load(Ordering::Acquire));
    }
}

impl Clone for Seen {
    fn clone(&self) -> Seen {
        Seen(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

/// What a receiver finds: a change that it has not seen, or that none will come.
pub(super) type News = Result<(), RecvError>;

/// See the module documentation.
pub(super) struct Shared<T> {
    lock: ValueLock,
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// The receivers that wait for a change.
    changes: Audience,
    /// The senders that wait for the last receiver to be dropped.
    closes: Audience,
    value: UnsafeCell<T>,
}

// SAFETY: the value is changed under the lock for writing, and looked at under that for reading,
// by many threads at once.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// A channel without ends.
    pub(super) fn new(initial: T) -> Shared<T> {
        Shared {
            lock: ValueLock::new(),
            version: AtomicU64::new(0),
            senders: AtomicUsize::new(0),
            receivers: AtomicUsize::new(0),
            changes: Audience::new(),
            closes: Audience::new(),
            value: UnsafeCell::new(initial),
        }
    }

    /// Lends the value to `change`, which says whether it has changed it. Then those who wait for
    /// that are woken.
    #[inline]
    pub(super) fn modify<R>(&self, change: impl FnOnce(&mut T) -> (bool, R)) -> R {
        /// Also when the closure panics.
        struct Writing<'a, T> {
            shared: &'a Shared<T>,
            is_changed: bool,
        }
        impl<T> Drop for Writing<'_, T> {
            #[inline]
            fn drop(&mut self) {
                self.shared.end_write(self.is_changed);
            }
        }
        self.lock.write();
        let mut writing = Writing { shared: self, is_changed: false };
        // SAFETY: rule 1.
        let (is_changed, result) = self.value.with_mut(|value| change(unsafe { &mut *value }));
        writing.is_changed = is_changed;
        drop(writing);
        result
    }

    #[inline]
    fn end_write(&self, is_changed: bool) {
        if is_changed {
            // Relaxed: it changes under the lock alone, but for CLOSED, which comes last.
            let version = self.version.load(Ordering::Relaxed);
            // Release: pairs with the acquire of a receiver that finds the new version without
            // the lock: when it takes the lock, it is after this writer.
            self.version.store(version + STEP, Ordering::Release);
        }
        let is_awaited = self.lock.unlock_write(is_changed);
        if mutation!("watch-changes-silently", is_awaited, false) {
            self.changes.tell();
        }
    }

    /// Begins to look at the value. To be ended by [`end_read`](Shared::end_read).
    #[inline]
    pub(super) fn begin_read(&self) -> u64 {
        self.lock.read();
        // Relaxed: rule 1: the lock orders it. CLOSED may come at any time.
        self.version.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn end_read(&self) {
        self.lock.unlock_read();
    }

    /// The value.
    ///
    /// # Safety
    /// The caller is between `begin_read` and `end_read` for as long as it has the reference.
    #[inline]
    pub(super) unsafe fn value(&self) -> &T {
        // SAFETY: rule 1.
        self.value.with(|value| unsafe { &*value })
    }

    /// What there is to tell a receiver that has seen `seen`.
    pub(super) fn news(&self, seen: &Seen) -> Option<News> {
        self.news_of(seen).map(|(_, news)| news)
    }

    /// Whether there is no sender.
    pub(super) fn is_closed(&self) -> bool {
        // Acquire: as in `news_of`.
        is_last(self.version.load(Ordering::Acquire))
    }

    fn news_of(&self, seen: &Seen) -> Option<(u64, News)> {
        // Acquire: pairs with `end_write` and `drop_sender`.
        let version = self.version.load(Ordering::Acquire);
        if seen.is_before(version) {
            return Some((version, Ok(())));
        }
        // Rule 2.
        is_last(version).then_some((version, Err(RecvError)))
    }

    /// Queues the waiter until there is news for a receiver that has seen `seen`; true if there is
    /// some now.
    pub(super) fn await_news<'a>(
        &'a self,
        seen: &Seen,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> bool {
        self.changes.wait(waiter, waker, || {
            if mutation!("watch-awaits-unmarked", true, false) {
                self.lock.await_change();
            }
            self.news(seen).is_some()
        })
    }

    /// Waits for news, and notes a change as seen.
    pub(super) fn poll_changed<'a>(
        &'a self,
        seen: &Seen,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<News> {
        if turn == Turn::QueueOnly {
            return Poll::Pending;
        }
        loop {
            if let Some((version, news)) = self.news_of(seen) {
                self.changes.cancel(waiter);
                seen.set(version);
                return Poll::Ready(news);
            }
            if !self.await_news(seen, waiter.as_mut(), waker) {
                return Poll::Pending;
            }
        }
    }

    /// Ends a receiver's wait for news.
    #[track_caller]
    pub(super) fn cancel_changed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.changes.cancel(waiter);
    }

    /// Ends a sender's wait for the last receiver to be dropped.
    #[track_caller]
    pub(super) fn cancel_closed<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        self.closes.cancel(waiter);
    }

    pub(super) fn sender_count(&self) -> usize {
        // Relaxed: it may change at once.
        self.senders.load(Ordering::Relaxed)
    }

    /// It cannot run over: each sender has a reference to the channel, which are counted, too.
    pub(super) fn add_sender(&self) {
        // Relaxed: whoever adds one has one, or the channel is new.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_sender(&self) {
        // AcqRel: the changes of those who went before come before the last one's close.
        if self.senders.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let version = self.version.load(Ordering::Relaxed);
        // Release: pairs with `news_of`.
        self.version.store(version | CLOSED, Ordering::Release);
        if mutation!("watch-closes-silently", true, false) {
            self.changes.tell();
        }
    }

    pub(super) fn receiver_count(&self) -> usize {
        // Acquire: pairs with `drop_receiver`.
        self.receivers.load(Ordering::Acquire)
    }

    /// It cannot run over, as with senders.
    pub(super) fn add_receiver(&self) {
        // Relaxed: a send that does not see it came before.
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_receiver(&self) {
        // AcqRel: pairs with `receiver_count`: what receivers did comes before their end.
        let is_last = self.receivers.fetch_sub(1, Ordering::AcqRel) == 1;
        if mutation!("watch-leaves-silently", is_last, false) {
            self.closes.tell();
        }
    }

    /// Waits until there is no receiver.
    pub(super) fn poll_closed<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::QueueOnly {
            return Poll::Pending;
        }
        let is_closed = || self.receiver_count() == 0;
        loop {
            if is_closed() {
                self.closes.cancel(waiter);
                return Poll::Ready(());
            }
            if !self.closes.wait(waiter.as_mut(), waker, is_closed) {
                return Poll::Pending;
            }
        }
    }

    /// How many receivers wait for a change.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn waiting(&self) -> usize {
        self.changes.len()
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    fn is_woken(task: &Task) -> bool {
        task.0.load(Ordering::Acquire)
    }

    /// A channel with one end of each kind.
    fn channel() -> Arc<Shared<u32>> {
        let shared = Arc::new(Shared::new(0));
        shared.add_sender();
        shared.add_receiver();
        shared
    }

    fn send(shared: &Shared<u32>, value: u32) {
        shared.modify(|place| {
            *place = value;
            (true, ())
        });
    }

    fn borrow(shared: &Shared<u32>) -> u32 {
        shared.begin_read();
        // SAFETY: the read is ended after that.
        let value = *unsafe { shared.value() };
        shared.end_read();
        value
    }

    fn send_and_wait() {
        let shared = channel();
        let seen = Seen::now(&shared);
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || send(&other, 7));
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = shared.poll_changed(&seen, waiter.as_mut(), &waker, Turn::Take);
        if polled.is_ready() {
            assert_eq!(borrow(&shared), 7, "the version is there before the value");
        }
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "a change that nobody tells");
        assert_eq!(borrow(&shared), 7);
    }

    #[test]
    fn a_change_meets_a_receiver_that_begins_to_wait() {
        model(send_and_wait);
    }

    #[test]
    fn silent_change_mutant_is_noticed() {
        assert!(is_noticed("watch-changes-silently", || model(send_and_wait)));
    }

    #[test]
    fn unmarked_receiver_mutant_is_noticed() {
        assert!(is_noticed("watch-awaits-unmarked", || model(send_and_wait)));
    }

    #[test]
    fn two_senders_change_while_a_receiver_waits() {
        model(|| {
            let shared = channel();
            let seen = Seen::now(&shared);
            let (task, waker) = task();
            let mut waiter = pin!(Waiter::of_future());
            let polled = shared.poll_changed(&seen, waiter.as_mut(), &waker, Turn::Take);
            assert!(polled.is_pending());
            let threads = [1, 2].map(|value| {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || send(&shared, value))
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(is_woken(&task));
            let polled = shared.poll_changed(&seen, waiter, &waker, Turn::Take);
            assert_eq!(polled, Poll::Ready(Ok(())));
            assert!(shared.news(&seen).is_none(), "both changes are seen");
        });
    }

    /// The sender changes the value and is dropped: the change is told first.
    fn send_and_close() {
        let shared = channel();
        let seen = Seen::now(&shared);
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            send(&other, 7);
            other.drop_sender();
        });
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let mut polled = shared.poll_changed(&seen, waiter.as_mut(), &waker, Turn::Take);
        if polled.is_ready() {
            assert_eq!(polled, Poll::Ready(Ok(())));
            assert_eq!(borrow(&shared), 7);
            polled = shared.poll_changed(&seen, waiter.as_mut(), &waker, Turn::Take);
        }
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "an end that nobody tells");
    }

    #[test]
    fn a_change_is_told_before_the_close() {
        model(send_and_close);
    }

    #[test]
    fn silent_close_mutant_is_noticed() {
        assert!(is_noticed("watch-closes-silently", || model(send_and_close)));
    }

    fn leave_and_wait() {
        let shared = channel();
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || other.drop_receiver());
        let (task, waker) = task();
        let mut waiter = pin!(Waiter::of_future());
        let polled = shared.poll_closed(waiter.as_mut(), &waker, Turn::Take);
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "the last receiver goes silently");
    }

    #[test]
    fn the_last_receiver_is_dropped_while_a_sender_begins_to_wait() {
        model(leave_and_wait);
    }

    #[test]
    fn silent_leave_mutant_is_noticed() {
        assert!(is_noticed("watch-leaves-silently", || model(leave_and_wait)));
    }
}
