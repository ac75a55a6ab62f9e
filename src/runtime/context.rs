//! Which runtime, and which of its workers, the calling thread belongs to.

use std::cell::RefCell;
use std::sync::Arc;

use super::scheduler::Scheduler;
use crate::platform::sync::thread_local;

struct Context {
    scheduler: Arc<Scheduler>,
    /// `None` while a thread polls its own future without serving as a worker.
    worker: Option<usize>,
}

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Makes the calling thread one of the runtime's until the guard is dropped.
pub(crate) fn enter(scheduler: &Arc<Scheduler>, worker: Option<usize>) -> Entered {
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

/// Looks at what the calling thread is. A thread that ends, whose thread-locals are gone, is
/// nothing: wakers are called from their destructors.
fn look<R>(f: impl FnOnce(&Context) -> Option<R>) -> Option<R> {
    CURRENT.try_with(|current| current.borrow().as_ref().and_then(f)).ok().flatten()
}

/// The runtime that the calling thread runs futures of.
pub(crate) fn scheduler() -> Option<Arc<Scheduler>> {
    look(|context| Some(Arc::clone(&context.scheduler)))
}

/// The number of the calling thread among the workers of `scheduler`, if it is one.
pub(crate) fn worker_of(scheduler: &Arc<Scheduler>) -> Option<usize> {
    look(|context| context.worker.filter(|_| Arc::ptr_eq(&context.scheduler, scheduler)))
}

/// Whether the calling thread runs a future of any runtime.
pub(crate) fn is_inside() -> bool {
    look(|_| Some(())).is_some()
}

/// Whether the calling thread runs a future of this runtime.
pub(crate) fn is_inside_of(scheduler: &Arc<Scheduler>) -> bool {
    look(|context| Arc::ptr_eq(&context.scheduler, scheduler).then_some(())).is_some()
}
