//! Listeners that find the list locked go to a queue, and the notifier looks at the list alone.
//!
//! In the wild: event-listener, commit e408ccd. A listener must not wait for the lock of the list;
//! when it is taken, the listener goes to a second queue, which whoever holds the lock is to move
//! into the list. The notifier told those in the list and looked no further.
//!
//! The twin: the notifier moves the queue into the list first.
//!
//! Look for: a deadlock, a listener in the second queue.

use volt::sim::sync::atomic::{AtomicBool, Ordering};
use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread::{self, Thread};

use super::{Version, join};

struct Listener {
    thread: Thread,
    is_told: AtomicBool,
}

#[derive(Default)]
struct Event {
    has_happened: AtomicBool,
    list: Mutex<Vec<Arc<Listener>>>,
    queue: Mutex<Vec<Arc<Listener>>>,
}

impl Event {
    fn listen(&self) -> Arc<Listener> {
        let listener =
            Arc::new(Listener { thread: thread::current(), is_told: AtomicBool::new(false) });
        match self.list.try_lock() {
            Ok(mut list) => list.push(Arc::clone(&listener)),
            Err(_) => self.queue.lock().unwrap().push(Arc::clone(&listener)),
        }
        listener
    }

    fn wait(&self) {
        let listener = self.listen();
        if self.has_happened.load(Ordering::SeqCst) {
            return;
        }
        while !listener.is_told.load(Ordering::SeqCst) {
            thread::park();
        }
    }

    fn notify(&self, version: Version) {
        self.has_happened.store(true, Ordering::SeqCst);
        let mut list = self.list.lock().unwrap();
        if version.is_fixed() {
            list.append(&mut self.queue.lock().unwrap());
        }
        for listener in list.drain(..) {
            listener.is_told.store(true, Ordering::SeqCst);
            listener.thread.unpark();
        }
    }
}

/// Two listeners and a notifier.
pub fn run(version: Version) {
    let event = Arc::new(Event::default());
    let listeners = [(); 2].map(|()| {
        let event = Arc::clone(&event);
        thread::spawn(move || event.wait())
    });
    event.notify(version);
    for listener in listeners {
        join(listener);
    }
}
