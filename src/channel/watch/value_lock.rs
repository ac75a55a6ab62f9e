//! The lock of a watched value: many readers or one writer, and a mark that receivers wait for a
//! change. One word; threads that have to wait sleep in its futex.
//!
//! ```text
//!              read                       write
//!   READER×n ◄──────► 0, or READER×(n-1) ◄─────► WRITER      n comes to 0: PARKED is taken, all
//!            unlock_read               unlock_write          who sleep are woken
//!
//!   beside: PARKED         threads sleep, or are about to
//!           WRITER_WAITS   a writer does: no reader comes in before it
//!           AWAITED        receivers wait for a change, or did
//! ```
//!
//! The lock is held for as long as a value is looked at or exchanged, so whoever waits for it
//! keeps its thread. AWAITED is in this word so that a send without waiters knows that from the
//! step by which it unlocks.
//!
//! Rules:
//! 1. A thread sleeps only while the word is the one that it saw, with PARKED. Whoever takes PARKED
//!    out wakes all, and each looks again.
//! 2. PARKED is taken out by a writer that leaves, and by the last reader that leaves.
//! 3. WRITER_WAITS is set by a writer that does not give up, and taken out by the next writer that
//!    leaves. If others wait then, they set it again.
//! 4. A receiver sets AWAITED before its last look at the version. A writer changes the version
//!    before the step that unlocks and takes AWAITED out. So it finds AWAITED, or the receiver
//!    the change.

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::Ordering;
use crate::platform::sync::{Futex, spin_loop};

const WRITER: u32 = 1;
const AWAITED: u32 = 1 << 1;
const PARKED: u32 = 1 << 2;
const WRITER_WAITS: u32 = 1 << 3;
const READER: u32 = 1 << 4;

/// How often a value can be borrowed at once.
const MOST_READERS: u32 = u32::MAX / READER;

/// How often a thread looks again before it sleeps. A model has no use for it: each look is a
/// branch.
const SPINS: u32 = if cfg!(any(volt_loom, volt_shuttle)) { 0 } else { 100 };

/// See the module documentation.
pub(super) struct ValueLock {
    word: Futex,
}

impl ValueLock {
    pub(super) fn new() -> ValueLock {
        ValueLock { word: Futex::new(0) }
    }

    /// Waits until no writer is in, and none waits.
    ///
    /// # Panics
    /// If there are [`MOST_READERS`].
    #[inline]
    pub(super) fn read(&self) {
        let word = self.word.word();
        let state = word.load(Ordering::Relaxed);
        let is_free = state & (WRITER | WRITER_WAITS) == 0 && state / READER < MOST_READERS;
        // Acquire: pairs with `unlock_write`.
        let order = Ordering::Acquire;
        let next = state.wrapping_add(READER);
        if !is_free || word.compare_exchange(state, next, order, Ordering::Relaxed).is_err() {
            self.read_contended();
        }
    }

