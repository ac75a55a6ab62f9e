//! Deals the seeds of a sweep to its workers, and gathers what became of them.
//!
//! Seeds are dealt in order, and a failure ends the deal for the seeds above it alone. So when all
//! workers have stopped, every seed below the lowest that failed has been run: which failure is
//! reported does not depend on how many workers there were, or on which was faster.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cause::Cause;
use super::shard::Seeds;
use crate::failure::Report;

/// A hand takes twice as many seeds as the time before while they take less than this,
const HAND_LASTS: Duration = Duration::from_millis(2);
/// and no more than so many.
const LARGEST_HAND: u64 = 256;

/// The seeds of a sweep, and what is known of those that were run.
pub(crate) struct Deal<F> {
    seeds: Seeds,
    keep_going: bool,
    largest_hand: u64,
    /// The place of the next seed to be dealt.
    next: AtomicU64,
    /// The places from here on need not be run.
    end: AtomicU64,
    runs: AtomicU64,
    failed: AtomicU64,
    exhausted: AtomicBool,
    gathered: Mutex<Gathered<F>>,
}

struct Gathered<F> {
    /// By cause.
    groups: BTreeMap<String, Group<F>>,
    /// The report of the highest place that passed.
    last: Option<(u64, Report)>,
    /// The places that passed at which futures were interrupted, and at how many points.
    points: Vec<(u64, u64)>,
}

/// The failures of one cause.
pub(crate) struct Group<F> {
    /// Where the lowest of them is.
    pub(crate) place: u64,
    pub(crate) count: u64,
    /// That of the lowest seed.
    pub(crate) failure: F,
}

/// What one worker holds.
pub(crate) struct Hand {
    places: Range<u64>,
    /// How many places it takes next.
    size: u64,
    taken: Instant,
    runs: u64,
    last: Option<(u64, Report)>,
    points: Vec<(u64, u64)>,
}

/// A seed, and its place among those of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dealt {
    pub(crate) place: u64,
    pub(crate) seed: u64,
}

/// How a sweep ended.
pub(crate) struct SweepOutcome<F> {
    pub(crate) runs: u64,
    pub(crate) failed: u64,
    /// By the place of the lowest failure.
    pub(crate) groups: Vec<Group<F>>,
    pub(crate) last: Option<Report>,
    /// At how many points futures were interrupted in runs that passed.
    pub(crate) points: u64,
    pub(crate) exhausted: bool,
}

impl Hand {
    pub(crate) fn new() -> Hand {
        Hand {
            places: 0..0,
            size: 1,
            taken: Instant::now(),
            runs: 0,
            last: None,
            points: Vec::new(),
        }
    }

    /// The seed at this place has passed.
    pub(crate) fn passed(&mut self, dealt: Dealt, report: Report) {
        self.runs += 1;
        if report.points > 0 {
            self.points.push((dealt.place, report.points));
        }
        self.last = Some((dealt.place, report));
    }

    /// A seed has passed, in a process that kept its report.
    pub(crate) fn passed_unseen(&mut self) {
        self.runs += 1;
    }
}

// Relaxed throughout: the numbers order no other memory, and threads that are joined have been
// seen to the last. A worker that learns late of the end runs a seed too many.
impl<F: Cause> Deal<F> {
    pub(crate) fn new(seeds: Seeds, keep_going: bool) -> Deal<F> {
        let end = seeds.len();
        Deal {
            seeds,
            keep_going,
            largest_hand: LARGEST_HAND,
            next: AtomicU64::new(0),
            end: AtomicU64::new(end),
            runs: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            exhausted: AtomicBool::new(false),
            gathered: Mutex::new(Gathered {
                groups: BTreeMap::new(),
                last: None,
                points: Vec::new(),
            }),
        }
    }

    /// No worker takes more than so many places at once.
    pub(crate) fn in_hands_of(mut self, most: u64) -> Deal<F> {
        self.largest_hand = most.min(LARGEST_HAND);
        self
    }

    /// How many seeds there are.
    pub(crate) fn len(&self) -> u64 {
        self.seeds.len()
    }

    /// The first seed of the sweep, whoever runs it.
    pub(crate) fn first_of_all(&self) -> u64 {
        self.seeds.first_of_all()
    }

    /// The next seed for this worker; `None` when it need not run any more.
    pub(crate) fn next(&self, hand: &mut Hand) -> Option<Dealt> {
        if hand.places.is_empty() {
            self.refill(hand);
        }
        let place = hand.places.next()?;
        // What the hand still holds is higher, and so is all that is dealt from now on.
        (!self.is_over(place)).then(|| Dealt { place, seed: self.seeds.at(place) })
    }

