//! What a worker does: takes a task, polls it, and sleeps when there is none.
//!
//! ```text
//!   LIFO slot ─► own ring ─► injection ─► others' rings ──► say that I sleep ─► look again ─► park
//!      │            │            │              │                                              │
//!      └────────────┴── found ───┴──────────────┘◄─────────────────────────────────────────────┘
//! ```
//!
//! Wakes of one poll, or of one look at timers and the driver, are announced once, after it: a task
//! that lands in the empty LIFO slot is run by this worker next and needs nobody else; only if its
//! ring holds more does a worker wake another. What does not fit the ring is announced at once.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::blocking::Hook;
use super::context;
use super::histogram::SAMPLE_ONE_IN;
use super::pace::Pace;
use super::scheduler::Scheduler;
use super::seat::Asked;
use super::task::Notified;
use crate::coop;
use crate::platform::clock::Instant;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::platform::{clock, entropy, probe};
use crate::waiter::parker::Parker;

/// Tasks in a row that come from the LIFO slot: two that wake each other must not keep the
/// others waiting.
const LIFO_POLLS: u32 = 3;
/// The most polls between two looks at the ring, that of the task which the first one found among
/// them: tasks from the LIFO slot, and one from outside before each of them and before the look.
const RING_POLLS: u32 = 2 * (LIFO_POLLS + 1);
/// How long the sentinel sleeps at first, and at most.
const SENTINEL_FIRST: Duration = Duration::from_millis(1);
const SENTINEL_MOST: Duration = Duration::from_secs(1);

/// One worker, as long as a thread serves as it.
struct Worker<'a> {
    scheduler: &'a Arc<Scheduler>,
    number: usize,
    searching: bool,
    lifo_polls: u32,
    pace: Pace,
    /// How long this worker sleeps the next time it is the sentinel.
    sentinel: Duration,
    /// What the sentinel saw of the others' poll counts.
    seen_polls: Vec<u64>,
}

/// The body of a worker's own thread.
pub(crate) fn run_thread(scheduler: &Arc<Scheduler>, number: usize) {
    probe::thread_started(scheduler.number());
    let mut panicked = None;
    // A panic in a hook must not leave the runtime without a worker: it is told at the end.
    let mut call = |hook: &Option<Hook>| {
        if let Some(hook) = hook
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook()))
        {
            panicked.get_or_insert(payload);
        }
    };
    call(&scheduler.config().on_thread_start);
    serve(scheduler, number);
    call(&scheduler.config().on_thread_stop);
    probe::thread_ended(scheduler.number());
    if let Some(payload) = panicked {
        resume_unwind(payload);
    }
}

/// Serves as a worker until the runtime is done; worker 0 leaves its seat to guests.
fn serve(scheduler: &Arc<Scheduler>, number: usize) {
    let mut worker = Worker::new(scheduler, number);
    let leave = || scheduler.is_done() || (number == 0 && scheduler.seat().is_wanted());
    loop {
        if number == 0 && !scheduler.seat().take_care(|| scheduler.is_done()) {
            return;
        }
        let entered = context::enter(scheduler, Some(number));
        if number == 0 {
            // Guests may have come and gone, none of them for long enough to look.
            scheduler.fire_timers(0);
            scheduler.poll_driver();
            scheduler.announce(0);
        }
        // One task at least, also if a guest waits already: guests have had their turns.
        loop {
            if !worker.run_one() {
                worker.sleep(leave);
            }
            if leave() {
                break;
            }
        }
        worker.stop_searching();
        drop(entered);
        scheduler.close_ring(number);
        if number == 0 {
            // Worker 0 ends where it takes the seat, which has to know that it is gone.
            scheduler.seat().leave();
        } else if scheduler.is_done() {
            return;
        }
    }
}

