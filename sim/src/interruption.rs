//! Futures that a simulation interrupts: it cancels them, or has them panic, at each point at which
//! that can happen, by enumeration.
//!
//! ```text
//!   first run of a seed     counts the points               1 .. n
//!   run k of n              the same run, up to point k; there the future is interrupted
//! ```
//!
//! A point is a poll of an [`Interrupted`] future that leaves it pending, or a call of the waker
//! that such a poll was given. Points are no scheduling points, take no decision and go into no
//! hash: up to the one where it is interrupted, a run is that which counted.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::kernel;
use crate::kernel::thread_table::show;
use crate::laws::Wait;

/// The payload of the panics that are planned here.
const PLANNED: &str = "a panic of `panic_everywhere`";

/// What is done to a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    Cancel,
    Panic,
}

/// What is done to the future that comes to a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupt {
    pub(crate) how: Interruption,
    /// The number of the point, from 1; 0 only counts.
    pub(crate) at: u64,
}

/// The points of one run.
pub(crate) struct Points {
    interrupt: Interrupt,
    passed: u64,
    /// What was interrupted, and where.
    struck: Option<String>,
    /// What the last future of Volt's waits for that each thread polled.
    waits: BTreeMap<u32, Wait>,
}

impl Points {
    pub(crate) fn new(interrupt: Interrupt) -> Points {
        Points { interrupt, passed: 0, struck: None, waits: BTreeMap::new() }
    }

    /// The running thread polls a future that waits for this.
    pub(crate) fn waits(&mut self, thread: u32, wait: Wait) {
        self.waits.insert(thread, wait);
    }

    /// How many points were passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// What was interrupted, and where.
    pub(crate) fn struck(&self) -> Option<&str> {
        self.struck.as_deref()
    }

    /// The run was to interrupt a future at a point that it did not come to.
    pub(crate) fn missed(&self) -> Option<String> {
        let Interrupt { at, .. } = self.interrupt;
        (self.passed < at).then(|| {
            format!(
                "a run that counted points for interruptions came to {at} of them or more, and \
                 the same run again to {}",
                self.passed
            )
        })
    }

    /// A point: whether the future is interrupted here, and how.
    fn pass(&mut self, place: impl FnOnce(&Points) -> String) -> Option<Interruption> {
        self.passed += 1;
        let Interrupt { how, at } = self.interrupt;
        if self.passed != at {
            return None;
        }
        let done = match how {
            Interruption::Cancel => "was cancelled",
            Interruption::Panic => "panicked",
        };
        self.struck = Some(format!("at point {at}, a future {done} {}", place(self)));
        Some(how)
    }
}

/// A point of the running simulation, if that interrupts anything.
fn pass(place: impl FnOnce(&Points, u32) -> String) -> Option<Interruption> {
    let world = kernel::current()?;
    world.points(|points, thread| points.pass(|points| place(points, thread))).flatten()
}

/// A future that [`cancel_everywhere`](crate::Builder::cancel_everywhere) and
/// [`panic_everywhere`](crate::Builder::panic_everywhere) interrupt, and nothing else: its output
/// is that of `future`, or `None` if that was interrupted.
///
/// Where a future is cancelled, it is dropped: at the end of a poll that has left it pending, or,
/// if its waker is called, when it would be polled once more. Where it panics after a poll, it is
/// dropped while the thread unwinds, and the panic goes no further. A waker that panics has passed
/// its wake-up on; the panic reaches whoever called it. If that is an `Interrupted` future, its own
/// say, which asks to be polled again, then the panic unwinds that one and goes no further.
///
/// The wakers of real threads are no points.
///
/// ```
/// use std::sync::Arc;
/// use volt_sim::Sim;
/// use volt_sim::future::{block_on, interrupted};
/// use volt_sim::sync::atomic::{AtomicU32, Ordering};
///
/// /// Pending once, and ready when it is polled again.
/// async fn rest() {
///     let mut rested = false;
///     std::future::poll_fn(|context| {
///         context.waker().wake_by_ref();
///         match std::mem::replace(&mut rested, true) {
///             true => std::task::Poll::Ready(()),
///             false => std::task::Poll::Pending,
///         }
///     })
///     .await;
/// }
///
/// // A transfer that can be left in the middle.
/// let report = Sim::builder().cancel_everywhere().build().check(|| {
///     let accounts = Arc::new([AtomicU32::new(1), AtomicU32::new(0)]);
///     let own = Arc::clone(&accounts);
///     block_on(interrupted(async move {
///         own[0].fetch_sub(1, Ordering::SeqCst);
///         rest().await;
///         own[1].fetch_add(1, Ordering::SeqCst);
///     }));
///     let sum: u32 = accounts.iter().map(|account| account.load(Ordering::SeqCst)).sum();
///     assert_eq!(sum, 1, "money is lost");
/// });
/// let failure = report.unwrap_err();
/// assert!(failure.message().contains("money is lost"));
/// assert!(failure.interruption().unwrap().contains("a future was cancelled"));
/// ```
#[track_caller]
pub fn interrupted<F: Future>(future: F) -> Interrupted<F> {
    Interrupted {
        future: Some(Box::pin(future)),
        watch: None,
        cancelled: Arc::new(AtomicBool::new(false)),
        place: Location::caller(),
    }
}

