//! The kernel of the simulated machine: threads, their scheduling points, blocking, the clock, and
//! what the network, the disks and the rings need of them.
//!
//! ```text
//!   simulated thread                          kernel
//!   ────────────────                          ──────
//!   posts its next operation  ──────────────► chooses who runs (decide), records, switches
//!   is chosen, does the operation             (another thread may have run meanwhile)
//!   reports the answer        ──────────────► folds the event into the run's hash
//! ```
//!
//! Rules that hold everywhere below:
//! 1. The kernel holds no value of the user and calls no user code.
//! 2. No borrow of the [`State`] lives across a switch: [`World::with`] lends it to a closure that
//!    cannot switch, and threads suspend in one function, [`World::switch`].
//! 3. A world stays on the OS thread that made it.

pub(crate) mod clock;
mod counters;
pub(crate) mod disk;
pub(crate) mod event;
mod event_log;
pub(crate) mod external;
mod hash;
pub(crate) mod identity;
mod livelock;
pub(crate) mod locals;
pub(crate) mod native_tls;
pub(crate) mod network;
mod panics;
pub(crate) mod race;
mod recording;
pub(crate) mod ring;
pub(crate) mod run;
mod stacks;
pub(crate) mod thread_table;
pub(crate) mod watchdog;

use std::cell::{Cell, UnsafeCell};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use crate::decide::{Decider, Kind};
use crate::disk::Disks;
use crate::failure::FailureKind;
use crate::interruption::Points;
use crate::laws::Laws;
use crate::network::{Net, QUIET};
use clock::{Alarm, Clock};
use event::{Event, Operation, OperationKind};
use external::Inbox;
use hash::RunHash;
use panics::PanicRecord;
use race::Races;
use thread_table::{Resumed, Status, ThreadTable, WaitFor};

pub use counters::Counters;
pub(crate) use event::ObjectId;
pub(crate) use event_log::EventLog;
pub(crate) use recording::{Position, Recording};

/// Steps between two looks at the things that need no look at each step.
const LOOK_AFTER: u64 = 4_096;
/// The clock jumps ahead of runnable threads once in this many steps, at most.
const JUMP_WITHIN: u64 = 2_048;
/// One futex wait in this many returns without a wake-up.
const SPURIOUS_ONE_IN: u64 = 32;

thread_local! {
    /// The world whose simulated thread runs here; null on an ordinary thread. Simulated threads
    /// with thread-locals of their own each have it set.
    static WORLD: Cell<*const World> = const { Cell::new(ptr::null()) };
}

/// The world of the running simulated thread; `None` on an ordinary thread.
#[inline(always)]
pub(crate) fn current() -> Option<&'static World> {
    let world = WORLD.get();
    // SAFETY: the pointer is set only while `run` keeps the world alive and unmoved on this OS
    // thread, and is cleared before the world goes. The reference is used on simulated threads
    // alone, which stop for good before that.
    unsafe { world.as_ref() }
}

/// Runs `f` as an ordinary thread would: what it calls goes to the real system.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    let world = WORLD.replace(ptr::null());
    let result = f();
    WORLD.set(world);
    result
}

/// Why a run ended before its program did.
pub(crate) struct Stop {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    pub(crate) threads: Vec<String>,
    pub(crate) tasks: Vec<String>,
    /// Where threads wait for something else than the end of another one.
    pub(crate) places: Vec<String>,
}

/// Limits of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) steps: u64,
    pub(crate) nanoseconds: u64,
}

struct State {
    threads: ThreadTable,
    current: u32,
    /// The thread that made the last choice, and stops unless it chose itself.
    stopping: u32,
    /// Thread-local blocks that threads share which parted from one that unwinds.
    shared_blocks: Vec<native_tls::Block>,
    decider: Decider,
    hash: RunHash,
    log: EventLog,
    clock: Clock,
    net: Net,
    disks: Disks,
    rings: ring::Rings,
    steps: u64,
    look_at: u64,
    look_after: u64,
    jump_at: u64,
    jump_armed: bool,
    limits: Limits,
    next_object: ObjectId,
    races: Races,
    laws: Laws,
    counters: Counters,
    /// Where futures are interrupted, if that is what the run is for.
    points: Option<Points>,
    used_entropy: bool,
    wants_races: bool,
    stop: Option<Stop>,
    /// The first panic that another thread has seen: often why that one panics too.
    observed_panic: Option<String>,
    ended: bool,
}

