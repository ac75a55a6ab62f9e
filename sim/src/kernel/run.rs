//! One run: the world is made, its threads are resumed one at a time, what they leave is cleared.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::event::{Operation, OperationKind};
use super::external::{self, Inbox};
use super::hash::RunHash;
use super::livelock;
use super::locals::Locals;
use super::native_tls::{self, Block};
use super::network;
use super::panics;
use super::race::Races;
use super::ring::Rings;
use super::stacks;
use super::thread_table::{Thread, ThreadCoroutine, ThreadTable, ThreadYielder};
use super::watchdog::Watch;
use super::{
    Clock, Counters, EventLog, JUMP_WITHIN, LOOK_AFTER, Limits, State, Stop, WORLD, World, outside,
};
use crate::decide::tape::Recorder;
use crate::decide::{Decider, Dfs, Guide, HandOffs, Prepared, Profile, Strategy};
use crate::descriptors::Open;
use crate::disk::Disks;
use crate::failure::FailureKind;
use crate::interruption::{Interrupt, Points};
use crate::laws::Laws;
use crate::network::HostId;

/// What a run is to do.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) strategy: Strategy,
    /// What strategies know of the program before the run.
    pub(crate) prepared: Prepared,
    pub(crate) limits: Limits,
    /// Thread-local blocks for each thread; also: the run ends when its first thread does.
    pub(crate) whole_machine: bool,
    /// Look for races on `sim::cell::UnsafeCell`.
    pub(crate) find_races: bool,
    /// A bug to plant, see `mutation!` of the program under test.
    pub(crate) planted: Option<&'static str>,
    /// The point at which a future is interrupted.
    pub(crate) interrupt: Option<Interrupt>,
    pub(crate) log: EventLog,
}

/// What a run did.
pub(crate) struct Outcome {
    pub(crate) stop: Option<Stop>,
    pub(crate) strategy: String,
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) nanoseconds: u64,
    pub(crate) real_time: Duration,
    pub(crate) counters: Counters,
    /// Where futures could be interrupted, and one was.
    pub(crate) points: Option<Points>,
    pub(crate) log: EventLog,
    /// The program has cells whose races can be found: the run must be repeated with vector
    /// clocks.
    pub(crate) wants_races: bool,
    /// The program asked for entropy, which libraries keep in thread-locals: the next run needs
    /// another OS thread.
    pub(crate) used_entropy: bool,
    pub(crate) recorder: Option<Recorder>,
    /// What was counted, where that was asked for.
    pub(crate) profile: Option<Profile>,
    /// The search that the run was a part of.
    pub(crate) search: Option<Box<Dfs>>,
    /// What answered the decisions, where that was no strategy.
    pub(crate) guide: Option<Box<Guide>>,
    /// The hand-offs between threads, where they were noted.
    pub(crate) hand_offs: Option<HandOffs>,
}

/// Numbers worlds, from 1. A plain counter: nothing in a run depends on its value.
static NEXT_WORLD: AtomicU32 = AtomicU32::new(1);

