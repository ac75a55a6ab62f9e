//! Other processes of a benchmark program: a server and its load, each pinned to its own CPU.
//!
//! The program starts itself again, with arguments that only it knows. What it started greets with
//! one line on its standard output, and from then on answers each line of its standard input with
//! one of its own, until that input ends. It answers about its own CPU time and allocations, so
//! that neither the load nor the harness is part of them.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::affinity::Pinned;
use crate::allocator::{self, Counts};

/// Begins the greeting of a process that can do its part.
const READY: &str = "ready";
/// Begins the greeting of one that cannot; the reason follows.
const ABSENT: &str = "absent";
/// Asks for the totals.
const USAGE: &str = "usage";
/// Asks that allocations be counted from now on.
const COUNT: &str = "count";

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads, those of its kernel workers for io_uring among them.
    pub cpu: Duration,
    /// Bytes asked of the allocator, if they are counted.
    pub bytes: u64,
    /// Calls that asked for them.
    pub allocations: u64,
}

impl Usage {
    /// Of the calling process. A clock, because the counters of `getrusage` may lag by a tick for
    /// a thread that runs.
    fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        // Neither is ever negative, nor a second of nanoseconds.
        let cpu = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        let Counts { allocations, bytes } = Counts::now();
        Self { cpu, bytes, allocations }
    }

    fn to_line(self) -> String {
        format!("{} {} {}", self.cpu.as_nanos(), self.bytes, self.allocations)
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let cpu = Duration::from_nanos(next()?);
        Some(Self { cpu, bytes: next()?, allocations: next()? })
    }

    /// What was used between `earlier` and `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu - earlier.cpu,
            bytes: self.bytes - earlier.bytes,
            allocations: self.allocations - earlier.allocations,
        }
    }
}

/// Another process of this program. Dropping it ends it and waits until it has ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// `None` once the process is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    greeting: String,
    counts: bool,
}

impl Process {
    /// Starts this program again with `arguments`, on one CPU, and waits for its greeting.
    ///
    /// # Errors
    ///
    /// Why it cannot do its part, in its own words or the system's.
    ///
    /// # Panics
    ///
    /// If the calling thread cannot be pinned for as long as that takes: what it starts inherits
    /// this.
    pub fn start(arguments: &[String], cpu: usize) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = {
            let _pinned = Pinned::to(cpu);
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| format!("its process cannot be started: {error}"))?
        };
        let questions = child.stdin.take();
        let answers = child.stdout.take().expect("the output was asked for");
        let answers = BufReader::new(answers);
        let mut process =
            Self { child, questions, answers, greeting: String::new(), counts: false };
        let greeting = process.answer().map_err(|error| format!("its process ended: {error}"))?;
        match greeting.split_once(' ') {
            Some((READY, greeting)) => {
                process.greeting = greeting.to_owned();
                Ok(process)
            }
            Some((ABSENT, reason)) => Err(reason.to_owned()),
            _ => Err(format!("its process greets with `{greeting}`")),
        }
    }

    /// What it said when it was ready: where a server listens, for example.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Asks, and waits for the answer.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    pub fn ask(&mut self, question: &str) -> String {
        let input = self.questions.as_mut().expect("it is open until `self` is dropped");
        let answer = writeln!(input, "{question}").and_then(|()| self.answer());
        answer.unwrap_or_else(|error| panic!("a process was asked `{question}`: {error}"))
    }

    /// What the process has used so far, for a [`Sample`](crate::Sample) of an iteration.
    /// Allocations are counted from the first time this is asked in the last iteration.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    pub fn usage(&mut self) -> Usage {
        if allocator::is_counting() && !self.counts {
            self.ask(COUNT);
            self.counts = true;
        }
        let answer = self.ask(USAGE);
        Usage::from_line(&answer).unwrap_or_else(|| panic!("`{answer}` is no usage"))
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches('\n').to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.questions.take());
        // One that is stuck would not see that its input has ended. An error says that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that this process, which [`Process::start`] started, is ready, and answers until its input
/// ends: about its usage by itself, everything else with `answer`.
///
/// # Panics
///
/// If whoever started it no longer listens.
pub fn attend(greeting: &str, mut answer: impl FnMut(&str) -> String) {
    say(&format!("{READY} {greeting}"));
    for line in io::stdin().lines() {
        let Ok(question) = line else { return };
        say(&match question.as_str() {
            USAGE => Usage::now().to_line(),
            COUNT => {
                allocator::count_for_good();
                "counting".to_owned()
            }
            other => answer(other),
        });
    }
}

/// Says that this process, which [`Process::start`] started, cannot do its part, and why.
///
/// # Panics
///
/// If whoever started it no longer listens.
pub fn absent(reason: &str) {
    // A reason of several lines would be taken for answers.
    say(&format!("{ABSENT} {}", reason.replace('\n', " ")));
}

fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .expect("whoever started this process listens");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_survives_the_way_between_processes() {
        let usage = Usage { cpu: Duration::from_micros(12), bytes: 640, allocations: 3 };
        assert_eq!(Usage::from_line(&usage.to_line()), Some(usage));
        assert_eq!(Usage::from_line("12 640"), None);
        assert_eq!(Usage::from_line("twelve 640 3"), None);
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = Usage::now();
        let sum = std::hint::black_box((0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert_eq!(sum, 499_999_500_000);
        assert!(Usage::now().since(before).cpu > Duration::ZERO);
    }
}
