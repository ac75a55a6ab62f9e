//! A readers-writer lock: a futex word with a count and two bits, a second one on which writers
//! sleep, and the value.
//!
//! ```text
//!   word = count | READERS_WAITING | WRITERS_WAITING       count: 0 free, WRITTEN, or readers
//!
//!   read:       n readers, no bit set ──► n + 1
//!               else set READERS_WAITING and sleep on the word
//!   write:      count 0, any bits ──► WRITTEN, same bits
//!               else set WRITERS_WAITING and sleep on the second word, which counts releases
//!   unlock:     subtract; whoever brings the count to 0 with a bit set wakes
//!   wake:       WRITERS_WAITING set ──► clear it, wake one writer
//!               else, or if none slept: READERS_WAITING set ──► clear it, wake all readers
//!   downgrade:  WRITTEN ──► one reader, clear READERS_WAITING, wake all readers
//! ```
//!
//! A waiting writer stops new readers, since it sets a bit. `READERS_WAITING` alone, with the count
//! at 0, means that a writer has been woken and is on its way; its unlock wakes the readers. One
//! bit stands for many writers, so a writer that ever slept sets it again when it takes the lock;
//! at worst its unlock wakes nobody and goes on to the readers.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{LockResult, Poison, TryLockError, TryLockResult};
use crate::atomic::Ordering;
use crate::futex::Futex;

const WRITERS_WAITING: u32 = 1 << 31;
const READERS_WAITING: u32 = 1 << 30;
const WAITING: u32 = WRITERS_WAITING | READERS_WAITING;
/// The bits that hold the count.
const COUNT: u32 = READERS_WAITING - 1;
/// The count while a writer holds the lock.
const WRITTEN: u32 = COUNT;
const MAX_READERS: u32 = WRITTEN - 1;

/// The state machine alone, without a value or poisoning.
struct RawRwLock {
    /// The state. Readers sleep on it.
    state: Futex,
    /// Counts the releases announced to writers. Writers sleep on it.
    releases: Futex,
}

impl RawRwLock {
    const fn new() -> RawRwLock {
        RawRwLock { state: Futex::new(0), releases: Futex::new(0) }
    }

