//! Interpreters of operation sequences, one for each lock and channel of Volt: they carry out the
//! operations that the fuzzer makes up, on one thread, beside a model that says what must come of
//! each.
//!
//! | module | what it is |
//! |---|---|
//! | `waits` | those who wait: futures, each with a waker that counts |
//! | `ledger` | messages that are counted while they are there |
//! | `lock` | what a lock must do, for those that are built on one |
//! | `schedule` | a simulated program, whose schedule is what the fuzzer makes up |
//! | the others | one primitive each: its operations, its model, and `run` |
//!
//! After each operation, whoever can go on according to the model must have been woken since it
//! last answered that it waits; and a poll must answer what the model says.

#![forbid(unsafe_code)]

pub mod barrier;
pub mod broadcast;
pub mod channel;
pub mod condvar;
pub mod mutex;
pub mod notify;
pub mod once_cell;
pub mod oneshot;
pub mod rwlock;
#[cfg(feature = "sim")]
pub mod schedule;
pub mod semaphore;
pub mod watch;

mod ledger;
mod lock;
mod waits;

use arbitrary::{Arbitrary, Unstructured};

/// How many can wait at once.
const WAITERS: usize = 8;

/// Which of those who can wait, or of the other things of which there are several.
#[derive(Clone, Copy, Debug)]
pub struct Index(usize);

impl<'a> Arbitrary<'a> for Index {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Index> {
        Ok(Index(usize::from(u8::arbitrary(bytes)?) % WAITERS))
    }

    fn size_hint(depth: usize) -> (usize, Option<usize>) {
        u8::size_hint(depth)
    }
}
