//! A waiter that is dropped after it was notified, and takes the notification with it.
//!
//! In the wild: tokio issue 3652. A future that waits for a notification and is dropped leaves the
//! list; if it had been notified by then, the notification belongs to the next one who waits. It
//! was overwritten instead.
//!
//! The twin: the notification is passed on.
//!
//! Look for: a deadlock, a waiter asleep after a notification that nobody used.

use std::collections::VecDeque;

use volt::sim::sync::atomic::{AtomicBool, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread::{self, Thread};

use super::{Version, join};

struct Waiter {
    thread: Thread,
    is_notified: AtomicBool,
}

#[derive(Default)]
struct State {
    waiters: VecDeque<Arc<Waiter>>,
    has_permit: bool,
}

impl State {
    fn notify_one(&mut self) {
        match self.waiters.pop_front() {
            None => self.has_permit = true,
            Some(waiter) => {
                waiter.is_notified.store(true, Ordering::SeqCst);
                waiter.thread.unpark();
            }
        }
    }
}

#[derive(Default)]
struct Notify {
    state: Mutex<State>,
}

impl Notify {
    fn register(&self) -> Arc<Waiter> {
        let mut state = self.state.lock().unwrap();
        let is_notified = AtomicBool::new(std::mem::take(&mut state.has_permit));
        let waiter = Arc::new(Waiter { thread: thread::current(), is_notified });
        if !waiter.is_notified.load(Ordering::SeqCst) {
            state.waiters.push_back(Arc::clone(&waiter));
        }
        waiter
    }

    fn wait(&self) {
        let waiter = self.register();
        while !waiter.is_notified.load(Ordering::SeqCst) {
            thread::park();
        }
    }

    fn wait_and_think_better_of_it(&self, version: Version) {
        let waiter = self.register();
        let mut state = self.state.lock().unwrap();
        if !waiter.is_notified.load(Ordering::SeqCst) {
            state.waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
        } else if version.is_fixed() {
            state.notify_one();
        }
    }
}

/// One who waits, one who stops waiting, and one notification.
pub fn run(version: Version) {
    let notify = Arc::new(Notify::default());
    let stays = Arc::clone(&notify);
    let leaves = Arc::clone(&notify);
    let threads = [
        thread::spawn(move || leaves.wait_and_think_better_of_it(version)),
        thread::spawn(move || stays.wait()),
    ];
    notify.state.lock().unwrap().notify_one();
    for thread in threads {
        join(thread);
    }
}