    /// One attempt to change the state; an error holds what it was instead.
    #[inline]
    #[track_caller]
    fn change(&self, from: u32, to: u32) -> Result<u32, u32> {
        // Acquire is for the changes that take the lock, and pairs with the releases below. The
        // others need no order.
        self.state.word().compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    #[inline]
    #[track_caller]
    fn read(&self) {
        // A guess instead of a look: right whenever nobody else uses the lock.
        if let Err(seen) = self.change(0, 1) {
            self.read_contended(seen);
        }
    }

    #[track_caller]
    fn read_contended(&self, mut seen: u32) {
        loop {
            if seen & WAITING == 0 && seen & COUNT != WRITTEN {
                assert!(seen < MAX_READERS, "too many readers hold the lock");
                match self.change(seen, seen + 1) {
                    Ok(_) => return,
                    Err(now) => seen = now,
                }
                continue;
            }
            let marked = seen | READERS_WAITING;
            if seen != marked
                && let Err(now) = self.change(seen, marked)
            {
                seen = now;
                continue;
            }
            self.state.wait(marked, None);
            seen = self.state.word().load(Ordering::Relaxed);
        }
    }

    #[inline]
    #[track_caller]
    fn try_read(&self) -> bool {
        let mut attempt = self.change(0, 1);
        while let Err(seen) = attempt {
            if seen & WAITING != 0 || seen >= MAX_READERS {
                return false;
            }
            attempt = self.change(seen, seen + 1);
        }
        true
    }

    #[inline]
    #[track_caller]
    fn read_unlock(&self) {
        // Release lets the next writer follow what this reader did.
        let state = self.state.word().fetch_sub(1, Ordering::Release) - 1;
        if state & COUNT == 0 && state & WAITING != 0 {
            self.wake(state);
        }
    }

    #[inline]
    #[track_caller]
    fn write(&self) {
        if let Err(seen) = self.change(0, WRITTEN) {
            self.write_contended(seen);
        }
    }

    #[cold]
    #[track_caller]
    fn write_contended(&self, mut seen: u32) {
        let mut others = 0;
        loop {
            if seen & COUNT == 0 {
                match self.change(seen, seen | WRITTEN | others) {
                    Ok(_) => return,
                    Err(now) => seen = now,
                }
                continue;
            }
            if seen & WRITERS_WAITING == 0
                && let Err(now) = self.change(seen, seen | WRITERS_WAITING)
            {
                seen = now;
                continue;
            }
            // Acquire pairs with the release in `wake_writer`: a thread that reads the count of a
            // later release also sees that the bit was cleared for it, and does not sleep.
            let releases = self.releases.word().load(Ordering::Acquire);
            seen = self.state.word().load(Ordering::Relaxed);
            if seen & COUNT != 0 && seen & WRITERS_WAITING != 0 {
                self.releases.wait(releases, None);
                // Its waker cleared the bit for one writer and cannot know of more.
                others = WRITERS_WAITING;
                seen = self.state.word().load(Ordering::Relaxed);
            }
        }
    }

    #[inline]
    #[track_caller]
    fn try_write(&self) -> bool {
        let mut attempt = self.change(0, WRITTEN);
        while let Err(seen) = attempt {
            if seen & COUNT != 0 {
                return false;
            }
            attempt = self.change(seen, seen | WRITTEN);
        }
        true
    }

    #[inline]
    #[track_caller]
    fn write_unlock(&self) {
        // Release publishes what the writer wrote.
        let state = self.state.word().fetch_sub(WRITTEN, Ordering::Release) - WRITTEN;
        if state & WAITING != 0 {
            self.wake(state);
        }
    }

    #[track_caller]
    fn downgrade(&self) {
        // Of the count, whose bits are all set, the lowest stays: one reader. Release publishes
        // what the writer wrote to the readers that join.
        let before = self.state.word().fetch_and(WRITERS_WAITING | 1, Ordering::Release);
        if before & READERS_WAITING != 0 {
            self.state.wake(u32::MAX);
        }
    }

    /// Hands a lock that has just become free, in state `seen`, to those who wait.
    #[cold]
    #[track_caller]
    fn wake(&self, mut seen: u32) {
        loop {
            // Whoever takes the lock meanwhile keeps the bits, and wakes when it unlocks.
            if seen & COUNT != 0 || seen & WAITING == 0 {
                return;
            }
            if seen & WRITERS_WAITING != 0 {
                let rest = seen & READERS_WAITING;
                match self.change(seen, rest) {
                    Ok(_) => {
                        if self.wake_writer() {
                            return;
                        }
                        seen = rest;
                    }
                    Err(now) => seen = now,
                }
            } else {
                match self.change(seen, 0) {
                    Ok(_) => {
                        self.state.wake(u32::MAX);
                        return;
                    }
                    Err(now) => seen = now,
                }
            }
        }
    }

    /// Wakes one writer, and keeps one that is about to sleep from doing so. True if one slept.
    #[track_caller]
    fn wake_writer(&self) -> bool {
        self.releases.word().fetch_add(1, Ordering::Release);
        self.releases.wake(1) > 0
    }

    /// Reads the word for no other reason than to let other simulated threads run.
    #[track_caller]
    fn reschedule(&self) {
        self.state.word().load(Ordering::Relaxed);
    }
}

/// A lock that many readers or one writer may hold, as `std::sync::RwLock`.
///
/// A waiting writer stops new readers, so a thread that reads twice at once may deadlock with a
/// writer that waits in between. A panic of a writer poisons the lock; one of a reader does not.
///
/// ```
/// use volt_sim::sync::RwLock;
///
/// static LIMITS: RwLock<(u32, u32)> = RwLock::new((0, 10));
/// let (one, two) = (LIMITS.read().unwrap(), LIMITS.read().unwrap());
/// assert_eq!(one.0, two.0);
/// drop((one, two));
/// LIMITS.write().unwrap().1 = 20;
/// assert_eq!(*LIMITS.read().unwrap(), (0, 20));
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    poison: Poison,
    data: UnsafeCell<T>,
}

// SAFETY: readers share the value, hence `T: Sync`; writers change or replace it from any thread,
// hence `T: Send`; the lock keeps the two apart.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// A panic that leaves the value half changed poisons the lock, so it cannot go unnoticed.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// An unlocked lock that protects `value`.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock { raw: RawRwLock::new(), poison: Poison::new(), data: UnsafeCell::new(value) }
    }

    /// Consumes the lock and returns its value. Nothing is locked: ownership proves that no guard
    /// exists.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error carries the value.
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.data.into_inner();
        self.poison.wrap(value)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, and blocks while a writer holds the lock or waits for it.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error carries the guard.
    ///
    /// # Panics
    ///
    /// If more than a thousand million readers hold the lock.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.read();
        self.poison.wrap(RwLockReadGuard::new(self))
    }

    /// Locks for reading if that is possible without blocking.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if a writer holds the lock or waits for it,
    /// [`TryLockError::Poisoned`] with the guard if the lock is poisoned.
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.raw.try_read() {
            Ok(self.poison.wrap(RwLockReadGuard::new(self))?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Locks for writing, and blocks while anyone else holds the lock.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error carries the guard.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.write();
        self.poison.wrap(RwLockWriteGuard::new(self))
    }

    /// Locks for writing if nobody holds the lock.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if the lock is held, [`TryLockError::Poisoned`] with the guard
    /// if it is poisoned.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.raw.try_write() {
            Ok(self.poison.wrap(RwLockWriteGuard::new(self))?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether a thread panicked while it held the lock for writing. Another thread may change the
    /// answer at any time.
    #[track_caller]
    pub fn is_poisoned(&self) -> bool {
        // A simulated thread that polls this must let the thread it waits for run.
        self.raw.reschedule();
        self.poison.is_set()
    }

    /// Declares the value sound again: later calls of [`RwLock::read`] and [`RwLock::write`]
    /// succeed.
    #[track_caller]
    pub fn clear_poison(&self) {
        // Other threads see the change, so when it happens is theirs to interleave with.
        self.raw.reschedule();
        self.poison.clear();
    }

    /// The value, without locking: the exclusive borrow proves that no guard exists.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error carries the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.data.get_mut())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => lock.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => lock.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => lock.field("data", &format_args!("<locked>")),
        };
        lock.field("poisoned", &self.poison.is_set()).finish_non_exhaustive()
    }
}

