//! A queue of tasks whose `try_join_next` polls with a waker that wakes nobody.
//!
//! In the wild: tokio issue 8279. A task has one place for the waker of whoever joins it. A poll
//! of `join_next` leaves its waker there and sleeps; a `try_join_next` beside it polls the same
//! task with a waker that does nothing, which takes the place of the first.
//!
//! The twin: `try_join_next` looks, and leaves the waker alone.
//!
//! Look for: a deadlock, a sleeper whose task has ended.

use std::task::{Wake, Waker};

use volt::sim::sync::atomic::{AtomicBool, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread::{self, Thread};

use super::{Version, join};

#[derive(Default)]
struct Task {
    /// Whether it has ended, and whom to wake then.
    state: Mutex<(bool, Option<Waker>)>,
}

impl Task {
    fn end(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it has ended; if not, `waker` is left there.
    fn poll_join(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock().unwrap();
        if !state.0 {
            state.1 = Some(waker.clone());
        }
        state.0
    }

    fn try_join(&self, version: Version) -> bool {
        if version.is_fixed() {
            return self.state.lock().unwrap().0;
        }
        self.poll_join(Waker::noop())
    }
}

struct Sleeper {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Sleeper>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// A task that ends, and one who joins it and tries in between.
pub fn run(version: Version) {
    let task = Arc::new(Task::default());
    let other = Arc::clone(&task);
    let runner = thread::spawn(move || other.end());
    let is_woken = AtomicBool::new(false);
    let sleeper = Arc::new(Sleeper { thread: thread::current(), is_woken });
    let waker = Waker::from(Arc::clone(&sleeper));
    if !task.poll_join(&waker) && !task.try_join(version) {
        while !sleeper.is_woken.load(Ordering::SeqCst) {
            thread::park();
        }
        assert!(task.try_join(version), "woken for nothing");
    }
    join(runner);
}
