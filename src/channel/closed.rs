//! The future that waits for a channel to be closed.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::channel::Channel;
use crate::platform::probe;
use crate::waiter::Waiter;

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
