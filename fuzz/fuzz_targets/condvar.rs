//! A condition variable, with its mutex.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::condvar::{Operation, run};

fuzz_target!(|operations: Vec<Operation>| run(&operations));