/// The future of [`interrupted`].
///
/// Cancel safety: that of the future in it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Interrupted<F> {
    /// `None` once it has ended or was interrupted.
    future: Option<Pin<Box<F>>>,
    /// The waker of the last poll, watched.
    watch: Option<(Waker, Waker)>,
    /// A call of its waker has cancelled it.
    cancelled: Arc<AtomicBool>,
    place: &'static Location<'static>,
}

impl<F: Future> Interrupted<F> {
    /// A waker that passes `waker`'s calls on; the same one for equal wakers, as futures may ask.
    fn watched(&mut self, waker: &Waker) -> Waker {
        if let Some((original, watched)) = &self.watch
            && original.will_wake(waker)
        {
            return watched.clone();
        }
        let watch = Watch {
            waker: waker.clone(),
            cancelled: Arc::clone(&self.cancelled),
            place: self.place,
        };
        let watched = Waker::from(Arc::new(watch));
        self.watch = Some((waker.clone(), watched.clone()));
        watched
    }

    /// Drops the future, in the way that was asked for.
    fn end(&mut self, how: Interruption) {
        let future = self.future.take();
        self.watch = None;
        match how {
            Interruption::Cancel => drop(future),
            Interruption::Panic => {
                let unwinds = move || {
                    let _future = future;
                    panic_any(PLANNED)
                };
                if let Err(payload) = catch_unwind::<_, ()>(AssertUnwindSafe(unwinds)) {
                    contain(payload);
                }
            }
        }
    }
}

/// Lets a panic go on, unless it is one that is planned here.
fn contain(payload: Box<dyn Any + Send>) {
    if payload.downcast_ref::<&'static str>() != Some(&PLANNED) {
        resume_unwind(payload);
    }
}

impl<F: Future> Future for Interrupted<F> {
    type Output = Option<F::Output>;

    /// # Panics
    /// If it has returned `Ready` before; if the future does.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Relaxed: the call of the waker that set it comes before this poll by the waker's own
        // order.
        if this.cancelled.load(Ordering::Relaxed) {
            this.end(Interruption::Cancel);
            return Poll::Ready(None);
        }
        let waker = this.watched(context.waker());
        let future = this.future.as_mut();
        let future = future.expect("an `Interrupted` is polled after it gave its output");
        if let Some(world) = kernel::current() {
            world.points(|points, thread| points.waits.remove(&thread));
        }
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(output)) => {
                this.end(Interruption::Cancel);
                return Poll::Ready(Some(output));
            }
            Err(payload) => {
                this.end(Interruption::Cancel);
                contain(payload);
                return Poll::Ready(None);
            }
        }
        let place = this.place;
        let struck = pass(|points, thread| {
            let waits = points.waits.get(&thread).map(|what| format!(", which waits for {what}"));
            let waits = waits.unwrap_or_default();
            format!("after a poll; it is that of {}{waits}", show(place))
        });
        let Some(how) = struck else { return Poll::Pending };
        this.end(how);
        Poll::Ready(None)
    }
}

impl<F> fmt::Debug for Interrupted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupted").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A waker that is a point when it is called.
struct Watch {
    waker: Waker,
    cancelled: Arc<AtomicBool>,
    place: &'static Location<'static>,
}

impl Wake for Watch {
    fn wake(self: Arc<Watch>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Watch>) {
        let place = self.place;
        let struck =
            pass(|_, _| format!("when its waker is called; it is that of {}", show(place)));
        if struck == Some(Interruption::Cancel) {
            // Relaxed: the wake-up that follows orders it before the next poll.
            self.cancelled.store(true, Ordering::Relaxed);
        }
        self.waker.wake_by_ref();
        if struck == Some(Interruption::Panic) {
            panic_any(PLANNED);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn outside_a_simulation_nothing_is_interrupted() {
        assert_eq!(crate::future::block_on(interrupted(async { 7 })), Some(7));
        let mut future = Box::pin(interrupted(pending::<()>()));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
    }

    #[test]
    fn the_point_that_was_asked_for_is_told_with_what_it_waits_for() {
        let mut points = Points::new(Interrupt { how: Interruption::Cancel, at: 2 });
        let place = Location::caller();
        points.waits(3, Wait::At("a lock", place));
        assert_eq!(points.pass(|_| unreachable!("nothing is struck")), None);
        assert!(points.missed().is_some());
        let struck = points.pass(|points| points.waits[&3].to_string());
        assert_eq!(struck, Some(Interruption::Cancel));
        let told = format!("at point 2, a future was cancelled a lock at {}", show(place));
        assert_eq!(points.struck(), Some(told.as_str()));
        assert_eq!(points.pass(|_| unreachable!("one is enough")), None);
        assert_eq!((points.passed(), points.missed()), (3, None));
    }
}
