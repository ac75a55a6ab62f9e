//! Those who wait.

use std::array;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::WAITERS;

/// A waker that counts its calls.
#[derive(Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    /// How often it was called.
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn waker(self: &Arc<Bell>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future, and who waits for it.
struct Wait<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    bell: Arc<Bell>,
    /// How often the bell had rung before the last poll, which answered that it waits.
    rung: Option<usize>,
}

/// Up to [`WAITERS`] futures.
pub(crate) struct Waits<'a, T>([Option<Wait<'a, T>>; WAITERS]);

impl<T> Default for Waits<'_, T> {
    fn default() -> Self {
        Waits(array::from_fn(|_| None))
    }
}

impl<'a, T> Waits<'a, T> {
    /// Whether nobody waits at `at`.
    pub(crate) fn is_free(&self, at: usize) -> bool {
        self.0[at].is_none()
    }

    /// Puts a future there, which is not polled yet.
    pub(crate) fn begin(&mut self, at: usize, future: impl Future<Output = T> + 'a) {
        assert!(self.is_free(at), "the interpreter begins a wait in the place of another one");
        let (future, bell) = (Box::pin(future), Arc::new(Bell::default()));
        self.0[at] = Some(Wait { future, bell, rung: None });
    }

    /// Polls the future that is there; once it is ready, it is not there any more.
    pub(crate) fn poll(&mut self, at: usize) -> Poll<T> {
        let wait = self.0[at].as_mut().expect("the interpreter polls where nobody waits");
        let rung = wait.bell.rung();
        let waker = wait.bell.waker();
        let polled = wait.future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.0[at] = None;
        } else {
            wait.rung = Some(rung);
        }
        polled
    }

    /// Drops the future that is there.
    pub(crate) fn cancel(&mut self, at: usize) {
        self.0[at] = None;
    }

    /// Whoever waits there can go on.
    ///
    /// # Panics
    /// If it was not woken since it last answered that it waits.
    #[track_caller]
    pub(crate) fn assert_woken(&self, at: usize) {
        let wait = self.0[at].as_ref().expect("the model lets somebody go on who does not wait");
        if let Some(rung) = wait.rung {
            assert!(wait.bell.rung() > rung, "{at} can go on, and was not woken");
        }
    }
}