/// One simulated machine, for one run.
pub(crate) struct World {
    /// Tells this world's objects from those of every other world of the process.
    number: u32,
    seed: u64,
    /// Whether this is a whole machine, whose threads have thread-local blocks of their own and
    /// whose run ends with its first thread; else plain threads, which all run to their end.
    whole_machine: bool,
    /// Whether vector clocks are kept.
    find_races: bool,
    /// How long it waits for the outside before it says deadlock.
    grace: Duration,
    /// The bug that the run has planted.
    planted: Option<&'static str>,
    /// Of the simulated thread that runs; set by the thread itself. Not a thread-local: the block
    /// of those may change while the thread stands still.
    yielder: Cell<*const thread_table::ThreadYielder>,
    state: UnsafeCell<State>,
    /// While the state is lent: what is allocated then is not the program's.
    lent: Cell<bool>,
    allocations: Cell<u64>,
    inbox: Arc<Inbox>,
    watch: Arc<watchdog::Watch>,
}

impl World {
    /// Lends the state to `f`, which must not switch threads or call code of the user.
    #[inline(always)]
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        debug_assert!(!self.lent.get(), "the state of a world is lent twice");
        self.lent.set(true);
        // SAFETY: a world stays on one OS thread (rule 3), and `f` can neither switch to another
        // simulated thread nor reach this world again (rules 1 and 2; checked in debug builds),
        // so the reference is the only one.
        let result = f(unsafe { &mut *self.state.get() });
        self.lent.set(false);
        result
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn is_whole_machine(&self) -> bool {
        self.whole_machine
    }