/// Shared access to the value of a [`RwLock`]; dropping it unlocks.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    /// As in `std`, the thread that locked must unlock.
    not_send: PhantomData<*const ()>,
}

/// Exclusive access to the value of a [`RwLock`]; dropping it unlocks.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    /// Whether the thread was already panicking when it took the lock. If so, the panic did not
    /// interrupt this guard's work and does not poison the lock.
    panicking: bool,
    /// As in `std`, the thread that locked must unlock.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

// SAFETY: a shared guard gives out no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    fn new(lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { lock, not_send: PhantomData }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    fn new(lock: &'a RwLock<T>) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard { lock, panicking: crate::thread::panicking(), not_send: PhantomData }
    }

    /// Turns exclusive into shared access in one step: no writer gets in between. Readers may join
    /// as long as no writer waits.
    ///
    /// ```
    /// use volt_sim::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard = lock.write().unwrap();
    /// *guard = 2;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!(*guard, *lock.read().unwrap());
    /// ```
    #[track_caller]
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let lock = ManuallyDrop::new(s).lock;
        lock.raw.downgrade();
        RwLockReadGuard::new(lock)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.raw.read_unlock();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        if !self.panicking && crate::thread::panicking() {
            self.lock.poison.set();
        }
        self.lock.raw.write_unlock();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock for reading, so nobody refers to the value exclusively.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock for writing, so nothing else refers to the value.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock for writing, and is itself borrowed exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::thread;

    use super::*;

    /// Returns once the state of `lock` has all of `bits` set.
    fn await_bits<T>(lock: &RwLock<T>, bits: u32) {
        while lock.raw.state.word().load(Ordering::Relaxed) & bits != bits {
            thread::yield_now();
        }
    }

    #[test]
    fn readers_share_and_a_writer_excludes() {
        let lock = RwLock::new(1);
        let readers = (lock.read().unwrap(), lock.try_read().unwrap());
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop(readers);
        let mut writer = lock.try_write().unwrap();
        *writer = 2;
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop(writer);
        assert_eq!(*lock.read().unwrap(), 2);
        assert_eq!(lock.into_inner().unwrap(), 2);
    }

    #[test]
    fn a_waiting_writer_stops_new_readers() {
        let lock = RwLock::new(0);
        let reader = lock.read().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| *lock.write().unwrap() = 1);
            await_bits(&lock, WRITERS_WAITING);
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
            drop(reader);
        });
        assert_eq!(*lock.try_read().unwrap(), 1);
    }

    #[test]
    fn a_leaving_writer_lets_all_that_wait_proceed() {
        let lock = RwLock::new(0);
        let writer = lock.write().unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| *lock.write().unwrap() += 1);
                scope.spawn(|| assert!(*lock.read().unwrap() <= 3));
            }
            await_bits(&lock, WRITERS_WAITING | READERS_WAITING);
            drop(writer);
        });
        assert_eq!(*lock.try_write().unwrap(), 3);
    }

    #[test]
    fn readers_never_see_a_write_in_progress() {
        let lock = RwLock::new((0, 0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut pair = lock.write().unwrap();
                        pair.0 += 1;
                        pair.1 += 1;
                    }
                });
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let pair = lock.read().unwrap();
                        assert_eq!(pair.0, pair.1);
                    }
                });
            }
        });
        assert_eq!(lock.into_inner().unwrap(), (2000, 2000));
    }

    #[test]
    fn downgrading_admits_waiting_readers_but_no_writer() {
        let lock = RwLock::new(0);
        let mut writer = lock.write().unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(|| *lock.read().unwrap());
            await_bits(&lock, READERS_WAITING);
            *writer = 1;
            let kept = RwLockWriteGuard::downgrade(writer);
            assert_eq!(reader.join().unwrap(), 1);
            assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
            assert_eq!(*kept, 1);
        });
        assert!(lock.try_write().is_ok());
    }

    #[test]
    fn a_writers_panic_poisons_and_a_readers_does_not() {
        let mut lock = RwLock::new(7);
        let reader = catch_unwind(|| {
            let _guard = lock.read().unwrap();
            panic!("leaves the value as it is");
        });
        assert!(reader.is_err() && !lock.is_poisoned());
        let writer = catch_unwind(|| {
            let _guard = lock.write().unwrap();
            panic!("poisons the lock");
        });
        assert!(writer.is_err() && lock.is_poisoned());
        assert_eq!(**lock.read().unwrap_err().get_ref(), 7);
        assert_eq!(**lock.write().unwrap_err().get_ref(), 7);
        assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
        assert!(lock.get_mut().is_err());
        lock.clear_poison();
        assert_eq!(*lock.write().unwrap(), 7);
    }
}
