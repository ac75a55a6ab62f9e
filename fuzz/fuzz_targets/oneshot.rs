//! A oneshot channel.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::oneshot::{Operation, run};

fuzz_target!(|operations: Vec<Operation>| run(&operations));
