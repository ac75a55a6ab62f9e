//! Volt against its peers on the real machine.
//!
//! `cargo run --release -p volt-benches -- [row ...] [--json] [--quick] [--plot out.svg] [--list]`

mod channels;
mod locks;
mod runtimes;
mod stuck;
mod tasks;

use std::process::ExitCode;

fn main() -> ExitCode {
    if volt::platform::SIMULATED_BUILD {
        eprintln!(
            "error: these benchmarks measure what ships, and this Volt was built with feature \
             `sim`. Build them on their own: `cargo run --release -p volt-benches`. The rows of \
             the simulation are in `volt-sim-benches`."
        );
        return ExitCode::from(2);
    }
    volt_bench_harness::run("volt-benches", |_effort| {
        let mut rows = locks::rows();
        rows.extend(channels::rows());
        rows.extend(tasks::rows());
        rows.extend(stuck::rows());
        rows
    })
}
