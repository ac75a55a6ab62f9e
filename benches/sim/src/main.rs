//! Volt's simulated machine against its peers.
//!
//! `cargo run --release -p volt-sim-benches -- [row ...] [--json] [--quick] [--plot out.svg]`
//!
//! A package of its own: cargo unifies features, and the benchmarks of what ships must not run on
//! a build with feature `sim`.

mod decisions;
mod executions;
mod models;
mod sweeps;

use std::process::ExitCode;

use volt_bench_harness::{Effort, Row, run};

fn rows(effort: Effort) -> Vec<Row> {
    let mut rows = decisions::rows(effort);
    rows.extend(executions::rows());
    rows.extend(sweeps::rows(effort));
    rows
}

fn main() -> ExitCode {
    run("volt-sim-benches", rows)
}
