//! A real thread that watches for simulated code that runs on without a scheduling point: a loop
//! on a plain atomic of std, a blocking call. The scheduler cannot stop such code, so the
//! watchdog says where the run is, and at last ends the process rather than hang it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Without progress for so long, a run is reported,
const REPORT_AFTER: Duration = Duration::from_secs(10);
/// and after so long it is ended, with the process.
const ABORT_AFTER: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the watchdog knows of one runner, which runs one world after another.
pub(crate) struct Watch {
    test: String,
    tape: Mutex<Option<PathBuf>>,
    seed: AtomicU64,
    runs: AtomicU64,
    steps: AtomicU64,
    /// Off between runs.
    on: AtomicBool,
}

struct Seen {
    watch: Weak<Watch>,
    /// Run and step.
    progress: (u64, u64),
    since: Instant,
    reported: bool,
}

static WATCHED: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
static START: Once = Once::new();

impl Watch {
    pub(crate) fn new(test: &str) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            test: test.to_owned(),
            tape: Mutex::new(None),
            seed: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            on: AtomicBool::new(false),
        });
        let seen = Seen {
            watch: Arc::downgrade(&watch),
            progress: (0, 0),
            since: Instant::now(),
            reported: false,
        };
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        START.call_once(|| {
            // Without a watchdog a run is merely not watched.
            let _ = thread::Builder::new().name("volt-sim-watchdog".to_owned()).spawn(watch_all);
        });
        watch
    }

    /// The file that the runs' tapes are written to as they go.
    pub(crate) fn tape(&self, path: Option<&Path>) {
        *self.tape.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_owned);
    }

    // Relaxed: the figures are read by the watchdog alone, which needs no order.

    /// The run of `seed` begins.
    pub(crate) fn begin(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.steps.store(0, Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.on.store(true, Ordering::Relaxed);
    }

    /// The run has come to this step.
    #[inline]
    pub(crate) fn progress(&self, steps: u64) {
        self.steps.store(steps, Ordering::Relaxed);
    }

    /// The run is over.
    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
    }
}

fn watch_all() {
    loop {
        thread::sleep(LOOK_EVERY);
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain_mut(look);
    }
}

/// Looks at one world; false when it is gone.
fn look(seen: &mut Seen) -> bool {
    let Some(watch) = seen.watch.upgrade() else { return false };
    let (runs, steps) = (&watch.runs, &watch.steps);
    let progress = (runs.load(Ordering::Relaxed), steps.load(Ordering::Relaxed));
    if progress != seen.progress || !watch.on.load(Ordering::Relaxed) {
        seen.progress = progress;
        seen.since = Instant::now();
        seen.reported = false;
        return true;
    }
    let still = seen.since.elapsed();
    let (seed, test) = (watch.seed.load(Ordering::Relaxed), &watch.test);
    if still >= ABORT_AFTER {
        let tape = watch.tape.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!(
            "volt-sim: {test}, seed {seed:#x}: no scheduling point for {still:?}; giving up. \
             Code that spins must do so on volt::sim's atomics, or yield. The tape so far: {tape:?}"
        );
        std::process::abort();
    }
    if still >= REPORT_AFTER && !seen.reported {
        seen.reported = true;
        eprintln!(
            "volt-sim: {test}, seed {seed:#x}: a simulated thread has run for {still:?} without \
             a scheduling point. It spins on something that is not simulated, or computes for \
             long. The process ends after {ABORT_AFTER:?} of this."
        );
    }
    true
}
