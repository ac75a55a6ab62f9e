//! Where other threads leave the tasks that they wake, for the thread of the runtime.
//!
//! ```text
//!   any thread                                 the runtime's thread
//!   under the lock: mark the task, add it,     `filled`? under the lock: take all, unmark them
//!                   set `filled`               nothing to run: sleep
//!   then call the thread out of its sleep
//! ```
//!
//! A task that is marked is in the inbox already, and whoever put it there calls the thread. The
//! thread cannot sleep over an entry: the call leaves a token if the thread is not asleep yet.

use crate::platform::clock::Instant;
use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::host::Host;

/// Under which tag a task stands in the inbox: the tag plus one, or 0. Guarded by the inbox's lock.
pub(super) struct Mark(AtomicU8);

impl Mark {
    pub(super) fn new() -> Mark {
        Mark(AtomicU8::new(0))
    }
}

/// See the module documentation.
pub(super) struct Inbox<E> {
    entries: Mutex<Vec<E>>,
    filled: AtomicBool,
    host: Host,
}

impl<E> Inbox<E> {
    pub(super) fn new() -> Inbox<E> {
        Inbox { entries: Mutex::new(Vec::new()), filled: AtomicBool::new(false), host: Host::new() }
    }

    /// Leaves `entry` and calls the thread, unless `mark` says that it is here under this tag.
    pub(super) fn push(&self, entry: E, mark: &Mark, tag: u8) {
        {
            let mut entries = self.entries.lock();
            // Relaxed, here and below: the lock orders the marks.
            if mark.0.load(Ordering::Relaxed) == tag + 1 {
                return;
            }
            mark.0.store(tag + 1, Ordering::Relaxed);
            entries.push(entry);
            // Relaxed: a thread that does not see it yet looks again when it is called, below.
            self.filled.store(true, Ordering::Relaxed);
        }
        if mutation!("local-inbox-calls-nobody", true, false) {
            self.host.notify();
        }
    }

    /// Moves everything into `taken`, which is empty. The runtime's thread alone calls it.
    pub(super) fn take<'a>(&self, taken: &mut Vec<E>, mark_of: impl Fn(&E) -> &'a Mark) {
        // Relaxed: a hint; the lock orders the entries.
        if !self.filled.load(Ordering::Relaxed) {
            return;
        }
        let mut entries = self.entries.lock();
        self.filled.store(false, Ordering::Relaxed);
        std::mem::swap(&mut *entries, taken);
        if mutation!("local-inbox-stays-marked", true, false) {
            for entry in taken.iter() {
                mark_of(entry).0.store(0, Ordering::Relaxed);
            }
        }
    }

    /// What calls the runtime.
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Sleeps until something comes, or until the deadline. The runtime's thread alone calls it.
    pub(super) fn sleep(&self, deadline: Option<Instant>) {
        self.host.sleep(deadline);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_in_it_once_for_each_tag() {
        let inbox = Inbox::new();
        let mark = Mark::new();
        let mut taken = Vec::new();
        inbox.take(&mut taken, |_| &mark);
        assert!(taken.is_empty());
        for tag in [1, 1, 2, 2] {
            inbox.push(tag, &mark, tag);
        }
        // There is a token: this returns at once.
        inbox.sleep(None);
        inbox.take(&mut taken, |_| &mark);
        assert_eq!(taken, [1, 2]);
        taken.clear();
        inbox.push(2, &mark, 2);
        inbox.take(&mut taken, |_| &mark);
        assert_eq!(taken, [2]);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicUsize;

    /// Two threads wake a task, each after it has changed something; the runtime's thread polls
    /// until it has seen both changes.
    fn wake_from_two_threads() {
        let shared = Arc::new((Inbox::new(), Mark::new(), AtomicUsize::new(0)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || {
                    shared.2.fetch_add(1, Ordering::Relaxed);
                    shared.0.push((), &shared.1, 0);
                })
            })
            .collect();
        let mut taken = Vec::new();
        let mut seen = 0;
        while seen < 2 {
            shared.0.take(&mut taken, |()| &shared.1);
            match taken.pop() {
                Some(()) => seen = shared.2.load(Ordering::Relaxed),
                None => shared.0.sleep(None),
            }
            assert!(taken.is_empty(), "a task stands in the inbox twice");
        }
        others.into_iter().for_each(|other| other.join().unwrap());
    }

    #[test]
    fn a_wake_from_another_thread_is_not_lost() {
        model(wake_from_two_threads);
    }

    #[test]
    fn silent_inbox_mutant_is_noticed() {
        assert!(is_noticed("local-inbox-calls-nobody", || model(wake_from_two_threads)));
    }

    #[test]
    fn marked_inbox_mutant_is_noticed() {
        assert!(is_noticed("local-inbox-stays-marked", || model(wake_from_two_threads)));
    }
}
