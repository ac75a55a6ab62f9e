//! Waiting until a moment.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::Instant;
use crate::coop;
use crate::platform::probe;
use crate::runtime::Io;
use crate::runtime::context::worker_of;
use crate::runtime::scheduler::Scheduler;
use crate::runtime::timer::{Arming, State, TimerCell};

/// Waits for `duration`, at least; from now on, not from the first poll. What the clock cannot
/// express is decades away.
///
/// Cancel safety: dropping the future ends the wait and leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// use volt::time::{Instant, sleep};
///
/// volt::run(|io| async move {
///     let before = Instant::now();
///     sleep(&io, Duration::from_millis(2)).await;
///     assert!(before.elapsed() >= Duration::from_millis(2));
/// });
/// ```
#[track_caller]
pub fn sleep(io: &Io, duration: Duration) -> Sleep {
    Sleep::new(io, Instant::now().later(duration), Location::caller())
}

/// Waits until `deadline`, at least.
///
/// Cancel safety: dropping the future ends the wait and leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// use volt::time::{Instant, sleep_until};
///
/// volt::run(|io| async move {
///     let deadline = Instant::now() + Duration::from_millis(2);
///     sleep_until(&io, deadline).await;
///     assert!(Instant::now() >= deadline);
/// });
/// ```
#[track_caller]
pub fn sleep_until(io: &Io, deadline: Instant) -> Sleep {
    Sleep::new(io, deadline, Location::caller())
}

pin_project! {
    /// The future of [`sleep`] and [`sleep_until`].
    ///
    /// It may be created, polled and dropped on different threads. Nothing happens before the
    /// first poll. Once ready it stays so, until it is [`reset`](Sleep::reset).
    ///
    /// # Panics
    /// When it is polled, has to wait, and its runtime has shut down. A task of another runtime,
    /// or a thread, that waited when the runtime shut down is woken, and its poll panics so.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Sleep {
        io: Io,
        deadline: Instant,
        place: &'static Location<'static>,
        // The worker whose timers the cell was last armed with.
        worker: usize,
        #[pin]
        cell: TimerCell,
    }

    impl PinnedDrop for Sleep {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let timers = this.io.scheduler().timers(*this.worker);
            // SAFETY: T1: the cell is ours, and `worker` names the timers that it was armed with.
            // T4: it is pinned, and `io` keeps the timers.
            unsafe { timers.disarm(this.cell.as_ref()) };
        }
    }
}

/// The runtime of a timer has shut down.
#[derive(Debug)]
pub(crate) struct ShutDown;

impl Sleep {
    pub(crate) fn new(io: &Io, deadline: Instant, place: &'static Location<'static>) -> Sleep {
        Sleep { io: io.clone(), deadline, place, worker: 0, cell: TimerCell::new() }
    }

    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed. A task that waits for it may not have been woken yet.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.cell.state() == State::Fired || Instant::now() >= self.deadline
    }

    /// Gives it another deadline, earlier or later, whether it has ended or not. A task that waits
    /// for it goes on waiting, and need not poll it again.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::time::Duration;
    /// use volt::time::{Instant, sleep};
    ///
    /// volt::run(|io| async move {
    ///     let mut sleep = pin!(sleep(&io, Duration::from_secs(3_600)));
    ///     sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
    ///     sleep.as_mut().await;
    ///     assert!(sleep.is_elapsed());
    /// });
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.project();
        *this.deadline = deadline;
        let scheduler = this.io.scheduler();
        let timers = scheduler.timers(*this.worker);
        // SAFETY: as in `drop`.
        if unsafe { timers.move_to(this.cell.as_ref(), deadline.into()) } {
            tell(scheduler, *this.worker);
        }
    }

    /// As `poll`, whatever the task has left of its budget.
    pub(super) fn poll_elapsed(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let place = self.place;
        match ready!(self.poll_unless_shut_down(context)) {
            Ok(()) => Poll::Ready(()),
            Err(ShutDown) => {
                panic!("the timer of {place} outlives its runtime, which has shut down")
            }
        }
    }

    /// As `poll_elapsed`, but tells that the runtime has shut down instead of panicking: for
    /// waits that the program did not ask for.
    ///
    /// # Errors
    /// If it has to wait and the runtime has shut down.
    pub(crate) fn poll_unless_shut_down(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ShutDown>> {
        let this = self.project();
        let cell = this.cell.as_ref();
        let scheduler = this.io.scheduler();
        loop {
            match cell.state() {
                State::Fired => return Poll::Ready(Ok(())),
                State::Armed => {
                    let timers = scheduler.timers(*this.worker);
                    // SAFETY: as in `drop`.
                    if unsafe { timers.update_waker(cell, context.waker()) } {
                        break;
                    }
                }
                State::Idle => {
                    if Instant::now() >= *this.deadline {
                        return Poll::Ready(Ok(()));
                    }
                    *this.worker = worker_of(scheduler).unwrap_or(0);
                    let timers = scheduler.timers(*this.worker);
                    let deadline = (*this.deadline).into();
                    // SAFETY: as in `drop`; the cell is idle, and `worker` is set.
                    match unsafe { timers.arm(cell, deadline, context.waker()) } {
                        Arming::Done => {}
                        Arming::Earlier => tell(scheduler, *this.worker),
                        Arming::Refused => return Poll::Ready(Err(ShutDown)),
                    }
                    break;
                }
            }
        }
        probe::task_waits("a timer", this.place);
        Poll::Pending
    }
}

/// Tells `worker` of an earlier deadline, unless it is the caller, who looks before it parks.
fn tell(scheduler: &Arc<Scheduler>, worker: usize) {
    if worker_of(scheduler) != Some(worker) {
        scheduler.timers_changed(worker);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.as_mut().poll_elapsed(context));
        coop::poll_proceed(context)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
