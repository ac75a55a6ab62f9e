//! Stacks for simulated threads, reused from run to run.

use std::io;
use std::sync::{Mutex, PoisonError};

use corosensei::stack::DefaultStack;

/// What a simulated thread gets unless its builder says otherwise; as std's default.
pub(crate) const STACK_SIZE: usize = 2 << 20;
/// Stacks that are kept; beyond that they go back to the system.
const KEPT: usize = 256;

static FREE: Mutex<Vec<DefaultStack>> = Mutex::new(Vec::new());

pub(crate) fn take(size: usize) -> io::Result<DefaultStack> {
    if size == STACK_SIZE {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(stack) = free {
            return Ok(stack);
        }
    }
    DefaultStack::new(size)
}

/// Takes back a stack that [`take`] gave for this size.
pub(crate) fn give_back(stack: DefaultStack, size: usize) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if size == STACK_SIZE && free.len() < KEPT {
        free.push(stack);
    }
}
