//! Which thread of a pool runs which job, and when threads start and end: the counts, apart from
//! real threads and tasks, so that models can check them.
//!
//! One thread of the pool:
//!
//! ```text
//!          push: nobody idle,
//!          fewer than the cap               queue empty        keep-alive over
//!   none ────────────────────► STARTING ► BUSY ─────────► IDLE ───────────────► ENDING ──► none
//!     ▲                           │       │ ▲              │                      ▲
//!     └── the system refuses it ──┘       │ └── CALLED ◄───┘ push, close          │
//!                                         └───────────── queue empty, closed ─────┘
//! ```
//!
//! The pool is open until `close`, and gone once no thread is left.
//!
//! Rules, cited where they are relied on:
//! 1. Whoever queues a job appoints its thread in the same hold of the lock: an idle one, which
//!    it takes out of the list itself, or a new one, which it counts itself. So the next push
//!    never counts on a thread that has a job coming. If all are busy and no more are allowed,
//!    nobody is appointed.
//! 2. A thread becomes idle only in a hold in which it found the queue empty. With rule 1: while
//!    a thread is idle, every queued job has an appointed thread on its way; and a job without
//!    one waits for threads that look at the queue before they rest.
//! 3. Whoever takes a thread out of the list leaves one token with its parker, after the lock is
//!    released. The thread takes that token, also when its wait ended in the same moment.
//! 4. A thread whose wait is over takes itself out of the list, and ceases to count, in one hold.
//! 5. A thread that the system refuses ceases to count. If it was the last, all queued jobs go
//!    to the pusher that learns of it, those of other pushers too: nobody else would run them.
//! 6. The pool is gone when no thread serves or ends and no pusher is starting one. Who makes
//!    that true, in a hold, raises `gone` and wakes all that wait for it.
//!
//! The lock is never held while a thread is started or woken, or a job runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::platform::clock;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::Ordering;
use crate::platform::sync::{Futex, Mutex, MutexGuard};
use crate::waiter::parker::Parker;

/// See the module documentation. `J` is a job, `H` the right to join a thread.
pub(super) struct Pool<J, H> {
    state: Mutex<State<J, H>>,
    /// Rule 6.
    gone: Futex,
    max_threads: usize,
    keep_alive: Duration,
}

struct State<J, H> {
    queue: VecDeque<J>,
    /// The idle threads; the last to rest, whose caches are warm, is called first, so that the
    /// others' waits can end.
    idle: Vec<Arc<Parker>>,
    /// Threads that are starting, busy, idle or called: those that will look at the queue.
    threads: usize,
    /// Threads that will not look at the queue any more, and have not ended.
    ending: usize,
    /// Pushers that are starting a thread at this moment.
    spawning: usize,
    /// Jobs that run.
    running: usize,
    closed: bool,
    next_number: usize,
    /// The threads that nobody has joined, by their numbers.
    handles: Vec<(usize, H)>,
    /// The numbers of those among them that have ended, or of threads so short that their handle
    /// is still to come.
    ended: Vec<usize>,
}

