//! A semaphore.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::semaphore::{Input, run};

fuzz_target!(|input: Input| run(&input));
