//! Planted bugs: places where the code can be told to be wrong, to see which check notices.
//!
//! `mutation!("name", right, wrong)` is `right`, except in builds for models and simulation,
//! where a model or a simulated run may have `name` planted. In production there is `right`
//! alone.

/// `right`, unless the running model or simulation has the bug `name` planted.
#[cfg(not(any(feature = "sim", volt_loom, volt_shuttle)))]
macro_rules! mutation {
    ($name:literal, $right:expr, $wrong:expr) => {
        $right
    };
}

/// `right`, unless the running model or simulation has the bug `name` planted.
#[cfg(any(feature = "sim", volt_loom, volt_shuttle))]
macro_rules! mutation {
    ($name:literal, $right:expr, $wrong:expr) => {
        if $crate::platform::mutation::is_planted($name) { $wrong } else { $right }
    };
}
pub(crate) use mutation;

/// Whether the running simulation has the bug `name` planted.
#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
#[doc(hidden)]
#[inline]
pub fn is_planted(name: &str) -> bool {
    volt_sim::is_planted(name)
}

#[cfg(any(volt_loom, volt_shuttle))]
mod planted {
    use std::cell::Cell;

    thread_local! {
        /// The bug that the model on this OS thread has planted: model checkers run all threads
        /// of a model on one.
        static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Whether the running model has the bug `name` planted.
    #[doc(hidden)]
    pub fn is_planted(name: &str) -> bool {
        PLANTED.get() == Some(name)
    }

    /// Runs the model `f` with the bug `name` planted; true when a check noticed.
    #[doc(hidden)]
    pub fn is_noticed(name: &'static str, f: impl FnOnce()) -> bool {
        PLANTED.set(Some(name));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        PLANTED.set(None);
        result.is_err()
    }
}

#[cfg(any(volt_loom, volt_shuttle))]
#[doc(hidden)]
pub use planted::{is_noticed, is_planted};
