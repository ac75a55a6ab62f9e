//! Pins threads to CPUs.
//!
//! A kernel may pack two busy threads onto one CPU, and then a benchmark of contention measures an
//! uncontended lock; a wake-up costs several times more when it crosses to another CPU. So every
//! row with more than one thread says where its threads run.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

thread_local! {
    /// The CPU to which [`pin`] last moved this thread.
    static PINNED_TO: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The CPUs that this process may use, as they were when this was first called. Empty on a system
/// where threads cannot be pinned.
pub fn cpus() -> &'static [usize] {
    static CPUS: OnceLock<Vec<usize>> = OnceLock::new();
    CPUS.get_or_init(system::allowed)
}

/// Pins the calling thread to one CPU. Threads that it creates from now on inherit this.
///
/// A thread that is already pinned there pays for one thread-local read, so that a thread which
/// is out of reach otherwise, in somebody's pool, can be pinned by the very job it is given.
///
/// # Panics
///
/// If the system refuses: what would be measured then is not what the row says.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// std::thread::spawn(|| volt_bench_harness::pin(volt_bench_harness::cpus()[0])).join().unwrap();
/// ```
pub fn pin(cpu: usize) {
    if PINNED_TO.get() != Some(cpu) {
        system::pin(cpu);
        PINNED_TO.set(Some(cpu));
    }
}

/// Pins the calling thread until this is dropped, which gives the thread back the CPUs it had.
#[derive(Debug)]
#[must_use = "the thread is pinned only as long as this lives"]
pub struct Pinned {
    mask: system::Mask,
    pinned_to: Option<usize>,
    /// The thread that was pinned is the one to be released.
    not_send: PhantomData<*const ()>,
}

impl Pinned {
    /// Pins the calling thread to one CPU.
    ///
    /// # Panics
    ///
    /// As [`pin`].
    pub fn to(cpu: usize) -> Self {
        let mask = system::mask();
        let pinned_to = PINNED_TO.get();
        pin(cpu);
        Self { mask, pinned_to, not_send: PhantomData }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        system::set_mask(&self.mask);
        PINNED_TO.set(self.pinned_to);
    }
}

/// Where the threads of a row run, for rows that are measured both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All threads share one CPU: a wake-up is a switch.
    SameCore,
    /// The threads are on different CPUs: a wake-up crosses between them.
    CrossCore,
}

impl Spread {
    /// Both, in the order in which they are printed.
    pub const BOTH: [Self; 2] = [Self::SameCore, Self::CrossCore];

    /// What it adds to the name of a row.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameCore => "same_core",
            Self::CrossCore => "cross_core",
        }
    }

    /// The CPUs to use.
    ///
    /// # Errors
    ///
    /// Why this machine cannot measure it.
    pub fn cpus(self) -> Result<Vec<usize>, &'static str> {
        match (self, cpus()) {
            (_, []) => Err("threads cannot be pinned on this system"),
            (Self::SameCore, [first, ..]) => Ok(vec![*first]),
            (Self::CrossCore, [_]) => Err("this process may use one CPU only"),
            (Self::CrossCore, all) => Ok(all.to_vec()),
        }
    }
}

/// Deals the threads of a runtime out to CPUs, one after the other, from its thread-start hook.
#[derive(Debug)]
pub struct Placement {
    cpus: Vec<usize>,
    next: AtomicUsize,
    creator: ThreadId,
}

impl Placement {
    /// Deals out `cpus` in turn, starting with the one at index `first` and going round.
    ///
    /// # Panics
    ///
    /// If `cpus` is empty.
    pub fn new(cpus: Vec<usize>, first: usize) -> Self {
        assert!(!cpus.is_empty(), "there is no CPU to place threads on");
        Self { cpus, next: AtomicUsize::new(first), creator: thread::current().id() }
    }

    /// Pins the calling thread to the next CPU. Does nothing on the thread that created `self`:
    /// a runtime that makes use of that thread may call its hook there, and it is [`Pinned`] by
    /// whoever drives the benchmark.
    pub fn pin_next(&self) {
        if thread::current().id() != self.creator {
            // Relaxed: only the count matters.
            pin(self.cpus[self.next.fetch_add(1, Ordering::Relaxed) % self.cpus.len()]);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) type Mask = CpuSet;

    pub(super) fn mask() -> Mask {
        sched_getaffinity(None).expect("the CPUs of the calling thread can be read")
    }

    pub(super) fn set_mask(mask: &Mask) {
        sched_setaffinity(None, mask).expect("the calling thread can go back to its CPUs");
    }

    pub(super) fn allowed() -> Vec<usize> {
        let mask = mask();
        (0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect()
    }

    pub(super) fn pin(cpu: usize) {
        let mut mask = CpuSet::new();
        mask.set(cpu);
        if let Err(error) = sched_setaffinity(None, &mask) {
            panic!("cannot pin a thread to CPU {cpu}: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    #[derive(Debug)]
    pub(super) struct Mask;

    pub(super) fn mask() -> Mask {
        Mask
    }

    pub(super) fn set_mask(_mask: &Mask) {}

    pub(super) fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn pin(cpu: usize) {
        panic!("cannot pin a thread to CPU {cpu}: this system offers no way to");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Runs on a thread of its own, so that the test's thread keeps its CPUs.
    fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(work).join().expect("the thread does not panic")
    }

    #[test]
    fn a_pinned_thread_may_use_one_cpu() {
        let cpu = *cpus().last().expect("there is a CPU");
        let allowed = on_a_thread(move || {
            pin(cpu);
            system::allowed()
        });
        assert_eq!(allowed, [cpu]);
    }

    #[test]
    fn a_thread_that_is_released_has_its_cpus_again_and_can_be_pinned_again() {
        let cpu = cpus()[0];
        on_a_thread(move || {
            let before = system::allowed();
            drop(Pinned::to(cpu));
            assert_eq!(system::allowed(), before);
            pin(cpu);
            assert_eq!(system::allowed(), [cpu]);
        });
    }

    #[test]
    fn a_placement_goes_round_and_spares_its_creator() {
        let before = system::allowed();
        let placement = Arc::new(Placement::new(cpus().to_vec(), 1));
        placement.pin_next();
        assert_eq!(system::allowed(), before);
        for index in 1..=cpus().len() {
            let placement = Arc::clone(&placement);
            let allowed = on_a_thread(move || {
                placement.pin_next();
                system::allowed()
            });
            assert_eq!(allowed, [cpus()[index % cpus().len()]]);
        }
    }

    #[test]
    fn the_same_core_is_always_to_be_had() {
        assert_eq!(Spread::SameCore.cpus(), Ok(vec![cpus()[0]]));
    }
}
