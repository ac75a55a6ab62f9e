//! Waiting on a plain thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::coop;
use crate::platform::mutation::mutation;
use crate::platform::sync::Futex;
use crate::platform::sync::atomic::Ordering;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;

/// A thread that waits for a future.
struct Thread(Futex);

impl Wake for Thread {
    fn wake(self: Arc<Thread>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Thread>) {
        // Release: pairs with the swap of the thread, which polls after it.
        let order = mutation!("blocking-wakes-relaxed", Ordering::Release, Ordering::Relaxed);
        let is_new = self.0.word().swap(NOTIFIED, order) == EMPTY;
        if mutation!("blocking-wakes-silently", is_new, false) {
            self.0.wake(1);
        }
    }
}

/// Waits on the calling thread until `future` is done. `call` is what the user called, and
/// `instead` what a task calls.
///
/// # Panics
/// On a worker that polls a task, whose other tasks would wait.
#[track_caller]
pub(crate) fn block_on<F: Future>(call: &str, instead: &str, future: F) -> F::Output {
    assert!(
        !coop::is_in_task(),
        "`{call}` is called by a task, and would keep its worker from all others: call \
         `{instead}` and await it"
    );
    let thread = Arc::new(Thread(Futex::new(EMPTY)));
    let waker = Waker::from(Arc::clone(&thread));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // Acquire: pairs with the swap of the waker.
        let order = mutation!("blocking-polls-relaxed", Ordering::Acquire, Ordering::Relaxed);
        while thread.0.word().swap(EMPTY, order) == EMPTY {
            thread.0.wait(EMPTY, None);
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_future_that_is_ready_is_polled_once() {
        assert_eq!(block_on("call", "instead", ready(7)), 7);
    }

    #[test]
    fn a_thread_waits_until_it_is_woken() {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let mut woken = 0;
            for waker in receiver {
                thread::sleep(Duration::from_millis(1));
                // Twice: the second finds the first one's mark, or the thread awake.
                waker.wake_by_ref();
                waker.wake();
                woken += 1;
            }
            woken
        });
        let mut polls = 0;
        block_on(
            "call",
            "instead",
            poll_fn(|context| {
                polls += 1;
                if polls > 10 {
                    return Poll::Ready(());
                }
                sender.send(context.waker().clone()).unwrap();
                Poll::Pending
            }),
        );
        drop(sender);
        assert_eq!(thread.join().unwrap(), 10);
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again() {
        let mut polls = 0;
        let polled = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(block_on("call", "instead", polled), 3);
    }

    #[test]
    fn one_may_wait_inside_another() {
        let outer = poll_fn(|_| Poll::Ready(block_on("inner", "instead", ready(1)) + 1));
        assert_eq!(block_on("outer", "instead", outer), 2);
    }

    #[test]
    fn a_task_is_told_what_to_call() {
        let blocked = catch_unwind(AssertUnwindSafe(|| {
            coop::with_budget(1, || block_on("blocking_lock", "lock", pending::<()>()));
        }));
        let payload = blocked.expect_err("a task blocks its worker");
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(message.starts_with("`blocking_lock` is called by a task"), "{message}");
        assert!(message.ends_with("call `lock` and await it"), "{message}");
        // The thread itself may wait again.
        assert_eq!(block_on("call", "instead", ready(7)), 7);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::future::poll_fn;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    /// Another thread makes a future ready, and wakes the one that goes to sleep.
    fn wait_and_wake() {
        let is_ready = Arc::new(AtomicBool::new(false));
        let mut other = None;
        let future = poll_fn(|context| {
            if other.is_some() {
                // Relaxed: the wake-up must order it.
                assert!(is_ready.load(Ordering::Relaxed), "it is woken before what woke it");
                return Poll::Ready(());
            }
            let (is_ready, waker) = (Arc::clone(&is_ready), context.waker().clone());
            other = Some(loom::thread::spawn(move || {
                is_ready.store(true, Ordering::Relaxed);
                waker.wake();
            }));
            Poll::Pending
        });
        block_on("call", "instead", future);
        other.expect("it was polled").join().unwrap();
    }

    #[test]
    fn a_wake_up_meets_a_thread_that_goes_to_sleep() {
        model(wait_and_wake);
    }

    #[test]
    fn silent_wake_up_mutant_is_noticed() {
        assert!(is_noticed("blocking-wakes-silently", || model(wait_and_wake)));
    }

    #[test]
    fn relaxed_wake_up_mutant_is_noticed() {
        assert!(is_noticed("blocking-wakes-relaxed", || model(wait_and_wake)));
    }

    #[test]
    fn relaxed_poll_mutant_is_noticed() {
        assert!(is_noticed("blocking-polls-relaxed", || model(wait_and_wake)));
    }

    #[test]
    fn two_wake_ups_meet_a_thread_that_goes_to_sleep() {
        model(|| {
            let mut others = Vec::new();
            let future = poll_fn(|context| {
                if !others.is_empty() {
                    return Poll::Ready(());
                }
                for _ in 0..2 {
                    let waker = context.waker().clone();
                    others.push(loom::thread::spawn(move || waker.wake()));
                }
                Poll::Pending
            });
            block_on("call", "instead", future);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}
