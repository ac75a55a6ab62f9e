//! Atomics, cells, the internal lock and the futex: the facade with five faces.
//!
//! | built | atomics | `Mutex` | `UnsafeCell` | `Futex` |
//! |---|---|---|---|---|
//! | `real` alone | `core` | `parking_lot` | `core` | the system's |
//! | not even `real` | `core` | std | `core` | std's Mutex and Condvar |
//! | `sim` too | `volt-sim` | `volt-sim` | `core` | simulated kernel |
//! | `--cfg volt_loom` | loom | loom | loom | loom's Mutex and Condvar |
//! | `--cfg volt_shuttle` | shuttle | shuttle | `core` | shuttle's Mutex and Condvar |
//!
//! On a simulated thread each operation of `volt-sim`'s is a scheduling point.
//!
//! Everything is `const fn new`, except under loom, whose types cannot be; `const_fn!` hides
//! the difference.

#[cfg(volt_loom)]
#[path = "loom.rs"]
mod face;
#[cfg(all(volt_shuttle, not(volt_loom)))]
#[path = "shuttle.rs"]
mod face;
#[cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]
#[path = "simulated.rs"]
mod face;
#[cfg(all(feature = "real", not(any(feature = "sim", volt_loom, volt_shuttle))))]
#[path = "real.rs"]
mod face;
#[cfg(not(any(feature = "real", volt_loom, volt_shuttle)))]
#[path = "bare.rs"]
mod face;

#[cfg(not(volt_loom))]
mod cell;

#[cfg(not(volt_loom))]
pub use cell::UnsafeCell;
pub use face::*;

/// Declares functions that are `const`, except under loom.
macro_rules! const_fn {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident
        ($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block)+) => {$(
        $(#[$attribute])*
        #[cfg(not(volt_loom))]
        $visibility const fn $name($($argument: $type),*) -> $result $body

        $(#[$attribute])*
        #[cfg(volt_loom)]
        $visibility fn $name($($argument: $type),*) -> $result $body
    )+};
}
pub(crate) use const_fn;
