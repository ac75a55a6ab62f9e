//! A run that varies kept ones: their decisions, some of them changed.
//!
//! Answers are given by kind, each kind in its order: where the run does other things than the one
//! that was kept, a choice between threads is still answered by one. What has no answer left, the
//! seed decides.

use std::sync::Arc;
use std::vec;

use super::Kind;
use super::guide::KINDS;
use super::stream::Stream;
use super::tape::Tape;

/// The stream that a seed draws its variation from: none of those of its decisions, which must be
/// the same where nothing is varied.
const STREAM: u64 = 4;
/// One run in so many is a variation, once something is kept.
const SHARE: u32 = 2;
/// The newest tapes are tried first, each with one chance in so many; of so many tapes.
const NEWEST_CHANCE: u32 = 4;
const NEWEST: usize = 8;
/// The most decisions that are changed at once.
const MOST_CHANGES: u32 = 4;

/// A tape that a corpus keeps.
pub(crate) struct Kept {
    /// The hash of its run.
    pub(crate) hash: u64,
    pub(crate) tape: Tape,
}

/// One decision of a kept run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) kind: Kind,
    pub(super) n: u64,
    pub(super) answer: u64,
}

/// The answers that a run begins with.
#[derive(Clone)]
pub(crate) struct Variation {
    /// By kind.
    answers: Vec<vec::IntoIter<u64>>,
    described: String,
}

impl Variation {
    /// The kept run again.
    pub(crate) fn whole(kept: &Kept) -> Variation {
        let described = format!("tape {:016x} of the corpus again", kept.hash);
        Variation::new(&decisions(kept), described)
    }

    /// What the run of this seed varies; `None` where it is a run like any other. It follows from
    /// the seed and the tapes, of which the newest are last.
    pub(crate) fn draw(seed: u64, tapes: &[Arc<Kept>]) -> Option<Variation> {
        let mut stream = Stream::new(seed, STREAM);
        if tapes.is_empty() || stream.below(SHARE) != 0 {
            return None;
        }
        let parent = pick(tapes, &mut stream);
        let mut drawn = decisions(parent);
        let hash = parent.hash;
        if drawn.is_empty() {
            return None;
        }
        let described = match stream.below(3) {
            0 => {
                let place = cut(&drawn, &mut stream);
                drawn.truncate(place);
                format!("tape {hash:016x} of the corpus, random after {place} decisions")
            }
            1 => {
                let changes = 1 + stream.below(MOST_CHANGES);
                for _ in 0..changes {
                    let place = cut(&drawn, &mut stream);
                    drawn[place].answer = stream.below_u64(drawn[place].n);
                }
                format!("tape {hash:016x} of the corpus, {changes} decisions drawn anew")
            }
            _ => {
                let other = &tapes[stream.below_u64(tapes.len() as u64) as usize];
                let place = cut(&drawn, &mut stream);
                drawn.truncate(place);
                drawn.extend(decisions(other).into_iter().skip(place));
                format!(
                    "tape {hash:016x} of the corpus, after {place} decisions tape {:016x}",
                    other.hash
                )
            }
        };
        Some(Variation::new(&drawn, described))
    }

    fn new(decisions: &[Decision], described: String) -> Variation {
        let mut answers = vec![Vec::new(); KINDS];
        for decision in decisions {
            answers[decision.kind as usize].push(decision.answer);
        }
        Variation { answers: answers.into_iter().map(Vec::into_iter).collect(), described }
    }

    /// What the run does, for its report.
    pub(super) fn describe(&self) -> String {
        self.described.clone()
    }

    /// An answer below `n`; `None` where there is none left.
    pub(super) fn next(&mut self, kind: Kind, n: u64) -> Option<u64> {
        self.answers[kind as usize].next().map(|answer| answer % n)
    }
}

fn decisions(kept: &Kept) -> Vec<Decision> {
    kept.tape.decisions().collect()
}

