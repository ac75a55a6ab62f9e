//! The blocking pool: threads for closures that block, so that workers never do.
//!
//! | file | what it is |
//! |---|---|
//! | `pool` | which thread runs which job, when threads start and end |
//! | this one | the threads, and the job |
//!
//! A job is a task whose future is a [`BlockingJob`]: the pool's threads poll it, once, and so
//! start it. Cancelling it before that, its panic and its join handle are those of every task.

mod pool;

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use self::pool::Pool;
use super::task::Notified;
use crate::platform::probe;
use crate::platform::sync::{Mutex, thread_local};
use crate::platform::thread::{self, Thread};

thread_local! {
    /// The address of the pool that the calling thread belongs to; 0 if none.
    static POOL: Cell<usize> = const { Cell::new(0) };
}

/// A future that calls a closure when it is polled, and is ready then.
///
/// # Panics
/// If it is polled again.
pub(crate) struct BlockingJob<F>(Option<F>);

impl<F> BlockingJob<F> {
    /// The job that calls `f`.
    pub(crate) fn new(f: F) -> BlockingJob<F> {
        BlockingJob(Some(f))
    }
}

// The closure is moved out before it is called, and never pinned.
impl<F> Unpin for BlockingJob<F> {}

impl<F, R> Future for BlockingJob<F>
where
    F: FnOnce() -> R,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let f = self.0.take().expect("a blocking job is polled once");
        Poll::Ready(f())
    }
}

/// What a thread of the pool can run.
pub(crate) trait Job: Send + 'static {
    /// Runs the job to its end.
    fn run(self);
}

impl Job for Notified {
    fn run(self) {
        Notified::run(self);
    }
}

/// What runs on each thread of a runtime when it starts, or before it ends.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// How a pool is set up.
pub(crate) struct BlockingConfig {
    /// The most threads it has at once; 0 counts as 1.
    pub(crate) max_threads: usize,
    /// How long an idle thread waits for a job before it ends.
    pub(crate) keep_alive: Duration,
    /// What its threads are called, before `-blocking-` and a number.
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
}

/// The threads of a runtime that run blocking jobs. They are started when jobs come.
pub(crate) struct BlockingPool<J = Notified> {
    pool: Pool<J, Thread>,
    config: BlockingConfig,
    /// The number that laws know the runtime by.
    runtime: u32,
    /// The first panic on a thread of the pool that was no task's.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl<J: Job> BlockingPool<J> {
    /// A pool without threads.
    pub(crate) fn new(config: BlockingConfig, runtime: u32) -> BlockingPool<J> {
        let pool = Pool::new(config.max_threads, config.keep_alive);
        BlockingPool { pool, config, runtime, panic: Mutex::new(None) }
    }

    /// Queues a job and sees to it that a thread will run it: an idle one, a new one, or, with as
    /// many as there may be, the next that has run its job. If the system refuses a thread, the
    /// job waits for the others.
    ///
    /// # Errors
    /// If the pool is closed; or if the system refuses a thread and there is no other. The jobs
    /// that nobody will run come with it: this one, and in the second case those of pushers that
    /// had counted on the same thread, if any.
    pub(crate) fn push(self: &Arc<Self>, job: J) -> Result<(), (Vec<J>, io::Error)> {
        let number = match self.pool.push(job) {
            Ok(Some(number)) => number,
            Ok(None) => return Ok(()),
            Err(job) => return Err((vec![job], io::Error::other("the runtime has shut down"))),
        };
        let pool = Arc::clone(self);
        let name = format!("{}-blocking-{number}", self.config.thread_name);
        let spawned = thread::spawn(&name, self.config.stack_size, move || pool.run_thread(number));
        match spawned {
            Ok(thread) => {
                self.pool.started(number, thread);
                Ok(())
            }
            Err(error) => match self.pool.refused() {
                // Another thread has the job, or `close` has given it back.
                jobs if jobs.is_empty() => Ok(()),
                jobs => Err((jobs, error)),
            },
        }
    }

    /// The body of a thread.
    fn run_thread(&self, number: usize) {
        probe::thread_started(self.runtime);
        POOL.with(|pool| pool.set(self.address()));
        if let Some(start) = &self.config.on_thread_start {
            self.call(&**start);
        }
        self.pool.serve(|job| self.call(|| job.run()));
        if let Some(stop) = &self.config.on_thread_stop {
            self.call(&**stop);
        }
        probe::thread_ended(self.runtime);
        // Each thread joins those that ended before it, so that at most one lies there unjoined
        // while the pool rests.
        self.join_threads(self.pool.ended(number));
    }

