//! The simulated world, as a test drives it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use volt_sim::sync::Mutex;
use volt_sim::{clock, thread};

/// The world of one simulated run.
#[derive(Clone, Debug)]
pub struct World {
    started: crate::platform::clock::Instant,
}

impl World {
    pub(super) fn new() -> World {
        World { started: clock::now() }
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Duration {
        clock::now().duration_since(self.started)
    }

    /// Waits in virtual time.
    ///
    /// Cancel safety: nothing is lost.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { duration, state: None }
    }
}

/// The future of [`World::sleep`]. A simulated thread sleeps for it: the world has no runtime.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    duration: Duration,
    state: Option<Arc<Mutex<State>>>,
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    waker: Option<Waker>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let state = self.state.get_or_insert_with(|| {
            let state = Arc::new(Mutex::new(State::default()));
            let sleeper = Arc::clone(&state);
            thread::spawn(move || {
                thread::sleep(duration);
                let waker = {
                    let mut state = sleeper.lock().expect("nobody panics with the lock");
                    state.over = true;
                    state.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
            state
        });
        let mut state = state.lock().expect("nobody panics with the lock");
        if state.over {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
