//! The simulated world, as a test drives it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use volt_sim::sync::{Mutex, MutexGuard};
use volt_sim::{clock, net, thread};

/// The world of one simulated run: what a test directs it with. A clone is the same world.
///
/// ```
/// use std::time::Duration;
/// use volt::sim::Sim;
///
/// Sim::builder().build().run(|world| async move {
///     let clock = world.clone();
///     let host = world.host("sleeper").start(|io| async move {
///         volt::time::sleep(&io, Duration::from_secs(3_600)).await;
///         clock.now()
///     });
///     assert!(host.await.unwrap() >= Duration::from_secs(3_600));
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct World {
    started: crate::platform::clock::Instant,
    /// Every host, the world's own first.
    hosts: Arc<Mutex<Vec<net::Host>>>,
}

/// Runs the future that `f` returns to its end, on the first thread of a run.
pub(super) fn run<F, Fut>(f: &F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    volt_sim::future::block_on(f(World::new()));
}

impl World {
    fn new() -> World {
        let hosts = vec![net::Host::current()];
        World { started: clock::now(), hosts: Arc::new(Mutex::new(hosts)) }
    }

    pub(super) fn hosts(&self) -> MutexGuard<'_, Vec<net::Host>> {
        self.hosts.lock().expect("nobody panics with the lock")
    }

    /// The seed of the run, to be told. A run that measures how long runs are has a seed of its
    /// own.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt::sim::{Sim, Strategy};
    ///
    /// Sim::builder().seed(7).strategy(Strategy::Random).build().run(|world| async move {
    ///     assert_eq!(world.seed(), 7);
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn seed(&self) -> u64 {
        volt_sim::seed().expect("a world is asked for its seed inside its run")
    }

    /// Virtual time since the run began.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let before = world.now();
    ///     assert!(world.now() >= before);
    /// }).unwrap();
    /// ```
    pub fn now(&self) -> Duration {
        clock::now().duration_since(self.started)
    }

    /// Waits in virtual time.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     world.sleep(Duration::from_secs(3_600)).await;
    ///     assert!(world.now() >= Duration::from_secs(3_600));
    /// }).unwrap();
    /// ```
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
