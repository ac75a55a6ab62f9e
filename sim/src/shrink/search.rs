//! Delta debugging (after Zeller, Hildebrandt, TSE 2002) over the departures of a schedule from
//! the plainest one: first what concerns faults and other choices, then pre-emptions.

use std::collections::BTreeSet;

use super::{Trials, Verdict};
use crate::decide::{Departure, Guide, Kind};

/// Of so few departures, pairs are taken away and each one is moved.
const FEW: usize = 8;
/// How far a pre-emption is moved, in steps of its thread: later ones first, since they let a
/// thread come to where it stops by itself.
const MOVES: [i64; 12] = [1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4];

/// How much a schedule asks of its reader: the less, the better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    departures: usize,
    preemptions: u64,
    switches: u64,
}

impl Size {
    fn of(guide: &Guide) -> Size {
        Size {
            departures: guide.departures().len(),
            preemptions: guide.preemptions(),
            switches: guide.switches(),
        }
    }
}

pub(super) struct Search<'a, 'b> {
    trials: &'a mut Trials<'b>,
    best: Vec<Departure>,
    size: Size,
    /// Candidates of few departures: the passes would try many of them again.
    tried: BTreeSet<Vec<Departure>>,
}

fn is_of_threads(departure: &Departure) -> bool {
    departure.site.kind == Kind::Thread
}

fn is_of_others(departure: &Departure) -> bool {
    !is_of_threads(departure)
}

impl<'a, 'b> Search<'a, 'b> {
    /// From the run of `guide`, which fails.
    pub(super) fn new(trials: &'a mut Trials<'b>, guide: &Guide) -> Search<'a, 'b> {
        let best = guide.departures().to_vec();
        Search { trials, best, size: Size::of(guide), tried: BTreeSet::new() }
    }

    /// The departures of the smallest schedule that fails.
    pub(super) fn run(mut self) -> Vec<Departure> {
        self.accepts(Vec::new());
        loop {
            let before = self.size;
            self.remove_chunks(is_of_others);
            self.remove_chunks(is_of_threads);
            if self.best.len() <= FEW {
                self.remove_pairs();
                self.move_each();
            }
            if self.size >= before {
                return self.best;
            }
        }
    }

    /// Whether the schedule fails and is smaller than the best one, whose place it then takes.
    fn accepts(&mut self, mut candidate: Vec<Departure>) -> bool {
        if self.trials.is_over() {
            return false;
        }
        if candidate.len() <= FEW {
            candidate.sort_unstable();
            if !self.tried.insert(candidate.clone()) {
                return false;
            }
        }
        let guide = Guide::of_departures(&candidate, self.trials.step_limit);
        let (verdict, guide, _) = self.trials.run(guide);
        let size = Size::of(&guide);
        let accepted = matches!(verdict, Verdict::Fails(_)) && size < self.size;
        if accepted {
            self.size = size;
            // In the order of the run, and without those that made no difference.
            self.best = guide.departures().to_vec();
        }
        accepted
    }

    /// Takes away half of the departures that `belongs` says yes to, quarters and so on; single
    /// ones until none can go.
    fn remove_chunks(&mut self, belongs: fn(&Departure) -> bool) {
        let mut length = self.best.iter().filter(|departure| belongs(departure)).count();
        while length > 0 {
            let mut removed = false;
            let mut start = 0;
            while let Some(candidate) = self.without(belongs, start, length) {
                if self.accepts(candidate) {
                    removed = true;
                } else {
                    start += length;
                }
                if self.trials.is_over() {
                    return;
                }
            }
            length = match length {
                1 if removed => 1,
                _ => length / 2,
            };
        }
    }

    /// The best schedule without `length` departures of a kind from the `start`th on; `None` when
    /// there are none from there on.
    fn without(
        &self,
        belongs: fn(&Departure) -> bool,
        start: usize,
        length: usize,
    ) -> Option<Vec<Departure>> {
        let mut seen = 0;
        let mut candidate = Vec::with_capacity(self.best.len());
        for departure in &self.best {
            if belongs(departure) {
                seen += 1;
                if seen > start && seen <= start + length {
                    continue;
                }
            }
            candidate.push(*departure);
        }
        (candidate.len() < self.best.len()).then_some(candidate)
    }

    /// Two that need each other, such as a switch away and the one back, go only together.
    fn remove_pairs(&mut self) {
        let mut first = 0;
        while first < self.best.len() {
            let mut accepted = false;
            for second in first + 1..self.best.len() {
                let mut candidate = self.best.clone();
                candidate.remove(second);
                candidate.remove(first);
                accepted = self.accepts(candidate);
                if accepted {
                    break;
                }
            }
            if !accepted {
                first += 1;
            }
        }
    }

    /// A pre-emption some steps later or earlier may come to where its thread stops by itself, save
    /// a switch, or make another one superfluous.
    fn move_each(&mut self) {
        let mut index = 0;
        while index < self.best.len() {
            if !(is_of_threads(&self.best[index]) && self.moves(index)) {
                index += 1;
            }
        }
    }

    fn moves(&mut self, index: usize) -> bool {
        for distance in MOVES {
            let mut candidate = self.best.clone();
            let number = i64::from(candidate[index].site.number) + distance;
            let Some(number) = u32::try_from(number).ok().filter(|number| *number > 0) else {
                continue;
            };
            candidate[index].site.number = number;
            if self.accepts(candidate.clone()) {
                return true;
            }
            for other in (0..candidate.len()).filter(|other| *other != index) {
                let mut fewer = candidate.clone();
                fewer.remove(other);
                if self.accepts(fewer) {
                    return true;
                }
            }
        }
        false
    }
}
