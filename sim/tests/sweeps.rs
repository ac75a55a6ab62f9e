//! Sweeps on several threads report what one thread would; shards are the whole; failures are
//! grouped by cause; signals stop a sweep, which shows how far it is.

use std::env;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicU32 as RealAtomicU32;
use std::time::Duration;

use volt_sim::sync::atomic::{AtomicU32, Ordering};
use volt_sim::{FailureKind, Sim, Strategy, Sweep, SweepReport, thread};

/// Tells the process that a test starts what it is for.
const CHILD: &str = "VOLT_SWEEPS_CHILD";

/// Numbers of threads that must make no difference.
const JOBS: [usize; 3] = [1, 2, 5];

fn seed() -> u64 {
    volt_sim::seed().expect("a simulated thread")
}

/// Real time goes by, without a scheduling point.
fn dawdle() {
    for turn in 0..3_000_000_u32 {
        std::hint::black_box(turn);
    }
}

/// Three threads with some contention, entropy and time.
fn busy() {
    let word = Arc::new(AtomicU32::new(0));
    let threads = [1, 2, 3].map(|number| {
        let word = Arc::clone(&word);
        thread::spawn(move || {
            for _ in 0..5 {
                word.fetch_add(number, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(number.into()));
            word.fetch_xor(number, Ordering::Relaxed);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn the_lowest_failing_seed_is_reported_whatever_the_number_of_threads() {
    let program = || {
        busy();
        if seed() == 37 {
            // Others have run far beyond it by then.
            dawdle();
        }
        assert!(seed() < 37 || seed().is_multiple_of(2), "an odd seed");
    };
    let alone = Sim::builder().seed(37).build().check(program).expect_err("an odd seed");
    for jobs in JOBS {
        let report = Sim::builder().sweep(0..5_000).jobs(jobs).check(program);
        let failure = report.failure().expect("seed 37");
        assert_eq!(failure.seed(), 37);
        assert_eq!((report.runs(), report.failed_runs(), report.seeds()), (38, 1, 5_000));
        assert_eq!(failure.message(), alone.message());
        assert_eq!(failure.report().hash(), alone.report().hash());
        assert_eq!(failure.tape(), alone.tape());
    }
}

#[test]
fn a_seed_runs_alone_as_in_a_sweep() {
    for last in [1, 40, 200] {
        let alone = Sim::builder().seed(last).build().machine(busy).unwrap();
        for jobs in JOBS {
            let report = Sim::builder().sweep(0..last + 1).jobs(jobs).machine(busy);
            assert_eq!(report.runs(), last + 1);
            let report = report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!((report.seed(), report.hash()), (last, alone.hash()), "{jobs} threads");
            assert_eq!(report.strategy(), alone.strategy());
        }
    }
}

#[test]
fn failures_are_grouped_by_cause() {
    let program = || {
        if seed() % 7 == 3 {
            let odd = seed();
            panic!("seed {odd} is the third of seven");
        }
        if seed() % 11 == 5 {
            loop {
                thread::park();
            }
        }
        assert_eq!(seed() % 13, seed() % 13 % 12, "twelve of thirteen");
    };
    let count = |holds: fn(u64) -> bool| (0..300).filter(|seed| holds(*seed)).count() as u64;
    let third = count(|seed| seed % 7 == 3);
    let fifth = count(|seed| seed % 7 != 3 && seed % 11 == 5);
    let twelfth = count(|seed| seed % 7 != 3 && seed % 11 != 5 && seed % 13 == 12);
    for jobs in JOBS {
        // A random walk is not measured before, so no seed is run twice.
        let sweep = Sim::builder().name("grouped").strategy(Strategy::Random).sweep(0..300);
        let report = sweep.jobs(jobs).keep_going(true).check(program);
        assert_eq!((report.runs(), report.failed_runs()), (300, third + fifth + twelfth));
        let groups: Vec<_> = report
            .groups()
            .iter()
            .map(|group| (group.failure().seed(), group.failure().kind(), group.runs()))
            .collect();
        let expected = [
            (3, FailureKind::Panic, third),
            (5, FailureKind::Deadlock, fifth),
            (12, FailureKind::Panic, twelfth),
        ];
        assert_eq!(groups, expected, "{jobs} threads");
        assert_eq!(report.failure().expect("failures").seed(), 3);
        let text = report.to_string();
        assert!(text.contains("by 3 causes") && text.contains("first seed 0xc"), "{text}");
        // The tapes of the groups are kept, and no others.
        let tape = |seed: u64| {
            let name = format!("volt-grouped-{seed:#x}-{}.tape", std::process::id());
            env::temp_dir().join(name)
        };
        assert!(tape(3).exists() && !tape(10).exists() && !tape(17).exists());
        for group in report.groups() {
            std::fs::remove_file(group.failure().tape_path().expect("a tape")).unwrap();
        }
    }
}

#[test]
fn a_run_that_failed_in_the_middle_of_a_panic_leaves_nothing_to_the_next() {
    struct NeverGone;
    impl Drop for NeverGone {
        fn drop(&mut self) {
            loop {
                thread::park();
            }
        }
    }
    let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..5).jobs(1).keep_going(true);
    let report = sweep.check(|| {
        assert!(!std::thread::panicking(), "the panic of another run");
        if seed() == 1 {
            let _never_gone = NeverGone;
            panic!("in the middle of this");
        }
    });
    assert_eq!((report.runs(), report.failed_runs()), (5, 1), "{report}");
    let [group] = report.groups() else { panic!("one cause: {report}") };
    assert_eq!(group.failure().kind(), FailureKind::Deadlock);
}

#[test]
fn a_static_used_by_two_seeds_is_refused_on_several_threads() {
    static SHARED: AtomicU32 = AtomicU32::new(0);
    let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..50).jobs(4);
    let report = sweep.check(|| {
        SHARED.fetch_add(1, Ordering::Relaxed);
    });
    let failure = report.failure().expect("many runs used the static");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    // The first seed runs before there are other threads.
    assert_eq!(failure.seed(), 1);
}

/// How often each seed below `range.end` ran, over all these sweeps.
fn count_runs(end: u64, sweeps: impl IntoIterator<Item = Sweep>) -> Vec<u32> {
    let runs: Arc<Vec<RealAtomicU32>> = Arc::new((0..end).map(|_| RealAtomicU32::new(0)).collect());
    for sweep in sweeps {
        let seeds = sweep.seeds();
        let counted = Arc::clone(&runs);
        let report: SweepReport = sweep.check(move || {
            counted[seed() as usize].fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(report.runs(), seeds);
    }
    runs.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

#[test]
fn shards_that_run_are_the_whole_without_overlap() {
    let (start, end) = (7, 60);
    for of in [1, 2, 3, 7, 16, 70] {
        let sweeps = (1..=of).map(|number| {
            let sweep = Sim::builder().strategy(Strategy::Random).sweep(start..end);
            sweep.shard(number, of).jobs(2)
        });
        let runs = count_runs(end, sweeps);
        let (before, counted) = runs.split_at(start as usize);
        assert!(before.iter().all(|count| *count == 0), "{of} shards: {runs:?}");
        assert!(counted.iter().all(|count| *count == 1), "{of} shards: {runs:?}");
    }
}

#[test]
#[should_panic(expected = "cannot be split")]
fn a_search_has_no_shards() {
    let search = Sim::builder().strategy(Strategy::Dfs { preemptions: 1 }).sweep(0..10);
    search.shard(1, 2).check(|| ());
}

/// This test program again, for one test, with these variables set besides [`CHILD`].
fn child(test: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let foreign = env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("VOLT_")) {
        if name != CHILD {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    command
}

/// A test whose seeds have processes of their own: `test`, which those run anew.
#[cfg(unix)]
fn isolated(test: &'static str) -> volt_sim::TestOptions {
    let name: &'static str = format!("sweeps::{test}").leak();
    volt_sim::TestOptions {
        name,
        seeds: 10,
        seed: None,
        strategy: Some("random"),
        step_limit: None,
        virtual_time_limit: None,
        isolate_process: true,
    }
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[test]
fn the_environment_splits_a_sweep_over_processes() {
    const TEST: &str = "the_environment_splits_a_sweep_over_processes";
    if is_child() {
        let sweep = Sim::builder().strategy(Strategy::Random).from_environment(0..10);
        let runs = count_runs(100, [sweep]);
        let ran = (0..100).filter(|seed| runs[*seed] > 0).map(|seed| seed.to_string());
        println!("\nran: {}", ran.collect::<Vec<_>>().join(" "));
        return;
    }
    let mut all = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let variables = [("VOLT_SEEDS", "20..50"), ("VOLT_SHARD", shard), ("VOLT_JOBS", "2")];
        let output = child(TEST, &variables).output().expect("a process");
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        let ran = text.lines().find_map(|line| line.strip_prefix("ran: ")).expect("a list");
        let seeds: Vec<u64> = ran.split(' ').map(|seed| seed.parse().expect("a seed")).collect();
        assert_eq!(seeds.len(), 10, "{shard}: {seeds:?}");
        all.extend(seeds);
    }
    all.sort_unstable();
    assert_eq!(all, (20..50).collect::<Vec<_>>());

    // A seed that is named runs on whatever machine it is pasted.
    let variables = [("VOLT_SEED", "5"), ("VOLT_SHARD", "3/3")];
    let output = child(TEST, &variables).output().expect("a process");
    assert!(text(&output).contains("ran: 5\n"), "{}", text(&output));

    for (name, value, expected) in [
        ("VOLT_SHARD", "0/4", "JOB_COMPLETION_INDEX"),
        ("VOLT_SHARD", "5/4", "such as 3/16"),
        ("VOLT_JOBS", "none", "at least 1"),
    ] {
        let output = child(TEST, &[(name, value)]).output().expect("a process");
        let text = text(&output);
        assert!(!output.status.success(), "{name}={value} is taken: {text}");
        assert!(text.contains(name) && text.contains(value) && text.contains(expected), "{text}");
    }
}

#[test]
fn all_failures_of_a_sweep_share_the_time_to_shrink() {
    let program = || {
        busy();
        (0..20).for_each(|_| dawdle());
        assert!(seed().is_multiple_of(2), "one cause");
        panic!("and another");
    };
    let sweep = Sim::builder().strategy(Strategy::Random).shrink(Duration::from_millis(100));
    let report = sweep.sweep(0..2).keep_going(true).check(program);
    let [first, second] = report.groups() else { panic!("two causes: {report}") };
    assert!(first.failure().schedule().is_some(), "{}", first.failure());
    assert!(second.failure().schedule().is_none(), "{}", second.failure());
    assert!(second.failure().to_string().contains("no smallest schedule: no time was left"));
}

#[test]
fn the_environment_keeps_a_check_going() {
    if is_child() {
        volt_sim::check(|| match seed() {
            0 => {}
            even if even % 2 == 0 => panic!("one cause"),
            _ => panic!("and another"),
        });
        return;
    }
    let variables = [("VOLT_SEEDS", "11"), ("VOLT_KEEP_GOING", "1"), ("VOLT_STRATEGY", "random")];
    let output = child("the_environment_keeps_a_check_going", &variables).output();
    let output = output.expect("a process");
    let text = text(&output);
    assert!(!output.status.success());
    assert!(
        text.contains("11 of 11 seeds run") && text.contains("10 failed, by 2 causes"),
        "{text}"
    );
    // The lowest seed's line to paste comes last.
    let (second, first) = (text.find("cause 2 of 2"), text.find("cause 1 of 2"));
    assert!(second.is_some() && second < first, "{text}");
    let last = text.lines().rfind(|line| line.starts_with("replay: ")).expect("a line to paste");
    assert!(last.starts_with("replay: VOLT_SEED=0x1 "), "{text}");
}

#[test]
#[cfg(unix)]
fn tapes_of_processes_are_kept_by_cause() {
    const TEST: &str = "tapes_of_processes_are_kept_by_cause";
    if is_child() {
        // The run that measures the program before all is of seed 0 as well.
        volt_sim::run_check(&isolated(TEST), || assert_eq!(seed(), 0, "one cause"));
        return;
    }
    let folder = env::temp_dir().join(format!("volt-sweeps-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder");
    let path = folder.to_str().expect("a path in Unicode");
    let variables = [("VOLT_KEEP_GOING", "1"), ("TMPDIR", path)];
    let output = child(TEST, &variables).output().expect("a process");
    let text = text(&output);
    let tapes: Vec<_> = folder.read_dir().expect("the folder").flatten().collect();
    assert!(text.contains("10 of 10 seeds run; 9 failed, causes: 1"), "{text}");
    assert_eq!(tapes.len(), 1, "{tapes:?}");
    std::fs::remove_dir_all(&folder).expect("the folder");
}

#[cfg(target_os = "linux")]
mod signals {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::mem::MaybeUninit;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Stdio};
    use std::ptr;
    use std::sync::Mutex;

    use super::*;

    /// Sends a signal to a child, from another process as far as that one can tell.
    fn signal(child: &Child, signal: libc::c_int) {
        let process = libc::pid_t::try_from(child.id()).expect("a process number");
        // SAFETY: the call takes numbers alone; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(process, signal) }, 0);
    }

    /// Ends a child that says nothing for a minute, so that whoever reads from it comes to an end.
    fn limit(child: &Child) {
        let process = libc::pid_t::try_from(child.id()).expect("a process number");
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(60));
            // SAFETY: the call takes numbers alone. The test has failed, or the process that runs
            // it ends soon; numbers are not used again that quickly.
            unsafe { libc::kill(process, libc::SIGKILL) };
        });
    }

    #[test]
    fn a_sweep_shows_lines_and_its_test_ends_by_the_signal() {
        const TEST: &str = "signals::a_sweep_shows_lines_and_its_test_ends_by_the_signal";
        if is_child() {
            volt_sim::check(busy);
            panic!("the signal does not end the process");
        }
        let variables = [("VOLT_SEEDS", "1000000000000"), ("VOLT_JOBS", "1")];
        let mut command = child(TEST, &variables);
        let silent = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = silent.spawn().expect("a process");
        limit(&child);
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains(" of 1000000000000 seeds, ") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).expect("text"), 0, "no line in a minute");
        }
        assert!(line.contains(" a second, 0 failed, ") && !line.contains('\x1b'), "{line}");
        signal(&child, libc::SIGTERM);
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("text");
        let status = child.wait().expect("a status");
        assert_eq!(status.signal(), Some(libc::SIGTERM), "{status}: {rest}");
        assert!(rest.contains("stopped by SIGTERM; none failed"), "{rest}");
    }

    #[test]
    fn a_signal_to_the_group_fails_no_seed_that_has_a_process_of_its_own() {
        const TEST: &str =
            "signals::a_signal_to_the_group_fails_no_seed_that_has_a_process_of_its_own";
        if is_child() {
            volt_sim::run_check(&isolated(TEST), || (0..20).for_each(|_| dawdle()));
            return;
        }
        let mut command = child(TEST, &[("VOLT_SEEDS", "1000000000000"), ("VOLT_JOBS", "1")]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("a process");
        limit(&child);
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains(" of 1000000000000 seeds, ") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).expect("text"), 0, "no line in a minute");
        }
        let group = libc::pid_t::try_from(child.id()).expect("a process number");
        // SAFETY: the call takes numbers alone; the child, which leads the group, has not been
        // waited for.
        assert_eq!(unsafe { libc::kill(-group, libc::SIGINT) }, 0);
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("text");
        let status = child.wait().expect("a status");
        assert_eq!(status.signal(), Some(libc::SIGINT), "{status}: {rest}");
        assert!(rest.contains("; 0 failed, causes: 0"), "{rest}");
    }

    #[test]
    fn a_signal_ends_the_search_for_the_smallest_schedule() {
        const TEST: &str = "signals::a_signal_ends_the_search_for_the_smallest_schedule";
        if is_child() {
            let program = || {
                busy();
                (0..20).for_each(|_| dawdle());
                panic!("always");
            };
            let sim = Sim::builder().strategy(Strategy::Random).shrink(Duration::from_secs(300));
            let report = sim.sweep(0..2).check(program);
            assert_eq!((report.stopped_by(), report.runs()), (Some("SIGINT"), 1));
            let failure = report.failure().expect("a panic");
            assert!(failure.schedule().is_some_and(|schedule| schedule.runs() < 100), "{failure}");
            println!("\nall is well");
            return;
        }
        let mut command = child(TEST, &[]);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("a process");
        limit(&child);
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("looking for the smallest schedule") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).expect("text"), 0, "nothing is shrunk");
        }
        signal(&child, libc::SIGINT);
        let output = child.wait_with_output().expect("a status");
        let text = text(&output);
        assert!(output.status.success() && text.contains("all is well"), "{text}");
    }

    /// The disposition of `SIGINT`, which `new` takes the place of, if there is one.
    fn disposition(new: Option<libc::sigaction>) -> libc::sigaction {
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a disposition that the call itself once gave, or none, and room for another, of
        // which all bits zero are a valid one.
        unsafe {
            assert_eq!(libc::sigaction(libc::SIGINT, new, before.as_mut_ptr()), 0);
            before.assume_init()
        }
    }

    #[test]
    fn a_handler_that_outlives_its_sweep_ends_the_process() {
        const TEST: &str = "signals::a_handler_that_outlives_its_sweep_ends_the_process";
        if is_child() {
            let saved = Arc::new(Mutex::new(None));
            let place = Arc::clone(&saved);
            let sweep = Sim::builder().strategy(Strategy::Random).sweep(0..2).jobs(1);
            let report = sweep.check(move || *place.lock().unwrap() = Some(disposition(None)));
            assert_eq!(report.runs(), 2);
            let saved = saved.lock().unwrap().take();
            assert_ne!(saved.expect("a disposition").sa_sigaction, libc::SIG_DFL);
            assert_eq!(disposition(saved).sa_sigaction, libc::SIG_DFL);
            // SAFETY: the calls take numbers alone.
            unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
            std::thread::sleep(Duration::from_secs(10));
            return;
        }
        let output = child(TEST, &[]).output().expect("a process");
        assert_eq!(output.status.signal(), Some(libc::SIGINT), "{}", text(&output));
    }

    /// Opens a terminal of 100 columns: the end of the program under test, and the other one.
    fn terminal() -> (OwnedFd, File) {
        let (mut own, mut others) = (-1, -1);
        let size = libc::winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: two places for descriptors, no name, no settings, and a size.
        let failed =
            unsafe { libc::openpty(&mut own, &mut others, ptr::null_mut(), ptr::null(), &size) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the call has just opened both, and nobody else has them.
        unsafe { (OwnedFd::from_raw_fd(others), File::from_raw_fd(own)) }
    }

    #[test]
    fn a_sweep_shows_a_bar_on_a_terminal_and_stops_with_what_it_has() {
        const TEST: &str = "signals::a_sweep_shows_a_bar_on_a_terminal_and_stops_with_what_it_has";
        if is_child() {
            let endless = || Sim::builder().sweep(0..u64::MAX - 1).jobs(2);
            let report = endless().check(busy);
            assert_eq!(report.stopped_by(), Some("SIGINT"));
            assert!(report.runs() > 1 && report.failure().is_none(), "{report}");
            // The process was asked to end: no other sweep begins.
            let report = endless().check(busy);
            assert_eq!((report.stopped_by(), report.runs()), (Some("SIGINT"), 0));
            println!("\nall is well");
            return;
        }
        let (stderr, mut screen) = terminal();
        let mut command = child(TEST, &[("TERM", "xterm")]);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("a process");
        // The last copy of the child's end goes with the child: then reading comes to an end.
        drop(command);
        limit(&child);
        let mut shown = String::new();
        let mut buffer = [0; 4_096];
        while !(shown.contains(" seeds, ") && shown.contains(" left")) {
            let count = screen.read(&mut buffer).unwrap_or(0);
            assert_ne!(count, 0, "no bar in a minute: {shown:?}");
            shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        assert!(shown.contains(" a second, 0 failed, "), "{shown:?}");
        assert!(shown.contains('░') || shown.contains('█'), "{shown:?}");
        signal(&child, libc::SIGINT);
        while screen.read(&mut buffer).is_ok_and(|count| count > 0) {}
        let mut output = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("text");
        let status = child.wait().expect("a status");
        assert!(status.success() && output.contains("all is well"), "{status}: {output}");
    }
}
