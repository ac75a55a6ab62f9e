//! A place where tasks wait for each other.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::raw_barrier::RawBarrier;
use crate::platform::probe;
use crate::platform::sync::const_fn;
use crate::waiter::{Turn, Waiter, block_on};

/// A place where a number of tasks wait for each other: none goes on before all have come. One of
/// them, the last to come, is told that it is the leader; it does not wait at all.
///
/// When all have gone on it is ready for the next round: those who come early for that, while
/// others of the last round are still being woken, are counted for the next one.
///
/// A wait allocates nothing.
///
/// ```
/// use std::sync::Arc;
/// use volt::sync::Barrier;
///
/// volt::run(|io| async move {
///     let barrier = Arc::new(Barrier::new(3));
///     let tasks = [(); 3].map(|()| {
///         let barrier = Arc::clone(&barrier);
///         io.spawn(async move { barrier.wait().await.is_leader() })
///     });
///     let mut leaders = 0;
///     for task in tasks {
///         leaders += usize::from(task.await.unwrap());
///     }
///     assert_eq!(leaders, 1);
/// });
/// ```
pub struct Barrier {
    raw: RawBarrier,
}

impl Barrier {
    const_fn! {
        /// A barrier for so many tasks.
        ///
        /// # Panics
        /// If they are none.
        pub fn new(tasks: usize) -> Barrier {
            Barrier { raw: RawBarrier::new(tasks) }
        }
    }

    /// Waits for the others.
    ///
    /// It has arrived from the first poll on. All of a round arrive before any of them goes on, and
    /// what each did before is seen by all after it.
    ///
    /// Cancel safety: a future that is dropped before all have come takes its arrival back: one
    /// more is needed. Dropped after that it was one of them; if it was to be the leader, the round
    /// has none.
    ///
    /// ```
    /// use volt::sync::Barrier;
    ///
    /// volt::run(|_io| async {
    ///     assert!(Barrier::new(1).wait().await.is_leader());
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn wait(&self) -> BarrierWait<'_> {
        let place = Location::caller();
        BarrierWait { waiter: Waiter::of_future(), barrier: Some(self), place }
    }

    /// As [`wait`](Barrier::wait), for a waiter that the caller has pinned: `None` until all have
    /// come; then the waiter's waker is called, and this is to be called again.
    ///
    /// # Panics
    /// If the waiter waits somewhere else.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Waker;
    /// use volt::sync::{Barrier, Waiter};
    ///
    /// let barrier = Barrier::new(2);
    /// let mut first = pin!(Waiter::new(Waker::noop().clone()));
    /// let mut second = pin!(Waiter::new(Waker::noop().clone()));
    /// assert!(barrier.barrier_wait(first.as_mut()).is_none());
    /// assert!(barrier.barrier_wait(second.as_mut()).unwrap().is_leader());
    /// assert!(!barrier.barrier_wait(first.as_mut()).unwrap().is_leader());
    /// ```
    #[track_caller]
    pub fn barrier_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) -> Option<BarrierWaitResult> {
        let waker = waiter.own_waker();
        match self.raw.poll_wait(waiter, &waker, Turn::Take) {
            Poll::Ready(is_leader) => Some(BarrierWaitResult { is_leader }),
            Poll::Pending => None,
        }
    }

    /// Ends the wait of a waiter that was passed to [`barrier_wait`](Barrier::barrier_wait), as if
    /// the future of [`wait`](Barrier::wait) were dropped. If it does not wait, nothing happens.
    ///
    /// # Panics
    /// If it waits somewhere else.
    #[track_caller]
    pub fn cancel_wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>) {
        if waiter.is_in(&self.raw) {
            waiter.cancel();
        }
    }

    /// As [`wait`](Barrier::wait), on a plain thread, which is blocked meanwhile.
    ///
    /// # Panics
    /// When it is called by a task.
    ///
    /// ```
    /// use volt::sync::Barrier;
    ///
    /// assert!(Barrier::new(1).blocking_wait().is_leader());
    /// ```
    #[track_caller]
    pub fn blocking_wait(&self) -> BarrierWaitResult {
        block_on("blocking_wait", "wait", self.wait())
    }

    /// How many tasks wait for each other.
    pub fn task_count(&self) -> usize {
        self.raw.size()
    }

    /// How many wait for the others of their round.
    pub fn arrived_count(&self) -> usize {
        self.raw.arrived()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("task_count", &self.task_count()).finish_non_exhaustive()
    }
}

/// What a wait at a [`Barrier`] ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Whether this is the one of the round that came last.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

pin_project! {
    /// The future of [`Barrier::wait`].
    ///
    /// Cancel safety: a future that is dropped before all have come takes its arrival back.
    ///
    /// # Panics
    /// When it is polled after it was ready.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct BarrierWait<'a> {
        #[pin]
        waiter: Waiter<'a>,
        // `None` once it was ready.
        barrier: Option<&'a Barrier>,
        place: &'static Location<'static>,
    }
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let this = self.project();
        let barrier = this.barrier.expect("`BarrierWait` polled after it was ready");
        let turn = Turn::of_task();
        let polled = barrier.raw.poll_wait(this.waiter, context.waker(), turn);
        if polled.is_ready() {
            *this.barrier = None;
        } else {
            probe::task_waits("the others at a barrier", this.place);
        }
        turn.end(context, polled.map(|is_leader| BarrierWaitResult { is_leader }))
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