    /// Whether this place need not be run any more.
    pub(crate) fn is_over(&self, place: u64) -> bool {
        place >= self.end.load(Ordering::Relaxed)
    }

    fn refill(&self, hand: &mut Hand) {
        self.count(hand);
        if hand.taken.elapsed() > HAND_LASTS {
            hand.size = (hand.size / 2).max(1);
        } else if hand.places.end > 0 {
            hand.size = (hand.size * 2).min(self.largest_hand);
        }
        hand.taken = Instant::now();
        if !self.has_more() {
            return;
        }
        let first = self.next.fetch_add(hand.size, Ordering::Relaxed);
        let end = first.saturating_add(hand.size).min(self.seeds.len());
        hand.places = first.min(end)..end;
    }

    /// Whether there are seeds that nobody has taken.
    pub(crate) fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.end.load(Ordering::Relaxed)
    }

    /// The seed at this place has failed.
    pub(crate) fn failed(&self, hand: &mut Hand, dealt: Dealt, failure: F) {
        hand.runs += 1;
        let place = dealt.place;
        self.failed.fetch_add(1, Ordering::Relaxed);
        if !self.keep_going {
            self.end.fetch_min(place, Ordering::Relaxed);
        }
        let cause = failure.cause();
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        match gathered.groups.entry(cause) {
            Entry::Vacant(vacant) => {
                vacant.insert(Group { place, count: 1, failure });
            }
            Entry::Occupied(mut occupied) => {
                let group = occupied.get_mut();
                group.count += 1;
                let mut higher = failure;
                if place < group.place {
                    group.place = place;
                    mem::swap(&mut group.failure, &mut higher);
                }
                higher.discard();
            }
        }
    }

    /// No seed is run from now on.
    pub(crate) fn stop(&self) {
        self.end.store(0, Ordering::Relaxed);
    }

    /// A search has run every schedule.
    pub(crate) fn exhaust(&self) {
        self.exhausted.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Seeds that were run, but for those in the hands of workers, and those that failed.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        (self.runs.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// A worker ends.
    pub(crate) fn take_back(&self, mut hand: Hand) {
        self.count(&mut hand);
        if let Some((place, report)) = hand.last {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.points.append(&mut hand.points);
            if gathered.last.as_ref().is_none_or(|(highest, _)| *highest < place) {
                gathered.last = Some((place, report));
            }
        }
    }

    fn count(&self, hand: &mut Hand) {
        self.runs.fetch_add(mem::take(&mut hand.runs), Ordering::Relaxed);
    }

    /// All workers have ended; `stopped` before their time, or not.
    pub(crate) fn gather(self, stopped: bool) -> SweepOutcome<F> {
        let gathered = self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        let exhausted = self.exhausted.into_inner();
        let (mut runs, mut failed) = (self.runs.into_inner(), self.failed.into_inner());
        let mut groups: Vec<Group<F>> = gathered.groups.into_values().collect();
        groups.sort_by_key(|group| group.place);
        let mut end = u64::MAX;
        if !self.keep_going && !groups.is_empty() {
            // Seeds above the lowest that failed were run only because of the others' haste.
            groups.drain(1..).for_each(|group| group.failure.discard());
            groups[0].count = 1;
            failed = 1;
            end = groups[0].place;
            if !stopped {
                runs = groups[0].place + 1;
            }
        }
        let points = gathered.points.iter().filter(|(place, _)| *place < end);
        SweepOutcome {
            points: points.map(|(_, points)| points).sum(),
            runs,
            failed,
            groups,
            last: gathered.last.map(|(_, report)| report),
            exhausted,
        }
    }
}

/// Stops the deal when its worker panics: others may wait for what that one was to run.
pub(crate) struct StopsAtPanic<'a, F: Cause>(pub(crate) &'a Deal<F>);