impl<J, H> Pool<J, H> {
    /// An open pool without threads; it may have one thread even if `max_threads` is 0.
    pub(super) fn new(max_threads: usize, keep_alive: Duration) -> Pool<J, H> {
        Pool {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                idle: Vec::new(),
                threads: 0,
                ending: 0,
                spawning: 0,
                running: 0,
                closed: false,
                next_number: 0,
                handles: Vec::new(),
                ended: Vec::new(),
            }),
            gone: Futex::new(0),
            max_threads: max_threads.max(1),
            keep_alive,
        }
    }

    /// Queues a job. The caller must start a thread if it gets a number for one, and then call
    /// [`Pool::started`] or [`Pool::refused`].
    ///
    /// # Errors
    /// The job, if the pool is closed.
    pub(super) fn push(&self, job: J) -> Result<Option<usize>, J> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(job);
        }
        state.queue.push_back(job);
        // Rule 1.
        let called =
            mutation!("blocking-stale-idle-count", state.idle.pop(), state.idle.last().cloned());
        if let Some(parker) = called {
            drop(state);
            // Rule 3.
            parker.unpark();
            return Ok(None);
        }
        if state.threads >= self.max_threads {
            return Ok(None);
        }
        state.threads += 1;
        state.spawning += 1;
        let number = state.next_number;
        state.next_number += 1;
        Ok(Some(number))
    }

    /// The thread that [`Pool::push`] asked for has been started.
    pub(super) fn started(&self, number: usize, handle: H) {
        let mut state = self.state.lock();
        state.handles.push((number, handle));
        state.spawning -= 1;
        self.release(state);
    }

    /// The system has refused the thread that [`Pool::push`] asked for: the jobs that no thread
    /// will run now.
    pub(super) fn refused(&self) -> Vec<J> {
        let mut state = self.state.lock();
        state.threads -= 1;
        state.spawning -= 1;
        // Rule 5.
        let last = state.threads == 0;
        let jobs = if last { Vec::from(std::mem::take(&mut state.queue)) } else { Vec::new() };
        self.release(state);
        jobs
    }

    /// What a thread of the pool does: runs jobs until its keep-alive is over, or the pool is
    /// closed. `run` must not panic. The thread has to call [`Pool::ended`] then.
    pub(super) fn serve(&self, mut run: impl FnMut(J)) {
        let parker = Arc::new(Parker::new());
        let mut state = self.state.lock();
        loop {
            while let Some(job) = state.queue.pop_front() {
                state.running += 1;
                drop(state);
                run(job);
                state = self.state.lock();
                state.running -= 1;
            }
            if state.closed {
                state.leave();
                return;
            }
            // Rule 2.
            state.idle.push(Arc::clone(&parker));
            drop(state);
            // A keep-alive beyond what the clock can say never ends.
            let called = parker.park(clock::now().checked_add(self.keep_alive));
            if called {
                state = self.state.lock();
                if mutation!("blocking-stale-idle-count", false, true) {
                    state.take_from_idle(&parker);
                }
            } else {
                match self.give_up(&parker) {
                    Some(held) => state = held,
                    None => return,
                }
            }
        }
    }

    /// The wait of an idle thread is over: it leaves the pool, unless it has been called.
    fn give_up(&self, parker: &Arc<Parker>) -> Option<MutexGuard<'_, State<J, H>>> {
        let mut state = self.state.lock();
        if state.take_from_idle(parker) {
            // Rule 4.
            state.leave();
            return None;
        }
        drop(state);
        // Rule 3: the token is there, or will be at once.
        parker.park(None);
        Some(self.state.lock())
    }

    /// The last step of a thread that has served; the threads that ended before it, to be joined.
    pub(super) fn ended(&self, number: usize) -> Vec<H> {
        let mut state = self.state.lock();
        let before = state.take_ended();
        state.ended.push(number);
        state.ending -= 1;
        self.release(state);
        before
    }

    /// Refuses jobs from now on, and gives back those that have not started. Threads end once
    /// they have run what they run.
    pub(super) fn close(&self) -> Vec<J> {
        let mut state = self.state.lock();
        state.closed = true;
        let jobs = Vec::from(std::mem::take(&mut state.queue));
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        // Rule 3.
        for parker in idle {
            parker.unpark();
        }
        jobs
    }

    /// Waits until the pool is gone, or for as long as `limit` says: how many jobs still run, and
    /// the threads that have ended, to be joined. To be called after [`Pool::close`].
    pub(super) fn wait_until_gone(&self, limit: Option<Duration>) -> (usize, Vec<H>) {
        let deadline = limit.and_then(|limit| clock::now().checked_add(limit));
        let mut in_time = true;
        loop {
            // Acquire: pairs with `release`. Read before the look at the state: what changes
            // after that look makes the wait return.
            let seen = self.gone.word().load(Ordering::Acquire);
            let mut state = self.state.lock();
            if state.is_gone() || !in_time {
                return (state.running, state.take_ended());
            }
            drop(state);
            in_time = self.gone.wait(seen, deadline);
        }
    }

    /// Releases the lock after a thread ceased to count, rule 6.
    fn release(&self, state: MutexGuard<'_, State<J, H>>) {
        let gone = state.is_gone();
        drop(state);
        if gone {
            self.gone.word().fetch_add(1, Ordering::Release);
            self.gone.wake(u32::MAX);
        }
    }

    /// How many threads the pool has.
    pub(super) fn threads(&self) -> usize {
        self.state.lock().threads
    }

    /// How many of them are idle.
    pub(super) fn idle(&self) -> usize {
        self.state.lock().idle.len()
    }

    /// How many jobs have not started.
    pub(super) fn queue_depth(&self) -> usize {
        self.state.lock().queue.len()
    }
}