/// Runs `future` on the calling thread, which serves as worker 0 meanwhile if that seat can be
/// had.
pub(crate) fn run_future<F: Future>(
    scheduler: &Arc<Scheduler>,
    mut future: Pin<&mut F>,
) -> F::Output {
    let guest = Guest { scheduler, parker: Arc::new(Parker::new()), seated: Cell::new(false) };
    let root = Arc::new(Root {
        woken: AtomicBool::new(true),
        parker: Arc::clone(&guest.parker),
        scheduler: Arc::clone(scheduler),
    });
    let waker = Waker::from(Arc::clone(&root));
    let mut context = Context::from_waker(&waker);
    let mut worker = Worker::new(scheduler, 0);
    loop {
        if !guest.seated.get() && scheduler.seat().try_sit(&guest.parker) {
            guest.seated.set(true);
        }
        // AcqRel: pairs with the waker's release; what it did is seen by the poll.
        if root.woken.swap(false, Ordering::AcqRel) {
            // Whoever woke this worker for a task must not wait for the future's poll.
            worker.stop_searching();
            let entered = context::enter(scheduler, guest.seated.get().then_some(0));
            let budget = scheduler.config().budget;
            let polled = coop::with_budget(budget, || future.as_mut().poll(&mut context));
            if guest.seated.get() {
                scheduler.announce(0);
            }
            drop(entered);
            if let Poll::Ready(output) = polled {
                return output;
            }
        }
        if !guest.seated.get() {
            match scheduler.seat().ask(&guest.parker) {
                Asked::Seated => guest.seated.set(true),
                Asked::Listed { new } => {
                    if new {
                        // The caretaker may sleep, and does not know that the seat is wanted.
                        scheduler.wake_worker(0);
                    }
                    guest.parker.park(None);
                }
            }
            continue;
        }
        let entered = context::enter(scheduler, Some(0));
        // One task at least, also if the future is woken already: one that wakes itself must not
        // keep the worker from its tasks.
        loop {
            if !worker.run_one() {
                worker.sleep(|| root.woken.load(Ordering::Acquire));
            }
            // Relaxed: a token is left after each wake-up, so that a look that comes too early is
            // not the last.
            if root.woken.load(Ordering::Relaxed) {
                break;
            }
        }
        drop(entered);
    }
}

/// A thread that runs a future: leaves the seat, or the queue for it, however it goes.
struct Guest<'a> {
    scheduler: &'a Arc<Scheduler>,
    parker: Arc<Parker>,
    seated: Cell<bool>,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if self.seated.get() {
            self.scheduler.close_ring(0);
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
            self.scheduler.wake_worker(0);
        }
    }
}

impl Drop for Worker<'_> {
    /// However the thread leaves, nobody must think that it still searches.
    fn drop(&mut self) {
        probe::worker_ends();
        self.stop_searching();
    }
}

