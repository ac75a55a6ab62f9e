//! Futures that are polled by hand, and tell whether they were woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::ProptestConfig;

/// How the models are tried.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        // A failure prints its smallest case, to become a test with a name.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Whether a waker was called.
#[derive(Default)]
pub struct Alarm(AtomicBool);

impl Alarm {
    pub fn waker(self: &Arc<Alarm>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future that has a place, where it waits.
pub struct Waiting<F> {
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
}

impl<F: Future> Waiting<F> {
    pub fn new(future: F) -> Waiting<F> {
        Waiting { future: Box::pin(future), alarm: Arc::default() }
    }

    /// Polls it; that it was woken counts from here.
    pub fn poll(&mut self) -> Poll<F::Output> {
        self.alarm.reset();
        let waker = self.alarm.waker();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub fn future(&mut self) -> Pin<&mut F> {
        self.future.as_mut()
    }

    /// Whether it was woken since it was polled last.
    pub fn is_woken(&self) -> bool {
        self.alarm.is_set()
    }
}

/// So many places where nobody waits.
pub fn places<W>(count: usize) -> Vec<Option<W>> {
    (0..count).map(|_| None).collect()
}
