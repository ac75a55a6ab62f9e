//! C10 to C14: the futex.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use volt::platform::{Platform, PlatformFutex};

use crate::{PATIENCE, eventually, join, join_all, spawn, spawn_all};

conformance! {
    c10_a_word_that_differs_is_not_waited_for,
    c11_whoever_saw_the_old_word_is_woken,
    c11_no_wake_up_is_lost_when_two_take_turns,
    c12_wake_reports_nobody_without_waiters,
    c12_wake_reports_no_more_than_asked,
    c13_a_wait_returns_false_after_its_deadline,
    c13_wake_ups_do_not_bring_a_deadline_forward,
    c13_a_wake_up_that_races_a_deadline_does_not_bring_it_forward,
    c14_whoever_looks_again_copes_with_wake_ups_for_nothing,
}

/// Threads that wait as long as the word is 0.
struct Waiters<P: Platform> {
    threads: Vec<P::Thread>,
    /// How many have begun.
    begun: Arc<AtomicU32>,
    /// How many have seen another word.
    passed: Arc<AtomicU32>,
}

impl<P: Platform + 'static> Waiters<P> {
    fn start(futex: &Arc<P::Futex>, count: u32) -> Waiters<P> {
        let begun = Arc::new(AtomicU32::new(0));
        let passed = Arc::new(AtomicU32::new(0));
        let threads = {
            let futex = Arc::clone(futex);
            let (begun, passed) = (Arc::clone(&begun), Arc::clone(&passed));
            spawn_all::<P>(count, move |_| {
                begun.fetch_add(1, Ordering::Release);
                while futex.load() == 0 {
                    futex.wait(0, None);
                }
                passed.fetch_add(1, Ordering::Release);
            })
        };
        Waiters { threads, begun, passed }
    }

    fn count(&self) -> u32 {
        self.threads.len() as u32
    }

    fn passed(&self) -> u32 {
        self.passed.load(Ordering::Acquire)
    }

    /// Waits until all have begun, and gives them time to block: more of them do, but no test
    /// relies on it.
    fn settle(&self) {
        eventually::<P>("every waiter begins", || {
            self.begun.load(Ordering::Acquire) == self.count()
        });
        P::sleep(Duration::from_millis(1));
    }

    /// Waits until all have passed.
    fn finish(self) {
        eventually::<P>("every waiter is woken", || self.passed() == self.count());
        join_all::<P>(self.threads);
    }
}

fn c10_a_word_that_differs_is_not_waited_for<P: Platform + 'static>() {
    let futex = P::Futex::new(1);
    let past = P::now();
    let deadline = past + PATIENCE;
    for expected in [0, 2, u32::MAX] {
        assert!(futex.wait(expected, Some(deadline)), "waited for {expected} until the deadline");
        assert!(futex.wait(expected, Some(past)), "the word differs, whatever the deadline");
        assert!(futex.wait(expected, None));
    }
    assert!(P::now() < deadline, "a wait that must return at once took {PATIENCE:?}");
}

fn c11_whoever_saw_the_old_word_is_woken<P: Platform + 'static>() {
    const WAITERS: u32 = 4;
    for at_a_time in [1, 3, u32::MAX] {
        for settles in [false, true] {
            let futex = Arc::new(P::Futex::new(0));
            let waiters = Waiters::<P>::start(&futex, WAITERS);
            if settles {
                waiters.settle();
            }
            futex.store(1);
            for _ in 0..WAITERS.div_ceil(at_a_time) {
                futex.wake(at_a_time);
            }
            waiters.finish();
        }
    }
}

fn c11_no_wake_up_is_lost_when_two_take_turns<P: Platform + 'static>() {
    const TURNS: u32 = 200;
    let turn = Arc::new(P::Futex::new(0));
    let finished = Arc::new(AtomicU32::new(0));
    let players = {
        let finished = Arc::clone(&finished);
        spawn_all::<P>(2, move |number| {
            for own in (number..TURNS).step_by(2) {
                loop {
                    let seen = turn.load();
                    if seen == own {
                        break;
                    }
                    turn.wait(seen, None);
                }
                turn.store(own + 1);
                turn.wake(1);
            }
            finished.fetch_add(1, Ordering::Release);
        })
    };
    eventually::<P>("both take all their turns", || finished.load(Ordering::Acquire) == 2);
    join_all::<P>(players);
}

