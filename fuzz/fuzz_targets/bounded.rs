//! A channel that holds a few messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::channel::{BoundedInput, run};

fuzz_target!(|input: BoundedInput| run(Some(input.capacity()), &input.operations));
