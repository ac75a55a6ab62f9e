//! Locks and coordination: what tasks and threads wait for each other with. None of it needs a
//! runtime: it works under any executor, or none. All but [`CancellationToken`] may stand in a
//! `static`, and a task that waits allocates nothing.
//!
//! | primitive | what it is | order of those who wait | cost when nobody waits |
//! |---|---|---|---|
//! | [`Mutex`] | one holder has the value | first come, overtaken 16 times | an exchange each way |
//! | [`RwLock`] | one writes, or many read | first come, overtaken 4 times | the same |
//! | [`Semaphore`] | a number of permits | first come, overtaken 16 times | the same |
//! | [`Notify`] | something has happened | first come | the same |
//! | [`Barrier`] | all go on together | all at once | a lock for each who comes |
//! | [`OnceCell`] | a value that is made once | first come makes it | to get it: a load |
//! | [`Condvar`] | a value has changed | first come | to notify: a load |
//! | [`CancellationToken`] | asks tasks to end | all at once | to look: a load |
//!
//! An exchange is one atomic read-modify-write; a load is atomic, too.
//!
//! # Four levels
//!
//! What can be waited for is there in these forms, as far as they make sense for it. They share one
//! implementation, and one queue.
//!
//! | level | looks like | needs |
//! |---|---|---|
//! | try | `mutex.try_lock()` | nothing |
//! | await | `mutex.lock().await` | any executor |
//! | future | `let future: Lock<'_, T> = mutex.lock();`, cancelled by its drop | any executor |
//! | waiter | `mutex.lock_wait(waiter)`, `mutex.cancel_lock(waiter)`, pinned | nothing |
//!
//! Plain threads wait with the methods whose names begin with `blocking_`. A task that calls one
//! panics: its worker has other tasks.
//!
//! A wait can be given up wherever it stands, and nothing is lost by that: a lock, permit or
//! notification that was already given to it goes to the next one.
//!
//! # Who is served first
//!
//! Whoever waits has a place in a queue, first come, first served. What becomes free is free,
//! though: the first in the queue is woken and keeps its place, and until it comes, a task that
//! runs may *overtake* it. To hand a lock to a task that sleeps would let it rest until that task
//! runs; meanwhile all others would come to the queue, to be woken one by one, and the lock would
//! be as slow as a wake-up from then on.
//!
//! So that nobody starves, the first in the queue is overtaken at most 16 times. After that it is
//! handed what it waits for, and nobody comes before it. One that has `n` others before it
//! sees at most `16 * (n + 1)` that came later served before it. This holds of a [`Mutex`]; of a
//! [`Semaphore`], where a request for many permits is overtaken no more often than one for a few;
//! and of the room and the messages of a [`channel`](crate::channel). In an [`RwLock`] writers
//! alone overtake, at most 4 times, and a writer that waits stops new readers. Nobody else who
//! waits can be overtaken.
//!
//! [`MutexGuard::unlock_fair`] and [`RwLockWriteGuard::unlock_fair`] hand the lock over at once. A
//! simulation fails when somebody is overtaken more often than that.
//!
//! A task whose [budget](crate::task::coop) is spent takes its place in the queue before it lets
//! others run: the budget does not decide the order.

mod acquire;
mod barrier;
mod cancellation_token;
mod condvar;
mod condvar_wait;
mod mutex;
mod mutex_guard;
mod mutex_owned;
mod notified;
mod notify;
mod once_cell;
mod permit;
mod raw_barrier;
mod raw_cancellation;
mod raw_condvar;
mod raw_mutex;
mod raw_notify;
mod raw_once;
mod raw_rwlock;
mod raw_semaphore;
mod rwlock;
mod rwlock_guard;
mod rwlock_owned;
mod semaphore;

pub use acquire::{Acquire, AcquireOwned};
pub use barrier::{Barrier, BarrierWait, BarrierWaitResult};
pub use cancellation_token::{
    CancellationToken, Cancelled, CancelledOwned, DropGuard, RunUntilCancelled,
    RunUntilCancelledOwned,
};
pub use condvar::Condvar;
pub use condvar_wait::{CondvarWait, CondvarWaitWhile};
pub use mutex::{Lock, Mutex};
pub use mutex_guard::{MappedMutexGuard, MutexGuard};
pub use mutex_owned::{LockOwned, OwnedMappedMutexGuard, OwnedMutexGuard};
pub use notified::{Notified, NotifiedOwned};
pub use notify::Notify;
pub use once_cell::{GetOrInit, GetOrTryInit, OnceCell, WaitInitialized};
pub use permit::{OwnedPermit, Permit};
pub use rwlock::{Read, RwLock, Write};
pub use rwlock_guard::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
pub use rwlock_owned::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, ReadOwned, WriteOwned};
pub use semaphore::{Closed, Semaphore};

pub use crate::waiter::Waiter;
