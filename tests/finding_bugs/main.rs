//! The programs of `docs/finding-bugs.md`, and a check that they do what the page says.

#![cfg(all(feature = "macros", not(any(volt_loom, volt_shuttle))))]

mod bank;
mod fixed;
#[cfg(all(feature = "sim", target_os = "linux"))]
mod page;
mod tasks;
