//! The timers of one worker: a wheel behind a lock, and the deadline that it waits for published
//! beside the lock.
//!
//! Time is counted in ticks of a millisecond since the runtime started. A deadline counts as the
//! first tick at or after it, the time of a look as the last tick at or before it: so nothing
//! fires early, and nothing later than a tick after its deadline if somebody looks.
//!
//! # The cell
//!
//! A timer lives in the future that waits for it, as a [`TimerCell`]:
//!
//! ```text
//!              arm                   fire
//!      IDLE ─────────► ARMED ────────────────► FIRED
//!       ▲             │  │  ▲                    │
//!       │   disarm,   │  └──┘ move_to            │
//!       ├◄── close ───┘       update_waker       │
//!       └◄────────── disarm, move_to ────────────┘
//! ```
//!
//! Arming, moving and disarming are its owner's; firing and closing may happen on any thread. What
//! waits is looked at under the lock alone; what has fired is known from the cell, without it.
//!
//! # The published deadline
//!
//! It is what the wheel asks for, so its owner parks until then without the lock. Whoever arms an
//! earlier one publishes first and then leaves the owner a token: the owner takes the token at its
//! latest when it parks, and looks again.
//!
//! # Rules
//!
//! The SAFETY comments refer to these by number.
//!
//! - T1. A cell has one owner, which arms, updates, moves and disarms it, one call at a time. From
//!   arming it to disarming it these calls go to the same [`Timers`].
//! - T2. While a cell is `ARMED`, its entry is linked in the wheel, and whoever touches the entry
//!   holds the lock. Otherwise the entry is not linked, is the owner's, and has no waker.
//! - T3. Only the holder of the lock ends `ARMED`. For all but the owner, storing the new state is
//!   the last that they do with the cell: the owner that sees it may free the cell.
//! - T4. A cell is pinned, and its owner disarms it before it is freed. The `Timers` outlive that.
//! - T5. `next` changes under the lock alone. While the lock is free, it is what the wheel asks
//!   for.
//! - T6. Nobody clones, drops or wakes a waker while he holds the lock.

mod wheel;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Duration;

use wheel::{Entry, Wheel};

use crate::platform::clock::Instant;
use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::platform::sync::{Mutex, UnsafeCell, const_fn};

/// How many wakers are moved out under the lock at a time.
const BATCH: usize = 32;
/// Published when nothing waits.
const NEVER: u64 = u64::MAX;
/// The last tick that a deadline can have, half a thousand million years away.
const LAST: u64 = NEVER - 1;

const IDLE: u8 = 0;
const ARMED: u8 = 1;
const FIRED: u8 = 2;

/// Where a cell stands; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// In no wheel.
    Idle = IDLE,
    /// In a wheel.
    Armed = ARMED,
    /// Its deadline has passed.
    Fired = FIRED,
}

/// A timer, in the memory of the future that waits for it.
#[repr(C)]
pub(crate) struct TimerCell {
    /// First, so that the wheel's pointer to the entry is one to the cell.
    entry: std::cell::UnsafeCell<Entry>,
    state: AtomicU8,
    /// Touched together with the entry, so that a model checker sees who does; it takes no room.
    access: UnsafeCell<()>,
}

// SAFETY: Through a shared reference everybody may read the state. All else is behind unsafe
// functions, and T2 says who may touch the entry.
unsafe impl Sync for TimerCell {}

impl TimerCell {
    const_fn! {
        /// A cell that is not armed.
        pub(crate) fn new() -> TimerCell {
            TimerCell {
                entry: std::cell::UnsafeCell::new(Entry::new()),
                state: AtomicU8::new(IDLE),
                access: UnsafeCell::new(()),
            }
        }
    }

    /// Where the cell stands.
    pub(crate) fn state(&self) -> State {
        // Acquire: pairs with `let_go`: who sees the cell let go may free it.
        match self.state.load(Ordering::Acquire) {
            IDLE => State::Idle,
            ARMED => State::Armed,
            _ => State::Fired,
        }
    }

