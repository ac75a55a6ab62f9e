//! A channel that holds any number of messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::channel::{Operation, run};

fuzz_target!(|operations: Vec<Operation>| run(None, &operations));