    #[inline]
    pub(crate) fn planted(&self) -> Option<&'static str> {
        self.planted
    }

    #[inline]
    pub(crate) fn finds_races(&self) -> bool {
        self.find_races
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The number of the running thread.
    pub(crate) fn current_thread(&self) -> u32 {
        self.with(|state| state.current)
    }

    pub(crate) fn thread_name(&self, thread: u32) -> Option<Arc<str>> {
        self.with(|state| state.threads.get(thread).name.clone())
    }

    /// Nanoseconds of virtual time since the run began.
    pub(crate) fn now(&self) -> u64 {
        self.with(|state| state.clock.now())
    }

    /// What the running thread keeps for itself; `None` before its body has begun.
    pub(crate) fn running_locals(&self) -> Option<&locals::Locals> {
        let locals = self.with(|state| {
            let current = state.current;
            state.threads.get(current).locals
        });
        // SAFETY: set by the thread's body to a value in its frame, which lives until the thread
        // ends; only the running thread asks.
        unsafe { locals.as_ref() }
    }

    /// A number for an object that this run touches for the first time.
    pub(crate) fn new_object(&self) -> ObjectId {
        self.with(|state| {
            state.next_object += 1;
            state.next_object
        })
    }

    /// A scheduling point: the running thread is about to do `operation`, and any runnable thread
    /// may go first. Returns when this thread is chosen.
    ///
    /// Inlined, like what follows it down to the switch, into every atomic operation: called out
    /// of line, the path from one thread to the next takes half as long again.
    #[inline(always)]
    pub(crate) fn point(&self, operation: Operation) {
        self.point_or_yield(operation, false);
    }

    /// A scheduling point at which the thread asks that others go first.
    pub(crate) fn yield_point(&self, operation: Operation) {
        self.point_or_yield(operation, true);
    }

    #[inline(always)]
    fn point_or_yield(&self, operation: Operation, yielding: bool) {
        let (switch, look) = self.with(|state| {
            let me = state.current;
            state.threads.get(me).operation = operation;
            state.steps += 1;
            self.watch.progress(state.steps);
            let due = state.clock.step();
            if due || state.steps >= state.look_at {
                return (false, true);
            }
            (state.choose_next(yielding), false)
        });
        if look {
            self.look_around(yielding);
        } else if switch {
            self.switch();
        }
    }

    /// The rarer part of a scheduling point: limits, alarms, a jump of the clock, wake-ups from
    /// outside.
    #[cold]
    fn look_around(&self, yielding: bool) {
        self.take_external_wakes();
        let switch = self.with(|state| {
            state.maybe_jump();
            state.ring_alarms();
            state.look_at = state
                .watch_end()
                .min(state.limits.steps)
                .min(state.jump_at)
                .min(state.steps + state.look_after);
            match state.over_limit() {
                Some(stop) => Err(stop),
                None => Ok(state.choose_next(yielding)),
            }
        });
        match switch {
            Ok(true) => self.switch(),
            Ok(false) => {}
            Err((kind, message)) => self.fail(kind, message),
        }
    }

    /// The operation is done: its answer, time and thread go into the run's hash.
    #[inline(always)]
    pub(crate) fn complete(&self, operation: Operation, answer: u64) {
        let differs = self.with(|state| {
            let thread = state.current;
            let event = Event { operation, thread, answer, now: state.clock.now() };
            // The kind is known where this is inlined, which leaves an addition or nothing.
            state.counters.atomics += u64::from(operation.kind.is_atomic());
            state.counters.submissions += u64::from(operation.kind.is_submission());
            state.hash.fold(&event);
            match &mut state.log {
                EventLog::Off => None,
                log => log.note(event),
            }
        });
        if let Some(message) = differs {
            self.fail(FailureKind::Nondeterminism, message);
        }
    }

    /// Folds bytes that a program reads or writes into the run's hash.
    pub(crate) fn payload(&self, bytes: &[u8]) {
        self.with(|state| state.hash.fold_bytes(bytes));
    }

    /// Blocks the running thread until `wait_for` happens or, with an alarm, its time comes.
    pub(crate) fn block(&self, wait_for: WaitFor, deadline: Option<u64>) -> Resumed {
        self.with(|state| {
            let me = state.current;
            let wait = state.threads.block(me, wait_for);
            state.decider.runnable_changed();
            if let Some(at) = deadline {
                state.clock.set(at, Alarm::Wake { thread: me, wait });
            }
        });
        if self.choose_another() {
            self.switch();
        }
        self.with(|state| {
            let me = state.current;
            state.threads.get(me).resumed
        })
    }

    /// Wakes up to `count` threads that wait for `wait_for`; which of several is a decision.
    pub(crate) fn wake(&self, wait_for: WaitFor, count: u32) -> u32 {
        self.with(|state| state.wake(wait_for, count))
    }

    /// Whether any thread waits for this.
    pub(crate) fn anyone_waits(&self, wait_for: WaitFor) -> bool {
        self.with(|state| state.threads.waiting_for(wait_for).next().is_some())
    }

    /// Wakes one thread if it still is in that wait.
    pub(crate) fn wake_thread(&self, thread: u32, wait_for: WaitFor) -> bool {
        self.with(|state| {
            let waits = state.threads.get(thread).status == Status::Blocked(wait_for);
            if waits {
                state.threads.wake(thread, Resumed::Woken);
                state.decider.runnable_changed();
            }
            waits
        })
    }

    /// Whether this thread has ended.
    pub(crate) fn is_finished(&self, thread: u32) -> bool {
        self.with(|state| state.threads.get(thread).status == Status::Finished)
    }

    /// Takes the running thread's park token, if there is one.
    pub(crate) fn take_park_token(&self) -> bool {
        self.with(|state| {
            let me = state.current;
            std::mem::take(&mut state.threads.get(me).park_token)
        })
    }

    pub(crate) fn leave_park_token(&self, thread: u32) {
        self.with(|state| state.threads.get(thread).park_token = true);
    }

    /// A decision among `0..n`.
    pub(crate) fn choose(&self, kind: Kind, n: u64) -> u64 {
        self.with(|state| state.decider.choose(kind, n))
    }

    /// Eight bytes of entropy, folded into the hash.
    pub(crate) fn entropy(&self, place: &'static Location<'static>) -> u64 {
        let word = self.with(|state| {
            state.used_entropy = true;
            state.decider.entropy()
        });
        self.complete(Operation::new(OperationKind::Entropy, 0, place), word);
        word
    }

    /// Whether this futex wait returns without a wake-up.
    pub(crate) fn wakes_spuriously(&self) -> bool {
        self.choose(Kind::SpuriousWake, SPURIOUS_ONE_IN) == SPURIOUS_ONE_IN - 1
    }

    /// The points at which this run interrupts futures, and the running thread; `None` if it
    /// interrupts none.
    pub(crate) fn points<R>(&self, f: impl FnOnce(&mut Points, u32) -> R) -> Option<R> {
        self.with(|state| {
            let thread = state.current;
            state.points.as_mut().map(|points| f(points, thread))
        })
    }

    /// What the laws know of this run, and the running thread.
    pub(crate) fn laws<R>(&self, f: impl FnOnce(&mut Laws, u32) -> R) -> R {
        self.with(|state| f(&mut state.laws, state.current))
    }

    /// Vector clocks of this run.
    pub(crate) fn races<R>(&self, f: impl FnOnce(&mut Races, u32) -> R) -> R {
        self.with(|state| f(&mut state.races, state.current))
    }

    /// Ends the run with a failure. The calling thread never runs again.
    #[cold]
    pub(crate) fn fail(&self, kind: FailureKind, message: String) -> ! {
        self.with(|state| {
            if state.stop.is_none() {
                let threads = state.threads.describe(&state.net);
                let tasks = state.laws.describe();
                let places = state.threads.waiting_places();
                state.stop = Some(Stop { kind, message, threads, tasks, places });
            }
            state.ended = true;
        });
        self.stop_here()
    }

    /// A cell was touched in a run without vector clocks: the run ends, to be repeated with them.
    #[cold]
    pub(crate) fn repeat_with_races(&self) -> ! {
        self.with(|state| {
            state.wants_races = true;
            state.ended = true;
        });
        self.stop_here()
    }

    fn stop_here(&self) -> ! {
        loop {
            // The root loop sees that the run has ended and resumes nobody.
            self.suspend();
        }
    }

    /// The running thread cannot go on (blocked, or finished): chooses who runs next, waiting for
    /// time or for the outside where nobody can. True when that is another thread.
    fn choose_another(&self) -> bool {
        let mut quiet_at = None;
        loop {
            let next = self.with(|state| {
                if let Some((kind, message)) = state.over_limit() {
                    return Next::Fail(kind, message);
                }
                if !state.threads.runnable().is_empty() {
                    return Next::Chosen(state.choose_next(false));
                }
                if let Some(broken) = state.laws.at_rest(state.clock.now()) {
                    return Next::Fail(FailureKind::Law, broken);
                }
                // No thread has run since the first turn of this loop.
                let quiet_at =
                    *quiet_at.get_or_insert_with(|| state.clock.now().saturating_add(QUIET));
                state.drop_stale_alarms();
                if state.clock.jump_unless_quiet(quiet_at) {
                    state.ring_alarms();
                    return Next::Again;
                }
                Next::Stuck
            });
            match next {
                Next::Chosen(other) => return other,
                Next::Again => {}
                Next::Fail(kind, message) => self.fail(kind, message),
                Next::Stuck => {
                    if !self.wait_for_outside() {
                        self.fail_stuck();
                    }
                }
            }
        }
    }

    /// The running thread ends. Its coroutine returns right after, and the root loop resumes
    /// whoever was chosen here.
    fn finish_thread(&self, panicked: bool, ends_run: bool) {
        let last = self.with(|state| {
            let me = state.current;
            let panic = &mut state.threads.get(me).panic;
            if panicked {
                // `resume_unwind` ends a thread without calling the hook.
                panic.get_or_insert_with(PanicRecord::resumed);
            } else {
                *panic = None;
            }
            state.threads.finish(me);
            state.decider.runnable_changed();
            state.wake(WaitFor::Exit(me), u32::MAX);
            state.ended |= ends_run || state.threads.unfinished() == 0;
            state.ended
        });
        if !last {
            self.choose_another();
        }
    }

    /// Nothing runs, no alarm is set: waits for real where a real thread may hold what a
    /// simulated one waits for. False when nothing came.
    fn wait_for_outside(&self) -> bool {
        let waits_outside = self.with(|state| {
            let outside = |status| matches!(status, Status::Blocked(WaitFor::Address(_)));
            state.threads.all().iter().any(|thread| outside(thread.status))
        });
        if !waits_outside {
            return false;
        }
        let came = outside(|| self.inbox.wait(self.grace));
        self.take_external_wakes();
        came
    }

    fn fail_stuck(&self) -> ! {
        let (panic, packets) = self.with(|state| (state.first_panic(), state.clock.has_alarms()));
        let message = match packets {
            false => "every thread waits, no alarm is set, and nobody is left to wake them",
            true => {
                "every thread waits, no alarm is set, and what the network still has on its way \
                 wakes none of them"
            }
        };
        match panic {
            // The cause comes first: whoever waited for the thread that panicked waits for ever.
            Some(message) => self.fail(FailureKind::Panic, message),
            None => self.fail(FailureKind::Deadlock, message.to_owned()),
        }
    }

    fn take_external_wakes(&self) {
        if self.inbox.is_empty() {
            return;
        }
        for wake in outside(|| self.inbox.take()) {
            self.wake(wake.wait_for, wake.count);
        }
    }

    /// Gives the processor to the thread that was chosen.
    #[inline(always)]
    fn switch(&self) {
        self.with(|state| state.counters.switches += 1);
        if !self.whole_machine && std::thread::panicking() {
            self.part_from_unwinding();
        }
        self.suspend();
    }

    /// The running thread stops while it unwinds, and shares its thread-locals with others: from
    /// here on those have another block, in which the panic count is zero.
    #[cold]
    fn part_from_unwinding(&self) {
        let shares = self.with(|state| {
            let unwinding = state.stopping as usize;
            let threads = state.threads.all();
            let shared = threads[unwinding].thread_pointer;
            let other = |(number, thread): (usize, &thread_table::Thread)| {
                number != unwinding
                    && thread.status != Status::Finished
                    && thread.thread_pointer == shared
            };
            threads.iter().enumerate().any(other)
        });
        if !shares {
            return;
        }
        let Some(block) = outside(native_tls::Block::take) else { return };
        self.with(|state| {
            let unwinding = state.stopping;
            let shared = state.threads.get(unwinding).thread_pointer;
            for number in 0..state.threads.all().len() as u32 {
                let thread = state.threads.get(number);
                if number != unwinding && thread.thread_pointer == shared {
                    thread.thread_pointer = block.pointer();
                }
            }
            state.shared_blocks.push(block);
        });
    }

    /// The one place where a simulated thread stops.
    #[inline(always)]
    fn suspend(&self) {
        debug_assert!(!self.lent.get(), "a thread stops while the state is lent");
        let yielder = self.yielder.get();
        // SAFETY: the yielder lives in the frame of the running thread's body, below us on this
        // very stack, so it is valid as long as we run.
        unsafe { (*yielder).suspend(()) };
        // Other threads have run.
        self.yielder.set(yielder);
        if !self.whole_machine {
            // The block of thread-locals may be another one now.
            enter(self);
        }
    }
}

