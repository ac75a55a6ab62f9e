//! The timers of one worker: a wheel behind a lock, and beside the lock, published, when to look
//! at it again.
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
//!       │   disarm,   │  └──┘ move_to,           │
//!       ├◄── close ───┘       update_waker       │
//!       └◄────────── disarm, move_to ────────────┘
//! ```
//!
//! Arming, updating, moving and disarming are its owner's; firing and closing may happen on any
//! thread. All of it happens under the lock, except that the owner of a cell that is not `ARMED`
//! has it to itself: polling a timer that has fired, and dropping it, takes no lock.
//!
//! # The published deadline
//!
//! The worker parks until then without looking at the wheel. Whoever arms an earlier deadline
//! publishes it first, then leaves the worker a token (`Parker::unpark`): so the worker reads the
//! new deadline before it parks, or finds the token when it does, and looks again.
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
//!   the last that they do with the cell: an owner that sees it may free the cell.
//! - T4. A cell is pinned, and its owner disarms it before it is freed. The `Timers` outlive that.
//! - T5. `next` changes under the lock alone. While the lock is free, it is what the wheel asks
//!   for.
//! - T6. No waker is cloned, dropped or woken under the lock.

mod cell;
#[cfg(all(test, volt_loom))]
mod models;
mod wheel;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::task::Waker;
use std::time::Duration;

pub(crate) use cell::{State, TimerCell};
use wheel::Wheel;

use crate::platform::clock::Instant;
use crate::platform::knob::Knob;
use crate::platform::mutation::mutation;
use crate::platform::probe;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicU64, Ordering};

/// How many wakers there is room for when they are moved out under the lock.
const BATCH: usize = 32;
/// How many are moved out at a time in the simulated runs in which one look takes several.
pub(crate) const SMALL_BATCH: u32 = 1;
/// Published when nothing waits.
const NEVER: u64 = u64::MAX;
/// The last tick that a deadline can have, hundreds of millions of years away.
const LAST: u64 = NEVER - 1;

/// How many wakers are moved out at a time: all that there is room for, in production.
pub(crate) type Batch = Knob<{ BATCH as u32 }>;

/// What came of arming a cell.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arming {
    /// It waits.
    Done,
    /// It waits, and the published deadline moved earlier: the worker that the timers belong to
    /// must be told, unless it is the caller.
    Earlier,
    /// The runtime has shut down: nobody would fire it, so it is not armed.
    Refused,
}

/// Wakers that are moved out under the lock, in memory of the caller: it is filled as far as there
/// are any, and not moved.
type Wakers = [Option<Waker>; BATCH];

/// What the lock guards.
struct Shard {
    wheel: Wheel,
    /// What is published.
    next: u64,
    closed: bool,
    batch: Batch,
}

