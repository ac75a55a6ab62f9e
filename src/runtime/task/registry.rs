//! All tasks of a runtime that have not ended: so that shutting down reaches every one, and
//! reports can name them.
//!
//! Sharded by the worker that spawns, so that spawning takes no lock that others hold. A shard is
//! a slab; a task's [`Id`] is its place there with the number of its use, so that leaving needs
//! no search.
//!
//! ```text
//!   open ──close──► closed: insert refuses; tasks leave as they end; empty is for ever
//! ```

use super::{Id, Notified, TaskReference};
use crate::platform::sync::Mutex;

pub(crate) struct Registry {
    /// One for each worker, and the last for blocking jobs.
    shards: Box<[Mutex<Shard>]>,
}

struct Shard {
    places: Vec<Place>,
    free: Vec<u32>,
    closed: bool,
}

struct Place {
    task: Option<TaskReference>,
    /// How often the place was used before.
    serial: u32,
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Registry {
        let shard = || Mutex::new(Shard { places: Vec::new(), free: Vec::new(), closed: false });
        Registry { shards: (0..=workers).map(|_| shard()).collect() }
    }

    /// Names the task and keeps a reference to it; false if the registry is closed.
    pub(crate) fn insert(&self, task: &Notified, worker: usize) -> bool {
        self.insert_into(task, worker)
    }

    /// As [`Registry::insert`], for a blocking job.
    pub(crate) fn insert_blocking(&self, task: &Notified) -> bool {
        self.insert_into(task, self.shards.len() - 1)
    }

    fn insert_into(&self, task: &Notified, number: usize) -> bool {
        let count = self.shards.len();
        let mut shard = self.shards[number].lock();
        if shard.closed {
            return false;
        }
        let place = match shard.free.pop() {
            Some(place) => place,
            None => {
                shard.places.push(Place { task: None, serial: 0 });
                (shard.places.len() - 1) as u32
            }
        };
        let held = &mut shard.places[place as usize];
        task.set_id(Id::new(place * count as u32 + number as u32, held.serial));
        held.task = Some(TaskReference::of(task));
        true
    }

    /// Takes out the reference to a task that ends.
    pub(crate) fn remove(&self, id: Id) -> Option<TaskReference> {
        let count = self.shards.len() as u32;
        let place = id.slot() / count;
        let mut shard = self.shards[(id.slot() % count) as usize].lock();
        let held = &mut shard.places[place as usize];
        debug_assert_eq!(held.serial, id.serial());
        held.serial = held.serial.wrapping_add(1);
        let task = held.task.take();
        shard.free.push(place);
        task
    }

    /// Refuses tasks from now on, and gives those that have not ended.
    pub(crate) fn close(&self) -> Vec<TaskReference> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.closed = true;
            tasks.extend(shard.places.iter().filter_map(|place| place.task.clone()));
        }
        tasks
    }

    /// The tasks that have not ended, for reports.
    pub(crate) fn tasks(&self) -> Vec<TaskReference> {
        let tasks = |shard: &Mutex<Shard>| -> Vec<TaskReference> {
            shard.lock().places.iter().filter_map(|place| place.task.clone()).collect()
        };
        self.shards.iter().flat_map(tasks).collect()
    }

    /// How many tasks have not ended; blocking jobs apart.
    pub(crate) fn len(&self) -> usize {
        let (_, tasks) = self.shards.split_last().expect("there is one for blocking jobs");
        tasks.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether every task has ended, blocking jobs apart.
    pub(crate) fn is_empty_of_tasks(&self) -> bool {
        self.len() == 0
    }
}

impl Shard {
    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