/// Makes `world` that of the running thread. A call, always: inlined, the address of the
/// thread-local may be one that was computed before the thread stopped, and lead into the block
/// that it had then.
#[inline(never)]
fn enter(world: &World) {
    WORLD.set(ptr::from_ref(world));
}

enum Next {
    Chosen(bool),
    Again,
    Stuck,
    Fail(FailureKind, String),
}

impl State {
    /// Chooses the thread that runs next and makes it current; true when that is another one.
    #[inline]
    fn choose_next(&mut self, yielding: bool) -> bool {
        let me = self.current;
        let threads = &self.threads;
        let posted = |thread| threads.posted(thread);
        let next = self.decider.choose_thread(threads.runnable(), me, yielding, posted);
        self.stopping = me;
        self.current = next;
        next != me
    }

    fn wake(&mut self, wait_for: WaitFor, count: u32) -> u32 {
        let mut waiting: Vec<u32> = self.threads.waiting_for(wait_for).collect();
        let mut woken = 0;
        while woken < count && !waiting.is_empty() {
            let all = (count - woken) as usize >= waiting.len();
            let index = if all {
                0
            } else {
                self.decider.choose(Kind::Waiter, waiting.len() as u64) as usize
            };
            self.threads.wake(waiting.remove(index), Resumed::Woken);
            woken += 1;
        }
        if woken > 0 {
            self.decider.runnable_changed();
        }
        woken
    }

