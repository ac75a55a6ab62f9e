//! Wakers that are called together, once no lock is held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// How many wakers are gathered before they are called.
const CAPACITY: usize = 32;

/// Gathers wakers and calls them: all when it is full or dropped. Whoever has one holds no lock
/// when it pushes, since that may call them.
pub(super) struct WakeBatch {
    wakers: [Option<Waker>; CAPACITY],
    length: usize,
}

impl WakeBatch {
    pub(super) fn new() -> WakeBatch {
        WakeBatch { wakers: [const { None }; CAPACITY], length: 0 }
    }

    pub(super) fn push(&mut self, waker: Waker) {
        if self.length == CAPACITY {
            self.wake_all();
        }
        self.wakers[self.length] = Some(waker);
        self.length += 1;
    }

    fn wake_all(&mut self) {
        let wakers = &mut self.wakers[..self.length];
        for waker in wakers.iter_mut().filter_map(Option::take) {
            // The hook has reported the panic; the others must be woken, and the worker goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
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
}
