//! What a sweep shows while it runs: a bar on a terminal, a line now and then elsewhere.

use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A sweep that ends sooner shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// The time between two plain lines, and before the first.
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str = "{wide_bar} {msg}";

/// A terminal has room for one bar: that of the first sweep that asks.
static BAR_IS_TAKEN: AtomicBool = AtomicBool::new(false);

pub(super) struct Progress {
    name: Option<String>,
    seeds: u64,
    began: Instant,
    view: View,
}

enum View {
    /// The sweep may end before it is worth a word.
    Nothing,
    Bar(Bar),
    Lines {
        next: Duration,
    },
}

impl Progress {
    pub(super) fn new(name: Option<String>, seeds: u64) -> Progress {
        Progress { name, seeds, began: Instant::now(), view: View::Nothing }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// So many seeds have been run, and so many of those failed.
    pub(super) fn show(&mut self, (runs, failed): (u64, u64)) {
        let elapsed = self.began.elapsed();
        if elapsed < SHOWN_AFTER {
            return;
        }
        if let View::Nothing = self.view {
            self.view = match Bar::take(self.seeds) {
                Some(bar) => View::Bar(bar),
                None => View::Lines { next: LINE_EVERY },
            };
        }
        let status = || status(runs, self.seeds, failed, elapsed);
        match &mut self.view {
            View::Nothing => {}
            View::Bar(Bar(bar)) => {
                bar.set_position(runs);
                bar.set_message(status());
            }
            View::Lines { next } if elapsed < *next => {}
            View::Lines { next } => {
                *next = elapsed + LINE_EVERY;
                // The macro, not the stream: the test harness keeps it for tests that fail.
                eprintln!("{}{}", prefix(self.name.as_deref()), status());
            }
        }
    }
}

struct Bar(ProgressBar);

impl Bar {
    /// A bar on standard error, where it is a terminal that is free for one.
    fn take(seeds: u64) -> Option<Bar> {
        let style = ProgressStyle::with_template(BAR).ok()?;
        // Relaxed: the flag is all there is to know.
        if !io::stderr().is_terminal()
            || is_captured()
            || BAR_IS_TAKEN.swap(true, Ordering::Relaxed)
        {
            return None;
        }
        let target = ProgressDrawTarget::stderr();
        Some(Bar(ProgressBar::with_draw_target(Some(seeds), target).with_style(style)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        BAR_IS_TAKEN.store(false, Ordering::Relaxed);
    }
}

/// Whether this is a test program whose harness keeps what tests print: a bar would come between
/// the harness's own lines on the same terminal.
fn is_captured() -> bool {
    let is_test = env::current_exe().is_ok_and(|program| {
        program.parent().and_then(Path::file_name).is_some_and(|folder| folder == "deps")
    });
    let shown = env::args().any(|argument| argument == "--nocapture" || argument == "--no-capture")
        || env::var_os("RUST_TEST_NOCAPTURE").is_some_and(|value| value != "0");
    is_test && !shown
}

fn prefix(name: Option<&str>) -> String {
    name.map_or_else(|| "sweep: ".to_owned(), |name| format!("{name}: "))
}

/// `1200 of 5000 seeds, 400 a second, 3 failed, 10 s left`.
fn status(runs: u64, seeds: u64, failed: u64, elapsed: Duration) -> String {
    let rate = runs as f64 / elapsed.as_secs_f64();
    let speed = if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    let left = match seeds.saturating_sub(runs) as f64 / rate {
        left if left.is_finite() => show_time(left as u64),
        _ => "an unknown time".to_owned(),
    };
    format!("{runs} of {seeds} seeds, {speed} a second, {failed} failed, {left} left")
}

fn show_time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_how_far_how_fast_and_how_long_yet() {
        for (runs, seeds, failed, seconds, expected) in [
            (1_200, 5_000, 3, 3, "1200 of 5000 seeds, 400 a second, 3 failed, 9 s left"),
            (5, 100, 0, 2, "5 of 100 seeds, 2.5 a second, 0 failed, 38 s left"),
            (0, 100, 0, 2, "0 of 100 seeds, 0.0 a second, 0 failed, an unknown time left"),
            (100, 1_000_000, 0, 1, "100 of 1000000 seeds, 100 a second, 0 failed, 2 h left"),
            (10, 10, 1, 1, "10 of 10 seeds, 10 a second, 1 failed, 0 s left"),
        ] {
            assert_eq!(status(runs, seeds, failed, Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn times_are_short_to_read() {
        let shown = [5, 119, 120, 7_199, 7_200, 200_000].map(show_time);
        assert_eq!(shown, ["5 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }

    #[test]
    fn the_template_of_the_bar_is_one() {
        ProgressStyle::with_template(BAR).expect("a template");
    }
}