impl<J, H> State<J, H> {
    /// Takes an idle thread out of the list; false if somebody else has.
    fn take_from_idle(&mut self, parker: &Arc<Parker>) -> bool {
        match self.idle.iter().position(|idle| Arc::ptr_eq(idle, parker)) {
            Some(place) => {
                self.idle.remove(place);
                true
            }
            None => false,
        }
    }

    /// A thread ceases to serve.
    fn leave(&mut self) {
        self.threads -= 1;
        self.ending += 1;
    }

    fn is_gone(&self) -> bool {
        self.threads + self.ending + self.spawning == 0
    }

    /// The threads that have ended and whose handles are there.
    fn take_ended(&mut self) -> Vec<H> {
        let State { handles, ended, .. } = self;
        let mut taken = Vec::new();
        ended.retain(|number| match handles.iter().position(|(of, _)| of == number) {
            Some(place) => {
                taken.push(handles.swap_remove(place).1);
                false
            }
            None => true,
        });
        taken
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn pool(max_threads: usize) -> Pool<u32, &'static str> {
        Pool::new(max_threads, Duration::ZERO)
    }

    #[test]
    fn a_thread_is_asked_for_until_there_are_enough() {
        let pool = pool(2);
        assert_eq!(pool.push(1), Ok(Some(0)));
        assert_eq!(pool.push(2), Ok(Some(1)));
        assert_eq!(pool.push(3), Ok(None));
        assert_eq!((pool.threads(), pool.idle(), pool.queue_depth()), (2, 0, 3));
    }

    #[test]
    fn jobs_run_in_their_order_and_the_thread_leaves_after_its_keep_alive() {
        let pool = pool(1);
        assert_eq!(pool.push(1), Ok(Some(0)));
        assert_eq!(pool.push(2), Ok(None));
        pool.started(0, "first");
        let mut ran = Vec::new();
        pool.serve(|job| ran.push(job));
        assert_eq!(ran, [1, 2]);
        assert_eq!(pool.ended(0), [""; 0]);
        assert_eq!((pool.threads(), pool.idle()), (0, 0));
        assert_eq!(pool.push(3), Ok(Some(1)));
        pool.started(1, "second");
        pool.serve(|_| ());
        assert_eq!(pool.ended(1), ["first"]);
        assert_eq!(pool.wait_until_gone(None), (0, vec!["second"]));
    }

    #[test]
    fn a_refused_thread_leaves_its_job_to_the_others() {
        let pool = pool(2);
        assert_eq!(pool.push(1), Ok(Some(0)));
        assert_eq!(pool.push(2), Ok(Some(1)));
        assert_eq!(pool.refused(), [0; 0]);
        assert_eq!(pool.refused(), [1, 2]);
        assert_eq!((pool.threads(), pool.queue_depth()), (0, 0));
    }

    #[test]
    fn a_closed_pool_takes_no_job_and_gives_back_those_it_has() {
        let pool = pool(1);
        assert_eq!(pool.push(1), Ok(Some(0)));
        assert_eq!(pool.push(2), Ok(None));
        assert_eq!(pool.close(), [1, 2]);
        assert_eq!(pool.close(), [0; 0]);
        assert_eq!(pool.push(3), Err(3));
    }

    #[test]
    fn a_thread_that_ends_before_its_handle_is_there_is_joined() {
        let pool = pool(1);
        assert_eq!(pool.push(1), Ok(Some(0)));
        pool.serve(|_| ());
        assert_eq!(pool.ended(0), [""; 0]);
        assert_eq!(pool.wait_until_gone(Some(Duration::ZERO)), (0, vec![]));
        pool.started(0, "late");
        assert_eq!(pool.wait_until_gone(None), (0, vec!["late"]));
    }
}

