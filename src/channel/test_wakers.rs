//! Wakers for the unit tests and models of channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// Counts how often it is woken. It is no part of what a model checks.
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn new() -> Arc<Count> {
        Arc::new(Count(AtomicUsize::new(0)))
    }

    pub(super) fn waker(self: &Arc<Count>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    pub(super) fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
#[cfg(not(volt_loom))]
pub(super) fn poll<F: Future>(
    future: std::pin::Pin<&mut F>,
    count: &Arc<Count>,
) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(&count.waker()))
}