    /// Time may jump to the next alarm although threads could run, at a step drawn in advance: a
    /// time-out can so fire while others compute.
    fn maybe_jump(&mut self) {
        if self.steps < self.jump_at {
            return;
        }
        self.drop_stale_alarms();
        if !self.clock.has_alarms() {
            self.jump_armed = false;
            self.jump_at = self.steps + JUMP_WITHIN;
            return;
        }
        if std::mem::replace(&mut self.jump_armed, true) {
            self.clock.jump();
        }
        self.jump_at = self.steps + 1 + self.decider.choose(Kind::ClockJump, JUMP_WITHIN);
    }

    /// Near the limit of steps events are noted, to tell a livelock from a long run; the step at
    /// which that begins, while it has not.
    fn watch_end(&mut self) -> u64 {
        let begins = self.limits.steps.saturating_sub(livelock::WINDOW);
        if self.steps < begins {
            return begins;
        }
        if matches!(self.log, EventLog::Off) {
            self.log = EventLog::Last(Vec::new());
        }
        u64::MAX
    }

    /// Forgets alarms of waits that ended before them.
    fn drop_stale_alarms(&mut self) {
        let threads = &self.threads;
        self.clock.drop_stale(|alarm| match alarm {
            Alarm::Wake { thread, wait } => !threads.is_in_wait(thread, wait),
            Alarm::Packet(_) | Alarm::Completion(_) => false,
        });
    }

