//! Wakers that are called together, once no lock is held.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::platform::mutation::mutation;

/// How many wakers are gathered before they are called.
const CAPACITY: usize = 32;

/// Calls a waker. The caller holds no lock.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        contain(|| waker.wake());
    }
}

/// Drops a waker that has no use any more. The caller holds no lock of a list.
pub(crate) fn discard(waker: Option<Waker>) {
    if let Some(waker) = waker {
        contain(|| mutation!("discarded-waker-leaks", drop(waker), mem::forget(waker)));
    }
}

/// A clone of a waker, unless that panics.
pub(crate) fn duplicate(waker: &Waker) -> Option<Waker> {
    contain(|| waker.clone())
}

/// Calls `f`, which is anybody's. The hook has reported its panic: others must be woken, and what
/// the caller has taken must come to its owner.
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Option<R> {
    let payload = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => return Some(result),
        Err(payload) => payload,
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when it is dropped may have another such one: no end in sight.
        mem::forget(payload);
    }
    None
}

/// Gathers wakers and calls them: all when it is full or dropped. Whoever has one holds no lock
/// when it pushes, since that may call them.
pub(crate) struct WakeBatch {
    wakers: [Option<Waker>; CAPACITY],
    length: usize,
}

impl WakeBatch {
    pub(crate) fn new() -> WakeBatch {
        WakeBatch { wakers: [const { None }; CAPACITY], length: 0 }
    }

    /// Whether another one can be pushed without any being called.
    pub(crate) fn has_room(&self) -> bool {
        self.length < CAPACITY
    }

    pub(crate) fn push(&mut self, waker: Waker) {
        if self.length == CAPACITY {
            self.wake_all();
        }
        self.wakers[self.length] = Some(waker);
        self.length += 1;
    }

    fn wake_all(&mut self) {
        let wakers = &mut self.wakers[..self.length];
        for waker in wakers.iter_mut().filter_map(Option::take) {
            wake(Some(waker));
        }
        self.length = 0;
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.wake_all();
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::panic_any;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count {
        woken: AtomicUsize,
        panics: bool,
    }

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "planned");
        }
    }

    #[test]
    fn every_waker_is_called_once_also_behind_one_that_panics() {
        let count = |panics| Arc::new(Count { woken: AtomicUsize::new(0), panics });
        let (calm, nervous) = (count(false), count(true));
        let mut batch = WakeBatch::new();
        batch.push(Waker::from(Arc::clone(&nervous)));
        for pushed in 0..=CAPACITY {
            assert_eq!(calm.woken.load(Ordering::Relaxed) > 0, pushed >= CAPACITY);
            batch.push(Waker::from(Arc::clone(&calm)));
        }
        drop(batch);
        assert_eq!(calm.woken.load(Ordering::Relaxed), CAPACITY + 1);
        assert_eq!(nervous.woken.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&calm), 1);
    }

    /// A waker that panics with a payload which panics when it is dropped, and so on.
    struct Endless;

    impl Drop for Endless {
        fn drop(&mut self) {
            panic_any(Endless);
        }
    }

    impl Wake for Endless {
        fn wake(self: Arc<Endless>) {
            drop(self);
        }
    }

    #[test]
    fn a_payload_that_panics_keeps_no_waker_from_being_called() {
        // Its payloads have no end, and are not freed.
        if cfg!(miri) {
            return;
        }
        let calm = Arc::new(Count { woken: AtomicUsize::new(0), panics: false });
        let mut batch = WakeBatch::new();
        batch.push(Waker::from(Arc::new(Endless)));
        batch.push(Waker::from(Arc::clone(&calm)));
        drop(batch);
        assert_eq!(calm.woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_batch_has_room_until_it_would_call_some() {
        let mut batch = WakeBatch::new();
        for _ in 0..CAPACITY {
            assert!(batch.has_room());
            batch.push(Waker::noop().clone());
        }
        assert!(!batch.has_room());
        wake(None);
    }
}