/// One of the tapes: a new one more likely than an old one, as what it came to was not looked at
/// yet.
fn pick<'a>(tapes: &'a [Arc<Kept>], stream: &mut Stream) -> &'a Kept {
    for kept in tapes.iter().rev().take(NEWEST) {
        if stream.below(NEWEST_CHANCE) == 0 {
            return kept;
        }
    }
    &tapes[stream.below_u64(tapes.len() as u64) as usize]
}

/// The place of one of the decisions.
fn cut(decisions: &[Decision], stream: &mut Stream) -> usize {
    stream.below_u64(decisions.len() as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::super::tape::Recorder;
    use super::*;

    fn kept(hash: u64, decisions: &[(Kind, u64, u64)]) -> Arc<Kept> {
        let mut recorder = Recorder::new();
        recorder.start(hash);
        for &(kind, n, answer) in decisions {
            recorder.record(kind, n, answer);
        }
        let tape = Tape::parse(&recorder.bytes()).expect("a tape");
        Arc::new(Kept { hash, tape })
    }

    fn tapes() -> Vec<Arc<Kept>> {
        let threads = |answer| vec![(Kind::Thread, 7, answer); 40];
        (0..4).map(|number| kept(number, &threads(number))).collect()
    }

    /// All answers about threads that a variation has.
    fn threads(mut variation: Variation) -> Vec<u64> {
        std::iter::from_fn(|| variation.next(Kind::Thread, 7)).collect()
    }

    #[test]
    fn a_kept_run_is_repeated_kind_by_kind() {
        let decisions = [(Kind::Thread, 3, 2), (Kind::Network, 9_999, 8_000), (Kind::Thread, 2, 1)];
        let mut again = Variation::whole(&kept(1, &decisions));
        assert_eq!(again.next(Kind::Thread, 3), Some(2));
        assert_eq!(again.next(Kind::Thread, 2), Some(1));
        assert_eq!(again.next(Kind::Thread, 2), None);
        assert_eq!(again.next(Kind::Network, 3_000), Some(2_000), "there are fewer answers now");
        assert_eq!(again.next(Kind::Disk, 2), None);
    }

    #[test]
    fn one_seed_and_the_same_tapes_give_one_variation() {
        let tapes = tapes();
        assert!(Variation::draw(1, &[]).is_none());
        for seed in 0..200 {
            let drawn = [(); 2].map(|()| {
                Variation::draw(seed, &tapes).map(|drawn| (drawn.describe(), threads(drawn)))
            });
            assert_eq!(drawn[0], drawn[1]);
        }
    }

    #[test]
    fn runs_are_varied_in_each_way_from_each_tape() {
        let tapes = tapes();
        let drawn: Vec<_> = (0..1_000).filter_map(|seed| Variation::draw(seed, &tapes)).collect();
        // Six standard deviations are 95.
        assert!(drawn.len().abs_diff(500) < 95, "{}", drawn.len());
        let (mut cut_short, mut changed, mut spliced, mut parents) = (0, 0, 0, [0; 4]);
        for variation in drawn {
            let described = variation.describe();
            let answers = threads(variation);
            if described.contains("random after") {
                cut_short += 1;
                assert!(answers.len() < 40 && answers.windows(2).all(|two| two[0] == two[1]));
            } else if described.contains("drawn anew") {
                changed += 1;
                assert_eq!(answers.len(), 40);
                let usual = (0..4).map(|it| answers.iter().filter(|other| **other == it).count());
                assert!(usual.max() >= Some(36), "{answers:?}");
            } else {
                spliced += 1;
                assert_eq!(answers.len(), 40);
                let joints = answers.windows(2).filter(|two| two[0] != two[1]).count();
                assert!(joints <= 1, "{answers:?}");
            }
            let parent = (0..4).find(|it| described.starts_with(&format!("tape {it:016x}")));
            parents[parent.expect("one of the tapes")] += 1;
        }
        assert!(cut_short > 100 && changed > 100 && spliced > 100);
        assert!(parents[3] > parents[0] && parents[0] > 20, "{parents:?}");
    }
}
