//! How loom models are run: a bound on pre-emptions and a time limit that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What one model may take before it fails.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Pre-emptions per execution, unless `VOLT_LOOM_PREEMPTIONS` says otherwise.
const PREEMPTIONS: usize = 2;

/// Checks every execution of `f` within the bound, and prints how many there were.
///
/// # Panics
/// If an execution fails, or the model takes too long: then it is too large, and must be cut.
#[track_caller]
pub fn model(f: impl Fn() + Send + Sync + 'static) {
    let preemptions = match std::env::var("VOLT_LOOM_PREEMPTIONS") {
        Ok(bound) => bound.parse().expect("VOLT_LOOM_PREEMPTIONS is a number"),
        Err(_) => PREEMPTIONS,
    };
    let limit = TIME_LIMIT * if preemptions > PREEMPTIONS { 10 } else { 1 };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    let began = Instant::now();
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        assert!(began.elapsed() < limit, "the model takes longer than {limit:?}");
        f();
    });
    let executions = executions.load(Ordering::Relaxed);
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    println!("model {name}: {executions} executions in {:?}", began.elapsed());
}
