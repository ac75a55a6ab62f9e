//! A rwlock.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::rwlock::{Operation, run};

fuzz_target!(|operations: Vec<Operation>| run(&operations));
