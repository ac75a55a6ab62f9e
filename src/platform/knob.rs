//! Knobs: numbers that the engine is built with, and that a simulated run may draw instead.
//!
//! What takes hundreds of tasks to reach with the numbers of production, a ring that is full or a
//! batch that is not the last, takes a handful in the runs that have drawn small ones. The draws
//! are decisions of the run, from a stream of their own. On ordinary threads, and in builds without
//! simulation, each knob stands as in production; there it is a constant that takes no room.

/// The first of `choices`, which is what production has, or in simulation any of them.
///
/// # Panics
/// If there is none.
pub fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[drawn(choices.len() as u32) as usize]
}

#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
fn drawn(n: u32) -> u32 {
    volt_sim::choose_knob(n).unwrap_or(0)
}

#[cfg(not(all(feature = "sim", not(any(volt_loom, volt_shuttle)))))]
fn drawn(_n: u32) -> u32 {
    0
}

/// A number that is `USUAL` in production.
#[derive(Clone, Copy, Debug)]
pub struct Knob<const USUAL: u32> {
    #[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
    value: u32,
}

#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
impl<const USUAL: u32> Knob<USUAL> {
    /// As in production.
    pub const fn usual() -> Self {
        Knob { value: USUAL }
    }

    /// `USUAL` or `small`, as the running simulation decides.
    pub fn draw(small: u32) -> Self {
        Knob { value: one_of(&[USUAL, small]) }
    }

    /// The number.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.value
    }
}

#[cfg(not(all(feature = "sim", not(any(volt_loom, volt_shuttle)))))]
impl<const USUAL: u32> Knob<USUAL> {
    /// As in production.
    pub const fn usual() -> Self {
        Knob {}
    }

    /// `USUAL`: nothing is simulated here.
    pub fn draw(_small: u32) -> Self {
        Knob {}
    }

    /// The number.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        USUAL
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn on_an_ordinary_thread_knobs_stand_as_in_production() {
        assert_eq!(one_of(&[None, Some(1)]), None);
        assert_eq!((Knob::<7>::usual().get(), Knob::<7>::draw(1).get()), (7, 7));
        if !cfg!(feature = "sim") {
            assert_eq!(size_of::<Knob<7>>(), 0);
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_simulated_run_turns_each_knob_by_itself() {
        use std::collections::BTreeSet;
        use std::sync::{Arc, Mutex};

        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let draws = Arc::clone(&seen);
        let sweep = volt_sim::Sim::builder().sweep(0..50);
        let report = sweep.check(move || {
            let drawn = (Knob::<7>::draw(1).get(), one_of(&[0, 5]));
            draws.lock().unwrap().insert(drawn);
        });
        report.into_result().unwrap();
        let all = BTreeSet::from([(1, 0), (1, 5), (7, 0), (7, 5)]);
        assert_eq!(*seen.lock().unwrap(), all);
    }
}