impl Shard {
    /// Lets go of the first cells that are due at `now`, up to a batch, and puts their wakers into
    /// `wakers`, which is empty; how many cells there were.
    fn pop(&mut self, now: u64, state: State, wakers: &mut Wakers) -> usize {
        let mut popped = 0;
        for place in &mut wakers[..self.batch.get() as usize] {
            let Some(entry) = self.wheel.pop_expired(now) else { break };
            popped += 1;
            // Before it is let go: its owner may arm it again right after.
            match state {
                State::Fired => probe::timer_fired(entry.as_ptr().addr(), nanoseconds_of(now)),
                State::Idle | State::Armed => probe::timer_disarmed(entry.as_ptr().addr()),
            }
            let cell = entry.cast::<TimerCell>();
            // SAFETY: `&mut self` comes from the lock, and the entry was linked until now (T2). So
            // its cell is not freed (T4) before it is let go, which is the last done with it (T3).
            *place = unsafe {
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
        popped
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
    pub(crate) fn new(start: Instant, batch: Batch) -> Timers {
        Timers {
            start,
            shard: Mutex::new(Shard { wheel: Wheel::new(0), next: NEVER, closed: false, batch }),
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
        let entry = cell.pointer();
        // Before the lock, also so that it is dropped after it when it is refused (T6).
        let waker = waker.clone();
        let mut shard = self.shard.lock();
        if mutation!("timer-armed-when-closed", shard.closed, false) {
            return Arming::Refused;
        }
        // SAFETY: the cell is not armed, so the entry is the owner's, who calls (T2).
        let before = unsafe { TimerCell::replace_waker(entry.cast(), Some(waker)) };
        debug_assert!(before.is_none(), "a timer that is not armed has a waker");
        cell.begin();
        // SAFETY: the entry is in no wheel (T2), stays where it is and valid until it is taken out
        // (T4), and whoever touches it meanwhile holds the lock (T2).
        unsafe { shard.wheel.insert(entry, self.tick_of(deadline)) };
        let earlier = self.publish(&mut shard);
        probe::timer_armed(self.address(), entry.as_ptr().addr(), self.since_start(deadline));
        if mutation!("timer-tells-nobody", earlier, false) { Arming::Earlier } else { Arming::Done }
    }

    /// Has an armed cell wake `waker` instead; false if it is not armed any more.
    ///
    /// # Safety
    /// T1 and T4 hold for the cell.
    #[must_use]
    pub(crate) unsafe fn update_waker(&self, cell: Pin<&TimerCell>, waker: &Waker) -> bool {
        let entry = cell.pointer();
        let shard = self.shard.lock();
        if cell.state() != State::Armed {
            return false;
        }
        // SAFETY: the lock is held (T2).
        let is_same = unsafe {
            TimerCell::with_entry(entry.cast(), |entry| {
                let before = &(*entry).waker;
                before.as_ref().is_some_and(|before| before.will_wake(waker))
            })
        };
        drop(shard);
        if is_same {
            return true;
        }
        let waker = waker.clone();
        let shard = self.shard.lock();
        // It may have fired while the waker was cloned, without the lock (T6).
        if mutation!("timer-updated-unseen", cell.state() != State::Armed, false) {
            return false;
        }
        // SAFETY: the lock is held (T2).
        let before = unsafe { TimerCell::replace_waker(entry.cast(), Some(waker)) };
        drop(shard);
        drop(before);
        true
    }

    /// Gives an armed cell another deadline, and leaves its waker. A cell that is not armed is
    /// idle afterwards, even if it had fired. True if the worker that the timers belong to must be
    /// told, as of [`Arming::Earlier`].
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
                let address = entry.as_ptr().addr();
                probe::timer_disarmed(address);
                // SAFETY: the entry is linked in this wheel (T1, T2) and the lock is held; T4 keeps
                // it where it is, and valid.
                unsafe {
                    shard.wheel.remove(entry);
                    shard.wheel.insert(entry, self.tick_of(deadline));
                }
                let earlier = self.publish(&mut shard);
                probe::timer_armed(self.address(), address, self.since_start(deadline));
                return earlier;
            }
        }
        cell.reset();
        false
    }

    /// Takes a cell out if it is armed: then it is idle afterwards. Whatever it was, it may be
    /// freed.
    ///
    /// # Safety
    /// T1 and T4 hold for the cell.
    pub(crate) unsafe fn disarm(&self, cell: Pin<&TimerCell>) {
        if cell.state() != State::Armed {
            return;
        }
        let mut waker = None;
        let mut shard = self.shard.lock();
        // It may have fired before the lock was had.
        if cell.state() == State::Armed {
            let entry = cell.pointer();
            probe::timer_disarmed(entry.as_ptr().addr());
            // SAFETY: the entry is linked in this wheel (T1, T2), and the lock is held.
            waker = unsafe {
                shard.wheel.remove(entry);
                TimerCell::replace_waker(entry.cast(), None)
            };
            self.publish(&mut shard);
        }
        drop(shard);
        drop(waker);
        cell.reset();
    }

    /// Fires what is due at `now`, in the order of the deadlines, and gives the next deadline. The
    /// worker calls it on each turn of its loop and before it parks; any other thread may, while
    /// the worker is stuck in a poll.
    pub(crate) fn fire(&self, now: Instant) -> Option<Instant> {
        let now = ticks_within(now.saturating_duration_since(self.start));
        let look = probe::timers_look_begins(self.address(), nanoseconds_of(now));
        // Relaxed, here and below: as in `next_deadline`.
        let mut next = self.next.load(Ordering::Relaxed);
        while next <= now {
            let mut wakers = [const { None }; BATCH];
            let mut shard = self.shard.lock();
            let popped = shard.pop(now, State::Fired, &mut wakers);
            mutation!(
                "timer-published-unlocked",
                {
                    self.publish(&mut shard);
                    drop(shard);
                },
                {
                    shard.next = next_tick(&shard.wheel);
                    let next = shard.next;
                    drop(shard);
                    self.next.store(next, Ordering::Relaxed);
                }
            );
            wake_all(&mut wakers[..popped]);
            // Not what was published above: a waker may have armed a timer, and nobody tells the
            // thread that it ran on.
            next = self.next.load(Ordering::Relaxed);
        }
        probe::timers_look_ended(self.address(), nanoseconds_of(now), look);
        self.instant_of(next)
    }

    /// When to look again: at the earliest deadline, or before it. One load.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // Relaxed: whoever must not miss an earlier deadline is told after it was published, and
        // being told orders the look.
        self.instant_of(self.next.load(Ordering::Relaxed))
    }

    /// When a published tick comes.
    fn instant_of(&self, next: u64) -> Option<Instant> {
        // A tick that the clock cannot express never comes: as good as no deadline.
        if next == NEVER { None } else { self.start.checked_add(Duration::from_millis(next)) }
    }

