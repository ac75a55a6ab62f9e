//! The one decision source: every nondeterministic choice of a simulation is one call of
//! [`Decider::choose`], answered by a strategy or a tape, and recorded before it is acted on.
//!
//! ```text
//!   thread to run ──► Strategy (random, PCT) ─┐
//!   other choices ──► a stream per level ─────┼──► tape, written ahead ──► answer in 0..n
//!   replay ─────────► Tape ───────────────────┘
//! ```
//!
//! Each [`Level`] draws from its own ChaCha stream, so that one more choice of one level does not
//! reshuffle the others.

mod pct;
mod storage;
mod strategy;
mod stream;
pub(crate) mod tape;

pub use strategy::{ParseStrategyError, Strategy};

use pct::Pct;
use strategy::Walk;
use stream::Stream;
use tape::{Recorder, Tape};

/// What a decision is about. The number is part of the tape format: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        }
    }

    fn level(self) -> Level {
        match self {
            Kind::Thread => Level::Interleaving,
            Kind::Task => Level::Task,
            Kind::Waiter | Kind::SpuriousWake | Kind::ClockJump | Kind::WeakFailure => {
                Level::Kernel
            }
            Kind::Entropy | Kind::Program | Kind::Network | Kind::Disk => Level::Environment,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Kind> {
        const ALL: [Kind; 10] = [
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
        ];
        ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// How threads are chosen in one run.
enum Chooser {
    Random,
    Pct(Pct),
    Tape(Tape),
}

/// The decision source of one run.
pub(crate) struct Decider {
    chooser: Chooser,
    streams: [Stream; 4],
    recorder: Recorder,
    decisions: u64,
    /// Decisions between two or more threads: the length that PCT spreads its points over.
    thread_choices: u64,
    mismatch: Option<String>,
}

impl Decider {
    /// The source for `seed` under `strategy`; `expected_choices` is the length of a run, counted
    /// in choices between threads, as a calibration run measured it.
    pub(crate) fn new(
        seed: u64,
        strategy: &Strategy,
        expected_choices: u64,
        recorder: Recorder,
    ) -> (Decider, String) {
        let mut streams = [0, 1, 2, 3].map(|level| Stream::new(seed, level));
        let interleaving = &mut streams[Level::Interleaving as usize];
        let (chooser, drawn) = match strategy.draw(interleaving) {
            Walk::Random => (Chooser::Random, "random".to_owned()),
            Walk::Pct { points } => (
                Chooser::Pct(Pct::new(points, expected_choices, interleaving)),
                format!("pct with {points} change points in {expected_choices} choices"),
            ),
            Walk::Tape(tape) => (Chooser::Tape(tape), "tape".to_owned()),
        };
        let decider =
            Decider { chooser, streams, recorder, decisions: 0, thread_choices: 0, mismatch: None };
        (decider, drawn)
    }

    /// Which of `runnable` runs next; `current` is the thread that asks, `yielding` whether it
    /// said that others should go first. One runnable thread is no decision.
    #[inline]
    pub(crate) fn choose_thread(&mut self, runnable: &[u32], current: u32, yielding: bool) -> u32 {
        let count = runnable.len() as u32;
        if count == 1 {
            return runnable[0];
        }
        self.thread_choices += 1;
        let index = match &mut self.chooser {
            Chooser::Random => self.streams[Level::Interleaving as usize].below(count),
            Chooser::Pct(pct) => {
                let stream = &mut self.streams[Level::Interleaving as usize];
                pct.choose(runnable, current, yielding, stream)
            }
            Chooser::Tape(_) => self.replay(Kind::Thread, u64::from(count)) as u32,
        };
        self.record(Kind::Thread, u64::from(count), u64::from(index));
        runnable[index as usize]
    }

    /// One decision among `0..n`, `n` at least 1; a single possibility is no decision.
    pub(crate) fn choose(&mut self, kind: Kind, n: u64) -> u64 {
        if n == 1 {
            return 0;
        }
        let answer = match &self.chooser {
            Chooser::Tape(_) => self.replay(kind, n),
            _ => self.streams[kind.level() as usize].below_u64(n),
        };
        self.record(kind, n, answer);
        answer
    }

    /// Eight bytes of entropy: a decision among all 64-bit words.
    pub(crate) fn entropy(&mut self) -> u64 {
        let answer = match &self.chooser {
            Chooser::Tape(_) => self.replay(Kind::Entropy, u64::MAX),
            _ => self.streams[Level::Environment as usize].next_u64(),
        };
        self.record(Kind::Entropy, u64::MAX, answer);
        answer
    }

    fn replay(&mut self, kind: Kind, n: u64) -> u64 {
        let Chooser::Tape(tape) = &mut self.chooser else { unreachable!("replay without a tape") };
        match tape.next(kind, n) {
            Ok(answer) => answer,
            Err(mismatch) => {
                // The first mismatch is the one that explains; the run ends at its next step.
                self.mismatch.get_or_insert(mismatch);
                0
            }
        }
    }

    #[inline]
    fn record(&mut self, kind: Kind, n: u64, answer: u64) {
        self.decisions += 1;
        self.recorder.record(kind, n, answer);
    }

    /// Why the tape does not fit the program, once that has shown.
    pub(crate) fn mismatch(&mut self) -> Option<String> {
        self.mismatch.take()
    }

    /// The run has ended, and the tape would go on: why it does not fit the program.
    pub(crate) fn tape_left(&self) -> Option<String> {
        match &self.chooser {
            Chooser::Tape(tape) => tape.left(),
            _ => None,
        }
    }

    /// A thread became runnable or stopped being so: a strategy that remembers its pick must look
    /// again.
    #[inline]
    pub(crate) fn runnable_changed(&mut self) {
        if let Chooser::Pct(pct) = &mut self.chooser {
            pct.forget_pick();
        }
    }

    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    pub(crate) fn thread_choices(&self) -> u64 {
        self.thread_choices
    }

    /// The tape so far, and the recorder for the next run.
    pub(crate) fn finish(self) -> Recorder {
        self.recorder
    }
}