/// Runs `body` as the first thread of a new world, on the calling OS thread.
pub(crate) fn run(
    plan: Plan,
    mut recorder: Recorder,
    watch: &Arc<Watch>,
    body: Box<dyn FnOnce() -> bool>,
) -> Outcome {
    panics::install_hook();
    let began = Instant::now();
    recorder.start(plan.seed);
    let replays = matches!(plan.strategy, Strategy::Tape(_));
    // The run whose steps are noted is the one that is told: it is not to be a deadlock only
    // because it waited too little.
    let is_trial = plan.prepared.guide.as_ref().is_some_and(|guide| !guide.notes_steps());
    let (decider, strategy) = Decider::new(plan.seed, &plan.strategy, plan.prepared, recorder);
    let inbox = Arc::new(Inbox::new());
    let look_after = if replays { 1 } else { LOOK_AFTER };
    // Recorded and replayed, a run notes its last events from the same step on.
    let notes_from = plan.limits.steps.saturating_sub(livelock::WINDOW).max(1);
    let world = World {
        number: NEXT_WORLD.fetch_add(1, Ordering::Relaxed),
        seed: plan.seed,
        whole_machine: plan.whole_machine,
        find_races: plan.find_races,
        grace: if is_trial { external::SHORT_GRACE } else { external::GRACE },
        planted: plan.planted,
        yielder: Cell::new(ptr::null()),
        state: UnsafeCell::new(State {
            threads: ThreadTable::new(),
            current: 0,
            stopping: 0,
            shared_blocks: Vec::new(),
            decider,
            hash: RunHash::new(),
            log: plan.log,
            clock: Clock::new(),
            net: network::new(),
            disks: Disks::default(),
            rings: Rings::default(),
            steps: 0,
            look_at: look_after.min(plan.limits.steps).min(JUMP_WITHIN).min(notes_from),
            look_after,
            // The same step whether the run is recorded or replayed.
            jump_at: JUMP_WITHIN,
            jump_armed: false,
            limits: plan.limits,
            next_object: 0,
            races: Races::new(),
            laws: Laws::default(),
            counters: Counters::default(),
            points: plan.interrupt.map(Points::new),
            used_entropy: false,
            wants_races: false,
            stop: None,
            observed_panic: None,
            ended: false,
        }),
        lent: Cell::new(false),
        allocations: Cell::new(0),
        inbox,
        watch: Arc::clone(watch),
    };
    external::announce(world.number, &world.inbox);
    watch.begin(plan.seed);
    let name = Some(Arc::from("main"));
    let started = spawn(&world, name, stacks::STACK_SIZE, None, body, Location::caller());
    match started {
        Ok(_) => resume_until_the_end(&world),
        Err(error) => world.with(|state| {
            state.stop = Some(Stop {
                kind: FailureKind::Limit,
                message: format!("no stack for the first simulated thread: {error}"),
                threads: Vec::new(),
                tasks: Vec::new(),
                places: Vec::new(),
            });
        }),
    }
    watch.end();
    finish(world, strategy, began)
}

/// Adds a thread to the world, on `host` or that of the running thread; `body` returns whether it
/// panicked.
pub(crate) fn spawn(
    world: &World,
    name: Option<Arc<str>>,
    stack_size: usize,
    host: Option<HostId>,
    body: Box<dyn FnOnce() -> bool>,
    place: &'static Location<'static>,
) -> io::Result<u32> {
    let stack = outside(|| stacks::take(stack_size))?;
    let block = if world.whole_machine { outside(Block::take) } else { None };
    let address = ptr::from_ref(world);
    let coroutine = ThreadCoroutine::with_stack(stack, move |yielder, ()| {
        // SAFETY: `run` keeps the world alive and in place until the last thread has stopped.
        thread_main(unsafe { &*address }, yielder, body);
    });
    let start = Operation::new(OperationKind::Start, 0, place);
    Ok(world.with(|state| {
        let spawner = state.current;
        let number = state.threads.add(name, start);
        let &mut Thread { thread_pointer: shared, host: own, .. } = state.threads.get(spawner);
        let thread = state.threads.get(number);
        thread.coroutine = Some(Box::new(coroutine));
        thread.thread_pointer = block.as_ref().map_or(shared, Block::pointer);
        thread.block = block;
        thread.stack_size = stack_size;
        thread.host = host.unwrap_or(own);
        state.counters.threads += 1;
        if number != 0 && world.find_races {
            state.races.spawn(spawner, number);
        }
        state.decider.runnable_changed();
        if number != 0 {
            state.decider.spawned(spawner, number);
        }
        number
    }))
}

/// What each simulated thread runs, on its own stack and thread-locals.
fn thread_main(world: &World, yielder: &ThreadYielder, body: Box<dyn FnOnce() -> bool>) {
    WORLD.set(ptr::from_ref(world));
    world.yielder.set(ptr::from_ref(yielder));
    let locals = Locals::new();
    let (number, start) = world.with(|state| {
        let me = state.current;
        let thread = state.threads.get(me);
        thread.locals = ptr::from_ref(&locals);
        (me, thread.operation)
    });
    world.complete(start, u64::from(number));
    // A panic that left here would unwind the OS thread, on this thread's thread-locals.
    let mut panicked = panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(true);
    while panic::catch_unwind(AssertUnwindSafe(|| locals.clear())).is_err() {
        panicked = true;
    }
    let exit = Operation::new(OperationKind::Exit, 0, start.place);
    world.point(exit);
    world.complete(exit, u64::from(panicked));
    world.finish_thread(panicked, world.whole_machine && number == 0);
}

