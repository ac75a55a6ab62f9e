//! A walk whose hand-offs between threads are noted, for a corpus. What it chooses is what the
//! walk inside chooses: a seed whose run was noted replays without.

use super::Kind;
use super::hand_off::HandOffs;
use super::pct::Pct;
use super::pos::Pos;
use super::stream::Stream;
use super::surw::Surw;
use super::variation::Variation;
use crate::kernel::event::Operation;

pub(super) struct Covered {
    inner: Inner,
    hand_offs: HandOffs,
}

/// The walks that a corpus is gathered from.
pub(super) enum Inner {
    Random,
    Pct(Pct),
    Pos(Pos),
    Surw(Surw),
    /// By the answers of runs before; random where those end.
    Varied(Variation),
}

impl Covered {
    pub(super) fn new(inner: Inner) -> Box<Covered> {
        Box::new(Covered { inner, hand_offs: HandOffs::default() })
    }

    /// The index in `runnable` of the thread to run.
    pub(super) fn choose_thread(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
        posted: &dyn Fn(u32) -> Operation,
        stream: &mut Stream,
    ) -> u32 {
        let count = runnable.len() as u32;
        let index = match &mut self.inner {
            Inner::Random => stream.below(count),
            Inner::Pct(pct) => pct.choose(runnable, current, yielding, stream),
            Inner::Pos(pos) => pos.choose(runnable, current, yielding, posted, stream),
            Inner::Surw(surw) => surw.choose(runnable, current, yielding, posted, stream),
            Inner::Varied(variation) => {
                let answer = variation.next(Kind::Thread, u64::from(count));
                answer.map_or_else(|| stream.below(count), |index| index as u32)
            }
        };
        self.note(current, runnable[index as usize], posted);
        index
    }

    /// The only runnable thread goes on.
    pub(super) fn ran_alone(
        &mut self,
        thread: u32,
        current: u32,
        posted: &dyn Fn(u32) -> Operation,
    ) {
        match &mut self.inner {
            Inner::Pos(pos) => pos.ran_alone(thread),
            Inner::Surw(surw) => surw.ran_alone(thread, posted(thread)),
            Inner::Random | Inner::Pct(_) | Inner::Varied(_) => {}
        }
        self.note(current, thread, posted);
    }

    fn note(&mut self, current: u32, chosen: u32, posted: &dyn Fn(u32) -> Operation) {
        if chosen != current {
            self.hand_offs.note(posted(current), posted(chosen));
        }
    }

    pub(super) fn spawned(&mut self, parent: u32, child: u32, stream: &mut Stream) {
        if let Inner::Surw(surw) = &mut self.inner {
            surw.spawned(parent, child, stream);
        }
    }

    /// The answer to a decision about something else; `None` where the seed answers.
    pub(super) fn choose(&mut self, kind: Kind, n: u64) -> Option<u64> {
        match &mut self.inner {
            Inner::Varied(variation) => variation.next(kind, n),
            Inner::Random | Inner::Pct(_) | Inner::Pos(_) | Inner::Surw(_) => None,
        }
    }

    pub(super) fn forget_pick(&mut self) {
        if let Inner::Pct(pct) = &mut self.inner {
            pct.forget_pick();
        }
    }

    /// What the run had.
    pub(super) fn finish(self) -> HandOffs {
        self.hand_offs
    }
}