    /// Its owner arms it.
    fn begin(&self) {
        // Relaxed: the others who act on it take the lock first, which the owner holds.
        self.state.store(ARMED, Ordering::Relaxed);
    }

    /// Its owner has it back.
    fn reset(&self) {
        // Relaxed: nobody else acts on it until it is armed again.
        self.state.store(IDLE, Ordering::Relaxed);
    }

    /// Ends `ARMED` for somebody who is not the owner.
    ///
    /// # Safety
    /// T2: the caller holds the lock, and the entry was just popped. T3: the caller does not touch
    /// the cell again.
    unsafe fn let_go(cell: NonNull<TimerCell>, state: State) {
        // SAFETY: until this store the cell is not freed (T3). The reference is to the state
        // alone: one to the whole cell would claim that it outlives the call.
        let word = unsafe { &(*cell.as_ptr()).state };
        // Release: pairs with `state`: the owner sees all that was done with the cell.
        word.store(state as u8, Ordering::Release);
    }

    /// The pointer that the wheel keeps. It may be used for the whole cell.
    fn pointer(self: Pin<&Self>) -> NonNull<Entry> {
        NonNull::from(self.get_ref()).cast()
    }

    /// Lends the entry.
    ///
    /// # Safety
    /// The cell is not freed, T2 allows the access, and `f` uses the pointer for that alone.
    unsafe fn with_entry<R>(cell: NonNull<TimerCell>, f: impl FnOnce(*mut Entry) -> R) -> R {
        // SAFETY: the cell is not freed, as the caller promises.
        let (access, entry) = unsafe { (&(*cell.as_ptr()).access, &(*cell.as_ptr()).entry) };
        access.with_mut(|_| f(entry.get()))
    }

    /// Puts `waker` into the entry and gives the one that was there.
    ///
    /// # Safety
    /// As [`TimerCell::with_entry`].
    unsafe fn replace_waker(cell: NonNull<TimerCell>, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: as the caller promises.
        unsafe {
            TimerCell::with_entry(cell, |entry| std::mem::replace(&mut (*entry).waker, waker))
        }
    }
}

/// What came of arming a cell.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arming {
    /// It waits.
    Done,
    /// It waits, and the published deadline moved earlier: the worker that these timers belong to
    /// must be told, unless it is the caller.
    Earlier,
    /// The runtime has shut down: nobody would fire it, so it is not armed.
    Refused,
}

/// What the lock guards.
struct Shard {
    wheel: Wheel,
    closed: bool,
}

impl Shard {
    /// Lets go of the first cells that are due at `now`, up to a batch, and gives their wakers.
    fn pop(&mut self, now: u64, state: State) -> [Option<Waker>; BATCH] {
        let mut wakers = [const { None }; BATCH];
        for waker in &mut wakers {
            let Some(entry) = self.wheel.pop_expired(now) else { break };
            let cell = entry.cast::<TimerCell>();
            // SAFETY: T2: `&mut self` comes from the lock, and the entry was linked until now, so
            // its cell is not freed (T4) before it is let go (T3), which is the last here.
            *waker = unsafe {
                mutation!(
                    "timer-lets-go-early",
                    {
                        let waker = TimerCell::replace_waker(cell, None);
                        TimerCell::let_go(cell, state);
                        waker
                    },
                    {
                        TimerCell::let_go(cell, state);
                        TimerCell::replace_waker(cell, None)
                    }
                )
            };
        }
        wakers
    }
}

/// The timers of one worker; see the [module](self).
pub(crate) struct Timers {
    start: Instant,
    shard: Mutex<Shard>,
    /// The tick at which the wheel next has something to do, or `NEVER`.
    next: AtomicU64,
}

impl Timers {
    /// Timers of a runtime that started at `start`.
    pub(crate) fn new(start: Instant) -> Timers {
        Timers {
            start,
            shard: Mutex::new(Shard { wheel: Wheel::new(0), closed: false }),
            next: AtomicU64::new(NEVER),
        }
    }

