//! Bounded depth-first search (after Musuvathi, Qadeer, PLDI 2007): every schedule of a small
//! program that takes a running thread off its processor at most so many times, each once.
//!
//! A run follows the path of the run before up to its last decision that has an answer left,
//! takes that, and goes on by first answers: the same thread while it can run, then the next one
//! by number. A yield passes to the next thread; any other answer there costs a pre-emption too,
//! so that threads which wait for each other by yielding do not make the search endless.
//!
//! Searched besides threads: the program's own choices, those of the runtime, the waiter that a
//! wake-up reaches. Left out: spurious wake-ups and weak failures do not happen, jumps of the clock
//! come as late as they can, runtimes are set up as in production; entropy, network and disks
//! answer by the seed, which is one for all runs of a search.

use super::Kind;

/// A search, kept from one run to the next.
pub(crate) struct Dfs {
    preemptions: u32,
    /// The decisions of the run that have more than one answer.
    path: Vec<Node>,
    /// How many of them this run has come to,
    depth: usize,
    /// and how many pre-emptions it had.
    used: u32,
    runs: u64,
}

struct Node {
    kind: Kind,
    /// The threads to choose from, the first answer first; empty for other decisions.
    threads: Vec<u32>,
    answers: u64,
    taken: u64,
}

/// The threads in the order of their numbers, round from the current one; that is the last where it
/// yields.
pub(super) fn from_current(runnable: &[u32], current: u32, yielding: bool) -> Vec<u32> {
    let mut threads = runnable.to_vec();
    // From the one after the current thread, round to itself.
    threads.sort_unstable_by_key(|thread| (*thread <= current, *thread));
    if !yielding && threads.last() == Some(&current) {
        threads.rotate_right(1);
    }
    threads
}

impl Dfs {
    pub(crate) fn new(preemptions: u32) -> Dfs {
        Dfs { preemptions, path: Vec::new(), depth: 0, used: 0, runs: 0 }
    }

    /// Begins a run, on the path that is set.
    pub(super) fn begin(&mut self) {
        self.depth = 0;
        self.used = 0;
    }

    /// What the run does, for its report.
    pub(super) fn describe(&self) -> String {
        format!("dfs with at most {} pre-emptions, schedule {}", self.preemptions, self.schedule())
    }

    /// The number of the schedule that the run follows, from 1.
    pub(crate) fn schedule(&self) -> u64 {
        self.runs + 1
    }

