//! Volt against its peers on the real machine.
//!
//! `cargo run --release -p volt-benches -- [row ...] [--json] [--quick] [--plot out.svg] [--list]`

mod channels;
#[cfg(target_os = "linux")]
mod io;
mod local;
mod locks;
mod runtimes;
mod stuck;
mod tasks;

use std::process::ExitCode;

use volt_bench_harness::{Effort, Row};

fn main() -> ExitCode {
    if volt::platform::SIMULATED_BUILD {
        eprintln!(
            "error: these benchmarks measure what ships, and this Volt was built with feature \
             `sim`. Build them on their own: `cargo run --release -p volt-benches`. The rows of \
             the simulation are in `volt-sim-benches`."
        );
        return ExitCode::from(2);
    }
    // Before anything else: the I/O rows start this program again, for servers and load.
    #[cfg(target_os = "linux")]
    if let Some(code) = io::part(&std::env::args().skip(1).collect::<Vec<_>>()) {
        return code;
    }
    volt_bench_harness::run("volt-benches", |effort| {
        let mut rows = locks::rows();
        rows.extend(channels::rows());
        rows.extend(tasks::rows());
        rows.extend(stuck::rows());
        rows.extend(io_rows(effort));
        rows.extend(local::rows());
        rows
    })
}

/// The rows that wait for the system, which need two processes, epoll and io_uring.
#[cfg(target_os = "linux")]
fn io_rows(effort: Effort) -> Vec<Row> {
    io::rows(effort)
}

#[cfg(not(target_os = "linux"))]
fn io_rows(_effort: Effort) -> Vec<Row> {
    vec![Row::new("io", 1).leave_out("the I/O rows compare back-ends that only Linux has")]
}
