//! The threads of a sweep.

use std::num::NonZero;
use std::panic;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::cause::Cause;
use super::deal::Deal;
use super::interrupt::Listening;
use super::progress::Progress;

/// How often the sweep looks at its workers, at signals and at processors that became free.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many workers a sweep has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jobs {
    /// One, and one more for each processor that no other sweep uses: the tests of a program run
    /// side by side, and their sweeps share the machine.
    EveryCore,
    Exactly(NonZero<usize>),
}

/// The workers of all sweeps of the process.
static WORKERS: Mutex<usize> = Mutex::new(0);

/// One of the machine's processors, or more than there are.
struct Processor(());

impl Processor {
    fn take() -> Processor {
        *lock(&WORKERS) += 1;
        Processor(())
    }

    fn take_free() -> Option<Processor> {
        let mut workers = lock(&WORKERS);
        (*workers < processors()).then(|| {
            *workers += 1;
            Processor(())
        })
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        *lock(&WORKERS) -= 1;
    }
}

fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The workers of one sweep that have not ended.
struct Active {
    number: Mutex<usize>,
    changed: Condvar,
}

/// Counts a worker for as long as it exists, however its work ends.
struct Counted<'a>(&'a Active);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *lock(&self.0.number) -= 1;
        self.0.changed.notify_one();
    }
}

impl Active {
    /// Whether workers are left, after waiting a while for the last to end.
    fn are_left(&self) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.number), LOOK_EVERY, |it| *it > 0);
        let (number, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *number > 0
    }
}

/// Runs the rest of a deal on threads of its own: `first` and, as `jobs` allow, those that
/// `another` makes. Returns when all have ended.
///
/// # Panics
/// As a worker did, or if the system refuses the first thread.
pub(super) fn run<F: Cause, W: Send>(
    deal: &Deal<F>,
    jobs: Jobs,
    listening: &Listening,
    progress: &mut Progress,
    first: W,
    another: impl Fn() -> W,
    work: impl Fn(W, &Deal<F>) + Sync,
) {
    let active = Active { number: Mutex::new(0), changed: Condvar::new() };
    let work = &work;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut first = Some(first);
        loop {
            while deal.has_more()
                && let Some(processor) = next_processor(jobs, threads.len())
            {
                let worker = first.take().unwrap_or_else(&another);
                let run = move || {
                    let _processor = processor;
                    work(worker, deal);
                };
                match spawn(scope, &active, run) {
                    Some(thread) => threads.push(thread),
                    None if threads.is_empty() => {
                        panic!("the system refused a thread for the simulation")
                    }
                    // It goes on with those it has.
                    None => break,
                }
            }
            if !active.are_left() {
                break;
            }
            if listening.signal().is_some() {
                deal.stop();
            }
            progress.show(deal.so_far());
        }
        for thread in threads {
            if let Err(payload) = thread.join() {
                panic::resume_unwind(payload);
            }
        }
    });
}

/// Room for one more worker than these; `None` where there is none now.
fn next_processor(jobs: Jobs, workers: usize) -> Option<Processor> {
    match jobs {
        _ if workers == 0 => Some(Processor::take()),
        Jobs::EveryCore => Processor::take_free(),
        Jobs::Exactly(most) => (workers < most.get()).then(Processor::take),
    }
}

fn spawn<'scope, 'environment>(
    scope: &'scope Scope<'scope, 'environment>,
    active: &'environment Active,
    run: impl FnOnce() + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, ()>> {
    *lock(&active.number) += 1;
    let counted = Counted(active);
    let body = move || {
        let _counted = counted;
        run();
    };
    thread::Builder::new().name("volt-sim-sweep".to_owned()).spawn_scoped(scope, body).ok()
}

#[cfg(test)]
mod tests {
    use super::super::deal::Hand;
    use super::super::shard::{Seeds, Shard};
    use super::*;

    /// Runs so many seeds; how many workers there were.
    fn workers_of(seeds: u64, jobs: Jobs) -> usize {
        let deal = Deal::<String>::new(Seeds::new(0..seeds, Shard::WHOLE), false);
        let workers = Mutex::new(0);
        let both = Condvar::new();
        let work = |most: usize, deal: &Deal<String>| {
            let mut hand = Hand::new();
            if deal.next(&mut hand).is_some() {
                let mut workers = lock(&workers);
                *workers += 1;
                both.notify_all();
                // Each waits for the others, so that none ends before all have begun.
                let limit = Duration::from_secs(10);
                let waited = both.wait_timeout_while(workers, limit, |it| *it < most);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                while deal.next(&mut hand).is_some() {}
            }
            deal.take_back(hand);
        };
        let most = match jobs {
            Jobs::Exactly(most) => most.get().min(seeds as usize),
            Jobs::EveryCore => 1,
        };
        let mut progress = Progress::new(None, seeds);
        run(&deal, jobs, &Listening::begin(), &mut progress, most, || most, work);
        assert!(!deal.has_more());
        workers.into_inner().unwrap()
    }

    #[test]
    fn a_sweep_has_as_many_workers_as_it_is_told() {
        for jobs in [1, 2, 5] {
            let exactly = Jobs::Exactly(NonZero::new(jobs).expect("not zero"));
            assert_eq!(workers_of(1_000_000, exactly), jobs);
        }
        assert!(workers_of(1_000_000, Jobs::EveryCore) >= 1);
    }

    #[test]
    fn there_are_no_more_workers_than_seeds() {
        let many = Jobs::Exactly(NonZero::new(8).expect("not zero"));
        assert_eq!(workers_of(0, many), 0);
        assert_eq!(workers_of(1, many), 1);
    }
}
