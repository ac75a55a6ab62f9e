//! Who is in the poller, and how a thread that waits in it is told to come out.
//!
//! One thread at a time is in the poller; others are turned away instead of waiting for it.
//!
//! ```text
//!             begin                        notify
//!   EMPTY ───────────► WAITING ─────────────────────────► NOTIFIED
//!     ▲ │                 │       which makes a wake-up      │  ▲
//!     │ │                 │                                  │  │ notify
//!     │ └── notify ───────┼──────────────────────────────────┼──┘
//!     │                   │                                  │
//!     └────── end ────────┴───────────── end ────────────────┘
//! ```
//!
//! Only a notification that finds `WAITING` costs a system call: those that follow find
//! `NOTIFIED`. One that finds nobody is kept: the next thread that wants to wait does not.
//!
//! A notification is for whoever is in the poller, or for the next one, not for a thread by name.
//! So a thread that must not miss its own first lets others know that it goes to wait here, then
//! enters with a second look, which comes after `WAITING` is there for all to see. Whoever wakes
//! it makes that look true, then notifies. Either that finds `WAITING`, or the look is true: a
//! notification that another thread took before is seen through `end`, which hands on what it
//! acquired.
//!
//! Rules:
//! 1. `begin` and `end` are called by the thread that holds the lock. If `end` came after the
//!    lock's release, it could undo the `WAITING` of the next thread.
//! 2. `notify` takes no lock: the thread in the poller holds it for as long as it waits.

use crate::platform::mutation::mutation;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicU32, Ordering};

const EMPTY: u32 = 0;
const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;

/// See the module documentation.
pub(super) struct Gate<P> {
    poller: Mutex<P>,
    state: AtomicU32,
}

impl<P> Gate<P> {
    pub(super) fn new(poller: P) -> Gate<P> {
        Gate { poller: Mutex::new(poller), state: AtomicU32::new(EMPTY) }
    }

    /// Calls `poll` with the poller, unless another thread is in it; with true if it may wait:
    /// that is if `wait` says so, no notification is there, and `is_woken` is false.
    pub(super) fn enter<R>(
        &self,
        wait: bool,
        is_woken: impl FnOnce() -> bool,
        poll: impl FnOnce(&mut P, bool) -> R,
    ) -> Option<R> {
        let mut poller = self.poller.try_lock()?;
        if !wait {
            return Some(poll(&mut poller, false));
        }
        let may_wait = self.begin() && mutation!("gate-no-second-look", !is_woken(), true);
        let result = poll(&mut poller, may_wait);
        mutation!(
            "gate-ended-unlocked",
            {
                self.end();
                drop(poller);
            },
            {
                drop(poller);
                self.end();
            }
        );
        Some(result)
    }

    /// Has the thread that waits come out: `wake` is called for that. If none waits, the next one
    /// does not.
    pub(super) fn notify(&self, wake: impl FnOnce()) {
        // AcqRel: release, so that whoever takes the notification sees what came before it;
        // acquire, so that it also hands on what earlier notifications released.
        let before = self.state.swap(NOTIFIED, Ordering::AcqRel);
        if mutation!("gate-notifies-nobody", before == WAITING, false) {
            wake();
        }
    }

