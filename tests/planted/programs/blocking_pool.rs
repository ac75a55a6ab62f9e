//! A blocking pool whose pushers read an idle count that is out of date.
//!
//! In the wild: tokio 1.52.0, issues 7757 and 8056. Whoever pushes a job decides from an atomic
//! count of idle threads whether to call one or to start another. An idle thread lowered the count
//! itself, once it had claimed a job. A second push may come before that: it sees the count, calls
//! a thread that has been called already, and starts none. If the first job then waits for the
//! second, it waits for ever.
//!
//! The twin: whoever calls a thread counts it out, under the lock.
//!
//! Look for: a deadlock, the job of the second push in the queue.

use std::collections::VecDeque;

use volt::sim::sync::atomic::{AtomicU32, Ordering};
use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread::{self, JoinHandle};

use super::{Version, join};

#[derive(Clone, Copy, PartialEq)]
enum Job {
    /// Ends when the other one has run.
    Waits,
    Runs,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    closed: bool,
    threads: Vec<JoinHandle<()>>,
}

struct Pool {
    version: Version,
    state: Mutex<State>,
    called: Condvar,
    idle: AtomicU32,
    other_ran: Mutex<bool>,
    ran: Condvar,
}

impl Pool {
    fn push(self: &Arc<Pool>, job: Job) {
        let mut state = self.state.lock().unwrap();
        state.queue.push_back(job);
        if self.version.is_fixed() {
            if self.idle.load(Ordering::SeqCst) > 0 {
                self.idle.fetch_sub(1, Ordering::SeqCst);
                self.called.notify_one();
            } else {
                self.start(&mut state);
            }
            return;
        }
        drop(state);
        if self.idle.load(Ordering::SeqCst) > 0 {
            self.called.notify_one();
        } else {
            self.start(&mut self.state.lock().unwrap());
        }
    }

    fn start(self: &Arc<Pool>, state: &mut State) {
        let pool = Arc::clone(self);
        state.threads.push(thread::spawn(move || pool.serve()));
    }

    fn serve(&self) {
        let mut state = self.state.lock().unwrap();
        loop {
            while let Some(job) = state.queue.pop_front() {
                drop(state);
                self.run(job);
                state = self.state.lock().unwrap();
            }
            if state.closed {
                return;
            }
            self.idle.fetch_add(1, Ordering::SeqCst);
            let nothing = |state: &mut State| state.queue.is_empty() && !state.closed;
            state = self.called.wait_while(state, nothing).unwrap();
            if !self.version.is_fixed() {
                self.idle.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn run(&self, job: Job) {
        let mut other_ran = self.other_ran.lock().unwrap();
        if job == Job::Runs {
            *other_ran = true;
            self.ran.notify_all();
        }
        drop(self.ran.wait_while(other_ran, |ran| !*ran).unwrap());
    }
}

/// One thread from the start, and two that push.
pub fn run(version: Version) {
    let pool = Arc::new(Pool {
        version,
        state: Mutex::default(),
        called: Condvar::new(),
        idle: AtomicU32::new(0),
        other_ran: Mutex::new(false),
        ran: Condvar::new(),
    });
    pool.start(&mut pool.state.lock().unwrap());
    let pushers = [Job::Waits, Job::Runs].map(|job| {
        let pool = Arc::clone(&pool);
        thread::spawn(move || pool.push(job))
    });
    for pusher in pushers {
        join(pusher);
    }
    drop(pool.ran.wait_while(pool.other_ran.lock().unwrap(), |ran| !*ran).unwrap());
    let mut state = pool.state.lock().unwrap();
    state.closed = true;
    pool.called.notify_all();
    let threads = std::mem::take(&mut state.threads);
    drop(state);
    for thread in threads {
        join(thread);
    }
}
