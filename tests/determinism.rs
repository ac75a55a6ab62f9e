//! The same seed gives the same run: in one process, in two processes that differ in addresses,
//! environment and load. Prints the hash of each scenario under the seed that `VOLT_SEED` names.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

#[path = "scenarios/programs.rs"]
mod harness;

mod scenarios {
    pub mod blocking;
    pub mod cancellation;
    pub mod files;
    pub mod groups;
    pub mod local;
    pub mod many_tasks;
    pub mod panics;
    pub mod shutdown;
    pub mod spawn_and_join;
    pub mod stealing;
    pub mod tcp;
    pub mod timers;
    pub mod wakes;
}

use std::process::Command;

use volt::sim::Sim;

const SCENARIOS: &[(&str, fn())] = &[
    (
        "blocking",
        scenarios::blocking::a_second_job_is_not_kept_waiting_by_a_first_that_blocks::program,
    ),
    ("cancellation", scenarios::cancellation::cancel_returns_after_the_destructors_ran::program),
    ("files", scenarios::files::a_stream_of_writes_is_read_back::program),
    ("groups", scenarios::groups::wait_gives_outputs_in_the_order_of_spawning::program),
    ("local", scenarios::local::another_thread_wakes_tasks::program),
    ("many_tasks", scenarios::many_tasks::spawned_from_two_sides::program),
    ("panics", scenarios::panics::a_panic_reaches_the_join_handle::program),
    ("shutdown", scenarios::shutdown::every_task_is_dropped::program),
    ("spawn_and_join", scenarios::spawn_and_join::all_at_once::program),
    ("stealing", scenarios::stealing::two_tasks_meet_by_blocking_their_workers::program),
    ("tcp_echo", scenarios::tcp::an_echo_of_64_kib_comes_back::program),
    ("tcp_accept_loop", scenarios::tcp::an_accept_loop_serves_clients_at_once::program),
    ("tcp_names", scenarios::tcp::names_resolve_off_the_workers::program),
    ("tcp_stuck_worker", scenarios::tcp::a_stuck_worker_freezes_nobodys_sockets::program),
    ("timers", scenarios::timers::one_sleeper_on_one_worker::program),
    ("wakes", scenarios::wakes::a_thread_outside_wakes_tasks::program),
];

fn seed() -> u64 {
    let Ok(value) = std::env::var("VOLT_SEED") else { return 7 };
    let parsed = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("VOLT_SEED is {value:?}, which is no number"))
}

/// A line for each scenario, with the hash of its run.
fn hashes() -> Vec<String> {
    let hash = |(name, program): &(&str, fn())| {
        let sim = Sim::builder().seed(seed()).check_determinism(true).build();
        let report = sim.machine(*program).unwrap_or_else(|failure| panic!("{failure}"));
        format!("{name}: hash {:#018x}, {} steps", report.hash(), report.steps())
    };
    SCENARIOS.iter().map(hash).collect()
}

#[test]
fn each_scenario_has_one_hash() {
    for line in hashes() {
        println!("{line}");
    }
}

#[test]
fn two_processes_that_differ_in_addresses_environment_and_load_agree() {
    let own = hashes();
    let again = |padding: usize| {
        // A longer environment moves the stack; each process has its own layout besides.
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "each_scenario_has_one_hash", "--nocapture"])
            .env("VOLT_SEED", format!("{:#x}", seed()))
            .env("PADDING", "x".repeat(padding))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // A second process runs beside the first, and a thread keeps a processor busy.
    let busy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let works = std::sync::Arc::clone(&busy);
    let load = std::thread::spawn(move || {
        while works.load(std::sync::atomic::Ordering::Relaxed) {
            std::hint::black_box(vec![0_u8; 4096]);
        }
    });
    let other = std::thread::scope(|scope| {
        let first = scope.spawn(|| again(0));
        let second = scope.spawn(|| again(100_000));
        [first.join().unwrap(), second.join().unwrap()]
    });
    busy.store(false, std::sync::atomic::Ordering::Relaxed);
    load.join().unwrap();
    for line in &own {
        println!("{line}");
        for output in &other {
            assert!(output.contains(line.as_str()), "{line} is not in:\n{output}");
        }
    }
}