    /// Refuses cells from now on, and lets go of those that wait: they are idle, not fired, and
    /// are woken to find that out. For when the workers have ended.
    pub(crate) fn close(&self) {
        loop {
            let mut wakers = [const { None }; BATCH];
            let mut shard = self.shard.lock();
            shard.closed = true;
            let popped = shard.pop(LAST, State::Idle, &mut wakers);
            self.publish(&mut shard);
            let is_empty = shard.wheel.is_empty();
            drop(shard);
            wake_all(&mut wakers[..popped]);
            if is_empty {
                return;
            }
        }
    }

    /// Publishes what the wheel asks for; true if that is earlier than before. The shard comes
    /// from the lock (T5).
    fn publish(&self, shard: &mut Shard) -> bool {
        let next = next_tick(&shard.wheel);
        let before = std::mem::replace(&mut shard.next, next);
        if next != before {
            // Relaxed: the lock orders all changes, and `next_deadline` says why it does for a
            // look.
            self.next.store(next, Ordering::Relaxed);
        }
        next < before
    }

    /// When the runtime started.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// What the laws of a simulation know these timers by.
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Nanoseconds from the start to `deadline`.
    fn since_start(&self, deadline: Instant) -> u64 {
        let since = deadline.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The first tick at or after `deadline`.
    fn tick_of(&self, deadline: Instant) -> u64 {
        let since = deadline.saturating_duration_since(self.start);
        let is_between =
            mutation!("timer-fires-early", !since.subsec_nanos().is_multiple_of(1_000_000), false);
        (ticks_within(since) + u64::from(is_between)).min(LAST)
    }
}

/// When a tick ends, in nanoseconds.
fn nanoseconds_of(tick: u64) -> u64 {
    tick.saturating_mul(1_000_000)
}

/// How many ticks end within `since`.
fn ticks_within(since: Duration) -> u64 {
    let whole = since.as_secs().saturating_mul(1_000);
    whole.saturating_add(u64::from(since.subsec_millis())).min(LAST)
}

/// The tick at which `wheel` next has something to do, or `NEVER`.
fn next_tick(wheel: &Wheel) -> u64 {
    wheel.next_expiration().unwrap_or(NEVER)
}

/// Wakes all of `wakers`, whoever made them.
fn wake_all(wakers: &mut [Option<Waker>]) {
    for waker in wakers.iter_mut().filter_map(Option::take) {
        // The hook has reported the panic; the others must be woken, and the worker goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use super::*;
    use crate::platform::clock;

    /// Notes its number when it is woken.
    struct Recorder {
        number: usize,
        woken: Arc<Mutex<Vec<usize>>>,
    }

    impl Wake for Recorder {
        fn wake(self: Arc<Recorder>) {
            self.woken.lock().unwrap().push(self.number);
            assert!(self.number != usize::MAX, "planned");
        }
    }

    /// Timers, and cells that are named by their index.
    struct Machine {
        start: Instant,
        timers: Timers,
        cells: Vec<Pin<Box<TimerCell>>>,
        woken: Arc<Mutex<Vec<usize>>>,
    }

    impl Machine {
        fn new() -> Machine {
            let start = clock::now();
            let woken = Arc::default();
            Machine { start, timers: Timers::new(start, Batch::usual()), cells: Vec::new(), woken }
        }

        fn at(&self, micros: u64) -> Instant {
            self.start + Duration::from_micros(micros)
        }

        fn waker(&self, number: usize) -> Waker {
            Waker::from(Arc::new(Recorder { number, woken: Arc::clone(&self.woken) }))
        }

        fn arm(&mut self, micros: u64) -> Arming {
            self.arm_with(micros, &self.waker(self.cells.len()))
        }

        fn arm_with(&mut self, micros: u64, waker: &Waker) -> Arming {
            let cell = Box::pin(TimerCell::new());
            // SAFETY: the cell is new, and disarmed when the machine is dropped; T1: it is in use
            // on this thread alone.
            let arming = unsafe { self.timers.arm(cell.as_ref(), self.at(micros), waker) };
            self.cells.push(cell);
            arming
        }

        fn move_to(&self, number: usize, micros: u64) -> bool {
            // SAFETY: as in `arm_with`.
            unsafe { self.timers.move_to(self.cells[number].as_ref(), self.at(micros)) }
        }

        fn disarm(&self, number: usize) {
            // SAFETY: as in `arm_with`.
            unsafe { self.timers.disarm(self.cells[number].as_ref()) };
        }

        fn fire(&self, micros: u64) -> Vec<usize> {
            let next = self.timers.fire(self.at(micros));
            assert_eq!(next, self.timers.next_deadline());
            std::mem::take(&mut *self.woken.lock().unwrap())
        }

        fn state(&self, number: usize) -> State {
            self.cells[number].state()
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            (0..self.cells.len()).for_each(|number| self.disarm(number));
            assert_eq!(self.timers.next_deadline(), None);
        }
    }

    #[test]
    fn nothing_fires_early_nor_a_tick_late() {
        let mut machine = Machine::new();
        for micros in [1_500, 3_000, 3_001] {
            assert_ne!(machine.arm(micros), Arming::Refused);
        }
        assert_eq!(machine.timers.next_deadline(), Some(machine.at(2_000)));
        assert!(machine.fire(1_999).is_empty());
        assert_eq!(machine.state(0), State::Armed);
        assert_eq!(machine.fire(2_000), [0]);
        assert_eq!(machine.state(0), State::Fired);
        assert!(machine.fire(2_999).is_empty());
        assert_eq!(machine.fire(3_000), [1]);
        assert!(machine.fire(3_999).is_empty());
        assert_eq!(machine.fire(4_000), [2]);
    }

    #[test]
    fn more_than_a_batch_fires_in_the_order_of_the_deadlines() {
        let mut machine = Machine::new();
        let count = 2 * BATCH + 7;
        for number in 0..count {
            let _ = machine.arm(1_000 * (count - number) as u64);
        }
        let last_first: Vec<_> = (0..count).rev().collect();
        assert_eq!(machine.fire(1_000_000), last_first);
    }

    #[test]
    fn only_an_earlier_deadline_must_be_told() {
        let mut machine = Machine::new();
        assert_eq!(machine.arm(50_000), Arming::Earlier);
        assert_eq!(machine.arm(50_000), Arming::Done);
        assert_eq!(machine.arm(60_000), Arming::Done);
        assert_eq!(machine.arm(40_000), Arming::Earlier);
        assert!(machine.move_to(2, 30_000));
        assert!(!machine.move_to(2, 35_000));
        assert!(!machine.move_to(0, 10_000_000));
        assert_eq!(machine.fire(50_000), [2, 3, 1]);
    }

    #[test]
    fn a_disarmed_cell_leaves_nothing() {
        let mut machine = Machine::new();
        let recorder = Arc::new(Recorder { number: 0, woken: Arc::clone(&machine.woken) });
        let _ = machine.arm_with(5_000, &Waker::from(Arc::clone(&recorder)));
        assert_eq!(Arc::strong_count(&recorder), 2);
        machine.disarm(0);
        assert_eq!(Arc::strong_count(&recorder), 1);
        assert_eq!(machine.timers.next_deadline(), None);
        assert!(machine.fire(10_000).is_empty());
    }

    #[test]
    fn a_fired_cell_that_is_moved_is_idle() {
        let mut machine = Machine::new();
        let _ = machine.arm(1_000);
        assert_eq!(machine.fire(1_000), [0]);
        assert!(!machine.move_to(0, 9_000));
        assert_eq!(machine.state(0), State::Idle);
        assert_eq!(machine.timers.next_deadline(), None);
    }

    #[test]
    fn an_updated_waker_takes_the_place_of_the_first() {
        let mut machine = Machine::new();
        let _ = machine.arm(1_000);
        let cell = machine.cells[0].as_ref();
        // SAFETY: as in `arm_with`.
        assert!(unsafe { machine.timers.update_waker(cell, &machine.waker(7)) });
        assert_eq!(machine.fire(1_000), [7]);
        // SAFETY: as in `arm_with`.
        assert!(!unsafe { machine.timers.update_waker(cell, &machine.waker(8)) });
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_from_being_woken() {
        let mut machine = Machine::new();
        let _ = machine.arm_with(1_000, &machine.waker(usize::MAX));
        let _ = machine.arm(1_000);
        assert_eq!(machine.fire(1_000), [usize::MAX, 1]);
    }

    #[test]
    fn closing_wakes_whoever_waits_and_refuses_the_next() {
        let mut machine = Machine::new();
        for _ in 0..BATCH + 1 {
            let _ = machine.arm_with(u64::from(u32::MAX), &machine.waker(1));
        }
        machine.timers.close();
        assert_eq!(*machine.woken.lock().unwrap(), [1; BATCH + 1]);
        assert!(machine.cells.iter().all(|cell| cell.state() == State::Idle));
        assert_eq!(machine.arm(1_000), Arming::Refused);
    }

    #[test]
    fn a_tick_is_a_whole_millisecond() {
        let machine = Machine::new();
        let ticks = [0, 1, 1_000, 1_001].map(|micros| machine.timers.tick_of(machine.at(micros)));
        assert_eq!(ticks, [0, 1, 1, 2]);
        let ticks = [999, 1_000, 1_999].map(|micros| ticks_within(Duration::from_micros(micros)));
        assert_eq!(ticks, [0, 1, 1]);
        assert_eq!(ticks_within(Duration::MAX), LAST);
    }
}