    /// The thread is about to wait; false if a notification is there.
    fn begin(&self) -> bool {
        // AcqRel: what `end` released is seen by the second look; and a notification that comes
        // later finds `WAITING`.
        self.state.compare_exchange(EMPTY, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The thread does not wait any more, and has taken the notification if there was one.
    fn end(&self) {
        // AcqRel: acquire what the notification released, and hand it on to the next `begin`.
        self.state.swap(EMPTY, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_notification_without_a_waiter_is_kept_for_the_next() {
        let gate = Gate::new(());
        gate.notify(|| panic!("nobody waits"));
        // A thread that does not want to wait leaves it there.
        assert_eq!(
            gate.enter(false, || panic!("it does not wait"), |(), waits| waits),
            Some(false)
        );
        assert_eq!(gate.enter(true, || false, |(), waits| waits), Some(false));
        assert_eq!(gate.enter(true, || false, |(), waits| waits), Some(true));
        assert_eq!(gate.enter(true, || true, |(), waits| waits), Some(false));
        assert_eq!(gate.enter(true, || false, |(), waits| waits), Some(true));
    }

    #[test]
    fn notifications_of_one_wait_make_one_wake_up() {
        let gate = Gate::new(());
        let mut wakes = 0;
        gate.enter(
            true,
            || false,
            |(), _| {
                for _ in 0..3 {
                    gate.notify(|| wakes += 1);
                }
            },
        );
        assert_eq!(wakes, 1);
        assert_eq!(gate.enter(true, || false, |(), waits| waits), Some(true));
    }

    #[test]
    fn one_thread_at_a_time_is_in() {
        let gate = Gate::new(());
        let inner = gate.enter(true, || false, |(), _| gate.enter(false, || false, |(), _| ()));
        assert_eq!(inner, Some(None));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::Futex;
    use crate::platform::sync::atomic::AtomicBool;

    /// A gate, a queue of the system's that holds at most one event, and what a sleeper waits for.
    struct Machine {
        gate: Gate<()>,
        queue: Futex,
        woken: AtomicBool,
    }

    impl Machine {
        fn new() -> Arc<Machine> {
            let woken = AtomicBool::new(false);
            Arc::new(Machine { gate: Gate::new(()), queue: Futex::new(0), woken })
        }

        /// An event comes into the queue.
        fn signal(&self) {
            self.queue.word().store(1, Ordering::Release);
            self.queue.wake(1);
        }

        /// Takes the event out of the queue; waits for one if it may.
        fn poll(&self, may_wait: bool) {
            while may_wait && self.queue.word().load(Ordering::Acquire) == 0 {
                self.queue.wait(0, None);
            }
            self.queue.word().swap(0, Ordering::AcqRel);
        }

        fn wake(&self) {
            // Relaxed: what the gate does must order it.
            self.woken.store(true, Ordering::Relaxed);
            self.gate.notify(|| self.signal());
        }

        fn sleep(&self) {
            let is_woken = || self.woken.load(Ordering::Relaxed);
            while !is_woken() {
                if self.gate.enter(true, is_woken, |(), may_wait| self.poll(may_wait)).is_none() {
                    loom::thread::yield_now();
                }
            }
        }
    }

    fn sleep_and_wake() {
        let machine = Machine::new();
        let other = Arc::clone(&machine);
        let thread = loom::thread::spawn(move || other.wake());
        machine.sleep();
        thread.join().unwrap();
    }

    #[test]
    fn a_notification_meets_a_thread_that_enters() {
        model(sleep_and_wake);
    }

    #[test]
    fn silent_notification_mutant_is_noticed() {
        assert!(is_noticed("gate-notifies-nobody", || model(sleep_and_wake)));
    }

    /// A thread comes out of the poller while another one, which is woken, goes in. The first
    /// comes out because of the notification that is meant for the second, or before it.
    fn come_and_go(by_notification: bool) {
        let machine = Machine::new();
        let mut threads = Vec::new();
        machine.gate.enter(
            true,
            || false,
            |(), may_wait| {
                let sleeper = Arc::clone(&machine);
                threads.push(loom::thread::spawn(move || sleeper.sleep()));
                let waker = Arc::clone(&machine);
                threads.push(loom::thread::spawn(move || waker.wake()));
                machine.poll(may_wait && by_notification);
            },
        );
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_thread_takes_the_notification_of_the_next_one() {
        model(|| come_and_go(true));
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("gate-no-second-look", || model(|| come_and_go(true))));
    }

    #[test]
    fn a_thread_leaves_while_the_next_one_enters() {
        model(|| come_and_go(false));
    }

    #[test]
    fn ended_unlocked_mutant_is_noticed() {
        assert!(is_noticed("gate-ended-unlocked", || model(|| come_and_go(false))));
    }
}