    /// Sets the path of the next run; false when there is none left.
    pub(crate) fn advance(&mut self) -> bool {
        self.runs += 1;
        while let Some(node) = self.path.last_mut() {
            if node.taken + 1 < node.answers {
                node.taken += 1;
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// The index in `runnable` of the thread to run.
    ///
    /// # Errors
    /// How the program differs from the run before.
    pub(super) fn choose_thread(
        &mut self,
        runnable: &[u32],
        current: u32,
        yielding: bool,
    ) -> Result<u32, String> {
        let threads = from_current(runnable, current, yielding);
        let runs_on = runnable.contains(&current);
        let count = if runs_on && self.used >= self.preemptions { 1 } else { threads.len() };
        let taken = self.next(Kind::Thread, count as u64, &threads)? as usize;
        self.used += u32::from(runs_on && taken > 0);
        let index = runnable.iter().position(|thread| *thread == threads[taken]);
        Ok(index.unwrap_or(0) as u32)
    }

    /// The answer to a decision about something else; `None` where the seed answers.
    ///
    /// # Errors
    /// How the program differs from the run before.
    pub(super) fn choose(&mut self, kind: Kind, n: u64) -> Result<Option<u64>, String> {
        match kind {
            Kind::Waiter | Kind::Task | Kind::Program => self.next(kind, n, &[]).map(Some),
            Kind::SpuriousWake | Kind::WeakFailure | Kind::Knob => Ok(Some(0)),
            Kind::ClockJump => Ok(Some(n - 1)),
            Kind::Thread | Kind::Entropy | Kind::Network | Kind::Disk | Kind::Ring => Ok(None),
        }
    }

    fn next(&mut self, kind: Kind, answers: u64, threads: &[u32]) -> Result<u64, String> {
        if answers == 1 {
            return Ok(0);
        }
        let depth = self.depth;
        self.depth += 1;
        let Some(node) = self.path.get(depth) else {
            self.path.push(Node { kind, threads: threads.to_vec(), answers, taken: 0 });
            return Ok(0);
        };
        if node.kind == kind && node.answers == answers && node.threads == threads {
            return Ok(node.taken);
        }
        Err(format!(
            "decision {depth} of the search is a {} among {answers} in this run and was a {} among \
             {} in the run before, which had the same answers up to there",
            kind.label(),
            node.kind.label(),
            node.answers
        ))
    }

    /// The run has ended before it came to where it was to part from the one before.
    pub(super) fn left(&self) -> Option<String> {
        (self.depth < self.path.len()).then(|| {
            format!(
                "the program ended after {} decisions of the search; the run before, which had the \
                 same answers up to there, went on",
                self.depth
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs two threads of so many steps each under every schedule; who took each step.
    fn schedules(preemptions: u32, steps: usize) -> Vec<Vec<u32>> {
        let mut search = Dfs::new(preemptions);
        let mut all = Vec::new();
        loop {
            search.begin();
            let mut left = [steps; 2];
            let mut schedule = Vec::new();
            let mut current = 0;
            while left != [0, 0] {
                let runnable: Vec<u32> =
                    [0, 1].into_iter().filter(|thread| left[*thread as usize] > 0).collect();
                let index = match runnable.len() {
                    1 => 0,
                    _ => search.choose_thread(&runnable, current, false).expect("the same program"),
                };
                current = runnable[index as usize];
                left[current as usize] -= 1;
                schedule.push(current);
            }
            assert_eq!(search.left(), None);
            all.push(schedule);
            if !search.advance() {
                return all;
            }
        }
    }

    #[test]
    fn each_schedule_within_the_bound_is_run_once() {
        // Three steps of each of two threads: 6 over 3 interleavings.
        let mut all = schedules(10, 3);
        assert_eq!(all.len(), 20);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20);
        // The first thread could be the second one only by a pre-emption.
        assert_eq!(schedules(0, 3), [[0, 0, 0, 1, 1, 1]]);
        let once = schedules(1, 3);
        assert_eq!(once.len(), 4, "none, or one before any of the first thread's steps");
    }

    #[test]
    fn a_yield_passes_to_the_next_thread_and_back() {
        let mut search = Dfs::new(0);
        let mut current = 0;
        for expected in [1, 2, 0, 1] {
            let index = search.choose_thread(&[2, 0, 1], current, true).expect("a first run");
            current = [2, 0, 1][index as usize];
            assert_eq!(current, expected);
        }
        assert!(!search.advance(), "without pre-emptions there is one schedule");
    }

    #[test]
    fn a_thread_that_blocked_leaves_a_free_choice() {
        let mut search = Dfs::new(0);
        assert_eq!(search.choose_thread(&[1, 2], 0, false), Ok(0));
        assert!(search.advance());
        search.begin();
        assert_eq!(search.choose_thread(&[1, 2], 0, false), Ok(1));
        assert!(!search.advance());
    }

    #[test]
    fn the_programs_choices_are_searched_and_faults_left_out() {
        let mut search = Dfs::new(0);
        for expected in 0..3 {
            search.begin();
            assert_eq!(search.choose(Kind::Program, 3), Ok(Some(expected)));
            assert_eq!(search.choose(Kind::SpuriousWake, 32), Ok(Some(0)));
            assert_eq!(search.choose(Kind::Network, 9), Ok(None));
            assert_eq!(search.advance(), expected < 2);
        }
    }

    #[test]
    fn a_program_that_differs_from_run_to_run_is_named() {
        let mut search = Dfs::new(1);
        search.choose(Kind::Program, 3).expect("a first run");
        search.choose(Kind::Program, 3).expect("a first run");
        assert!(search.advance());
        search.begin();
        let error = search.choose(Kind::Waiter, 3).expect_err("another kind");
        assert!(error.contains("a waiter among 3"), "{error}");
        assert!(search.left().is_some_and(|error| error.contains("after 1 decisions")));
    }
}