impl<'a> Worker<'a> {
    fn new(scheduler: &'a Arc<Scheduler>, number: usize) -> Worker<'a> {
        let config = scheduler.config();
        let pace = Pace::new(config.global_queue_interval, config.event_interval);
        probe::worker_begins(RING_POLLS, pace.longest_interval());
        Worker {
            scheduler,
            number,
            searching: false,
            lifo_polls: 0,
            pace,
            sentinel: SENTINEL_FIRST,
            seen_polls: Vec::new(),
        }
    }

    /// Runs one task; false if there is none.
    fn run_one(&mut self) -> bool {
        if self.pace.is_driver_due() {
            self.scheduler.fire_timers(self.number);
            self.scheduler.turn_ring(self.number);
            self.scheduler.poll_driver();
            self.scheduler.announce(self.number);
        }
        let Some(task) = self.next_task() else { return false };
        self.stop_searching();
        self.sentinel = SENTINEL_FIRST;
        let shared = self.scheduler.worker(self.number);
        let polls = shared.polls.get();
        shared.polls.add_by_owner(1);
        let began = polls.is_multiple_of(SAMPLE_ONE_IN).then(clock::now);
        let budget = self.scheduler.config().budget;
        coop::with_budget(budget, || task.run());
        if let Some(began) = began {
            shared.poll_times.record(clock::now().saturating_duration_since(began));
        }
        self.scheduler.announce(self.number);
        true
    }

    fn next_task(&mut self) -> Option<Notified> {
        let is_due = self.pace.is_injection_due();
        if mutation!("worker-overlooks-the-injection", is_due, false) {
            // No new row of LIFO polls: if the looks came sooner than a row ends, none would end,
            // and the ring would wait for ever.
            if mutation!("worker-renews-lifo-turns", false, true) {
                self.lifo_polls = 0;
            }
            if let Some(task) = self.scheduler.take_injected(self.number) {
                return Some(task);
            }
        }
        if self.lifo_polls < LIFO_POLLS {
            if let Some(task) = self.scheduler.take_lifo(self.number) {
                self.lifo_polls += 1;
                return Some(task);
            }
            self.lifo_polls = 0;
        } else {
            self.lifo_polls = 0;
            // Its turn comes behind those that wait in the ring.
            if let Some(task) = self.scheduler.take_lifo(self.number) {
                self.scheduler.push_local(self.number, task);
            }
        }
        self.scheduler
            .pop_local(self.number)
            .or_else(|| self.scheduler.take_injected(self.number))
            .or_else(|| self.steal())
    }

    /// Looks at the others' rings, beginning anywhere.
    fn steal(&mut self) -> Option<Notified> {
        let workers = self.scheduler.config().workers;
        if workers == 1 {
            return None;
        }
        self.searching = self.searching || self.scheduler.idle().start_searching();
        if !self.searching {
            return None;
        }
        let first = entropy::below(workers as u32) as usize;
        (0..workers)
            .map(|offset| (first + offset) % workers)
            .filter(|victim| *victim != self.number)
            .find_map(|victim| self.scheduler.steal(victim, self.number))
            // Between the looks something may have come from outside.
            .or_else(|| self.scheduler.take_injected(self.number))
    }

    /// A searcher has something else to do: the last one wakes another, since there may be more.
    fn stop_searching(&mut self) {
        let last = std::mem::take(&mut self.searching) && self.scheduler.idle().stop_searching();
        if mutation!("worker-no-hand-over", last, false) {
            self.scheduler.wake_one();
        }
    }

    /// Sleeps until it is woken or a timer is due, unless there is work after all, or `awake`
    /// says so.
    fn sleep(&mut self, awake: impl Fn() -> bool) {
        self.pace.slept();
        let looked = self.scheduler.fire_timers(self.number);
        let has_local = self.scheduler.has_local(self.number);
        if mutation!("worker-forgets-its-timers", has_local, false) {
            // What a timer woke is this worker's to run, all but one by others too.
            self.scheduler.announce(self.number);
            return;
        }
        let idle = self.scheduler.idle();
        idle.fall_asleep(self.number, std::mem::take(&mut self.searching));
        if !self.scheduler.has_work(self.number) && !awake() {
            let sentinel = idle.become_sentinel();
            let mut deadline = self.scheduler.worker(self.number).timers.next_deadline();
            // The time of a look at timers of which none was due will do: nothing has run since.
            let now = looked.or_else(|| (sentinel || deadline.is_some()).then(clock::now));
            if sentinel && let Some(now) = now {
                let rescue = now + self.sentinel;
                deadline = Some(deadline.map_or(rescue, |deadline| deadline.min(rescue)));
            }
            let left =
                |(deadline, now): (Instant, Instant)| deadline.saturating_duration_since(now);
            let timeout = deadline.zip(now).map(left);
            let timers = self.scheduler.timers(self.number);
            let (number, wheel) = (self.scheduler.number(), timers.address());
            probe::worker_parked(number, wheel, timers.start(), deadline);
            self.scheduler.worker(self.number).parks.add_by_owner(1);
            let told = self.scheduler.sleep(self.number, deadline, timeout);
            probe::worker_unparked(number, wheel);
            if sentinel {
                idle.stop_being_sentinel();
            }
            self.searching = idle.wake_self(self.number);
            let on_watch = sentinel && !told;
            if on_watch {
                self.sentinel = (self.sentinel * 2).min(SENTINEL_MOST);
                self.rescue();
            }
            if mutation!("worker-forgets-its-timers", !told, false) {
                // Its time has come, or sockets had something to tell: all that it has to do is
                // known before others are told of it, and before it looks for tasks.
                self.scheduler.fire_timers(self.number);
            }
            let stays_awake = !on_watch
                || mutation!(
                    "sentinel-leaves-its-post",
                    self.scheduler.has_local(self.number),
                    false
                )
                || awake();
            let is_alone = !self.searching && self.scheduler.config().workers > 1;
            if stays_awake && is_alone && !idle.has_sentinel() {
                // Woken by a timer, a socket or a root future, and nobody looks after the workers
                // now that one is awake: whoever wakes finds nothing and becomes the sentinel.
                self.scheduler.wake_one();
            } else {
                self.scheduler.announce(self.number);
            }
            return;
        }
        self.searching = idle.wake_self(self.number);
    }

    /// The sentinel's look at workers that have been in one poll since its last: their timers are
    /// fired, what has completed on their rings is taken if those are shared, and the task in their
    /// LIFO slot, which nobody else takes, is queued.
    fn rescue(&mut self) {
        let workers = self.scheduler.config().workers;
        self.seen_polls.resize(workers, u64::MAX);
        for victim in (0..workers).filter(|victim| *victim != self.number) {
            let polls = self.scheduler.worker(victim).polls.get();
            let same = std::mem::replace(&mut self.seen_polls[victim], polls) == polls;
            if !same {
                // It works: should it get stuck, that is to be seen soon.
                self.sentinel = SENTINEL_FIRST;
            }
            let stuck = same && !self.scheduler.idle().is_asleep(victim);
            if stuck {
                self.scheduler.worker(self.number).rescues.add_by_owner(1);
                if mutation!("sentinel-leaves-timers", true, false) {
                    self.scheduler.fire_timers(victim);
                }
                self.scheduler.rescue_ring(victim);
                if let Some(task) = self.scheduler.take_lifo(victim) {
                    self.scheduler.schedule_injected(task);
                }
                if let Some(task) = self.scheduler.steal(victim, self.number) {
                    self.scheduler.schedule_injected(task);
                }
            }
        }
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::pin::pin;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::sync::Mutex;
    use crate::runtime::config::Config;

    /// The future of `run` is woken from another thread while its own falls asleep.
    #[test]
    fn the_future_of_run_is_woken() {
        model(|| {
            let scheduler = Arc::new(Scheduler::new(Config::for_models(1)).unwrap());
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