fn resume_until_the_end(world: &World) {
    let own = native_tls::thread_pointer();
    let ordinary = WORLD.replace(ptr::from_ref(world));
    while let Some((number, coroutine, pointer)) = world.with(|state| {
        if state.ended {
            return None;
        }
        let number = state.current;
        let thread = state.threads.get(number);
        let coroutine: *mut ThreadCoroutine = &raw mut **thread.coroutine.as_mut()?;
        Some((number, coroutine, thread.thread_pointer))
    }) {
        // SAFETY: the coroutine is boxed, so it stays in place while threads are added; only this
        // loop resumes or removes it. The block, if any, belongs to this thread alone, and no
        // thread-local is used between the two moves but by the thread itself.
        let done = unsafe {
            if pointer != 0 {
                native_tls::set_thread_pointer(pointer);
            }
            let result = (*coroutine).resume(());
            if pointer != 0 {
                native_tls::set_thread_pointer(own);
            }
            result.as_return().is_some()
        };
        if done {
            recycle(world, number);
        }
    }
    WORLD.set(ordinary);
}

/// Takes back the stack and the thread-local block of a thread whose coroutine has returned, or
/// never will.
fn recycle(world: &World, number: u32) {
    let (coroutine, block, size) = world.with(|state| {
        let thread = state.threads.get(number);
        (thread.coroutine.take(), thread.block.take(), thread.stack_size)
    });
    let Some(mut coroutine) = coroutine else { return };
    outside(|| {
        let abandoned = !coroutine.done();
        if abandoned {
            // SAFETY: nothing of the abandoned stack, or of the closure that never began, is used
            // again. What they own is leaked, which is sound; objects in them that others
            // borrowed are only borrowed by threads of the same world, all of which have stopped
            // for good: simulated threads cannot start real ones.
            unsafe { coroutine.force_reset() };
        }
        stacks::give_back(coroutine.into_stack(), size);
        // Lists of the whole process, as parking_lot keeps them, may still point into the block
        // of a thread that was abandoned: it is leaked.
        if let Some(block) = block
            && !abandoned
        {
            block.give_back();
        }
    });
}

fn finish(world: World, strategy: String, began: Instant) -> Outcome {
    let threads = world.with(|state| state.threads.all().len() as u32);
    let mut abandoned = 0;
    for number in 0..threads {
        let left = world.with(|state| state.threads.get(number).coroutine.is_some());
        abandoned += u64::from(left);
        recycle(&world, number);
    }
    external::forget(&world.inbox);
    let allocations = world.allocations.get();
    let mut state = world.state.into_inner();
    if abandoned == 0 {
        state.shared_blocks.drain(..).for_each(Block::give_back);
    }
    if state.stop.is_none()
        && let Some(message) = state.first_panic()
    {
        state.stop = Some(Stop {
            kind: FailureKind::Panic,
            message,
            threads: Vec::new(),
            tasks: Vec::new(),
            places: Vec::new(),
        });
    }
    if state.stop.is_none()
        && let Some(message) = state
            .log
            .ended_early()
            .or_else(|| state.decider.misfit())
            .or_else(|| state.points.as_ref().and_then(Points::missed))
    {
        let kind = FailureKind::Nondeterminism;
        let (threads, tasks, places) = (Vec::new(), Vec::new(), Vec::new());
        state.stop = Some(Stop { kind, message, threads, tasks, places });
    }
    let open = Open {
        pollers: state.net.open_pollers(),
        rings: state.rings.open(),
        of_programs: state.net.open_sockets()
            + state.net.open_receivers()
            + state.disks.open_files(),
    };
    // Where a thread was abandoned, what it owns is leaked, and nobody's fault.
    if state.stop.is_none()
        && abandoned == 0
        && let Some(message) = state.laws.at_end(&open)
    {
        let (threads, tasks, places) = (Vec::new(), Vec::new(), Vec::new());
        state.stop = Some(Stop { kind: FailureKind::Law, message, threads, tasks, places });
    }
    state.counters.abandoned = abandoned;
    state.counters.allocations = allocations;
    state.counters.decisions = state.decider.decisions();
    state.counters.thread_choices = state.decider.thread_choices();
    let mut finished = state.decider.finish();
    if let Some(guide) = &mut finished.guide
        && guide.notes_steps()
    {
        let threads = (0..).zip(state.threads.all());
        guide.name_threads(threads.map(|(number, it)| it.who(number, &state.net)).collect());
    }
    Outcome {
        stop: state.stop,
        strategy,
        hash: state.hash.value(),
        steps: state.steps,
        nanoseconds: state.clock.now(),
        real_time: began.elapsed(),
        counters: state.counters,
        points: state.points,
        log: state.log,
        wants_races: state.wants_races,
        used_entropy: state.used_entropy,
        recorder: Some(finished.recorder),
        profile: finished.profile,
        search: finished.search,
        guide: finished.guide,
        hand_offs: finished.hand_offs,
    }
}