    #[cold]
    fn read_contended(&self) {
        let word = self.word.word();
        let mut spins = SPINS;
        loop {
            let state = word.load(Ordering::Relaxed);
            if state & (WRITER | WRITER_WAITS) != 0 {
                self.pause(&mut spins, state, 0);
                continue;
            }
            assert!(
                state / READER < MOST_READERS,
                "a watched value is borrowed more than {MOST_READERS} times at once"
            );
            // Acquire: as in `read`.
            let (next, order) = (state + READER, Ordering::Acquire);
            if word.compare_exchange_weak(state, next, order, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// One reader leaves.
    #[inline]
    pub(super) fn unlock_read(&self) {
        // Release: pairs with the next writer's acquire: its changes come after what was read.
        let order = mutation!("watch-reader-unordered", Ordering::Release, Ordering::Relaxed);
        let before = self.word.word().fetch_sub(READER, order);
        if before & PARKED != 0 && before / READER == 1 {
            self.unpark();
        }
    }

    #[cold]
    fn unpark(&self) {
        // Relaxed: what the reader did was released when it left.
        self.word.word().fetch_and(!PARKED, Ordering::Relaxed);
        if mutation!("watch-reader-wakes-nobody", true, false) {
            self.word.wake(u32::MAX);
        }
    }

    /// Waits until nobody is in.
    #[inline]
    pub(super) fn write(&self) {
        let word = self.word.word();
        let state = word.load(Ordering::Relaxed) & AWAITED;
        // Acquire: pairs with `unlock_read` and `unlock_write`.
        let order = Ordering::Acquire;
        if word.compare_exchange(state, state | WRITER, order, Ordering::Relaxed).is_err() {
            self.write_contended();
        }
    }

    #[cold]
    fn write_contended(&self) {
        let word = self.word.word();
        let mut spins = SPINS;
        loop {
            let state = word.load(Ordering::Relaxed);
            if state & WRITER != 0 || state >= READER {
                self.pause(&mut spins, state, WRITER_WAITS);
                continue;
            }
            // Acquire: as in `write`.
            let (next, order) = (state | WRITER, Ordering::Acquire);
            if word.compare_exchange_weak(state, next, order, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// The writer leaves. If it has changed the value, whether receivers wait for that.
    #[inline]
    pub(super) fn unlock_write(&self, is_changed: bool) -> bool {
        // Rules 2, 3 and 4. No reader came in, so nothing else is in the word.
        let kept = if is_changed { 0 } else { AWAITED };
        // Release: pairs with whoever locks next, and with `await_change`.
        let order = mutation!("watch-writer-unordered", Ordering::Release, Ordering::Relaxed);
        let before = self.word.word().fetch_and(kept, order);
        if before & PARKED != 0 {
            self.word.wake(u32::MAX);
        }
        is_changed && before & AWAITED != 0
    }

    /// A receiver waits for a change, if it finds none after this.
    pub(super) fn await_change(&self) {
        // Acquire: pairs with `unlock_write`: a change that did not see this is seen.
        self.word.word().fetch_or(AWAITED, Ordering::Acquire);
    }

    /// Lets others go on, while the word is `state`.
    fn pause(&self, spins: &mut u32, state: u32, wish: u32) {
        if *spins > 0 {
            *spins -= 1;
            spin_loop();
            return;
        }
        let parked = state | PARKED | wish;
        // Relaxed: rule 1: whoever takes PARKED out finds it in the same word.
        let is_marked = parked == state
            || self
                .word
                .word()
                .compare_exchange(state, parked, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_marked {
            self.word.wait(parked, None);
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn readers_share_and_a_change_is_told_once() {
        let lock = ValueLock::new();
        lock.read();
        lock.read();
        lock.unlock_read();
        lock.unlock_read();
        lock.await_change();
        lock.write();
        assert!(!lock.unlock_write(false), "nothing has changed");
        lock.write();
        assert!(lock.unlock_write(true));
        lock.write();
        assert!(!lock.unlock_write(true));
        assert_eq!(lock.word.word().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_writer_waits_for_readers_and_stops_new_ones() {
        let lock = Arc::new(ValueLock::new());
        lock.read();
        let writer = Arc::clone(&lock);
        let writer = thread::spawn(move || {
            writer.write();
            writer.unlock_write(true);
        });
        while lock.word.word().load(Ordering::Relaxed) & WRITER_WAITS == 0 {
            thread::yield_now();
        }
        let reader = Arc::clone(&lock);
        let reader = thread::spawn(move || {
            reader.read();
            reader.unlock_read();
        });
        thread::sleep(Duration::from_millis(5));
        assert!(!writer.is_finished() && !reader.is_finished());
        lock.unlock_read();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(lock.word.word().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn too_many_readers_are_refused() {
        let lock = ValueLock::new();
        lock.word.word().store(MOST_READERS * READER, Ordering::Relaxed);
        let refused = catch_unwind(AssertUnwindSafe(|| lock.read()));
        assert!(refused.is_err());
        assert_eq!(lock.word.word().load(Ordering::Relaxed), MOST_READERS * READER);
        lock.unlock_read();
        lock.read();
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::UnsafeCell;

    struct Value {
        lock: ValueLock,
        value: UnsafeCell<u32>,
    }

    // SAFETY: the value is touched under the lock: that is what the models check.
    unsafe impl Sync for Value {}

    impl Value {
        fn new() -> Arc<Value> {
            Arc::new(Value { lock: ValueLock::new(), value: UnsafeCell::new(0) })
        }

        fn read(&self) -> u32 {
            self.lock.read();
            // SAFETY: the lock is held for reading.
            let value = self.value.with(|value| unsafe { *value });
            self.lock.unlock_read();
            value
        }

        fn add(&self) {
            self.lock.write();
            // SAFETY: the lock is held for writing.
            self.value.with_mut(|value| unsafe { *value += 1 });
            self.lock.unlock_write(true);
        }
    }

    fn write_and_read() {
        let value = Value::new();
        let other = Arc::clone(&value);
        let thread = loom::thread::spawn(move || other.read());
        value.add();
        assert!(thread.join().unwrap() <= 1);
    }

    #[test]
    fn a_writer_meets_a_reader() {
        model(write_and_read);
    }

    #[test]
    fn unordered_reader_mutant_is_noticed() {
        assert!(is_noticed("watch-reader-unordered", || model(write_and_read)));
    }

    #[test]
    fn unordered_writer_mutant_is_noticed() {
        assert!(is_noticed("watch-writer-unordered", || model(write_and_read)));
    }

    #[test]
    fn silent_reader_mutant_is_noticed() {
        assert!(is_noticed("watch-reader-wakes-nobody", || model(write_and_read)));
    }

    #[test]
    fn two_writers_meet() {
        model(|| {
            let value = Value::new();
            let other = Arc::clone(&value);
            let thread = loom::thread::spawn(move || other.add());
            value.add();
            thread.join().unwrap();
            assert_eq!(value.read(), 2);
        });
    }

    #[test]
    fn two_readers_leave_before_a_writer() {
        model(|| {
            let value = Value::new();
            let threads = [(); 2].map(|()| {
                let other = Arc::clone(&value);
                loom::thread::spawn(move || other.read())
            });
            value.add();
            let found = threads.map(|thread| thread.join().unwrap());
            assert!(found.iter().all(|found| *found <= 1));
            assert_eq!(value.lock.word.word().load(Ordering::Relaxed), 0);
        });
    }
}
