//! Which runtime, and which of its workers, the calling thread belongs to.

use std::cell::RefCell;
use std::sync::Arc;

use super::scheduler::Scheduler;
use crate::platform::sync::thread_local;

struct Context {
    scheduler: Arc<Scheduler>,
    worker: usize,
}

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Makes the calling thread a worker until the guard is dropped.
pub(crate) fn enter(scheduler: &Arc<Scheduler>, worker: usize) -> Entered {
    let context = Context { scheduler: Arc::clone(scheduler), worker };
    Entered { before: CURRENT.with(|current| current.borrow_mut().replace(context)) }
}

/// Restores what the thread was before.
pub(crate) struct Entered {
    before: Option<Context>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        CURRENT.with(|current| *current.borrow_mut() = before);
    }
}

/// The runtime of the calling thread, if it is a worker.
pub(crate) fn scheduler() -> Option<Arc<Scheduler>> {
    let scheduler = |context: &Context| Arc::clone(&context.scheduler);
    CURRENT.with(|current| current.borrow().as_ref().map(scheduler))
}

/// The number of the calling thread among the workers of `scheduler`, if it is one.
pub(crate) fn worker_of(scheduler: &Arc<Scheduler>) -> Option<usize> {
    CURRENT.with(|current| {
        let current = current.borrow();
        let context = current.as_ref()?;
        Arc::ptr_eq(&context.scheduler, scheduler).then_some(context.worker)
    })
}

/// Whether the calling thread is a worker of any runtime.
pub(crate) fn is_worker() -> bool {
    CURRENT.with(|current| current.borrow().is_some())
}