    /// Has `cell` fire at `deadline`, and wake `waker` then. A deadline in the past fires at the
    /// next look.
    ///
    /// # Safety
    /// T1 and T4 hold for the cell, and it is not armed.
    pub(crate) unsafe fn arm(
        &self,
        cell: Pin<&TimerCell>,
        deadline: Instant,
        waker: &Waker,
    ) -> Arming {
        // Declared before the guard, so that a refused waker is dropped after it (T6).
        let mut waker = Some(waker.clone());
        let mut shard = self.shard.lock();
        if mutation!("timer-armed-when-closed", shard.closed, false) {
            return Arming::Refused;
        }
        let entry = cell.pointer();
        // SAFETY: T2: the cell is not armed, so the entry is the owner's, who calls.
        let none = unsafe { TimerCell::replace_waker(entry.cast(), waker.take()) };
        debug_assert!(none.is_none(), "a timer that is not armed has a waker");
        cell.begin();
        // SAFETY: the entry is in no wheel (T2), stays valid and in its place (T4), and whoever
        // touches it holds the lock from here on (T2).
        unsafe { shard.wheel.insert(entry, self.tick_at_or_after(deadline)) };
        let earlier = self.publish(&shard.wheel);
        if mutation!("timer-tells-nobody", earlier, false) { Arming::Earlier } else { Arming::Done }
    }

    /// Has an armed cell wake `waker` instead; false if it is armed no more.
    ///
    /// # Safety
    /// T1 and T4 hold for the cell.
    #[must_use]
    pub(crate) unsafe fn update_waker(&self, cell: Pin<&TimerCell>, waker: &Waker) -> bool {
        let entry = cell.pointer();
        // SAFETY: for both calls: T2, once the state has been seen under the lock.
        let will_wake = |old: &mut Option<Waker>| old.as_ref().is_some_and(|o| o.will_wake(waker));
        {
            let _shard = self.shard.lock();
            if cell.state() != State::Armed {
                return false;
            }
            // SAFETY: T2: the lock is held.
            let same = unsafe {
                TimerCell::with_entry(entry.cast(), |entry| will_wake(&mut (*entry).waker))
            };
            if same {
                return true;
            }
        }
        // Without the lock (T6), under which the cell may have fired meanwhile. Declared before
        // the guard, so that the waker it ends with is dropped after it.
        let mut waker = Some(waker.clone());
        let _shard = self.shard.lock();
        if mutation!("timer-updated-unseen", cell.state() != State::Armed, false) {
            return false;
        }
        // SAFETY: T2: the lock is held.
        waker = unsafe { TimerCell::replace_waker(entry.cast(), waker.take()) };
        drop(_shard);
        drop(waker);
        true
    }

    /// Gives an armed cell another deadline; whoever it was to wake, it will. A cell that is not
    /// armed is idle after that, even if it had fired. True if the worker that these timers belong
    /// to must be told, as of [`Arming::Earlier`].
    ///
    /// # Safety
    /// T1 and T4 hold for the cell.
    #[must_use]
    pub(crate) unsafe fn move_to(&self, cell: Pin<&TimerCell>, deadline: Instant) -> bool {
        if cell.state() == State::Armed {
            let mut shard = self.shard.lock();
            // It may have fired before the lock was had.
            if cell.state() == State::Armed {
                let entry = cell.pointer();
                // SAFETY: T2: the entry is linked in this wheel and the lock is held; T4 keeps it
                // valid and in its place.
                unsafe {
                    shard.wheel.remove(entry);
                    shard.wheel.insert(entry, self.tick_at_or_after(deadline));
                }
                return self.publish(&shard.wheel);
            }
        }
        cell.reset();
        false
    }

