//! The one decision source: every nondeterministic choice of a simulation is one call of
//! [`Decider::choose`], answered by a strategy or a tape, and recorded before it is acted on.
//!
//! ```text
//!   thread to run ──► Strategy (random, PCT, POS, SURW) ─┐
//!   other choices ──► a stream per level ────────────────┼──► tape, written ahead ──► answer
//!   search ─────────► Dfs, kept from run to run ─────────┤                            in 0..n
//!   shrinking ──────► Guide ─────────────────────────────┤
//!   replay ─────────► Tape ──────────────────────────────┤
//!   a fuzzer ───────► Bytes ─────────────────────────────┤
//!   a corpus ───────► Variation, or a strategy: Covered ─┘
//! ```
//!
//! Each [`Level`] draws from its own ChaCha stream, so that one more choice of one level does not
//! reshuffle the others.

mod bytes;
mod covered;
mod dfs;
mod guide;
mod hand_off;
mod length;
mod pct;
mod pos;
mod profile;
pub(crate) mod storage;
mod strategy;
mod stream;
mod surw;
pub(crate) mod tape;
mod variation;

pub use strategy::{ParseStrategyError, Strategy};

pub(crate) use dfs::Dfs;
pub(crate) use guide::{Departure, Guide, Step};
pub(crate) use hand_off::HandOffs;
pub(crate) use length::Length;
pub(crate) use profile::Profile;
pub(crate) use variation::{Kept, Variation};

use std::sync::Arc;

use crate::kernel::event::Operation;
use bytes::Bytes;
use covered::{Covered, Inner};
use pct::Pct;
use pos::Pos;
use profile::Census;
use strategy::Walk;
use stream::Stream;
use surw::Surw;
use tape::{Recorder, Tape};

/// After so many choices a strategy of priorities draws all of them anew: threads that stay busy
/// for ever, spinning on a word or waking each other, would otherwise starve one that the program
/// waits for.
const FAIR_AFTER: u64 = 10_000;

/// What a decision is about. The number is part of the tape format: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Which runnable thread runs next.
    Thread = 1,
    /// Which of several waiters a futex wake-up reaches.
    Waiter = 2,
    /// Whether a futex wait returns without a wake-up.
    SpuriousWake = 3,
    /// After how many steps the clock jumps to the next event although threads could run.
    ClockJump = 4,
    /// Eight bytes of entropy.
    Entropy = 5,
    /// A choice of the runtime: a victim to steal from, a branch to poll first.
    Task = 6,
    /// A choice of the program: `choose(n)`.
    Program = 7,
    /// Whether a weak compare-and-exchange fails although the values are equal.
    WeakFailure = 8,
    /// How late a packet is, whether it is lost.
    Network = 9,
    /// How long a disk takes, and what a crash leaves on it.
    Disk = 10,
    /// When an operation on a ring completes, whether it is cut short, refused or cancelled.
    Ring = 11,
    /// What the runtime is set up with.
    Knob = 12,
}

/// Who a decision belongs to; each level has a stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Which thread runs.
    Interleaving = 0,
    /// Which task or branch runs.
    Task = 1,
    /// What the kernel answers.
    Kernel = 2,
    /// What the world does: network, disks, entropy, the program's own choices.
    Environment = 3,
    /// What the runtime is set up with.
    Setup = 4,
}

