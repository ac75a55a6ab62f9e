//! A barrier.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::barrier::{Input, run};

fuzz_target!(|input: Input| run(&input));