    /// Calls what is not ours. Pushers count on this thread, so a panic must not end it.
    fn call(&self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            self.keep_panic(payload);
        }
    }

    fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        let mut first = self.panic.lock();
        if first.is_none() {
            *first = Some(payload);
        }
    }

    fn join_threads(&self, threads: Vec<Thread>) {
        for thread in threads {
            if let Err(payload) = thread.join() {
                self.keep_panic(payload);
            }
        }
    }

    /// Refuses jobs from now on, and gives back those that have not started. The threads end,
    /// the idle ones at once.
    pub(crate) fn close(&self) -> Vec<J> {
        self.pool.close()
    }

    /// Waits until all threads of the closed pool have ended, or for as long as `limit` says, and
    /// joins those that have; how many jobs still run.
    ///
    /// # Panics
    /// If called on a thread of the pool, which would wait for itself. If that unwinds already, it
    /// does not wait.
    pub(crate) fn join(&self, limit: Option<Duration>) -> usize {
        let own = self.is_own_thread();
        assert!(
            !own || thread::panicking(),
            "a blocking job waits for the end of its own runtime, and so for itself: drop the \
             runtime on another thread"
        );
        let limit = if own { Some(Duration::ZERO) } else { limit };
        let (running, ended) = self.pool.wait_until_gone(limit);
        self.join_threads(ended);
        running
    }

    /// Whether the calling thread is one of the pool's.
    pub(crate) fn is_own_thread(&self) -> bool {
        POOL.with(|pool| pool.get() == self.address())
    }

    /// A thread of the pool keeps it alive, so no other pool has this address meanwhile.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The payload of the first panic in a hook on a thread of the pool, for whoever shuts it
    /// down: nobody else will tell.
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().take()
    }

    /// How many threads the pool has.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// How many of them have nothing to do.
    pub(crate) fn idle(&self) -> usize {
        self.pool.idle()
    }

    /// How many jobs have not started.
    pub(crate) fn queue_depth(&self) -> usize {
        self.pool.queue_depth()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::task::Waker;
    use std::time::Instant;

    use super::*;

    type Closure = Box<dyn FnOnce() + Send>;

    const KEEP_ALIVE: Duration = Duration::from_secs(10);

    impl Job for Closure {
        fn run(self) {
            self();
        }
    }

    fn config(max_threads: usize, keep_alive: Duration) -> BlockingConfig {
        BlockingConfig {
            max_threads,
            keep_alive,
            thread_name: "test".to_owned(),
            stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
        }
    }

    fn pool_of(max_threads: usize) -> Arc<BlockingPool<Closure>> {
        Arc::new(BlockingPool::new(config(max_threads, KEEP_ALIVE), 0))
    }

    fn push(pool: &Arc<BlockingPool<Closure>>, f: impl FnOnce() + Send + 'static) {
        assert!(pool.push(Box::new(f)).is_ok());
    }

    /// Queues `f`; its result comes through the channel.
    fn ask<T: Send + 'static>(
        pool: &Arc<BlockingPool<Closure>>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Receiver<T> {
        let (sender, receiver) = channel();
        push(pool, move || sender.send(f()).expect("the test waits"));
        receiver
    }

    #[track_caller]
    fn wait_until(condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not come true");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(pool: &BlockingPool<Closure>) {
        assert!(pool.close().is_empty());
        assert_eq!(pool.join(None), 0);
        assert_eq!((pool.threads(), pool.idle(), pool.queue_depth()), (0, 0, 0));
    }

    #[test]
    fn a_job_calls_its_closure_when_it_is_polled() {
        let called = Cell::new(false);
        let mut job = BlockingJob::new(|| called.replace(true));
        assert!(!called.get());
        let polled = Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(false));
        assert!(called.get());
    }

    #[test]
    fn a_job_runs_on_a_named_thread_of_the_pool() {
        let pool = pool_of(1);
        let own = Arc::clone(&pool);
        let told = ask(&pool, move || (thread::name(), own.is_own_thread()));
        assert_eq!(told.recv().unwrap(), (Some("test-blocking-0".to_owned()), true));
        assert!(!pool.is_own_thread());
        end(&pool);
    }

    #[test]
    fn jobs_run_at_once_up_to_the_cap() {
        let pool = pool_of(3);
        let meeting = Arc::new(Barrier::new(3));
        let jobs = [0; 3].map(|_| {
            let meeting = Arc::clone(&meeting);
            ask(&pool, move || meeting.wait().is_leader())
        });
        let leaders = jobs.iter().filter(|job| job.recv().unwrap()).count();
        assert_eq!(leaders, 1);
        assert_eq!(pool.threads(), 3);
        end(&pool);
    }

    #[test]
    fn a_job_over_the_cap_waits() {
        let pool = pool_of(1);
        let (go, wait) = channel::<()>();
        let first = ask(&pool, move || wait.recv().is_ok());
        let second = ask(&pool, || 2);
        wait_until(|| pool.queue_depth() == 1);
        assert!(second.try_recv().is_err());
        go.send(()).unwrap();
        assert!(first.recv().unwrap());
        assert_eq!(second.recv().unwrap(), 2);
        end(&pool);
    }

    #[test]
    fn an_idle_thread_is_used_again() {
        let pool = pool_of(8);
        for _ in 0..100 {
            ask(&pool, || ()).recv().unwrap();
            wait_until(|| pool.idle() == 1);
        }
        assert_eq!(pool.threads(), 1);
        end(&pool);
    }

    #[test]
    fn idle_threads_end_after_their_keep_alive_and_others_follow() {
        let keep_alive = Duration::from_millis(1);
        let pool = Arc::new(BlockingPool::new(config(2, keep_alive), 0));
        for round in 0..20 {
            let jobs = [ask(&pool, move || round), ask(&pool, move || round)];
            for job in &jobs {
                assert_eq!(job.recv().unwrap(), round);
            }
            wait_until(|| pool.threads() == 0);
        }
        end(&pool);
    }

    #[test]
    fn no_job_is_lost_while_threads_come_and_go() {
        const JOBS: usize = 2000;
        let pool = Arc::new(BlockingPool::new(config(4, Duration::from_micros(20)), 0));
        let ran = Arc::new(AtomicUsize::new(0));
        let pushers = [0; 2].map(|_| {
            let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            std::thread::spawn(move || {
                for _ in 0..JOBS {
                    let ran = Arc::clone(&ran);
                    push(&pool, move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(pool.threads() <= 4);
                }
            })
        });
        for pusher in pushers {
            pusher.join().unwrap();
        }
        wait_until(|| ran.load(Ordering::Relaxed) == 2 * JOBS);
        end(&pool);
    }

    #[test]
    fn close_gives_back_what_has_not_started_and_join_waits_for_the_rest() {
        let pool = pool_of(1);
        let (go, wait) = channel::<()>();
        let (began, begins) = channel();
        let first = ask(&pool, move || {
            began.send(()).unwrap();
            wait.recv().is_ok()
        });
        begins.recv().unwrap();
        let second = ask(&pool, || 2);
        let given_back = pool.close();
        assert_eq!(given_back.len(), 1);
        drop(given_back);
        assert!(second.recv().is_err(), "the job is dropped and never ran");
        let Err((refused, error)) = pool.push(Box::new(|| ())) else {
            panic!("a closed pool takes a job");
        };
        assert_eq!(refused.len(), 1);
        assert_eq!(error.to_string(), "the runtime has shut down");
        assert_eq!(pool.join(Some(Duration::from_millis(5))), 1);
        go.send(()).unwrap();
        assert_eq!(pool.join(None), 0);
        assert!(first.recv().unwrap());
        assert_eq!(pool.threads(), 0);
    }

    #[test]
    fn hooks_run_on_each_thread_and_their_panic_strands_no_job() {
        let (told, calls) = channel();
        let stopped = told.clone();
        let mut config = config(1, KEEP_ALIVE);
        config.on_thread_start = Some(Arc::new(move || {
            if told.send(("start", thread::name())).is_ok() {
                panic!("a hook panics");
            }
        }));
        config.on_thread_stop = Some(Arc::new(move || {
            stopped.send(("stop", thread::name())).expect("the test listens");
        }));
        let pool = Arc::new(BlockingPool::new(config, 0));
        assert_eq!(ask(&pool, || 7).recv().unwrap(), 7);
        end(&pool);
        let name = Some("test-blocking-0".to_owned());
        assert_eq!(calls.try_iter().collect::<Vec<_>>(), [("start", name.clone()), ("stop", name)]);
        let payload = pool.take_panic().expect("the panic is kept");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a hook panics"));
        assert!(pool.take_panic().is_none());
    }

    #[test]
    fn a_job_that_waits_for_its_own_pool_panics() {
        let pool = pool_of(1);
        let own = Arc::clone(&pool);
        push(&pool, move || {
            own.join(None);
        });
        wait_until(|| pool.idle() == 1);
        end(&pool);
        assert!(pool.take_panic().is_some());
    }

    #[test]
    fn a_job_that_unwinds_into_the_end_of_its_own_pool_does_not_wait() {
        struct JoinsWhenDropped(Arc<BlockingPool<Closure>>);
        impl Drop for JoinsWhenDropped {
            fn drop(&mut self) {
                assert_eq!(self.0.join(None), 1);
            }
        }
        let pool = pool_of(1);
        let own = JoinsWhenDropped(Arc::clone(&pool));
        push(&pool, move || {
            let _joined = own;
            panic!("the job panics");
        });
        wait_until(|| pool.idle() == 1);
        end(&pool);
        let payload = pool.take_panic().expect("the panic is kept");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the job panics"));
    }

    #[test]
    fn a_system_without_threads_gives_the_job_back() {
        let mut config = config(2, KEEP_ALIVE);
        // No machine has an address space for that.
        config.stack_size = Some(1 << 60);
        let pool = Arc::new(BlockingPool::<Closure>::new(config, 0));
        let Err((jobs, _)) = pool.push(Box::new(|| ())) else {
            panic!("a thread has a stack of 2^60 bytes");
        };
        assert_eq!(jobs.len(), 1);
        end(&pool);
    }
}