    /// Takes a cell out, if it is armed. It is idle after that, and may be freed.
    ///
    /// # Safety
    /// T1 and T4 hold for the cell.
    pub(crate) unsafe fn disarm(&self, cell: Pin<&TimerCell>) {
        if cell.state() == State::Armed {
            let mut waker = None;
            let mut shard = self.shard.lock();
            // It may have fired before the lock was had.
            if cell.state() == State::Armed {
                let entry = cell.pointer();
                // SAFETY: T2: the entry is linked in this wheel, and the lock is held.
                waker = unsafe {
                    shard.wheel.remove(entry);
                    TimerCell::replace_waker(entry.cast(), None)
                };
                self.publish(&shard.wheel);
            }
            drop(shard);
            drop(waker);
        }
        cell.reset();
    }

    /// Fires what is due at `now`, in the order of the deadlines, and gives the next deadline. Any
    /// thread may call it: the owner on each turn of its loop and before it parks, others while
    /// the owner is stuck in a poll.
    pub(crate) fn fire(&self, now: Instant) -> Option<Instant> {
        let now = ticks(now.saturating_duration_since(self.start));
        // Relaxed: as in `next_deadline`.
        while self.next.load(Ordering::Relaxed) <= now {
            let mut shard = self.shard.lock();
            let wakers = shard.pop(now, State::Fired);
            mutation!(
                "timer-published-unlocked",
                {
                    self.publish(&shard.wheel);
                    drop(shard);
                },
                {
                    let next = next_tick(&shard.wheel);
                    drop(shard);
                    self.next.store(next, Ordering::Relaxed);
                }
            );
            wake(wakers);
        }
        self.next_deadline()
    }

    /// When to look again: at the earliest deadline, or before it.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // Relaxed: who must not miss an earlier deadline is told after it was published, and being
        // told orders the look.
        let next = self.next.load(Ordering::Relaxed);
        // A tick beyond what the clock can say never comes, which is as good as no deadline.
        if next == NEVER { None } else { self.start.checked_add(Duration::from_millis(next)) }
    }

    /// Refuses cells from now on, and lets go of those that wait: they are idle, not fired, and
    /// their wakers are woken to find that out. Called when the workers have ended.
    pub(crate) fn close(&self) {
        loop {
            let mut shard = self.shard.lock();
            shard.closed = true;
            let wakers = shard.pop(LAST, State::Idle);
            self.publish(&shard.wheel);
            let is_empty = shard.wheel.is_empty();
            drop(shard);
            wake(wakers);
            if is_empty {
                return;
            }
        }
    }

    /// Publishes what the wheel asks for; true if that is earlier than before. The caller holds
    /// the lock (T5).
    fn publish(&self, wheel: &Wheel) -> bool {
        let next = next_tick(wheel);
        // Relaxed: the lock orders all changes, and `next_deadline` says why it does for a look.
        let before = self.next.load(Ordering::Relaxed);
        if next != before {
            self.next.store(next, Ordering::Relaxed);
        }
        next < before
    }

    /// The tick that a deadline counts as.
    fn tick_at_or_after(&self, deadline: Instant) -> u64 {
        let since = deadline.saturating_duration_since(self.start);
        let is_between = !since.subsec_nanos().is_multiple_of(1_000_000);
        (ticks(since) + u64::from(is_between)).min(LAST)
    }
}

/// How many ticks end within `since`.
fn ticks(since: Duration) -> u64 {
    let whole = since.as_secs().saturating_mul(1_000);
    whole.saturating_add(u64::from(since.subsec_millis())).min(LAST)
}

/// The tick at which `wheel` next has something to do, or `NEVER`.
fn next_tick(wheel: &Wheel) -> u64 {
    wheel.next_expiration().unwrap_or(NEVER)
}

/// Wakes all of `wakers`, which may be anybody's.
fn wake(wakers: [Option<Waker>; BATCH]) {
    for waker in wakers.into_iter().flatten() {
        // The hook has reported the panic; the others must be woken, and the worker goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}
