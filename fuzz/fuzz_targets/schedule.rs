//! The schedule of a simulated program.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::schedule::run;

fuzz_target!(|bytes: &[u8]| run(bytes));