/// loom has no time, so no wait ends by the keep-alive there: `a_push_meets_the_end_of_a_wait`
/// takes the step that would follow.
#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicU32;

    /// A pool with one thread, which the model has to let serve.
    fn pool(max_threads: usize) -> Arc<Pool<u32, ()>> {
        let pool = Pool::new(max_threads, Duration::ZERO);
        pool.state.lock().threads = 1;
        Arc::new(pool)
    }

    #[test]
    fn a_push_meets_a_thread_that_becomes_idle() {
        model(|| {
            let shared = Arc::new((pool(1), Parker::new()));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || other.0.serve(|_| other.1.unpark()));
            assert_eq!(shared.0.push(1), Ok(None));
            shared.1.park(None);
            assert_eq!(shared.0.close(), [0; 0]);
            thread.join().unwrap();
            assert_eq!(shared.0.threads(), 0);
        });
    }

    struct TwoJobs {
        pool: Arc<Pool<u32, ()>>,
        finished: AtomicU32,
        all_finished: Parker,
    }

    fn serve(jobs: &Arc<TwoJobs>) -> loom::thread::JoinHandle<()> {
        let jobs = Arc::clone(jobs);
        loom::thread::spawn(move || {
            jobs.pool.serve(|_| {
                // A job may last for ever: the other one must not need this thread.
                let state = jobs.pool.state.lock();
                let waits = !state.queue.is_empty() && state.threads == 1;
                drop(state);
                assert!(!waits, "a job waits for another one below the cap");
                if jobs.finished.fetch_add(1, Ordering::AcqRel) == 1 {
                    jobs.all_finished.unpark();
                }
            });
        })
    }

    fn two_pushes_and_one_idle_thread() {
        let (finished, all_finished) = (AtomicU32::new(0), Parker::new());
        let jobs = Arc::new(TwoJobs { pool: pool(2), finished, all_finished });
        let first = serve(&jobs);
        let mut second = None;
        for job in [1, 2] {
            if jobs.pool.push(job).unwrap().is_some() {
                second = Some(serve(&jobs));
            }
        }
        jobs.all_finished.park(None);
        assert_eq!(jobs.pool.close(), [0; 0]);
        first.join().unwrap();
        if let Some(second) = second {
            second.join().unwrap();
        }
        assert_eq!(jobs.pool.threads(), 0);
    }

    #[test]
    fn two_pushes_meet_one_idle_thread() {
        model(two_pushes_and_one_idle_thread);
    }

    #[test]
    fn stale_idle_count_mutant_is_noticed() {
        assert!(is_noticed("blocking-stale-idle-count", || model(two_pushes_and_one_idle_thread)));
    }

    #[test]
    fn a_close_meets_a_push() {
        model(|| {
            let shared = Arc::new((pool(1), AtomicU32::new(0)));
            let serving = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                serving.0.serve(|_| {
                    serving.1.fetch_add(1, Ordering::AcqRel);
                });
            });
            let pushing = Arc::clone(&shared);
            let pusher = loom::thread::spawn(move || pushing.0.push(1));
            let given_back = shared.0.close().len();
            let refused = usize::from(pusher.join().unwrap().is_err());
            thread.join().unwrap();
            let ran = shared.1.load(Ordering::Acquire) as usize;
            assert_eq!(ran + given_back + refused, 1, "a job is lost, or there twice");
            assert_eq!(shared.0.threads(), 0);
        });
    }

    #[test]
    fn a_push_meets_the_end_of_a_wait() {
        model(|| {
            let pool = pool(1);
            let parker = Arc::new(Parker::new());
            pool.state.lock().idle.push(Arc::clone(&parker));
            let other = Arc::clone(&pool);
            let thread = loom::thread::spawn(move || other.give_up(&parker).is_some());
            let starts = pool.push(1).unwrap().is_some();
            let stays = thread.join().unwrap();
            assert!(starts != stays, "nobody runs the job, or two are there for it");
            assert_eq!(pool.threads(), 1);
        });
    }

    #[test]
    fn the_last_thread_meets_who_waits_for_it() {
        model(|| {
            let pool = pool(1);
            pool.state.lock().spawning = 1;
            let other = Arc::clone(&pool);
            let thread = loom::thread::spawn(move || {
                other.serve(|_| ());
                other.ended(0).len()
            });
            assert_eq!(pool.close(), [0; 0]);
            pool.started(0, ());
            assert_eq!(pool.wait_until_gone(None), (0, vec![()]));
            assert_eq!(thread.join().unwrap(), 0);
        });
    }

    /// What a pusher does that gets no thread of the system; the jobs that are its to answer for.
    fn push_and_be_refused(pool: &Pool<u32, ()>, job: u32) -> usize {
        match pool.push(job).unwrap() {
            Some(_) => pool.refused().len(),
            None => 0,
        }
    }

    #[test]
    fn two_refused_threads_leave_no_job_behind() {
        for max_threads in [1, 2] {
            model(move || {
                let pool = Arc::new(Pool::new(max_threads, Duration::ZERO));
                let other = Arc::clone(&pool);
                let pusher = loom::thread::spawn(move || push_and_be_refused(&other, 1));
                let mine = push_and_be_refused(&pool, 2);
                assert_eq!(mine + pusher.join().unwrap(), 2);
                assert_eq!((pool.threads(), pool.queue_depth()), (0, 0));
            });
        }
    }
}
