//! Locks, coordination and channels against plain models of one thread. After any sequence of
//! operations each has what its model says, in the order that it says, and whoever can go on was
//! woken.

#![cfg(not(any(volt_loom, volt_shuttle)))]

#[path = "reference_models/barrier.rs"]
mod barrier;
#[path = "reference_models/broadcast.rs"]
mod broadcast;
#[path = "reference_models/channel.rs"]
mod channel;
#[path = "reference_models/mutex.rs"]
mod mutex;
#[path = "reference_models/notify.rs"]
mod notify;
#[path = "reference_models/oneshot.rs"]
mod oneshot;
#[path = "reference_models/rwlock.rs"]
mod rwlock;
#[path = "reference_models/semaphore.rs"]
mod semaphore;
#[path = "reference_models/waiting.rs"]
mod waiting;
#[path = "reference_models/watch.rs"]
mod watch;

/// How often the first one who waits is overtaken, at most: see the documentation of `volt::sync`.
const MOST_OVERTAKERS: usize = 16;
