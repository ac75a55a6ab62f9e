//! Those who wait for a channel to be closed.
//!
//! ```text
//!   poll: open ──► QUEUED ── tell_all, after the close ──► SERVED(GIVEN_TO_ALL)
//! ```
//!
//! Rules:
//! 1. A channel is marked as closed before its watchers are told, and a watcher looks at that mark
//!    under the lock before it is queued. So none is queued unseen.
//! 2. Wakers are called, cloned and dropped outside the lock.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::channel::Channel;
use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::{probe, thread};
use crate::waiter::{Outcome, Place, WaitList, Waiter, wake};

/// See the module documentation.
pub(super) struct Watchers(Mutex<WaitList>);

impl Watchers {
    pub(super) fn new() -> Watchers {
        Watchers(Mutex::new(WaitList::new()))
    }

    /// Waits until `is_closed`.
    pub(super) fn poll<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        is_closed: impl Fn() -> bool,
    ) -> Poll<()> {
        if !waiter.is_in(self) && is_closed() {
            return Poll::Ready(());
        }
        // Rule 2.
        let waker = waker.clone();
        let mut list = self.0.lock();
        if waiter.is_in(self) {
            if waiter.as_mut().take_outcome().is_some() {
                return Poll::Ready(());
            }
            let unneeded = list.renew(&waiter, waker);
            drop(list);
            drop(unneeded);
            return Poll::Pending;
        }
        // Rule 1.
        if mutation!("watcher-looks-once", is_closed(), false) {
            return Poll::Ready(());
        }
        list.push(waiter, self, waker, 0);
        Poll::Pending
    }

    /// The channel is closed.
    pub(super) fn tell_all(&self) {
        loop {
            let served = self.0.lock().serve_first(Outcome::GIVEN_TO_ALL);
            let Some(served) = served else { return };
            wake(served.0);
        }
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for Watchers {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        let own = self.0.lock().remove(waiter);
        drop(own);
    }
}

pin_project! {
    /// The future of [`Sender::closed`](super::Sender::closed).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Closed<'a, T> {
        #[pin]
        waiter: Waiter<'a>,
        channel: &'a Channel<T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Closed<'a, T> {
    #[track_caller]
    pub(super) fn new(channel: &'a Channel<T>) -> Closed<'a, T> {
        Closed { waiter: Waiter::of_future(), channel, place: Location::caller() }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = this.channel.poll_closed(this.waiter, context.waker());
        if polled.is_pending() {
            probe::task_waits("the close of a channel", this.place);
        }
        polled
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::pin::pin;

    use super::super::test_wakers::{Count, poll};
    use super::super::{bounded, unbounded};
    use super::*;

    #[test]
    fn every_watcher_is_told_of_the_close_outside_the_lock() {
        let (sender, receiver) = bounded::<u32>(1);
        let count = Count::new();
        let mut watchers: Vec<_> = (0..100).map(|_| Box::pin(sender.closed())).collect();
        for watcher in &mut watchers {
            assert!(poll(watcher.as_mut(), &count).is_pending());
        }
        drop(watchers.swap_remove(50));
        assert_eq!(count.woken(), 0);
        drop(receiver);
        assert_eq!(count.woken(), 99);
        for watcher in &mut watchers {
            assert!(poll(watcher.as_mut(), &count).is_ready());
        }
        assert!(poll(pin!(sender.closed()), &count).is_ready());
    }

    #[test]
    fn a_watcher_waits_by_hand() {
        let (sender, receiver) = unbounded::<u32>();
        let count = Count::new();
        let mut waiter = pin!(Waiter::new(count.waker()));
        assert!(!sender.closed_wait(waiter.as_mut()));
        sender.cancel_closed(waiter.as_mut());
        receiver.close();
        assert_eq!(count.woken(), 0);
        assert!(sender.closed_wait(waiter.as_mut()));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::super::test_wakers::Count;
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicBool, Ordering};

    fn watch_and_close() {
        let shared = Arc::new((Watchers::new(), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let closer = loom::thread::spawn(move || {
            other.1.store(true, Ordering::Release);
            other.0.tell_all();
        });
        let (watchers, closed) = &*shared;
        let is_closed = || closed.load(Ordering::Acquire);
        let count = Count::new();
        let mut waiter = std::pin::pin!(Waiter::of_future());
        let first = watchers.poll(waiter.as_mut(), &count.waker(), is_closed);
        closer.join().unwrap();
        if first.is_pending() {
            assert_eq!(count.woken(), 1, "a watcher was not told");
            assert!(watchers.poll(waiter.as_mut(), &count.waker(), is_closed).is_ready());
        }
    }

    #[test]
    fn a_watcher_meets_the_close() {
        model(watch_and_close);
    }

    #[test]
    fn looks_once_mutant_is_noticed() {
        assert!(is_noticed("watcher-looks-once", || model(watch_and_close)));
    }
}
