//! The allocations of tasks: law 8 of the [laws](crate::laws).
//!
//! A task that has ended stays allocated for as long as something refers to it: a waker, or a
//! handle. Wakers lie in locks, channels, timers and drivers; each is woken, replaced or dropped
//! in the end, or the allocation is never freed. So this counts allocations, and knows nothing of
//! where wakers are.

use std::collections::HashMap;
use std::panic::Location;

use foldhash::fast::FixedState;

use crate::kernel::thread_table::show;
use crate::laws::TaskName;

/// The tasks of one run that are not freed, by their addresses: keys for look-up alone.
#[derive(Default)]
pub(crate) struct Cells {
    allocated: HashMap<usize, Cell, FixedState>,
}

struct Cell {
    name: TaskName,
    place: &'static Location<'static>,
}

impl Cells {
    pub(crate) fn allocated(
        &mut self,
        task: usize,
        name: TaskName,
        place: &'static Location<'static>,
    ) {
        self.allocated.insert(task, Cell { name, place });
    }

    pub(crate) fn freed(&mut self, task: usize) {
        self.allocated.remove(&task);
    }

    /// The run has ended, and each thread with it: what is wrong, if there is a task left of a
    /// runtime that `has_ended`.
    pub(crate) fn at_end(&self, has_ended: impl Fn(u32) -> bool) -> Option<String> {
        let has_ended = &has_ended;
        let left = || self.allocated.values().filter(move |cell| has_ended(cell.name.runtime));
        // Not the first by address: that would differ from one process to the next.
        let Cell { name, place } = left().min_by_key(|it| (it.name.runtime, it.name.number))?;
        let others = match left().count() - 1 {
            0 => String::new(),
            others => format!("; so were those of {others} more"),
        };
        Some(format!(
            "{name}, spawned at {}, is not freed, though its runtime has ended: a waker, or a \
             handle, of this task was leaked, or lies where it outlives the run{others}",
            show(place)
        ))
    }
}
