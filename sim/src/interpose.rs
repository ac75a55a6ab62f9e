//! System calls that simulated threads must not make for real: the functions of the C library
//! that std, `parking_lot`, `rand`, `rustls` and their like call are defined here, in the
//! program itself, which the linker prefers. On ordinary threads they pass through.
//!
//! | function | on a simulated thread |
//! |---|---|
//! | `syscall(SYS_futex, ..)` | waits and wakes in the simulated kernel |
//! | `getrandom`, `syscall(SYS_getrandom, ..)` | the run's entropy |
//! | `clock_gettime` | the virtual clock |
//! | `nanosleep`, `clock_nanosleep` | sleeps in virtual time |
//! | `sched_yield` | a scheduling point |
//! | `sched_getaffinity` | the processors of the simulated machine |
//! | `pthread_create` | fails the run: a real thread follows no seed |
//! | `__cxa_thread_atexit_impl` | destructors run when the simulated thread ends |
//!
//! Only Linux lets a program do this. Elsewhere the simulation covers what goes through
//! `volt_sim`'s own types.

#[cfg(target_os = "linux")]
pub(crate) use linux::{anchor, origin, system_call};

#[cfg(not(target_os = "linux"))]
pub(crate) fn anchor() {}

/// The instant at which every run begins.
#[cfg(not(target_os = "linux"))]
pub(crate) fn origin() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(target_os = "linux")]
#[path = "interpose_linux.rs"]
mod linux;
