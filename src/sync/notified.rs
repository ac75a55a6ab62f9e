//! The futures that wait for a notification.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::notify::Notify;
use super::raw_notify::{Calls, RawNotify};
use crate::platform::probe;
use crate::waiter::{Turn, Waiter};

/// How far a future is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// Notified, which `enable` has said.
    Enabled,
    /// Notified, which `poll` has said.
    Ready,
}

pin_project! {
    /// The future of [`Notify::notified`].
    ///
    /// Cancel safety: a future that is dropped leaves the queue. If it was notified alone and has
    /// not said so, the next one is notified, or the notification is stored.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Notified<'a> {
        #[pin]
        waiter: Waiter<'a>,
        notify: &'a Notify,
        calls: Calls,
        stage: Stage,
        place: &'static Location<'static>,
    }
}

impl<'a> Notified<'a> {
    #[inline]
    pub(super) fn new(notify: &'a Notify, place: &'static Location<'static>) -> Notified<'a> {
        let calls = notify.raw.calls();
        Notified { waiter: Waiter::of_future(), notify, calls, stage: Stage::Waiting, place }
    }

    /// Takes its place in the queue without being polled, so that
    /// [`notify_one`](Notify::notify_one) finds it there; whether it is notified. If so, it is
    /// ready when it is polled, and a drop does not notify the next one.
    ///
    /// ```
    /// use std::pin::pin;
    /// use volt::sync::Notify;
    ///
    /// volt::run(|_io| async {
    ///     let notify = Notify::new();
    ///     let mut first = pin!(notify.notified());
    ///     assert!(!first.as_mut().enable());
    ///     notify.notify_one();
    ///     assert!(!notify.has_permit());
    ///     first.await;
    /// });
    /// ```
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let notify = *this.notify;
        enable(&notify.raw, this.waiter, *this.calls, this.stage)
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        assert!(*this.stage != Stage::Ready, "`Notified` polled after it was ready");
        let notify = *this.notify;
        poll(&notify.raw, this.waiter, *this.calls, this.stage, context, this.place)
    }
}

pin_project! {
    /// The future of [`Notify::notified_owned`].
    ///
    /// Cancel safety: as [`Notified`].
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[derive(Debug)]
    #[doc(alias = "OwnedNotified")]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct NotifiedOwned {
        // Before the `Arc`, whose queue it may be in: fields are dropped in this order.
        #[pin]
        waiter: Waiter<'static>,
        notify: Arc<Notify>,
        calls: Calls,
        stage: Stage,
        place: &'static Location<'static>,
    }
}

impl NotifiedOwned {
    #[inline]
    pub(super) fn new(notify: Arc<Notify>, place: &'static Location<'static>) -> NotifiedOwned {
        let calls = notify.raw.calls();
        NotifiedOwned { waiter: Waiter::of_future(), notify, calls, stage: Stage::Waiting, place }
    }

    /// As [`Notified::enable`].
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        // SAFETY: the waiter, which keeps the reference, is dropped before the `Arc`.
        let raw = unsafe { extended(&this.notify.raw) };
        enable(raw, this.waiter, *this.calls, this.stage)
    }
}

impl Future for NotifiedOwned {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        assert!(*this.stage != Stage::Ready, "`NotifiedOwned` polled after it was ready");
        // SAFETY: the waiter, which keeps the reference, is dropped before the `Arc`.
        let raw = unsafe { extended(&this.notify.raw) };
        poll(raw, this.waiter, *this.calls, this.stage, context, this.place)
    }
}

/// # Safety
/// The caller keeps the notification alive for as long as the reference is used.
unsafe fn extended(notify: &RawNotify) -> &'static RawNotify {
    // SAFETY: as above.
    unsafe { &*ptr::from_ref(notify) }
}

fn enable<'a>(
    notify: &'a RawNotify,
    waiter: Pin<&mut Waiter<'a>>,
    calls: Calls,
    stage: &mut Stage,
) -> bool {
    if *stage == Stage::Waiting {
        let is_notified = if waiter.is_in(notify) {
            // It keeps the waker that it may have.
            waiter.take_outcome().is_some()
        } else {
            notify.poll_notified(waiter, calls, Waker::noop(), Turn::Take).is_ready()
        };
        if is_notified {
            *stage = Stage::Enabled;
        }
    }
    *stage != Stage::Waiting
}

#[inline]
fn poll<'a>(
    notify: &'a RawNotify,
    waiter: Pin<&mut Waiter<'a>>,
    calls: Calls,
    stage: &mut Stage,
    context: &mut Context<'_>,
    place: &'static Location<'static>,
) -> Poll<()> {
    let turn = Turn::of_task();
    let polled = match *stage {
        Stage::Waiting => notify.poll_notified(waiter, calls, context.waker(), turn),
        Stage::Enabled | Stage::Ready => Poll::Ready(()),
    };
    if polled.is_ready() {
        *stage = Stage::Ready;
    } else {
        probe::task_waits("a notification", place);
    }
    turn.end(context, polled)
}