    fn ring_alarms(&mut self) {
        while let Some(alarm) = self.clock.due() {
            match alarm {
                Alarm::Wake { thread, wait } => {
                    if self.threads.alarm(thread, wait) {
                        self.decider.runnable_changed();
                    }
                }
                Alarm::Packet(packet) => self.network(|net, lent| net.arrive(packet, lent)),
                Alarm::Completion(operation) => self.complete_on_ring(operation),
            }
        }
    }

    fn over_limit(&mut self) -> Option<(FailureKind, String)> {
        if let Some(mismatch) = self.decider.mismatch() {
            return Some((FailureKind::Nondeterminism, mismatch));
        }
        if self.steps >= self.limits.steps {
            let limit = self.limits.steps;
            let message = format!("the run took {limit} steps, its limit, and has not ended");
            let repeats = match &self.log {
                EventLog::Last(events) => livelock::describe(events),
                EventLog::Record(recording) => {
                    livelock::describe(&recording.last(livelock::WINDOW as usize))
                }
                EventLog::Off | EventLog::Compare { .. } => None,
            };
            return Some(match repeats {
                Some(repeats) => (FailureKind::Livelock, format!("{message}; {repeats}")),
                None => (FailureKind::Limit, message),
            });
        }
        if self.clock.now() > self.limits.nanoseconds {
            let limit = Duration::from_nanos(self.limits.nanoseconds);
            let message = format!("the run took {limit:?} of virtual time, its limit");
            return Some((FailureKind::Limit, message));
        }
        None
    }
}