impl<F: Cause> Drop for StopsAtPanic<'_, F> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::Shard;
    use super::*;

    impl Cause for String {
        fn cause(&self) -> String {
            self.split(' ').next().unwrap_or_default().to_owned()
        }

        fn discard(self) {}
    }

    fn report(seed: u64) -> Report {
        Report {
            seed,
            strategy: String::new(),
            hash: 0,
            steps: 0,
            virtual_time: Duration::ZERO,
            real_time: Duration::ZERO,
            counters: crate::Counters::default(),
            points: seed % 3,
        }
    }

    /// Runs a deal with so many workers; the seeds that ran, in order.
    fn deal(
        deal: &Deal<String>,
        workers: usize,
        run: impl Fn(u64) -> Result<(), String> + Sync,
    ) -> Vec<u64> {
        let ran = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let mut hand = Hand::new();
                    while let Some(dealt) = deal.next(&mut hand) {
                        ran.lock().unwrap().push(dealt.seed);
                        match run(dealt.seed) {
                            Ok(()) => hand.passed(dealt, report(dealt.seed)),
                            Err(failure) => deal.failed(&mut hand, dealt, failure),
                        }
                    }
                    deal.take_back(hand);
                });
            }
        });
        let mut ran = ran.into_inner().unwrap();
        ran.sort_unstable();
        ran
    }

    fn seeds(range: Range<u64>) -> Seeds {
        Seeds::new(range, Shard::WHOLE)
    }

    #[test]
    fn every_seed_is_run_once() {
        for workers in [1, 2, 7] {
            let all = Deal::new(seeds(5..3_005), false);
            assert_eq!(deal(&all, workers, |_| Ok(())), (5..3_005).collect::<Vec<_>>());
            let gathered = all.gather(false);
            assert_eq!((gathered.runs, gathered.failed), (3_000, 0));
            assert_eq!(gathered.points, 3_000);
            assert_eq!(gathered.last.expect("a report").seed, 3_004);
        }
    }

    #[test]
    fn a_hand_holds_no_more_than_it_may() {
        let all = Deal::<String>::new(seeds(0..10_000), false).in_hands_of(8);
        let mut hand = Hand::new();
        while let Some(dealt) = all.next(&mut hand) {
            assert!(hand.places.end - dealt.place <= 8);
        }
        all.take_back(hand);
        assert!(!all.has_more());
    }

    #[test]
    fn a_worker_that_panics_stops_the_deal() {
        let all = Deal::<String>::new(seeds(0..100), false);
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _stops = StopsAtPanic(&all);
                assert!(all.is_over(0), "planned");
            });
            assert!(worker.join().is_err());
        });
        assert!(all.is_over(0) && !all.has_more());
    }

    #[test]
    fn the_lowest_failure_is_reported_and_all_below_it_were_run() {
        for workers in [1, 2, 7] {
            let all = Deal::new(seeds(0..2_000), false);
            let fails = |seed: u64| match seed {
                // The higher ones are found sooner.
                700 => {
                    thread::sleep(Duration::from_millis(20));
                    Err(format!("slow {seed}"))
                }
                701.. => Err(format!("quick {seed}")),
                _ => Ok(()),
            };
            let ran = deal(&all, workers, fails);
            assert_eq!(ran[..701], (0..701).collect::<Vec<_>>());
            let gathered = all.gather(false);
            assert_eq!((gathered.runs, gathered.failed), (701, 1));
            // Of 0 to 699: 0 + 1 + 2, and so on.
            assert_eq!(gathered.points, 699);
            let [group] = &gathered.groups[..] else { panic!("one group") };
            assert_eq!((group.place, group.count, &*group.failure), (700, 1, "slow 700"));
        }
    }

    #[test]
    fn one_that_keeps_going_groups_by_cause() {
        for workers in [1, 2, 7] {
            let all = Deal::new(seeds(0..1_000), true);
            let fails = |seed: u64| match (seed % 10, seed % 25) {
                (7, _) => Err(format!("seventh {seed}")),
                (_, 3) => Err(format!("third {seed}")),
                _ => Ok(()),
            };
            assert_eq!(deal(&all, workers, fails).len(), 1_000);
            let gathered = all.gather(false);
            // 3, 28, 53, 78 and so on; none of them ends in 7.
            assert_eq!((gathered.runs, gathered.failed), (1_000, 140));
            let groups: Vec<_> =
                gathered.groups.iter().map(|group| (group.count, &*group.failure)).collect();
            assert_eq!(groups, [(40, "third 3"), (100, "seventh 7")]);
        }
    }

    #[test]
    fn a_stop_is_heeded() {
        let all = Deal::new(seeds(0..1_000_000), false);
        let stop = |seed: u64| {
            if seed == 100 {
                all.stop();
            }
            Ok(())
        };
        let ran = deal(&all, 2, stop).len() as u64;
        let gathered = all.gather(true);
        assert!(ran < 1_000_000 && gathered.runs == ran, "{ran} {}", gathered.runs);
    }
}