fn c12_wake_reports_nobody_without_waiters<P: Platform + 'static>() {
    let futex = Arc::new(P::Futex::new(0));
    for count in [0, 1, 2, u32::MAX] {
        assert_eq!(futex.wake(count), 0, "nobody has waited yet");
    }
    while futex.wait(0, Some(P::now())) {}
    assert_eq!(futex.wake(u32::MAX), 0, "the only wait has timed out");
    let waiters = Waiters::<P>::start(&futex, 2);
    futex.store(1);
    futex.wake(2);
    waiters.finish();
    assert_eq!(futex.wake(u32::MAX), 0, "every waiter has passed");
}

fn c12_wake_reports_no_more_than_asked<P: Platform + 'static>() {
    const WAITERS: u32 = 4;
    let futex = Arc::new(P::Futex::new(0));
    let waiters = Waiters::<P>::start(&futex, WAITERS);
    waiters.settle();
    for _ in 0..5 {
        for count in 0..WAITERS {
            let woken = futex.wake(count);
            assert!(woken <= count, "{woken} woken instead of at most {count}");
            // The word has not changed, so whoever was woken waits again.
            P::sleep(Duration::from_millis(1));
        }
    }
    futex.store(1);
    let woken = futex.wake(u32::MAX);
    assert!(woken <= WAITERS, "{woken} woken of {WAITERS} waiters");
    waiters.finish();
}

/// Waits for a word that stays 0, until the deadline.
fn wait_out<P: Platform>(futex: &P::Futex, deadline: Instant) {
    let limit = deadline + PATIENCE;
    while futex.wait(0, Some(deadline)) {
        assert!(P::now() < limit, "the deadline is {PATIENCE:?} ago and waits go on");
    }
    let now = P::now();
    assert!(now >= deadline, "timed out {:?} before the deadline", deadline - now);
}

fn c13_a_wait_returns_false_after_its_deadline<P: Platform + 'static>() {
    let futex = P::Futex::new(0);
    let past = P::now();
    P::sleep(Duration::from_millis(1));
    wait_out::<P>(&futex, past);
    for microseconds in [0, 1, 10, 1_000, 5_000] {
        wait_out::<P>(&futex, P::now() + Duration::from_micros(microseconds));
    }
}

fn c13_wake_ups_do_not_bring_a_deadline_forward<P: Platform + 'static>() {
    const WAITERS: u32 = 3;
    let futex = Arc::new(P::Futex::new(0));
    let timed_out = Arc::new(AtomicU32::new(0));
    let waiters = {
        let (futex, timed_out) = (Arc::clone(&futex), Arc::clone(&timed_out));
        spawn_all::<P>(WAITERS, move |number| {
            wait_out::<P>(&futex, P::now() + Duration::from_millis((5 + 2 * number).into()));
            timed_out.fetch_add(1, Ordering::Release);
        })
    };
    eventually::<P>("every wait times out", || {
        futex.wake(1);
        timed_out.load(Ordering::Acquire) == WAITERS
    });
    join_all::<P>(waiters);
}

fn c13_a_wake_up_that_races_a_deadline_does_not_bring_it_forward<P: Platform + 'static>() {
    const WAIT: Duration = Duration::from_millis(1);
    for _ in 0..5 {
        let futex = Arc::new(P::Futex::new(0));
        let waiter = {
            let futex = Arc::clone(&futex);
            spawn::<P>("waits", move || {
                let deadline = P::now() + WAIT;
                while futex.load() == 0 {
                    if !futex.wait(0, Some(deadline)) {
                        assert!(P::now() >= deadline, "timed out before the deadline");
                        break;
                    }
                }
            })
        };
        P::sleep(WAIT);
        futex.store(1);
        futex.wake(1);
        join::<P>(waiter);
    }
}

fn c14_whoever_looks_again_copes_with_wake_ups_for_nothing<P: Platform + 'static>() {
    let futex = Arc::new(P::Futex::new(0));
    let waiters = Waiters::<P>::start(&futex, 3);
    waiters.settle();
    for _ in 0..20 {
        futex.wake(u32::MAX);
        P::yield_now();
        assert_eq!(waiters.passed(), 0, "the word has not changed");
    }
    futex.store(1);
    futex.wake(u32::MAX);
    waiters.finish();
}

/// The real machine may return from a wait without a wake-up; a simulated one must do so in some
/// runs, or a caller that does not look again would never be found.
#[cfg(feature = "sim")]
#[test]
fn c14_some_simulated_waits_return_without_a_wake_up() {
    use volt::platform::Simulated;

    // A plain counter outside the simulation.
    let spurious = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&spurious);
    crate::in_machines(move || {
        for _ in 0..8 {
            let futex = <Simulated as Platform>::Futex::new(0);
            let deadline = Simulated::now() + Duration::from_millis(1);
            while futex.wait(0, Some(deadline)) {
                counts.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert!(spurious.load(Ordering::Relaxed) > 0, "no wait returned without a wake-up");
}