impl Kind {
    /// The label a tape and a report show.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Thread => "thread",
            Kind::Waiter => "waiter",
            Kind::SpuriousWake => "spurious-wake",
            Kind::ClockJump => "clock-jump",
            Kind::Entropy => "entropy",
            Kind::Task => "task",
            Kind::Program => "program",
            Kind::WeakFailure => "weak-failure",
            Kind::Network => "network",
            Kind::Disk => "disk",
            Kind::Ring => "ring",
            Kind::Knob => "knob",
        }
    }

    fn level(self) -> Level {
        match self {
            Kind::Thread => Level::Interleaving,
            Kind::Task => Level::Task,
            Kind::Waiter | Kind::SpuriousWake | Kind::ClockJump | Kind::WeakFailure => {
                Level::Kernel
            }
            Kind::Entropy | Kind::Program | Kind::Network | Kind::Disk | Kind::Ring => {
                Level::Environment
            }
            Kind::Knob => Level::Setup,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Kind> {
        const ALL: [Kind; 12] = [
            Kind::Thread,
            Kind::Waiter,
            Kind::SpuriousWake,
            Kind::ClockJump,
            Kind::Entropy,
            Kind::Task,
            Kind::Program,
            Kind::WeakFailure,
            Kind::Network,
            Kind::Disk,
            Kind::Ring,
            Kind::Knob,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// How threads are chosen in one run.
enum Chooser {
    Random,
    Pct(Pct),
    Pos(Pos),
    Surw(Surw),
    /// As random; what threads do is counted.
    Census(Census),
    Dfs(Box<Dfs>),
    Guided(Box<Guide>),
    Tape(Tape),
    Bytes(Bytes),
    /// One of the first walks, whose hand-offs are noted. Of no cost to those that have none
    /// noted.
    Covered(Box<Covered>),
}

impl Chooser {
    /// Notes hand-offs, where seeds choose.
    fn covered(self) -> Chooser {
        Chooser::Covered(Covered::new(match self {
            Chooser::Random => Inner::Random,
            Chooser::Pct(pct) => Inner::Pct(pct),
            Chooser::Pos(pos) => Inner::Pos(pos),
            Chooser::Surw(surw) => Inner::Surw(surw),
            other => return other,
        }))
    }
}

/// What is known of the program before a run of it.
#[derive(Default)]
pub(crate) struct Prepared {
    /// How long a run is, as an earlier run measured it.
    pub(crate) length: Length,
    /// Who does what, as an earlier run counted it.
    pub(crate) profile: Option<Arc<Profile>>,
    /// The search that the run is a part of.
    pub(crate) search: Option<Box<Dfs>>,
    /// Count what threads do, for the runs to come; the run takes a random walk.
    pub(crate) counts: bool,
    /// Answers the decisions in place of the strategy.
    pub(crate) guide: Option<Box<Guide>>,
    /// Note hand-offs between threads, for a corpus.
    pub(crate) covers: bool,
    /// Answers the first decisions in place of the strategy, where hand-offs are noted.
    pub(crate) variation: Option<Variation>,
}

/// What a run leaves to the next.
pub(crate) struct Finished {
    pub(crate) recorder: Recorder,
    pub(crate) profile: Option<Profile>,
    pub(crate) search: Option<Box<Dfs>>,
    pub(crate) guide: Option<Box<Guide>>,
    pub(crate) hand_offs: Option<HandOffs>,
}

/// The decision source of one run.
pub(crate) struct Decider {
    chooser: Chooser,
    streams: [Stream; 5],
    recorder: Recorder,
    decisions: u64,
    /// Decisions between two or more threads: the length that PCT spreads its points over.
    thread_choices: u64,
    mismatch: Option<String>,
}

impl Decider {
    /// The source for `seed` under `strategy`, and what the run drew from it.
    pub(crate) fn new(
        seed: u64,
        strategy: &Strategy,
        prepared: Prepared,
        recorder: Recorder,
    ) -> (Decider, String) {
        let mut streams = [0, 1, 2, 3, 4].map(|level| Stream::new(seed, level));
        let Prepared { length, profile, search, counts, guide, covers, variation } = prepared;
        if let Some(mut guide) = guide {
            guide.begin();
            let chooser = Chooser::Guided(guide);
            return (Decider::with(chooser, streams, recorder), "guided".to_owned());
        }
        if let Some(variation) = variation {
            let drawn = variation.describe();
            let chooser = Chooser::Covered(Covered::new(Inner::Varied(variation)));
            return (Decider::with(chooser, streams, recorder), drawn);
        }
        let interleaving = &mut streams[Level::Interleaving as usize];
        let (chooser, drawn) = match strategy.draw(interleaving) {
            Walk::Random if counts => (Chooser::Census(Census::new()), "random".to_owned()),
            Walk::Random => (Chooser::Random, "random".to_owned()),
            Walk::Pct { points } => {
                let choices = length.draw(interleaving);
                (
                    Chooser::Pct(Pct::new(points, choices, interleaving)),
                    format!("pct with {points} change points in {choices} choices"),
                )
            }
            Walk::Pos => (Chooser::Pos(Pos::default()), "pos".to_owned()),
            Walk::Surw => match profile {
                Some(profile) => {
                    let surw = Surw::new(profile, interleaving);
                    let drawn = surw.describe();
                    (Chooser::Surw(surw), drawn)
                }
                // In the process of one seed nothing can be counted before the run.
                None => (Chooser::Pos(Pos::default()), "pos, as nothing was counted".to_owned()),
            },
            Walk::Dfs { preemptions } => {
                let mut search = search.unwrap_or_else(|| Box::new(Dfs::new(preemptions)));
                search.begin();
                let drawn = search.describe();
                (Chooser::Dfs(search), drawn)
            }
            Walk::Tape(tape) => (Chooser::Tape(tape), "tape".to_owned()),
            Walk::Bytes(bytes) => {
                let drawn = bytes.describe();
                (Chooser::Bytes(bytes), drawn)
            }
        };
        let chooser = if covers { chooser.covered() } else { chooser };
        (Decider::with(chooser, streams, recorder), drawn)
    }

    fn with(chooser: Chooser, streams: [Stream; 5], recorder: Recorder) -> Decider {
        Decider { chooser, streams, recorder, decisions: 0, thread_choices: 0, mismatch: None }
    }

    /// Which of `runnable` runs next; `current` is the thread that asks, `yielding` whether it
    /// said that others should go first; `posted` what a thread is about to do. One runnable
    /// thread is no decision.
    #[inline]
    pub(crate) fn choose_thread(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: impl Fn(u32) -> Operation,
    ) -> u32 {
        let count = runnable.len() as u32;
        if count == 1 {
            if matches!(
                self.chooser,
                Chooser::Pos(_)
                    | Chooser::Surw(_)
                    | Chooser::Census(_)
                    | Chooser::Guided(_)
                    | Chooser::Covered(_)
            ) {
                self.ran_alone(runnable[0], current, &posted);
            }
            return runnable[0];
        }
        self.thread_choices += 1;
        let index = match &mut self.chooser {
            Chooser::Random => self.streams[Level::Interleaving as usize].below(count),
            Chooser::Pct(pct) => {
                let stream = &mut self.streams[Level::Interleaving as usize];
                pct.choose(runnable, current, yielding, stream)
            }
            _ => self.choose_knowing(runnable, current, yielding, &posted),
        };
        self.record(Kind::Thread, u64::from(count), u64::from(index));
        runnable[index as usize]
    }

    /// The index in `runnable` of the thread to run, under a strategy that looks at what threads
    /// are about to do, or has an answer from elsewhere. Out of line: the random walk and PCT,
    /// which need none of that, are fast because little code surrounds them.
    #[inline(never)]
    fn choose_knowing(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: &dyn Fn(u32) -> Operation,
    ) -> u32 {
        let count = runnable.len() as u32;
        let stream = &mut self.streams[Level::Interleaving as usize];
        match &mut self.chooser {
            Chooser::Pos(pos) => pos.choose(runnable, current, yielding, posted, stream),
            Chooser::Surw(surw) => surw.choose(runnable, current, yielding, posted, stream),
            Chooser::Census(census) => {
                let index = stream.below(count);
                let chosen = runnable[index as usize];
                census.executed(chosen, posted(chosen));
                index
            }
            Chooser::Dfs(search) => {
                let answer = search.choose_thread(runnable, current, yielding);
                self.or_mismatch(answer)
            }
            Chooser::Guided(guide) => {
                let answer = guide.choose_thread(runnable, current, yielding, posted);
                self.or_mismatch(answer)
            }
            Chooser::Tape(_) => self.replay(Kind::Thread, u64::from(count)) as u32,
            Chooser::Bytes(bytes) => {
                let answer = bytes.choose_thread(runnable, current, yielding);
                answer.unwrap_or_else(|| stream.below(count))
            }
            Chooser::Covered(covered) => {
                covered.choose_thread(runnable, current, yielding, posted, stream)
            }
            Chooser::Random | Chooser::Pct(_) => unreachable!("chosen in line"),
        }
    }

    /// The only runnable thread goes on, which some strategies must know.
    #[inline(never)]
    fn ran_alone(&mut self, thread: u32, current: u32, posted: &dyn Fn(u32) -> Operation) {
        match &mut self.chooser {
            Chooser::Pos(pos) => pos.ran_alone(thread),
            Chooser::Surw(surw) => surw.ran_alone(thread, posted(thread)),
            Chooser::Census(census) => census.executed(thread, posted(thread)),
            Chooser::Guided(guide) => {
                // One possibility is not on a tape, so nothing can differ from it. Whether the
                // thread yields makes no difference either.
                let answer = guide.choose_thread(&[thread], current, false, posted);
                self.or_mismatch(answer);
            }
            Chooser::Covered(covered) => covered.ran_alone(thread, current, posted),
            _ => {}
        }
    }

    /// A thread was started, whose number is the next one.
    pub(crate) fn spawned(&mut self, parent: u32, child: u32) {
        match &mut self.chooser {
            Chooser::Surw(surw) => {
                surw.spawned(parent, child, &mut self.streams[Level::Interleaving as usize]);
            }
            Chooser::Census(census) => census.spawned(parent),
            Chooser::Covered(covered) => {
                let stream = &mut self.streams[Level::Interleaving as usize];
                covered.spawned(parent, child, stream);
            }
            _ => {}
        }
    }

    /// One decision among `0..n`, `n` at least 1; a single possibility is no decision.
    pub(crate) fn choose(&mut self, kind: Kind, n: u64) -> u64 {
        if n == 1 {
            return 0;
        }
        let answer = match &mut self.chooser {
            Chooser::Tape(_) => self.replay(kind, n),
            Chooser::Dfs(search) => {
                let answer = search.choose(kind, n);
                match self.or_mismatch(answer) {
                    Some(answer) => answer,
                    None => self.streams[kind.level() as usize].below_u64(n),
                }
            }
            Chooser::Guided(guide) => {
                let answer = guide.choose(kind, n);
                self.or_mismatch(answer)
            }
            Chooser::Bytes(bytes) => {
                let stream = &mut self.streams[kind.level() as usize];
                bytes.next(n).unwrap_or_else(|| stream.below_u64(n))
            }
            Chooser::Covered(covered) => {
                let stream = &mut self.streams[kind.level() as usize];
                covered.choose(kind, n).unwrap_or_else(|| stream.below_u64(n))
            }
            _ => self.streams[kind.level() as usize].below_u64(n),
        };
        self.record(kind, n, answer);
        answer
    }

    /// Eight bytes of entropy: a decision among all 64-bit words.
    pub(crate) fn entropy(&mut self) -> u64 {
        let answer = match &mut self.chooser {
            Chooser::Tape(_) => self.replay(Kind::Entropy, u64::MAX),
            Chooser::Guided(guide) => {
                // Drawn although it may not be needed: the n-th word is always the same.
                let plain = self.streams[Level::Environment as usize].next_u64();
                let answer = guide.entropy(plain);
                self.or_mismatch(answer)
            }
            Chooser::Bytes(bytes) => {
                let stream = &mut self.streams[Level::Environment as usize];
                bytes.next(u64::MAX).unwrap_or_else(|| stream.next_u64())
            }
            Chooser::Covered(covered) => {
                let stream = &mut self.streams[Level::Environment as usize];
                let answer = covered.choose(Kind::Entropy, u64::MAX);
                answer.unwrap_or_else(|| stream.next_u64())
            }
            _ => self.streams[Level::Environment as usize].next_u64(),
        };
        self.record(Kind::Entropy, u64::MAX, answer);
        answer
    }

    fn replay(&mut self, kind: Kind, n: u64) -> u64 {
        let Chooser::Tape(tape) = &mut self.chooser else { unreachable!("replay without a tape") };
        let answer = tape.next(kind, n);
        self.or_mismatch(answer)
    }

    /// The answer, or any where the program does not fit.
    fn or_mismatch<T: Default>(&mut self, answer: Result<T, String>) -> T {
        answer.unwrap_or_else(|mismatch| {
            // The first mismatch is the one that explains; the run ends when it looks next.
            self.mismatch.get_or_insert(mismatch);
            T::default()
        })
    }

    #[inline]
    fn record(&mut self, kind: Kind, n: u64, answer: u64) {
        self.decisions += 1;
        self.recorder.record(kind, n, answer);
    }

    /// Why the tape, or the run before in a search, does not fit the program, once that has
    /// shown.
    pub(crate) fn mismatch(&mut self) -> Option<String> {
        self.mismatch.take()
    }

    /// The run has ended: why the tape, or the run before in a search, does not fit the program,
    /// if it did not end there or the difference was not seen yet.
    pub(crate) fn misfit(&self) -> Option<String> {
        match &self.chooser {
            Chooser::Tape(tape) => tape.left(),
            Chooser::Dfs(search) => self.mismatch.clone().or_else(|| search.left()),
            Chooser::Guided(guide) => self.mismatch.clone().or_else(|| guide.left()),
            _ => None,
        }
    }

    /// A thread became runnable or stopped being so: a strategy that remembers its pick must look
    /// again.
    #[inline]
    pub(crate) fn runnable_changed(&mut self) {
        match &mut self.chooser {
            Chooser::Pct(pct) => pct.forget_pick(),
            Chooser::Covered(covered) => covered.forget_pick(),
            _ => {}
        }
    }

    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    pub(crate) fn thread_choices(&self) -> u64 {
        self.thread_choices
    }

    /// What the run leaves to the next: the recorder, with its tape, among it.
    pub(crate) fn finish(self) -> Finished {
        let mut finished = Finished {
            recorder: self.recorder,
            profile: None,
            search: None,
            guide: None,
            hand_offs: None,
        };
        match self.chooser {
            Chooser::Census(census) => finished.profile = Some(census.finish()),
            Chooser::Dfs(search) => finished.search = Some(search),
            Chooser::Guided(guide) => finished.guide = Some(guide),
            Chooser::Covered(covered) => finished.hand_offs = Some(covered.finish()),
            _ => {}
        }
        finished
    }
}
