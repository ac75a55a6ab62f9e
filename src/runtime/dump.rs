//! Every task of a runtime, and what it does.

use std::fmt;

use super::scheduler::Scheduler;
use super::task::Id;

/// Every task of a runtime that has not ended, at a moment of the call.
#[derive(Clone, Debug)]
pub struct TaskDump {
    tasks: Vec<DumpedTask>,
}

/// One task of a [`TaskDump`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpedTask {
    /// Its name within the runtime.
    pub id: Id,
    /// `scheduled`, `running` or `waiting`.
    pub state: &'static str,
}

impl TaskDump {
    pub(super) fn of(scheduler: &Scheduler) -> TaskDump {
        let dumped = scheduler.registry().tasks().into_iter().filter_map(|task| {
            Some(DumpedTask { id: task.id()?, state: task.header().describe() })
        });
        let mut tasks: Vec<_> = dumped.collect();
        tasks.sort_unstable_by_key(|task| task.id);
        TaskDump { tasks }
    }

    /// The tasks, by name.
    pub fn tasks(&self) -> &[DumpedTask] {
        &self.tasks
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for DumpedTask { id, state } in &self.tasks {
            writeln!(f, "task {id}: {state}")?;
        }
        Ok(())
    }
}
