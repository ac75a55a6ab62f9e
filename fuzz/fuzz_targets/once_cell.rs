//! A cell that is initialised once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_fuzz::once_cell::{Operation, run};

fuzz_target!(|operations: Vec<Operation>| run(&operations));
