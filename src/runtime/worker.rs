//! What a worker does: takes a task, polls it, and sleeps when there is none.
//!
//! ```text
//!        ┌──────────── run it ◄─────────────┐
//!        ▼                                  │ found
//!   take a task ── none ──► say that I sleep ──► look again ── none ──► park
//!        ▲                                                               │
//!        └───────────────────────────────────────────────────────────────┘
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::context;
use super::parker::Parker;
use super::scheduler::Scheduler;
use crate::platform::probe;
use crate::platform::sync::atomic::{AtomicBool, Ordering};

/// One worker, as long as a thread serves as it.
struct Worker<'a> {
    scheduler: &'a Arc<Scheduler>,
    number: usize,
    searching: bool,
}

/// The body of a worker's own thread.
pub(crate) fn run_thread(scheduler: &Arc<Scheduler>, number: usize) {
    probe::thread_started(scheduler.number());
    if let Some(start) = &scheduler.config().on_thread_start {
        start();
    }
    let mut worker = Worker { scheduler, number, searching: false };
    while !scheduler.is_done() {
        if number == 0 {
            scheduler.seat().take_care();
        }
        let entered = context::enter(scheduler, number);
        while !scheduler.is_done() && !(number == 0 && scheduler.seat().is_wanted()) {
            if !worker.run_one() {
                worker.sleep(|| number == 0 && scheduler.seat().is_wanted());
            }
        }
        worker.stop_searching();
        drop(entered);
        if number == 0 {
            scheduler.seat().leave();
        }
    }
    if let Some(stop) = &scheduler.config().on_thread_stop {
        stop();
    }
    probe::thread_ended(scheduler.number());
}

/// Runs `future` on the calling thread, which serves as worker 0 meanwhile if that seat can be
/// had.
pub(crate) fn run_future<F: Future>(
    scheduler: &Arc<Scheduler>,
    mut future: Pin<&mut F>,
) -> F::Output {
    let guest =
        Guest { scheduler, parker: Arc::new(Parker::new()), seated: std::cell::Cell::new(false) };
    let root = Arc::new(Root {
        woken: AtomicBool::new(true),
        parker: Arc::clone(&guest.parker),
        scheduler: Arc::clone(scheduler),
    });
    let waker = Waker::from(Arc::clone(&root));
    let mut context = Context::from_waker(&waker);
    let mut worker = Worker { scheduler, number: 0, searching: false };
    loop {
        if !guest.seated.get() && scheduler.seat().ask(&guest.parker) {
            guest.seated.set(true);
        }
        // AcqRel: pairs with the waker's release; what it did is seen by the poll.
        if root.woken.swap(false, Ordering::AcqRel) {
            let entered = guest.seated.get().then(|| context::enter(scheduler, 0));
            let polled = future.as_mut().poll(&mut context);
            drop(entered);
            if let Poll::Ready(output) = polled {
                worker.stop_searching();
                return output;
            }
        }
        if !guest.seated.get() {
            guest.parker.park(None);
            continue;
        }
        let entered = context::enter(scheduler, 0);
        if !worker.run_one() {
            worker.sleep(|| root.woken.load(Ordering::Acquire));
        }
        drop(entered);
    }
}

/// A thread that runs a future: leaves the seat, or the queue for it, however it goes.
struct Guest<'a> {
    scheduler: &'a Arc<Scheduler>,
    parker: Arc<Parker>,
    seated: std::cell::Cell<bool>,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if self.seated.get() {
            self.scheduler.seat().leave();
        } else {
            self.scheduler.seat().withdraw(&self.parker);
        }
    }
}

/// What wakes the future of `run`.
struct Root {
    woken: AtomicBool,
    parker: Arc<Parker>,
    scheduler: Arc<Scheduler>,
}

impl Wake for Root {
    fn wake(self: Arc<Root>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Root>) {
        // Release: see `run_future`.
        if !self.woken.swap(true, Ordering::Release) {
            // The thread may sleep as a guest or as worker 0; one token too many does no harm.
            self.parker.unpark();
            self.scheduler.parker(0).unpark();
        }
    }
}

impl Worker<'_> {
    /// Runs one task; false if there is none.
    fn run_one(&mut self) -> bool {
        let Some(task) = self.scheduler.next() else { return false };
        self.stop_searching();
        task.run();
        true
    }

    /// A searcher has something else to do: the last one wakes another, since there may be more.
    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.searching) && self.scheduler.idle().stop_searching() {
            self.scheduler.wake_one();
        }
    }

    /// Sleeps until it is woken, unless there is work after all, or `awake` says so.
    fn sleep(&mut self, awake: impl Fn() -> bool) {
        let idle = self.scheduler.idle();
        idle.fall_asleep(self.number, std::mem::take(&mut self.searching));
        if !self.scheduler.has_work() && !awake() {
            probe::worker_parked(self.scheduler.number());
            self.scheduler.parker(self.number).park(None);
            probe::worker_unparked(self.scheduler.number());
        }
        self.searching = idle.wake_self(self.number);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::sync::Mutex;
    use crate::runtime::builder::Config;

    /// The future of `run` is woken from another thread while its own falls asleep.
    #[test]
    fn the_future_of_run_is_woken() {
        model(|| {
            let scheduler = Arc::new(Scheduler::new(Config::for_models(1)));
            let shared = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                other.0.store(true, Ordering::Release);
                let waker = other.1.lock().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
            // loom does not see the order that std's `Arc` gives to the waker's end: the last
            // reference goes after the thread is joined.
            let mut kept = None;
            let mut future = pin!(std::future::poll_fn(|context| {
                kept = Some(context.waker().clone());
                *shared.1.lock() = Some(context.waker().clone());
                match shared.0.load(Ordering::Acquire) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }));
            run_future(&scheduler, future.as_mut());
            thread.join().unwrap();
            drop(kept);
        });
    }
}
