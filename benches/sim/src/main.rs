//! Volt's simulated machine against its peers.
//!
//! `cargo run --release -p volt-sim-benches -- [row ...] [--json] [--quick] [--plot out.svg]`
//!
//! A package of its own: cargo unifies features, and the benchmarks of what ships must not run on
//! a build with feature `sim`.

mod decisions;
mod determinism;
mod echo;
mod executions;
mod models;
mod sweeps;
mod virtual_time;

use std::process::ExitCode;

use volt_bench_harness::{Effort, Row, run};

fn rows(effort: Effort) -> Vec<Row> {
    let mut rows = decisions::rows(effort);
    rows.extend(executions::rows(effort));
    rows.extend(sweeps::rows(effort));
    rows.extend(determinism::rows(effort));
    rows.extend(virtual_time::rows());
    rows.push(echo::row());
    rows
}

fn main() -> ExitCode {
    run("volt-sim-benches", rows)
}
