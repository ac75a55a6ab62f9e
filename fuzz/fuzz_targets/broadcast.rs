//! A broadcast channel.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::broadcast::{Input, run};

fuzz_target!(|input: Input| run(&input));
